"""For the tests of the writer: small plans, snapshots of directories, processes that die at a chosen step."""

from __future__ import annotations

import os
import stat
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tpgen.emit import steps
from tpgen.emit.repo_plan import Content, ModelPlan, RepoPlan

KILLED = 77


def model(name: str, **files: Content) -> ModelPlan:
    """A Triton model; keywords add or replace files: `model_py` is 1/model.py, `config` is config.pbtxt."""
    paths = {
        "config": "config.pbtxt",
        "model_py": "1/model.py",
        "weights": "1/model.onnx",
        "helper": "1/rt/helper.py",
    }
    chosen: dict[str, Content] = {"config.pbtxt": f'name: "{name}"\n'.encode(), "1/model.py": b"# nothing\n"}
    chosen |= {paths.get(key, key): content for key, content in files.items()}
    return ModelPlan(name, chosen)


def plan(
    pipeline: str,
    models: Iterable[ModelPlan],
    *,
    source: str = "",
    needs: tuple[str, ...] = (),
    fingerprint: str = "f",
) -> RepoPlan:
    """A plan whose entry is the model named as the pipeline."""
    return RepoPlan(
        pipeline=pipeline,
        source=source or f"somewhere/{pipeline}.toml",
        entries=(pipeline,),
        models=tuple(models),
        requirements=needs,
        record={"options": {"cores": 2}, "decisions": ["fused a, b"]},
        fingerprint=fingerprint,
    )


def old_and_new(pipeline: str = "ocr") -> tuple[RepoPlan, RepoPlan]:
    """Two versions of a pipeline: files change, disappear, become a directory, and models come and go."""
    old = plan(
        pipeline,
        [
            model(pipeline, config=b"old entry\n", weights=b"w" * 5000),
            model(f"{pipeline}__det", model_py=b"old\n", helper=b"gone later", **{"1/user": b"a file now"}),
            model(f"{pipeline}__gone", **{"1/deep/er/x.bin": b"x"}),
        ],
        needs=("numpy<2",),
        fingerprint="old",
    )
    new = plan(
        pipeline,
        [
            model(pipeline, config=b"new entry\n", weights=b"w" * 5000),
            model(f"{pipeline}__det", model_py=b"new\n", **{"1/user/ops.py": b"a folder now"}),
            model(f"{pipeline}__rec", config=b"added\n"),
        ],
        needs=("numpy<2", "opencv-python-headless"),
        fingerprint="new",
    )
    return old, new


Tree = dict[str, tuple[int, bytes]]


def snapshot(directory: Path) -> Tree:
    """Every entry with its mode and content (a link's target)."""
    found: Tree = {}
    for path in sorted(directory.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if path.is_symlink():
            found[str(path.relative_to(directory))] = (-1, os.readlink(path).encode())
        else:
            found[str(path.relative_to(directory))] = (mode, b"" if path.is_dir() else path.read_bytes())
    return found


def stamps(directory: Path) -> Mapping[str, tuple[int, int]]:
    """Inode and modification time of every entry, the directory itself included."""
    return {
        str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns)
        for path in (directory, *directory.rglob("*"))
    }


def litter(directory: Path) -> list[str]:
    """What a writer left beside and inside a repository."""
    return sorted(
        path.name for path in (*directory.parent.iterdir(), *directory.iterdir()) if ".tpgen-" in path.name
    )


def in_child(work: Callable[[], None]) -> int:
    """Runs `work` in a forked process and returns its exit status (0, KILLED, 1 after an exception)."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 -- a forked child must never return into pytest
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def record_steps(work: Callable[[], object]) -> list[tuple[str, Path]]:
    """The names and paths of the disk steps that `work` takes."""
    taken: list[tuple[str, Path]] = []
    steps.hook = lambda name, path: taken.append((name, path))
    try:
        work()
    finally:
        steps.hook = None
    return taken


def die_before(count: int) -> Callable[[str, Path], None]:
    """A hook that ends the process, as a kill would, when the step with this number is about to happen."""
    left = iter(range(count))

    def hook(_name: str, _path: Path) -> None:
        if next(left, None) is None:
            os._exit(KILLED)

    return hook


def failing(
    wanted: Callable[[str, Path], bool], error: int, times: int = 1_000_000
) -> Callable[[str, Path], None]:
    """A hook that makes the wanted steps fail with an errno."""
    left = iter(range(times))

    def hook(name: str, path: Path) -> None:
        if wanted(name, path) and next(left, None) is not None:
            raise OSError(error, os.strerror(error), str(path))

    return hook
