"""Where templates, image files and the runtime are: in a checkout, and in an installed wheel."""

from pathlib import Path

from .diagnostics import ToolMissing

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent.parent


def templates_dir() -> Path:
    """The folder of Jinja2 templates; raises ToolMissing if this installation has none."""
    return _found(_PACKAGE / "_templates", _CHECKOUT / "templates")


def docker_dir() -> Path:
    """The folder of what container images are made from; raises ToolMissing if there is none."""
    return _found(_PACKAGE / "_docker", _CHECKOUT / "docker")


def runtime_dir() -> Path:
    """The folder of `tpgen_runtime`, to be copied into models; raises ToolMissing if there is none."""
    package = "tpgen_runtime"
    return _found(_PACKAGE / "_python_backends" / package, _CHECKOUT / "python_backends" / package)


def _found(in_wheel: Path, in_checkout: Path) -> Path:
    for path in (in_wheel, in_checkout):
        if path.is_dir():
            return path
    raise ToolMissing(
        f"this installation of tpgen is incomplete: neither {in_wheel} nor {in_checkout} exists",
        "pip install --force-reinstall --no-deps tpgen",
    )
