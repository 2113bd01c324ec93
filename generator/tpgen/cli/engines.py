"""`tpgen engines`: TensorRT engines of a repository, planned anywhere and built where the GPU is."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click

from ..diagnostics import PipelineError, ToolMissing
from ..text_table import aligned
from .inputs import read_samples
from .options import PIPELINE, TARGET, compile_options, input_option, json_option
from .report import Report
from .targets import fail

if TYPE_CHECKING:
    from ..driver import BuildOptions
    from ..engines.engine_cache import EngineCache
    from ..engines.profiles import Profile
    from ..services.engines import Engine, Place

_SHORT = 12  # digits of a key that are shown; they tell engines apart

_REPOSITORY = click.Path(path_type=Path)
_cache_option = click.option(
    "--cache",
    "cache_folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where engines are kept [default: a folder of the user's cache].",
)


@click.group("engines")
def command() -> None:
    """Plan, build and keep TensorRT engines."""


@command.command("plan")
@click.argument("path", type=TARGET, metavar="DIR|PIPELINE.toml")
@compile_options()
@json_option
@click.pass_obj
def plan_command(report: Report, path: Path, options: BuildOptions) -> None:
    """Show the engines that a repository needs, and the commands that build them.

    A pipeline is compiled for the gpu target. TensorRT is not needed.
    """
    from ..services.engine_builds import known_place

    with _repository(path, report, options) as directory:
        engines = _engines(directory, known_place(), path)
        _show(report, engines, with_commands=True)


@command.command("build")
@click.argument("directory", type=_REPOSITORY, metavar="DIR")
@_cache_option
@click.option("--gpu-name", metavar="NAME", help="The GPU's name [default: what nvidia-smi says].")
@click.option(
    "--compute-capability",
    metavar="X.Y",
    callback=lambda _ctx, _param, text: _checked_capability(text),
    help="The GPU's compute capability, likewise.",
)
@json_option
@click.pass_obj
def build_command(
    report: Report,
    directory: Path,
    cache_folder: Path | None,
    gpu_name: str | None,
    compute_capability: str | None,
) -> None:
    """Build the engines of a repository that are missing or stale.

    Each is put in place as soon as it is built: after an interruption, the next call goes on with the others.
    """
    from ..services.engine_builds import build_engines, this_gpu
    from ..services.engines import Place

    engines = _engines(directory)
    tensorrt, version = _tensorrt(report, engines)
    place = Place(this_gpu(gpu_name, compute_capability), version)
    engines = _engines(directory, place)
    missing = [engine for engine in engines if engine.state != "built"]
    _show(report, engines)
    outcomes, found = build_engines(directory, missing, tensorrt, _cache(cache_folder), report.progress)
    report.put(
        engines=[engine.to_json() for engine in _engines(directory, place)],
        built=[{"model": one.engine.model, "how": one.how} for one in outcomes],
    )
    failed = sum(one.how == "failed" for one in outcomes)
    if failed:
        raise PipelineError(found)
    report.findings(found)
    done = f"{len(outcomes)} of {len(engines)} put in place" if outcomes else "nothing to build"
    report.say(f"{done}; serve them with: {shlex.join(['tpgen', 'serve', str(directory)])}")


@command.command("samples")
@click.argument("pipeline", type=PIPELINE, metavar="PIPELINE.toml")
@click.argument("node")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@input_option
@compile_options(stages=False)
@json_option
@click.pass_obj
def samples_command(
    report: Report,
    pipeline: Path,
    node: str,
    folder: Path,
    inputs: tuple[tuple[str, str], ...],
    options: BuildOptions,
) -> None:
    """Save what arrives at the model of NODE, for calibrate_input.

    All that stands in front of the model runs in this process, your own code included. Where no such code
    prepares the images, calibrate_input takes them as they are.
    """
    from ..driver.calibration import save_samples

    if folder.is_dir() and any(folder.iterdir()):
        raise click.UsageError(f"{folder} is not empty")
    samples = read_samples(inputs)
    if not samples:
        raise click.UsageError("no samples: --input data=@a.jpg --input data=@b.jpg")
    folder.mkdir(parents=True, exist_ok=True)
    count = save_samples(pipeline, node, folder, samples, options)
    report.put(folder=str(folder), samples=count)
    report.say(f"{count} sample{'s' * (count != 1)} of what arrives at '{node}' in {folder}")


@command.command("ls")
@_cache_option
@json_option
@click.pass_obj
def list_command(report: Report, cache_folder: Path | None) -> None:
    """List the engines that are kept."""
    cache = _cache(cache_folder)
    entries = cache.entries()
    report.put(
        folder=str(cache.folder),
        engines=[
            {
                "key": entry.key,
                "plan": str(entry.plan),
                "size": entry.size,
                "precision": entry.request.precision,
                "gpu": entry.request.gpu.name if entry.request.gpu else None,
                "tensorrt": entry.request.tensorrt,
                "inputs": [one.name for one in entry.request.inputs],
            }
            for entry in entries
        ],
    )
    for entry in entries:
        request = entry.request
        gpu = request.gpu.name if request.gpu else "?"
        about = f"{request.precision:4}  TensorRT {request.tensorrt}  {gpu}"
        report.say(f"{entry.key[:_SHORT]}  {entry.size / 2**20:8.1f} MiB  {about}")
    unfinished = cache.unfinished()
    report.put(unfinished=unfinished)
    if unfinished:
        report.say(
            f"{len(unfinished)} unfinished files: a build goes on, or tpgen engines prune removes them"
        )
    report.say(f"{cache.folder}: {len(entries)} engines, {sum(e.size for e in entries) / 2**20:.1f} MiB")


@command.command("prune")
@click.argument("directories", nargs=-1, type=_REPOSITORY, metavar="[DIR]...")
@click.option("--all", "everything", is_flag=True, help="Remove all, if no DIR is named.")
@_cache_option
@json_option
@click.pass_obj
def prune_command(
    report: Report, directories: tuple[Path, ...], cache_folder: Path | None, *, everything: bool
) -> None:
    """Remove the engines that no repository named here asks for, on whatever GPU.

    What interrupted builds left in the cache and in these repositories is removed, too.
    """
    from ..engines.plan_files import changes
    from ..services.engine_builds import remove_leftovers

    if bool(directories) is everything:
        raise click.UsageError("name the repositories whose engines stay, or --all to remove every engine")
    cache = _cache(cache_folder)
    found = [engine for directory in directories for engine in _engines(directory)]
    wanted = [engine.request for engine in found]
    keep = [e.request for e in cache.entries() if any(not changes(one, e.request) for one in wanted)]
    removed = [*(name for one in directories for name in remove_leftovers(one)), *cache.prune(keep)]
    report.put(folder=str(cache.folder), removed=removed, kept=[request.key() for request in keep])
    plans = sum(name.endswith(".plan") for name in removed)
    report.say(f"{cache.folder}: {plans} engines removed, {len(keep)} kept")


def _checked_capability(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"[1-9]\d*\.\d", text):
        raise click.BadParameter(f"{text!r} is no compute capability, such as 8.9")
    return text


def _cache(folder: Path | None) -> EngineCache:
    from ..engines.engine_cache import EngineCache
    from ..services.engine_builds import default_cache

    return EngineCache(folder or default_cache())


@contextmanager
def _repository(path: Path, report: Report, options: BuildOptions) -> Iterator[Path]:
    """The repository, or a temporary one that a pipeline is built into for TensorRT."""
    from ..driver import build

    if path.is_dir():
        yield path
        return
    if options.target is None:
        options = replace(options, target="gpu")
    with tempfile.TemporaryDirectory(prefix="tpgen-") as folder:
        directory = Path(folder) / "model_repository"
        found = build(path, directory, options).diagnostics
        report.findings(one for one in found if one.code != "TP906")  # that they are to be built is known
        yield directory


def _engines(directory: Path, place: Place | None = None, asked: Path | None = None) -> list[Engine]:
    """The engines of a repository, or an error; ``asked`` is what the user named, which may be a pipeline."""
    from ..services.engines import find_engines

    engines = find_engines(directory, place)
    if not engines and asked is not None and asked.is_file():
        hint = "with --target gpu TensorrtTensor does, if its model can; tpgen explain says where each runs"
        fail("TP415", f"no model of '{asked}' runs on TensorRT", hint=hint)
    if not engines:
        hint = "tpgen build PIPELINE.toml --target gpu writes one"
        fail("TP415", f"'{directory}' holds no model that runs on TensorRT", hint=hint)
    return engines


def _tensorrt(report: Report, engines: Sequence[Engine]) -> tuple[ModuleType, str]:
    """TensorRT and its version.

    Raises:
        ToolMissing: it is not here; after the plan, and with the command that builds the first by hand.
    """
    from ..engines.build import find_tensorrt, version_of
    from ..services.engines import command_of

    try:
        tensorrt = find_tensorrt()
    except ToolMissing as problem:
        _show(report, engines)
        first = next((engine for engine in engines if engine.state != "built"), engines[0])
        message = f"{problem.message}; by hand, in {first.folder}: {command_of(first)}"
        raise ToolMissing(message, problem.command) from None
    return tensorrt, version_of(tensorrt)


def _show(report: Report, engines: Sequence[Engine], *, with_commands: bool = False) -> None:
    """The engines with their profiles."""
    report.put(engines=[engine.to_json() for engine in engines])
    for engine in engines:
        request = engine.request
        report.say(f"{engine.model}  {request.precision}  {engine.state}  {engine.key[:_SHORT]}")
        for line in engine.why:
            report.say(f"  changed: {line}")
        for line in _profiles(request.profiles) if request.profiles else ():
            report.say(f"  {line}")
        if not request.profiles:
            report.say(f"  {', '.join(one.name for one in request.inputs)}: one size only")
        for plan in engine.plans if len(engine.plans) > 1 or with_commands else ():
            stale = f"  stale: {'; '.join(plan.why)}" if plan.why else ""
            about = f"{plan.gpu}, TensorRT {plan.tensorrt}"
            report.say(f"  for capability {plan.compute_capability}: {plan.file} ({about}){stale}")
        for line in (*engine.report, *(f"note: {note}" for note in engine.notes)):
            report.say(f"  {line}")
        for tool in (engine.commands or {}) if with_commands else ():
            report.say(f"  $ {shlex.join((engine.commands or {})[tool])}")


def _profiles(profiles: Sequence[Profile]) -> list[str]:
    """The lines of a table: what each profile holds of each input."""
    heading = ["profile", "input", "min", "opt", "max"]
    rows = [
        [str(number), one.name, *map(_by_x, (one.low, one.opt, one.high))]
        for number, profile in enumerate(profiles)
        for one in profile
    ]
    return aligned([heading, *rows], left=len(heading)).splitlines()


def _by_x(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
