"""The cache of engines: one per key, whole or not there, whoever builds at the same time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tpgen.engines.engine_cache import EngineCache, write_whole
from tpgen.engines.requests import EngineRequest, Gpu, Tensor, model_hash
from tpgen.system import lock

L4 = Gpu("NVIDIA L4", "8.9")
PENDING = EngineRequest(model_hash(b"m"), (Tensor("x", "float32", (None, 4)),), ())
REQUEST = PENDING.on(L4, "10.13.2")
OTHER = replace(REQUEST, precision="fp16")


def building(log: list[str]) -> object:
    def build(request: EngineRequest, timings: bytes) -> tuple[bytes, bytes]:
        log.append(request.precision)
        return f"plan {request.precision}".encode(), timings + b"+"

    return build


def test_an_engine_is_built_once(tmp_path: Path) -> None:
    cache, log = EngineCache(tmp_path / "engines"), []  # type: ignore[var-annotated]
    assert cache.find(REQUEST) is None and cache.entries() == [] and not (tmp_path / "engines").exists()
    assert cache.missing([REQUEST, REQUEST, OTHER]) == [REQUEST, OTHER]
    plan = cache.get(REQUEST, building(log))  # type: ignore[arg-type]
    assert plan.read_bytes() == b"plan fp32" and plan.stat().st_mode & 0o777 == 0o644
    assert cache.get(REQUEST, building(log)) == plan == cache.find(REQUEST)  # type: ignore[arg-type]
    assert log == ["fp32"]
    assert cache.missing([REQUEST, OTHER]) == [OTHER]
    (entry,) = cache.entries()
    assert (entry.key, entry.request, entry.size) == (REQUEST.key(), REQUEST, 9)


def test_timings_go_on_from_engine_to_engine_of_one_gpu(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    for request in (
        REQUEST,
        OTHER,
        REQUEST.on(Gpu("NVIDIA A10", "8.6"), "10.13.2"),
        REQUEST.on(L4, "10.14.0"),
    ):
        cache.get(request, building([]))  # type: ignore[arg-type]
    assert sorted(path.read_bytes() for path in tmp_path.glob("timing-*")) == [b"+", b"+", b"++"]


def test_a_pending_request_has_no_engine(tmp_path: Path) -> None:
    assert EngineCache(tmp_path).find(PENDING) is None
    with pytest.raises(ValueError, match="names no GPU"):
        EngineCache(tmp_path).get(PENDING, building([]))  # type: ignore[arg-type]


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(request: EngineRequest, timings: bytes) -> tuple[bytes, bytes]:
        raise RuntimeError("out of memory")

    cache = EngineCache(tmp_path)
    with pytest.raises(RuntimeError, match="out of memory"):
        cache.get(REQUEST, fail)
    assert cache.find(REQUEST) is None and cache.entries() == []
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
    cache.get(REQUEST, building([]))  # type: ignore[arg-type]
    assert cache.find(REQUEST)


def _build_slowly(folder: Path, started: Path) -> None:
    def build(request: EngineRequest, timings: bytes) -> tuple[bytes, bytes]:
        with open(started, "a") as file:
            file.write("built\n")
        time.sleep(0.3)
        return b"plan", b""

    EngineCache(folder).get(REQUEST, build)


def _hang(folder: Path, started: Path) -> None:
    def build(request: EngineRequest, timings: bytes) -> tuple[bytes, bytes]:
        started.write_text("")
        time.sleep(60)
        return b"", b""

    EngineCache(folder).get(REQUEST, build)


def test_processes_that_want_one_engine_build_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    arguments = (tmp_path / "engines", tmp_path / "started")
    processes = [context.Process(target=_build_slowly, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert (tmp_path / "started").read_text() == "built\n"


def test_a_killed_build_holds_nothing_up(tmp_path: Path) -> None:
    folder, started = tmp_path / "engines", tmp_path / "started"
    process = multiprocessing.get_context("spawn").Process(target=_hang, args=(folder, started))
    process.start()
    while not started.exists():
        time.sleep(0.01)
    cache = EngineCache(folder)
    assert cache.prune([]) == []  # somebody builds it: it stays
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert cache.entries() == []
    cache.get(REQUEST, building([]))  # type: ignore[arg-type]
    assert len(cache.entries()) == 1


def test_what_is_being_built_is_not_pruned(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)

    def build(request: EngineRequest, timings: bytes) -> tuple[bytes, bytes]:
        (tmp_path / f".{request.key()}.plan.abc").write_bytes(b"as far as it is written")
        assert cache.prune([]) == [] and (tmp_path / f".{request.key()}.plan.abc").exists()
        return b"plan", b""

    cache.get(REQUEST, build)
    assert cache.find(REQUEST)


def test_a_lock_that_was_pruned_while_it_was_waited_for_is_taken_anew(tmp_path: Path) -> None:
    """Else two would build at once: one with the removed lock, one with that which was made in its place."""
    cache, path, log = EngineCache(tmp_path), tmp_path / f"{REQUEST.key()}.lock", []  # type: ignore[var-annotated]
    waiting = threading.Thread(target=cache.get, args=(REQUEST, building(log)))
    with open(path, "a") as removed:
        assert lock(removed.fileno(), wait=True)
        waiting.start()
        while _times_open(path) < 2:
            time.sleep(0.01)
        path.unlink()
        with open(path, "a") as new:
            assert lock(new.fileno(), wait=True)
            removed.close()
            waiting.join(0.2)
            assert log == [] and waiting.is_alive()
    waiting.join()
    assert log == ["fp32"]


def _times_open(path: Path) -> int:
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found += os.readlink(descriptor) == str(path)
    return found


def test_pruning_keeps_what_is_asked_for(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    cache.get(REQUEST, building([]))  # type: ignore[arg-type]
    cache.get(OTHER, building([]))  # type: ignore[arg-type]
    (tmp_path / f".{OTHER.key()}.plan.abc").write_bytes(b"half a file of a killed build")
    (tmp_path / "notes.txt").write_text("mine")
    removed = cache.prune([REQUEST, PENDING])
    assert sorted(removed) == sorted(
        [f".{OTHER.key()}.plan.abc", f"{OTHER.key()}.json", f"{OTHER.key()}.plan"]
    )
    assert [entry.request for entry in cache.entries()] == [REQUEST]
    assert (tmp_path / "notes.txt").exists() and list(tmp_path.glob("timing-*"))


def test_what_is_no_whole_engine_is_not_listed(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    plan = cache.get(REQUEST, building([]))  # type: ignore[arg-type]
    plan.with_suffix(".json").write_text(OTHER.text())
    assert cache.entries() == []
    plan.with_suffix(".json").write_text("{}")
    assert cache.entries() == []
    plan.with_suffix(".json").unlink()
    assert cache.entries() == [] and cache.find(REQUEST) is None


@pytest.mark.parametrize("content", [b"", b"plan", b"plan fp32 and more"])
def test_a_plan_that_was_changed_is_built_anew(tmp_path: Path, content: bytes) -> None:
    cache, log = EngineCache(tmp_path), []  # type: ignore[var-annotated]
    cache.get(REQUEST, building(log)).write_bytes(content)  # type: ignore[arg-type]
    assert cache.get(REQUEST, building(log)).read_bytes() == b"plan fp32"  # type: ignore[arg-type]
    about = cache.get(REQUEST, building(log)).with_suffix(".json")  # type: ignore[arg-type]
    about.write_text(REQUEST.text())
    cache.get(REQUEST, building(log))  # type: ignore[arg-type]
    assert log == ["fp32"] * 3


def test_a_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    write_whole(target, b"before")

    def stop(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(OSError, match="no space"):
        write_whole(target, b"after")
    assert target.read_bytes() == b"before" and list(tmp_path.iterdir()) == [target]
