"""A write that is killed at any step leaves the old or the new set of models, to the byte after `recover`.

Each case forks a process that ends itself, as SIGKILL would end it, just before the n-th change of the disk,
for every n.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repo_samples import (
    KILLED,
    Tree,
    die_before,
    failing,
    in_child,
    litter,
    old_and_new,
    record_steps,
    snapshot,
)
from tpgen.emit import steps
from tpgen.emit.write import recover, up_to_date, write

Hook = Callable[[str, Path], None]
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")  # threads of other tests
OLD, NEW = old_and_new()


@pytest.fixture(autouse=True)
def _no_hook() -> Iterator[None]:
    yield
    steps.hook = None


def allow_all(_name: str, _path: Path) -> None:
    pass


no_exchange = failing(lambda name, _path: name == "exchange", errno.EINVAL)
no_sibling = failing(
    lambda name, path: name == "mkdir" and path.name.endswith(".tpgen-staging"), errno.EACCES
)
mount_point = failing(
    lambda name, path: name == "rename" and path.name == ".tpgen-staging-probe", errno.EXDEV
)

CASES = {
    "first build": (False, False, allow_all),
    "exchange": (True, False, allow_all),
    "no exchange here": (True, False, no_exchange),
    "foreign model beside": (True, True, allow_all),
    "no sibling possible": (True, True, no_sibling),
    "mount point": (True, False, mount_point),
}


def add_foreign(repo: Path) -> None:
    (repo / "mine/1").mkdir(parents=True)
    (repo / "mine/1/model.py").write_text("mine")
    (repo / "notes.txt").write_text("mine")


def add_extra(repo: Path) -> None:
    (repo / "ocr/2").mkdir()
    (repo / "ocr/2/model.py").write_text("mine")


def prepare(repo: Path, built: bool, foreign: bool) -> None:
    """The repository before the write under test."""
    if built:
        write([OLD], repo)
        add_extra(repo)
    if foreign:
        add_foreign(repo)


def write_new(repo: Path, limit: Hook) -> None:
    """Writes the new plan; `limit` sees each step first."""
    steps.hook = limit
    write([NEW], repo)


@pytest.mark.parametrize("case", CASES)
def test_killed_before_every_step(tmp_path: Path, case: str) -> None:
    built, foreign, limit = CASES[case]
    base = tmp_path / "base" / "repo"
    prepare(base, built, foreign)
    done = tmp_path / "done" / "repo"
    copy(base, done)
    before = snapshot(done) if done.exists() else {}
    total = len(record_steps_under(limit, lambda: write([NEW], done)))
    after = snapshot(done)
    assert before != after and total > 20 and litter(done) == []

    seen: list[str] = []
    for count in range(total):
        repo = tmp_path / "run" / "repo"
        copy(base, repo)
        kill = die_before(count)

        def both(name: str, path: Path, kill: Hook = kill) -> None:
            kill(name, path)
            limit(name, path)

        assert in_child(lambda repo=repo, both=both: write_new(repo, both)) == KILLED
        if case in ("first build", "exchange"):
            assert visible(repo) in (before, after), f"step {count}: torn without recover"
        left = bool(
            list(repo.parent.glob(".repo.tpgen-staging"))
            or list(repo.glob(".tpgen-*") if repo.exists() else [])
        )
        assert recover(repo) is left
        assert not recover(repo)
        tree = tree_of(repo)
        seen.append("old" if tree == before else "new" if tree == after else f"torn at step {count}")
        assert [
            path.name for path in repo.parent.iterdir() if path.name not in ("repo", ".repo.tpgen-lock")
        ] == []
        shutil.rmtree(tmp_path / "run")
    assert set(seen) <= {"old", "new"} and seen[0] == "old" and seen[-1] == "new", seen
    assert seen == sorted(seen, reverse=True), "once the new set is certain, it stays certain"


@pytest.mark.parametrize("case", ["no exchange here", "no sibling possible"])
def test_killed_again_while_recovering(tmp_path: Path, case: str) -> None:
    built, foreign, limit = CASES[case]
    base = tmp_path / "base" / "repo"
    prepare(base, built, foreign)
    done = tmp_path / "done" / "repo"
    copy(base, done)
    taken = record_steps_under(limit, lambda: write([NEW], done))
    after = snapshot(done)
    commit = next(number for number, (_, path) in enumerate(taken) if path.name.endswith("journal.json"))

    half_done = tmp_path / "half" / "repo"
    copy(base, half_done)
    kill = die_before(commit + 6)

    def both(name: str, path: Path) -> None:
        kill(name, path)
        limit(name, path)

    assert in_child(lambda: write_new(half_done, both)) == KILLED
    count = 0
    while True:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(tmp_path / "half", tmp_path / "run", symlinks=True)
        repo = tmp_path / "run" / "repo"

        def killed_recovery(repo: Path = repo, count: int = count) -> None:
            steps.hook = die_before(count)
            recover(repo)

        status = in_child(killed_recovery)
        recover(repo)
        assert tree_of(repo) == after and litter(repo) in ([], [".repo.tpgen-lock"]), f"recovery step {count}"
        if status == 0:
            break
        assert status == KILLED
        count += 1
    assert count > 10


@pytest.mark.parametrize("foreign", [False, True], ids=["exchange", "journal"])
def test_killed_at_random_times(tmp_path: Path, foreign: bool) -> None:
    """A real SIGKILL, at moments that no hook chooses, to a process that writes one version after another."""
    chance = random.Random(7)
    repo = tmp_path / "repo"
    prepare(repo, True, foreign)
    write([NEW], repo)
    new = snapshot(repo)
    write([OLD], repo)
    old = snapshot(repo)
    for _ in range(25):
        child = os.fork()
        if child == 0:
            while True:
                write([NEW], repo)
                write([OLD], repo)
        time.sleep(chance.uniform(0.005, 0.06))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if not foreign:
            assert visible(repo) in (old, new)
        recover(repo)
        assert tree_of(repo) in (old, new)
    write([OLD], repo)
    write([NEW], repo)  # one of the two has something to do, and takes away the lock of the killed one
    assert tree_of(repo) == new and litter(repo) == [] and up_to_date({"ocr": "new"}, repo)


def test_the_lock_of_a_killed_build_goes_even_if_nothing_is_left_to_do(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    write([NEW], repo)
    lock = repo.with_name(".repo.tpgen-lock")
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert not write([NEW], repo).changed and lock.exists(), "somebody holds it"
    assert not write([NEW], repo).changed and not lock.exists()


def test_a_killed_build_is_finished_by_the_next_build(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    prepare(repo, True, True)
    commit = next(
        number
        for number, (name, path) in enumerate(record_steps_copy(repo, tmp_path / "probe" / "repo"))
        if name == "rename" and path.name == "journal.json"
    )
    assert in_child(lambda: write_new(repo, die_before(commit + 3))) == KILLED
    assert not up_to_date({"ocr": "new"}, repo)
    write([NEW], repo)
    assert tree_of(repo) == tree_of(tmp_path / "probe" / "repo") and litter(repo) == []


def test_a_repository_deleted_after_the_kill_is_not_brought_back(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    prepare(repo, True, True)
    taken = record_steps_copy(repo, tmp_path / "probe" / "repo")
    commit = next(number for number, (_, path) in enumerate(taken) if path.name == "journal.json")
    assert in_child(lambda: write_new(repo, die_before(commit + 3))) == KILLED
    shutil.rmtree(repo)
    assert recover(repo)
    assert [path.name for path in tmp_path.iterdir()] == ["probe"]


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True)
    if source.exists():
        shutil.copytree(source, target, symlinks=True)


def tree_of(repo: Path) -> Tree:
    """The repository's content; a directory that isn't there holds nothing."""
    return snapshot(repo) if repo.exists() else {}


def visible(repo: Path) -> Tree:
    """The repository as Triton sees it: hidden files in the root are nothing to it."""
    return {path: entry for path, entry in tree_of(repo).items() if not path.startswith(".tpgen-")}


def record_steps_under(limit: Hook, work: Callable[[], object]) -> list[tuple[str, Path]]:
    """Like record_steps, with a limit in force; steps that the limit refuses count too."""
    taken: list[tuple[str, Path]] = []

    def hook(name: str, path: Path) -> None:
        taken.append((name, path))
        limit(name, path)

    steps.hook = hook
    try:
        work()
    finally:
        steps.hook = None
    return taken


def record_steps_copy(repo: Path, probe: Path) -> list[tuple[str, Path]]:
    """The steps that writing the new plan takes, tried on a copy of the repository."""
    copy(repo, probe)
    return record_steps(lambda: write([NEW], probe))
