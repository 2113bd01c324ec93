"""A real server starts, says why it does not, and leaves nothing behind, however it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tiny_repository import add_vector_model
from tpgen.diagnostics import ToolMissing
from tpgen.services.client import Client
from tpgen.services.network import can_listen
from tpgen.services.server import ServerError, TritonServer, own_log_problems
from tpgen.services.watchdog import session_processes

pytestmark = pytest.mark.triton

_OWNER = """
import sys, time
from tpgen.services.server import TritonServer
try:
    with TritonServer(sys.argv[1]) as server:
        print(server.session, server.token, server.scratch, flush=True)
        time.sleep(600)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    add_vector_model(tmp_path / "models", "double")
    return tmp_path / "models"


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No temporary file of any server started here is left."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    yield
    assert list(scratch.iterdir()) == []


def shared_memory(token: str) -> list[str]:
    return [name for name in os.listdir("/dev/shm") if token in name]


def eventually(condition: Callable[[], bool]) -> bool:
    """Waits for what must come about in the end; a machine may be slow."""
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_it_serves_a_read_only_path_with_a_space_and_leaves_nothing(tmp_path: Path) -> None:
    repository = tmp_path / "my models (v1) & more"
    add_vector_model(repository, "double")
    for folder in (repository / "double" / "1", repository / "double", repository):
        folder.chmod(0o555)
    log = tmp_path / "server.log"
    server = TritonServer(repository, log_path=log)
    # The server must outlive the thread that starts it.
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    try:
        session, token = server.session, server.token
        assert len(session_processes(session)) >= 3, "supervisor, server and one stub"
        assert len(shared_memory(token)) == 1
        with Client(server.http_url) as client:
            assert client("double", x=[1, 2, 3, 4])["y"].tolist() == [2, 4, 6, 8]
        with urllib.request.urlopen(server.metrics_url) as answer:
            assert b"nv_inference_request_success" in answer.read()
        assert server.alive
    finally:
        server.stop()
    assert not server.alive
    assert session_processes(session) == {}
    assert shared_memory(token) == []
    assert own_log_problems(log.read_text()) == []
    assert "successfully loaded 'double'" in server.log
    assert str(tmp_path / "scratch") not in server.log, "the log speaks of the repository's own path"
    server.stop()  # a second time is harmless


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda s: s.name)
def test_the_server_ends_with_its_owner(repository: Path, number: signal.Signals) -> None:
    environment = {**os.environ, "TMPDIR": tempfile.gettempdir()}
    command = [sys.executable, "-c", _OWNER, str(repository)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as owner:
        assert owner.stdout is not None
        session, token, scratch = owner.stdout.readline().split()
        assert session_processes(int(session))
        owner.send_signal(number)
        rest = owner.stdout.read()
        status = owner.wait()
    assert (rest, status) == (("interrupted\n", 0) if number is signal.SIGINT else ("", -number))
    assert eventually(lambda: not session_processes(int(session)))
    assert shared_memory(token) == []
    assert not Path(scratch).exists()


def test_two_servers_of_one_repository_do_not_disturb_each_other(repository: Path) -> None:
    with TritonServer(repository) as lasting:
        with TritonServer(repository) as other:
            ports = {url.rpartition(":")[2] for s in (lasting, other) for url in (s.http_url, s.grpc_url)}
            assert len(ports) == 4
            server_pid = max(session_processes(other.session).items(), key=lambda item: item[1])[0]
            # Killed by somebody else, it is noticed, and its memory is removed.
            for pid in session_processes(other.session):
                if pid != other.session:
                    with contextlib.suppress(ProcessLookupError):  # gone with the one before it
                        os.kill(pid, signal.SIGKILL)
            assert eventually(lambda: not other.alive), server_pid
        assert shared_memory(other.token) == []
        assert len(shared_memory(lasting.token)) == 1
        with Client(lasting.grpc_url) as client:
            assert client("double", x=[1, 0, 0, 0])["y"][0] == 2


def _has_ipv6() -> bool:
    try:
        return can_listen("::1", 0)
    except OSError:
        return False


def test_it_listens_on_ipv6_and_ends_even_if_its_supervisor_is_killed(repository: Path) -> None:
    with TritonServer(repository, host="::1" if _has_ipv6() else "127.0.0.1") as server:
        for url in (server.http_url, server.grpc_url):
            with Client(url) as client:
                assert client("double", x=[1, 0, 0, 0])["y"][0] == 2
        session = server.session
        os.kill(session, signal.SIGKILL)
        assert eventually(lambda: not session_processes(session))
    assert shared_memory(server.token) == []


def reasons(error: ServerError) -> dict[str | None, tuple[str, str, str | None]]:
    return {d.model: (d.code, d.message, d.hint) for d in error.diagnostics}


def test_every_model_that_fails_is_named_with_the_servers_reason(repository: Path) -> None:
    head = "class TritonPythonModel:\n    def initialize(self, args):\n"
    crash = head + "        raise RuntimeError('no\\nweights')"
    add_vector_model(repository, "raises", crash)
    add_vector_model(repository, "lacks", "import no_such_package  # before any class \n")
    add_vector_model(repository, "typo")
    config = repository / "typo" / "config.pbtxt"
    config.write_text(config.read_text().replace("max_batch_size", "max_batch_sice"))
    with pytest.raises(ServerError) as caught:
        TritonServer(repository).start()
    found = reasons(caught.value)
    assert set(found) == {"raises", "lacks", "typo"}
    assert {code for code, _, _ in found.values()} == {"TP701"}
    assert "RuntimeError: no\nweights" in found["raises"][1]
    assert "model.py(3): initialize" in found["raises"][1]
    assert "No module named 'no_such_package'" in found["lacks"][1]
    assert "importlib" not in found["lacks"][1]
    assert "requirements.txt" in str(found["lacks"][2])
    assert (
        'config.pbtxt:3:15: Message type "inference.ModelConfig" has no field named "max_batch_sice"'
        in (found["typo"][1])
    )
    assert "successfully loaded 'double'" in caught.value.log


def test_a_folder_name_that_hangs_the_server_is_found_out(repository: Path) -> None:
    add_vector_model(repository, "with space")
    with pytest.raises(ServerError) as caught:
        TritonServer(repository).start()
    ((model, (code, message, _)),) = reasons(caught.value).items()
    assert (model, code) == ("with space", "TP703")
    assert "unquoted" in message


def test_a_model_that_waits_for_ever_is_found_out(repository: Path) -> None:
    body = "class TritonPythonModel:\n    def initialize(self, args):\n        import time; time.sleep(600)\n"
    add_vector_model(repository, "waits", body)
    with pytest.raises(ServerError) as caught:
        TritonServer(repository).start(stall=6.0)
    ((model, (code, message, _)),) = reasons(caught.value).items()
    assert (model, code) == ("waits", "TP703")
    assert "'waits' is not ready" in message


def test_a_slow_start_is_not_taken_for_a_hang_but_has_an_end(repository: Path) -> None:
    body = "class TritonPythonModel:\n    def initialize(self, args):\n        while True: pass\n"
    add_vector_model(repository, "busy", body)
    with pytest.raises(ServerError, match="not ready after 7 s"):
        TritonServer(repository).start(timeout=7.0, stall=3.0)


def test_a_port_that_is_taken_is_named(repository: Path) -> None:
    with TritonServer(repository) as first:
        taken = int(first.grpc_url.rpartition(":")[2])
        with pytest.raises(ServerError) as caught:
            TritonServer(repository, grpc_port=taken).start()
    ((_, (code, message, hint)),) = reasons(caught.value).items()
    assert code == "TP704"
    assert f"grpc port {taken}" in message
    assert "--grpc-port" in str(hint)


def test_a_host_that_is_not_of_this_machine_is_refused(repository: Path) -> None:
    with pytest.raises(ServerError, match=r"cannot listen on 192\.0\.2\.1"):
        TritonServer(repository, host="192.0.2.1").start()


def test_a_flag_that_the_server_does_not_know_ends_it_with_its_words(repository: Path) -> None:
    with pytest.raises(ServerError) as caught:
        TritonServer(repository, extra_args=["--no-such-flag"]).start()
    ((_, (code, message, _)),) = reasons(caught.value).items()
    assert code == "TP702"
    assert "no-such-flag" in message


@pytest.mark.parametrize("make", [Path.exists, Path.mkdir, Path.touch], ids=["missing", "empty", "a file"])
def test_what_is_no_repository_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "models")
    with pytest.raises(ServerError) as caught:
        TritonServer(tmp_path / "models").start()
    assert [d.code for d in caught.value.diagnostics] == ["TP705"]


def test_isolation_needs_the_requirements(repository: Path) -> None:
    with pytest.raises(ServerError, match=r"requirements\.txt"):
        TritonServer(repository, isolated=True).start()


def test_a_named_server_that_is_none_is_missing(repository: Path) -> None:
    with pytest.raises(ToolMissing, match="/no/such/tritonserver"):
        TritonServer(repository, tritonserver="/no/such/tritonserver").start()


def test_a_whole_repository_gives_no_warning_of_its_own(server: TritonServer) -> None:
    assert own_log_problems(server.log) == []


def test_a_backend_that_the_server_lacks_is_said_before_it_starts(repository: Path) -> None:
    add_vector_model(repository, "net")
    config = repository / "net" / "config.pbtxt"
    config.write_text(config.read_text().replace('"python"', '"onnxruntime"'))
    with pytest.raises(ToolMissing, match=r"no backend 'onnxruntime' \(of net\).*--docker.*--tritonserver"):
        TritonServer(repository).start()
    with pytest.raises(
        ToolMissing, match=r"tpgen build net.toml -o DIR, then tpgen serve --docker DIR"
    ) as caught:
        TritonServer(repository, pipeline=Path("net.toml")).start()
    assert str(repository) not in caught.value.message, "it is gone by the time that this is read"
