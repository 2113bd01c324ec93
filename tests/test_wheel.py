"""The wheel, built from the source distribution as indexes get it, works where no checkout is."""

import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel made from the unpacked source distribution alone."""
    folder = tmp_path_factory.mktemp("build")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and this one's dependencies, but without this checkout."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    site = Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    )
    # A folder named in a .pth file has its own .pth files ignored: the editable install stays out.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def packaged(folder: Path) -> set[str]:
    """The files of a source folder that belong into a wheel."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc" and not path.name.startswith(".")
    }


def test_wheel_holds_the_packages_their_data_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    expected = {f"tpgen/{name}" for name in packaged(ROOT / "generator" / "tpgen")}
    expected |= {f"tpgen/_templates/{name}" for name in packaged(ROOT / "templates")}
    expected |= {f"tpgen/_docker/{name}" for name in packaged(ROOT / "docker")}
    runtime = packaged(ROOT / "python_backends" / "tpgen_runtime")
    expected |= {f"tpgen_runtime/{name}" for name in runtime}
    expected |= {f"tpgen/_python_backends/tpgen_runtime/{name}" for name in runtime}
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_installed_packages_and_data_are_the_wheels(installed: Path, tmp_path: Path) -> None:
    code = "import tpgen, tpgen_runtime; from tpgen import resources as r; "
    code += "print(tpgen.__file__, tpgen_runtime.__file__, r.templates_dir(), r.runtime_dir(), sep='\\n')"
    for line in run(installed / "python", "-c", code, cwd=tmp_path).splitlines():
        assert Path(line).is_relative_to(installed.parent)


def test_command_of_the_wheel_compiles_an_example(installed: Path, tmp_path: Path) -> None:
    assert "build" in run(installed / "tpgen", "--help", cwd=tmp_path)
    example = tmp_path / "hello"
    example.mkdir()
    (example / "pipeline.toml").write_text((ROOT / "model_repos" / "hello" / "pipeline.toml").read_text())
    run(installed / "tpgen", "build", example / "pipeline.toml", "-o", tmp_path / "repository", cwd=tmp_path)
    assert (tmp_path / "repository" / "hello" / "config.pbtxt").is_file()


def test_command_of_the_wheel_explains_a_code(installed: Path, tmp_path: Path) -> None:
    page = (ROOT / "generator" / "tpgen" / "codes" / "TP102.md").read_text()
    title, *paragraphs = page.removeprefix("# ").split("\n\n")
    said = run(installed / "tpgen", "explain", "TP102", cwd=tmp_path)
    assert title in said.splitlines()[0]
    assert "\n\n".join(paragraphs).strip() in said
