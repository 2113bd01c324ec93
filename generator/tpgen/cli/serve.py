"""`tpgen serve`: a repository, or a pipeline, on a real tritonserver."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..diagnostics import Diagnostic, Severity, render
from .curl import curl_line
from .options import TARGET, compile_options, isolated_option, json_option, tritonserver_option
from .report import Report
from .targets import fail, repository_of

if TYPE_CHECKING:
    from ..driver import BuildOptions
    from ..services.client import ModelSpec
    from ..services.server import TritonServer
    from ..services.stubs import LostStub

_Command = TypeVar("_Command", bound=Callable[..., Any])
_LAST_LINES = 15


def _port_option(service: str, default: int) -> Callable[[_Command], _Command]:
    return click.option(
        f"--{service}-port",
        type=click.IntRange(0, 65535),
        default=default,
        show_default=True,
        help=f"The {service} port; 0 takes a free one.",
    )


@click.command("serve")
@click.argument("path", type=TARGET, metavar="DIR|PIPELINE.toml")
@compile_options()
@_port_option("http", 8000)
@_port_option("grpc", 8001)
@_port_option("metrics", 8002)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@tritonserver_option
@isolated_option
@click.option("--docker", "in_container", is_flag=True, help="Build an image with docker, and run that.")
@json_option
@click.pass_obj
def command(
    report: Report, /, path: Path, options: BuildOptions, *, in_container: bool, **settings: Any
) -> int:
    """Serve a model repository, or a pipeline, until Ctrl-C."""
    if in_container:
        return _in_container(report, path, options, settings)
    from ..services.server import TritonServer

    with _ends_with_signals(), repository_of(path, report, options) as repository:
        server = TritonServer(repository, **settings, pipeline=None if path.is_dir() else path)
        report.progress("starting tritonserver")
        with server:
            with contextlib.suppress(KeyboardInterrupt):
                _announce(report, server)
                status = server.wait(lambda stub: report.progress(render(_lost(stub))), report.progress)
                _ended(status, server)
            report.progress(_stopping(server.python_processes))
    return 0


def _in_container(report: Report, path: Path, options: BuildOptions, settings: dict[str, Any]) -> int:
    for name in ("tritonserver", "isolated"):
        if settings[name]:
            raise click.UsageError(
                f"--{name} is for a server on this machine; --docker takes that of an image"
            )
    from ..driver import check
    from ..services.containers import container_plan, known_pipelines, serve_in_container

    ports = [settings[f"{service}_port"] for service in ("http", "grpc", "metrics")]
    with _ends_with_signals(), repository_of(path, report, options) as repository:
        compiled = known_pipelines(path) if path.is_dir() else check(path, options).compiled
        plan = container_plan(repository, compiled, settings["host"], ports)
        if plan.note:
            report.progress(plan.note)
        report.put(docker=[list(plan.build), list(plan.run)])
        with contextlib.suppress(KeyboardInterrupt):
            serve_in_container(plan, report.progress)
    return 0


@contextlib.contextmanager
def _ends_with_signals() -> Iterator[None]:
    """Within it, SIGTERM and SIGHUP end the command as Ctrl-C does; what is ignored (nohup) stays so."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    known = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [number for number in known if signal.getsignal(number) is not signal.SIG_IGN]
    former = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _announce(report: Report, server: TritonServer) -> None:
    """Says where the server answers, what it serves, and how to ask it."""
    entries = _entries(server)
    line = curl_line(server.http_url, entries[0]) if entries else None
    report.put(
        http=server.http_url,
        grpc=server.grpc_url,
        metrics=server.metrics_url,
        models=[entry.name for entry in entries],
        curl=line,
    )
    report.say(f"HTTP     {server.http_url}\ngRPC     {server.grpc_url}\nmetrics  {server.metrics_url}")
    for entry in entries:
        takes = ", ".join(f"{name}: {spec}" for name, spec in entry.inputs.items())
        report.say(f"model    {entry.name}({takes})")
    if line:
        report.say(f"\n{line}\n")
    report.say("ready; Ctrl-C ends it")
    report.publish()


def _entries(server: TritonServer) -> list[ModelSpec]:
    """The models for clients: those that are not a part of another."""
    from ..services.client import Client

    with Client(server.http_url) as client:
        names = sorted({model["name"] for model in client.models()})
        return [client.spec(name) for name in names if "__" not in name]


def _stopping(processes: int) -> str:
    """What is waited for: it takes longer than is expected of a server that does nothing."""
    if not processes:
        return "stopping"
    return (
        f"stopping: the server ends its Python processes ({processes}) one after the other, about a second "
        "each; Ctrl-C again leaves it to that"
    )


def _lost(stub: LostStub) -> Diagnostic:
    left = f"{stub.left} of its processes left" if stub.left else "none of its processes left"
    return Diagnostic(
        "TP726",
        Severity.WARNING,
        f"a process of model '{stub.model}' died ('{stub.instance}'), {left}; the server does not start it "
        "again, and fails the requests that it gets",
        hint="end tpgen serve and start it again; 'tpgen explain TP726' says more",
        model=stub.model,
    )


def _ended(status: int, server: TritonServer) -> None:
    how = f"with status {status}" if status < 128 else f"by signal {status - 128}"
    words = [line for line in server.log.splitlines() if line.strip()][-_LAST_LINES:]
    fail("TP725", "\n  ".join([f"tritonserver ended {how}; its last words:", *words]))
