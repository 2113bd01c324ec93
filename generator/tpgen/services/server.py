"""Runs a tritonserver on a model repository and leaves nothing behind when it ends."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ..diagnostics import Diagnostic, Severity, ToolMissing
from ..runner.encryption import EncryptionProblem, unlocked
from . import serverlog
from .backends import require_backends
from .cache import is_shell_safe, scratch_parent
from .engines import require_engines
from .failures import FailureWatch
from .features import crash_hint, feature_flags
from .network import call_address, can_listen, fetch, free_ports, listen_address
from .pool import pool_flags
from .processes import end, spawn_supervised
from .runtime import Runtime, isolated_environment, server_runtime
from .server_errors import PORT_HINT, ServerError, failure, listed
from .serverlog import own_log_problems
from .stubs import LostStub, StubWatch, stubs_of
from .watchdog import Watchdog, hang_causes

__all__ = ["ServerError", "TritonServer", "own_log_problems"]

_POLL_SECONDS = 0.1
_PORT_ATTEMPTS = 3
# Flags with which it has other backends, or loads models one by one, so that some may lack theirs.
_OWN_BACKENDS = ("--backend-directory", "--model-control-mode=explicit")
_SERVICES = ("http", "grpc", "metrics")
# Requests in flight get this long when the server ends; the supervisor ends it the hard way soon after.
_EXIT_SECONDS = 8
# Enough where the repository has what is known to hang the server; see `hang_causes`.
_SHORT_STALL_SECONDS = 5.0
_WATCH_SECONDS = 1.0


class TritonServer:
    """A tritonserver on a model repository, from `start` to `stop`, or for the length of a ``with`` block.

    It ends with the process that started it, however that ends; no process, shared-memory or temporary file
    stays. The repository may be read-only and its path may hold any character.

    Args:
        repository: the folder of model folders.
        http_port, grpc_port, metrics_port: 0 takes a free one.
        host: the address that all three listen on.
        tritonserver: the program; by default one on the PATH, else that of nvidia-pytriton.
        isolated: run the Python models in an environment that holds only the ``requirements.txt`` of the
            repository, instead of the current one.
        extra_args: flags for tritonserver.
        log_path: a file for the server's output, kept; by default a temporary one, removed by `stop`.
        pipeline: the TOML file, where the repository is only a temporary build of it; errors then name it.

    Raises (from `start`):
        ServerError: a model failed to load, the server ended or hangs, a port is taken; with the reason.
        ToolMissing: there is no server, or it lacks something, a backend, too; with what helps. Or a TensorRT
            engine is not built yet.
    """

    def __init__(
        self,
        repository: str | os.PathLike[str],
        *,
        http_port: int = 0,
        grpc_port: int = 0,
        metrics_port: int = 0,
        host: str = "127.0.0.1",
        tritonserver: str | os.PathLike[str] | None = None,
        isolated: bool = False,
        extra_args: Sequence[str] = (),
        log_path: str | os.PathLike[str] | None = None,
        pipeline: Path | None = None,
    ) -> None:
        self.repository = Path(repository)
        self.host = host
        self._wanted_ports = (http_port, grpc_port, metrics_port)
        self._tritonserver = tritonserver
        self._isolated = isolated
        self._pipeline = pipeline
        self._extra_args = list(extra_args)
        self._log_path = Path(log_path) if log_path is not None else None
        self._ports = dict(zip(_SERVICES, self._wanted_ports, strict=True))
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: Path | None = None
        self._unlocked: Path | None = None
        self._id = ""
        self._log = ""

    # --- where it answers ---------------------------------------------------------------

    @property
    def http_url(self) -> str:
        """``http://host:port``."""
        return f"http://{self._address('http')}"

    @property
    def grpc_url(self) -> str:
        """``grpc://host:port``."""
        return f"grpc://{self._address('grpc')}"

    @property
    def metrics_url(self) -> str:
        """``http://host:port/metrics``, in Prometheus' text format."""
        return f"http://{self._address('metrics')}/metrics"

    @property
    def log(self) -> str:
        """What the server has written so far; after `stop`, all that it wrote."""
        self._read_log()
        return self._log

    @property
    def session(self) -> int:
        """The session id of all processes of this start: supervisor, server, stubs."""
        if self._process is None:
            raise RuntimeError("the server was not started")
        return self._process.pid

    @property
    def token(self) -> str:
        """The server's id; the names of its shared-memory files begin with it."""
        return self._id

    @property
    def scratch(self) -> Path | None:
        """The temporary folder of this start, while there is one."""
        return self._scratch

    @property
    def alive(self) -> bool:
        """True while the server's process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def python_processes(self) -> int:
        """How many processes of Python models run; `stop` takes about a second for each."""
        return len(stubs_of(self.session))

    def wait(
        self,
        on_lost: Callable[[LostStub], None] | None = None,
        on_broken: Callable[[str], None] | None = None,
    ) -> int:
        """Waits until the server ends by itself or by a signal; returns its exit status.

        Args:
            on_lost: is told of each process of a Python model that dies while the server goes on.
            on_broken: is told of operators that break: message and traceback; of those alike once in 10 s.
        """
        watch, failures = StubWatch(self.session), FailureWatch(self._log_file())
        process, tell = self._process, on_broken or (lambda _: None)
        assert process is not None, "there is a session"
        while True:
            try:
                return process.wait(_WATCH_SECONDS)
            except subprocess.TimeoutExpired:
                lost = watch.lost()
            for text in failures.fresh():
                tell(self._as_named(text))
            # A server that is about to end lets its processes go; it is not ready any more.
            if lost and on_lost is not None and fetch(f"{self.http_url}/v2/health/ready") is not None:
                for stub in lost:
                    on_lost(stub)

    # --- life ---------------------------------------------------------------

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, timeout: float = 300.0, stall: float = 60.0) -> Self:
        """Starts the server and waits until every model is ready.

        Args:
            timeout: seconds until giving up on a start that makes progress.
            stall: seconds without progress (neither log nor processor time) that count as a hang. If the
                repository has what is known to hang the server, a few seconds are enough.
        """
        if self.alive:
            raise RuntimeError("the server is running already")
        self._check_repository()
        require_engines(self.repository, self._pipeline)
        runtime = self._runtime()
        if not any(flag.startswith(_OWN_BACKENDS) for flag in self._extra_args):
            require_backends(self.repository, runtime, self._pipeline)
        self._check_ports()
        for attempt in range(_PORT_ATTEMPTS):
            try:
                self._launch(runtime)
                self._await_ready(timeout, stall)
                return self
            except ServerError as error:
                # A free port that was picked for the server can be taken before it listens there.
                lost_race = error.diagnostics[0].code == "TP704" and 0 in self._wanted_ports
                self.stop()
                if not lost_race or attempt == _PORT_ATTEMPTS - 1:
                    raise
            except BaseException:
                self.stop()
                raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    def stop(self) -> None:
        """Ends the server and all its processes and removes what it left; harmless if it is not running."""
        process, self._process = self._process, None
        try:
            if process is not None:
                end(process, 2.0 * _EXIT_SECONDS)
        finally:
            self._read_log()
            for folder in filter(None, (self._scratch, self._unlocked)):
                shutil.rmtree(folder, ignore_errors=True)
            self._scratch = self._unlocked = None

    # --- starting ---------------------------------------------------------------

    def _check_repository(self) -> None:
        if not self.repository.is_dir():
            raise failure(
                "TP705", f"'{self.repository}' is not a folder", hint="tpgen build writes a repository"
            )
        if not any(path.is_dir() for path in self.repository.iterdir()):
            raise failure(
                "TP705", f"'{self.repository}' holds no model", hint="tpgen build writes a repository"
            )

    def _check_ports(self) -> None:
        for service, port in zip(_SERVICES, self._wanted_ports, strict=True):
            try:
                free = can_listen(self.host, port)
            except OSError as error:
                where = f"{self.host}, port {port}" if port else self.host
                message = f"cannot listen on {where}: {error.strerror}"
                raise failure("TP704", message, hint=PORT_HINT) from error
            if not free:
                message = f"the {service} port {port} of {self.host} is in use"
                raise failure("TP704", message, hint=PORT_HINT)

    def _runtime(self) -> Runtime:
        if not self._isolated:
            return server_runtime(self._tritonserver)
        requirements = self.repository / "requirements.txt"
        if not requirements.is_file():
            message = f"'{requirements}' is missing, so there is nothing to make an isolated environment from"
            raise failure("TP705", message, hint="tpgen build writes it; or serve without --isolated")
        return server_runtime(self._tritonserver, isolated_environment(requirements.read_text()))

    def _unlock(self) -> None:
        """Decrypt in memory what Triton's own backends can't."""
        try:
            self._unlocked = unlocked(self.repository)
        except EncryptionProblem as problem:
            raise failure("TP728", problem.message, hint=problem.hint) from None

    def _launch(self, runtime: Runtime) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="tpgen-serve-", dir=scratch_parent()))
        self._unlock()
        self._id = f"tpgen-{secrets.token_hex(6)}"
        self._ports = dict(zip(_SERVICES, free_ports(self.host, self._wanted_ports), strict=True))
        self._process = spawn_supervised(
            self._command(runtime),
            token=self._id,
            grace=_EXIT_SECONDS + 2.0,
            scratch=self._scratch,
            log=self._log_file(),
            environment=runtime.environment,
        )

    def _command(self, runtime: Runtime) -> list[str]:
        command = [str(runtime.program), f"--model-repository={self._served_path()}", f"--id={self._id}"]
        for service in _SERVICES:
            address = f"--{service}-address={listen_address(service, self.host)}"
            command += [address, f"--{service}-port={self._ports[service]}"]
        if runtime.backend_directory is not None:
            command.append(f"--backend-directory={runtime.backend_directory}")
        command.append(f"--exit-timeout-secs={_EXIT_SECONDS}")
        command.append(f"--backend-config=python,shm-region-prefix-name={self._id}-")
        return [
            *command,
            *pool_flags(self.repository),
            *feature_flags(self.repository, runtime.program, self._extra_args),
            *self._extra_args,
        ]

    def _served_path(self) -> Path:
        """The repository's path, or a link to it where the server could not cope with the path itself."""
        path = self._unlocked or Path(os.path.abspath(self.repository))
        if is_shell_safe(path):
            return path
        link = self._link()
        link.symlink_to(path)
        return link

    def _link(self) -> Path:
        assert self._scratch is not None, "made by _launch"
        return self._scratch / "repository"

    def _as_named(self, text: str) -> str:
        """What the server says, with the repository as the user named it."""
        for path in filter(None, (self._link(), self._unlocked)):
            text = text.replace(str(path), os.path.abspath(self.repository))
        return text

    def _log_file(self) -> Path:
        if self._log_path is not None:
            return self._log_path
        assert self._scratch is not None, "made by _launch"
        return self._scratch / "log"

    def _read_log(self) -> None:
        if self._scratch is not None and self._log_file().exists():
            self._log = self._as_named(self._log_file().read_text(errors="replace"))

    # --- waiting ---------------------------------------------------------------

    def _await_ready(self, timeout: float, stall: float) -> None:
        assert self._process is not None, "made by _launch"
        causes = hang_causes(self.repository)
        patience = min(stall, _SHORT_STALL_SECONDS) if causes else stall
        watchdog = Watchdog(self._process.pid, self._log_file())
        deadline = time.monotonic() + timeout
        while not self._answers():
            status = self._process.poll()
            if status is not None:
                raise self._ended(status)
            if watchdog.idle_seconds() > patience:
                raise self._hangs(f"does nothing any more (for {patience:g} s)", causes)
            if time.monotonic() > deadline:
                raise self._hangs(f"is not ready after {timeout:g} s", causes)
            time.sleep(_POLL_SECONDS)

    def _answers(self) -> bool:
        """True if all services are up and all models ready, and it is this server that says so."""
        identity = fetch(f"{self.http_url}/v2")
        # Compared as text: whatever else listens on the port need not answer in JSON.
        if identity is None or json.dumps(self._id).encode() not in identity:
            return False
        if fetch(f"{self.http_url}/v2/health/ready") is None:
            return False
        return "--allow-metrics=false" in self._extra_args or fetch(self.metrics_url) is not None

    def _ended(self, status: int) -> Exception:
        """Why the server ended, as the exception to raise."""
        log = self.log
        if conflict := serverlog.port_conflict(log):
            message = f"the {conflict[0]} port is in use ({conflict[1]})"
            return failure("TP704", message, hint=PORT_HINT, log=log)
        if library := serverlog.missing_library(log):
            return ToolMissing(f"tritonserver lacks the shared library {library}")
        if refused := self._refusals(log):
            return ServerError(refused, log)
        how = f"with status {status}" if status < 128 else f"by signal {status - 128}"
        reason = serverlog.fatal_reason(log)
        lines = [f"tritonserver ended {how} while it started{f': {reason}' if reason else ''}"]
        hint = crash_hint(self.repository, status - 128)
        return failure("TP702", "\n  ".join(lines + serverlog.last_words(log)), hint=hint, log=log)

    def _refusals(self, log: str) -> list[Diagnostic]:
        return [
            Diagnostic(
                "TP701",
                Severity.ERROR,
                f"the server can't load model '{failure.model}': {failure.reason}",
                hint=failure.hint,
                model=failure.model,
                file=str(self.repository / failure.model),
            )
            for failure in serverlog.failures(log)
        ]

    def _hangs(self, how: str, causes: dict[str, str]) -> ServerError:
        log = self.log
        if refused := self._refusals(log):
            return ServerError(refused, log)
        waiting = serverlog.unfinished_models(log)
        lines = [f"tritonserver {how}, and {listed(waiting)} not ready"]
        lines += [f"model '{model}': {cause}" for model, cause in causes.items()]
        lines += serverlog.last_words(log)
        hint = (
            "correct or move away the named folder"
            if causes
            else "look at what these models wait for at load"
        )
        return failure(
            "TP703", "\n  ".join(lines), hint=hint, log=log, model=next(iter(causes or waiting), None)
        )

    def _address(self, service: str) -> str:
        return call_address(self.host, self._ports[service])
