"""Real mount points, full disks, missing rights and two writers at once."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from repo_samples import (
    die_before,
    in_child,
    litter,
    model,
    old_and_new,
    plan,
    record_steps,
    snapshot,
    stamps,
)
from tpgen.diagnostics import PipelineError
from tpgen.emit import steps
from tpgen.emit.write import read_manifest, recover, up_to_date, write

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")  # threads of other tests
OLD, NEW = old_and_new()
NOBODY = 65534


@contextmanager
def mounted(test_dir: Path, target: Path, *options: str) -> Iterator[Path]:
    """Mounts something below a test's directory for the block; skips the test where that is not allowed."""
    target.mkdir(exist_ok=True)
    try:
        subprocess.run(["mount", *options, str(target)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount")
    try:
        yield target
    finally:  # under whatever name it lies now: a writer at fault might have moved it
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            if Path(line.split(" ")[4]).is_relative_to(test_dir):
                subprocess.run(["umount", line.split(" ")[4]], check=True)


def expected(path: Path) -> dict[str, tuple[int, bytes]]:
    """What a repository with nothing but the new plan holds."""
    write([NEW], path)
    return snapshot(path)


@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_a_mount_point_is_written_in_place(tmp_path: Path, kind: str) -> None:
    (tmp_path / "volume").mkdir()
    options = ("-t", "tmpfs", "tmpfs") if kind == "tmpfs" else ("--bind", str(tmp_path / "volume"))
    with mounted(tmp_path, tmp_path / "models", *options) as repo:
        write([OLD], repo)
        inode = repo.stat().st_ino
        (repo / "ocr/config.pbtxt").write_bytes(b"edited")
        result = write([NEW], repo)
        assert repo.stat().st_ino == inode
        backup = repo / ".tpgen-backup-ocr-config.pbtxt"
        assert backup.read_bytes() == b"edited" and str(backup) in result.diagnostics[0].message
        backup.unlink()
        assert snapshot(repo) == expected(tmp_path / "fresh") and litter(repo) == []


@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_a_volume_mounted_into_a_model_stays_mounted(tmp_path: Path, kind: str) -> None:
    repo = tmp_path / "repo"
    write([OLD], repo)
    (tmp_path / "volume").mkdir()
    options = ("-t", "tmpfs", "tmpfs") if kind == "tmpfs" else ("--bind", str(tmp_path / "volume"))
    with mounted(tmp_path, repo / "ocr__det/1", *options) as volume:
        (volume / "mine.txt").write_text("mine")
        device = volume.stat().st_dev, volume.stat().st_ino
        write([NEW], repo)
        assert (volume.stat().st_dev, volume.stat().st_ino) == device
        assert (volume / "mine.txt").read_text() == "mine" and (volume / "model.py").read_bytes() == b"new\n"
        assert (volume / "user/ops.py").exists() and up_to_date({"ocr": "new"}, repo) and litter(repo) == []


def test_a_mount_point_survives_a_kill(tmp_path: Path) -> None:
    with mounted(tmp_path, tmp_path / "models", "-t", "tmpfs", "tmpfs") as repo:
        write([OLD], repo)
        old = snapshot(repo)
        new = expected(tmp_path / "fresh")
        total = len(record_steps(lambda: write([NEW], repo)))
        for count in range(0, total, 3):
            write([OLD], repo)

            def killed(count: int = count) -> None:
                steps.hook = die_before(count)
                write([NEW], repo)

            in_child(killed)
            recover(repo)
            assert snapshot(repo) in (old, new), f"step {count}"


def test_a_really_full_disk(tmp_path: Path) -> None:
    with mounted(tmp_path, tmp_path / "small", "-t", "tmpfs", "-o", "size=1m", "tmpfs") as disk:
        repo = disk / "repo"
        write([OLD], repo)
        before = snapshot(repo)
        with pytest.raises(PipelineError) as caught:
            write([plan("ocr", [model("ocr", weights=os.urandom(2 << 20))])], repo)
        (found,) = caught.value.diagnostics
        assert found.code == "TP603" and "full" in found.message and found.file == str(repo)
        assert snapshot(repo) == before and litter(repo) == []
        assert write([NEW], repo).changed


def test_a_read_only_repository_that_is_up_to_date_is_fine(tmp_path: Path) -> None:
    write([OLD], tmp_path / "volume")
    with mounted(tmp_path, tmp_path / "models", "--bind", "-o", "ro", str(tmp_path / "volume")) as repo:
        assert not write([OLD], repo).changed and not recover(repo)
        assert up_to_date({"ocr": "old"}, repo)
        with pytest.raises(PipelineError) as caught:
            write([NEW], repo)
        assert caught.value.diagnostics[0].code == "TP602" and "-o" in str(caught.value)
        assert litter(repo) == []


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_nobody(work: object) -> int:
    """Runs a callable in a child that has given up root's rights."""

    def run() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        work()  # type: ignore[operator]

    return in_child(run)


@pytest.fixture
def open_path(tmp_path: Path) -> Path:
    """A directory that other users can reach."""
    for path in (tmp_path, *tmp_path.parents):
        if path != Path("/") and path.stat().st_uid == os.getuid() and path != Path("/tmp"):
            path.chmod(path.stat().st_mode | 0o055)
    return tmp_path


@needs_root
def test_a_directory_that_may_not_be_written(open_path: Path) -> None:
    repo = open_path / "repo"
    write([OLD], repo)
    before = stamps(open_path)

    def attempt() -> None:
        assert not write([OLD], repo).changed
        for directory in (repo, repo / "below", open_path / "new"):
            with pytest.raises(PipelineError) as caught:
                write([NEW], directory)
            assert [d.code for d in caught.value.diagnostics] == ["TP602"]
            assert str(directory) in str(caught.value)

    assert as_nobody(attempt) == 0
    assert stamps(open_path) == before


@needs_root
def test_only_the_directory_may_be_written_not_its_parent(open_path: Path) -> None:
    repo = open_path / "repo"
    repo.mkdir()
    os.chown(repo, NOBODY, NOBODY)

    def build() -> None:
        write([OLD], repo)
        write([NEW], repo)

    assert as_nobody(build) == 0
    assert snapshot(repo) == expected(open_path / "fresh") and litter(repo) == []


@needs_root
def test_owner_of_an_existing_directory_is_kept(tmp_path: Path) -> None:
    write([OLD], tmp_path / "repo")
    os.chown(tmp_path / "repo", NOBODY, NOBODY)
    write([NEW], tmp_path / "repo")
    assert (tmp_path / "repo").stat().st_uid == NOBODY


def test_an_access_list_of_the_directory_is_kept(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    write([OLD], repo)
    undefined = 0xFFFFFFFF
    entries = [(1, 7, undefined), (2, 7, NOBODY), (4, 5, undefined), (16, 7, undefined), (32, 5, undefined)]
    access_list = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(repo, "system.posix_acl_access", access_list)
    except OSError:
        pytest.skip("no access lists on this file system")
    write([NEW], repo)
    assert os.getxattr(repo, "system.posix_acl_access") == access_list


# --- two at once ---


def test_a_second_writer_waits_says_so_and_gives_up_with_a_clear_message(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    lock = tmp_path / ".repo.tpgen-lock"
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"4711")
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    said: list[str] = []
    with pytest.raises(PipelineError) as caught:
        write([OLD], repo, wait_s=0.2, on_wait=said.append)
    assert [d.code for d in caught.value.diagnostics] == ["TP607"] and "process 4711" in str(caught.value)
    assert len(said) == 1 and "process 4711" in said[0] and not repo.exists()
    os.close(descriptor)
    write([OLD], repo)
    assert not lock.exists() and repo.exists()


def test_a_lock_file_left_by_a_killed_build_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / ".repo.tpgen-lock").write_text("4711")
    write([OLD], tmp_path / "repo", wait_s=0)
    assert litter(tmp_path / "repo") == []


def test_a_lock_that_lost_its_name_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking, its holder can remove the file and a third process lock a new one."""
    lock = tmp_path / ".repo.tpgen-lock"
    really_lock = fcntl.flock
    third: list[int] = []

    def locked_by_a_third(descriptor: int, operation: int) -> None:
        if not third:
            lock.unlink()
            third.append(os.open(lock, os.O_RDWR | os.O_CREAT))
            really_lock(third[0], fcntl.LOCK_EX)
        really_lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", locked_by_a_third)
    with pytest.raises(PipelineError) as caught:
        write([OLD], tmp_path / "repo", wait_s=0.2)
    assert caught.value.diagnostics[0].code == "TP607"
    os.close(third[0])
    assert write([OLD], tmp_path / "repo", wait_s=0).changed


def test_builds_at_once_do_not_tear_each_other(tmp_path: Path) -> None:
    """Four processes write two versions of one pipeline and one pipeline each; all of them succeed."""
    repo = tmp_path / "repo"
    write([OLD], repo)
    children = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for turn in range(6):
                    write([(OLD, NEW)[turn % 2]], repo)
                    write([plan(f"p{number}", [model(f"p{number}", config=b"%d" % turn)])], repo)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    manifest = read_manifest(repo)
    assert manifest is not None and sorted(manifest.pipelines) == ["ocr", "p0", "p1", "p2", "p3"]
    assert up_to_date(
        {**{f"p{n}": "f" for n in range(4)}, "ocr": manifest.pipelines["ocr"].fingerprint}, repo
    )
    assert litter(repo) == []


def test_recover_waits_for_a_running_build(tmp_path: Path) -> None:
    """A staging that belongs to a live process is not litter."""
    repo = tmp_path / "repo"
    write([OLD], repo)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:

            def slow(name: str, path: Path) -> None:
                if name == "exchange":
                    os.write(writer, b"x")
                    time.sleep(0.3)

            steps.hook = slow
            write([NEW], repo)
            status = 0
        finally:
            os._exit(status)
    os.read(reader, 1)
    recover(repo)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert up_to_date({"ocr": "new"}, repo) and litter(repo) == []
    os.close(reader)
    os.close(writer)
