"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    _ParamType = click.ParamType[str]
else:
    _ParamType = click.ParamType  # generic for type checkers only: older versions of click are in use

_Command = TypeVar("_Command", bound=Callable[..., Any])

PIPELINE = click.Path(path_type=Path)
# A pipeline or a repository. Whether it exists is found out by what reads it, which says more.
TARGET = click.Path(path_type=Path)


class DriverChoice(_ParamType):
    """One of the words of a constant in `driver.options`; looked up when needed, as the driver is large."""

    name = "choice"

    def __init__(self, constant: str) -> None:
        self._constant = constant

    @property
    def words(self) -> tuple[str, ...]:
        """What may be given."""
        from ..driver import options

        words: tuple[str, ...] = getattr(options, self._constant)
        return words

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return f"[{'|'.join(self.words)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in self.words:
            self.fail(f"'{value}' is not one of {', '.join(self.words)}", param, ctx)
        return str(value)


json_option = click.option(
    "--json", is_flag=True, expose_value=False, help="One JSON document on stdout, and nothing else there."
)
input_option = click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="KEY=VALUE",
    callback=lambda _ctx, _param, values: _checked_inputs(values),
    help="An input: @FILE (its bytes; of a .npy, the array), a JSON literal, else text. "
    "A key given twice makes two samples.",
)
entry_option = click.option(
    "--entry", "entry_name", metavar="NAME", help="The entry, by its model's name [default: the only root]."
)
tritonserver_option = click.option(
    "--tritonserver",
    metavar="PROGRAM",
    help="The server to run [default: one on the PATH, else that of nvidia-pytriton].",
)
isolated_option = click.option(
    "--isolated",
    is_flag=True,
    help="Run the models in an environment that holds only the repository's requirements.txt.",
)


def checked_url(url: str) -> str:
    """The URL as it is.

    Raises:
        click.BadParameter: it is none of a server.
    """
    from ..services.network import split_url

    try:
        split_url(url)
    except ValueError as problem:
        raise click.BadParameter(str(problem)) from None
    return url


def _checked_inputs(values: Sequence[str]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for value in values:
        key, equals, text = value.partition("=")
        if not (key and equals):
            raise click.BadParameter(f"'{value}' is not KEY=VALUE, as in data=@image.jpg")
        pairs.append((key, text))
    return tuple(pairs)


def compile_options(*, stages: bool = True) -> Callable[[_Command], _Command]:
    """Adds the options of compilation; the command gets them as ``options``, a `BuildOptions`.

    Args:
        stages: include those that only change how a repository is cut into models.
    """
    decorators = [*_COMPILE, *(_STAGES if stages else ())]

    def add(command: _Command) -> _Command:
        @functools.wraps(command)
        def with_options(*arguments: Any, **given: Any) -> Any:
            from ..driver import BuildOptions

            _refuse_for_directory(given)
            options = BuildOptions(
                target=given.pop("target"),
                runtime=given.pop("runtime"),
                models=dict(given.pop("models")),
                values=dict(given.pop("values")),
                dynamic_batch=given.pop("dynamic_batch"),
                **{name: given.pop(name) for name in ("fuse", "cores") if name in given},
            )
            return command(*arguments, options=options, **given)

        decorated: Any = with_options
        for decorator in reversed(decorators):
            decorated = decorator(decorated)
        result: _Command = decorated
        return result

    return add


def _refuse_for_directory(given: dict[str, Any]) -> None:
    """A repository was compiled with what its tpgen.json records: options of compilation come too late."""
    target = given.get("path")
    if not isinstance(target, Path) or not target.is_dir():
        return
    context = click.get_current_context()
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in _NAMES and source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{parameter.opts[0]} is for a PIPELINE.toml, which is compiled; '{target}' is a directory"
            )


def given_words(context: click.Context) -> list[str]:
    """The options of compilation that were given, as words of a command line."""
    words: list[str] = []
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name not in _NAMES or source is not click.core.ParameterSource.COMMANDLINE:
            continue
        name, value = parameter.opts[0], context.params[parameter.name]
        if parameter.name == "models":
            words += [word for node, path in value for word in (name, f"{node}={path}")]
        elif parameter.name == "values":
            words += [word for (node, key), text in value for word in (name, f"{node}.{key}={text}")]
        else:
            words += [name] if value is True else [name, str(value)]
    return words


def _checked_models(
    _ctx: click.Context, _param: click.Parameter, values: Sequence[str]
) -> list[tuple[str, str]]:
    pairs = []
    for value in values:
        node, equals, path = value.partition("=")
        if not (node and equals and path):
            raise click.BadParameter(f"'{value}' is not NODE=PATH, as in resnet50=small.onnx")
        pairs.append((node, path))
    return pairs


def _checked_values(
    _ctx: click.Context, _param: click.Parameter, values: Sequence[str]
) -> list[tuple[tuple[str, str], str]]:
    pairs = []
    for value in values:
        place, equals, text = value.partition("=")
        node, _, key = place.rpartition(".")  # a node's name may hold dots, a key doesn't
        if not (node and key and equals):
            raise click.BadParameter(f"'{value}' is not NODE.KEY=VALUE, as in resize.resize_h=224")
        pairs.append(((node, key), text))
    return pairs


_COMPILE = (
    click.option("--target", type=DriverChoice("TARGETS"), help="What to compile for [default: cpu]."),
    click.option(
        "--runtime",
        type=DriverChoice("RUNTIMES"),
        help="What runs the models [default: python on cpu, tensorrt on gpu].",
    ),
    click.option(
        "--model",
        "models",
        multiple=True,
        metavar="NODE=PATH",
        callback=_checked_models,
        help="Take another model file for a node.",
    ),
    click.option(
        "--set",
        "values",
        multiple=True,
        metavar="NODE.KEY=VALUE",
        callback=_checked_values,
        help="Set a key of a node, as the TOML would; no tables.",
    ),
    click.option(
        "--dynamic-batch",
        is_flag=True,
        help="Rewrite a copy of a model whose batch size is fixed, and prove that it answers the same.",
    ),
)
_STAGES = (
    click.option(
        "--fuse",
        type=DriverChoice("FUSE_LEVELS"),
        default="auto",
        show_default=True,
        help="How many nodes one Triton model runs: none is one each; with control flow, one for each model.",
    ),
    click.option(
        "--cores",
        type=click.IntRange(1, 4096),
        help="The CPUs to compile for [default: those usable here].",
    ),
)
_NAMES = {"target", "runtime", "models", "values", "dynamic_batch", "fuse", "cores"}
