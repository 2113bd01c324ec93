"""What lies in a repository after builds: models, manifest, requirements, and what is not ours, untouched."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from repo_samples import failing, litter, model, old_and_new, plan, record_steps, snapshot, stamps
from tpgen.diagnostics import InternalError, PipelineError
from tpgen.emit import steps
from tpgen.emit.repo_plan import CopyFrom, ModelPlan, RepoPlan
from tpgen.emit.write import read_manifest, recover, up_to_date, write


@pytest.fixture(autouse=True)
def _no_hook() -> Iterator[None]:
    yield
    steps.hook = None


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "model_repository"


def codes(error: PipelineError) -> list[str]:
    return [diagnostic.code for diagnostic in error.diagnostics]


def only_error(plans: list[RepoPlan], directory: Path) -> str:
    """Code, message and hint of the one error of a write."""
    with pytest.raises(PipelineError) as caught:
        write(plans, directory, wait_s=0)
    (diagnostic,) = caught.value.diagnostics
    return f"{diagnostic.code} {diagnostic.message} / {diagnostic.hint}"


def test_first_write_makes_the_planned_tree(repo: Path) -> None:
    old_umask = os.umask(0o077)
    try:
        result = write([plan("ocr", [model("ocr", config=b"c"), model("ocr__det")], needs=("b", "A"))], repo)
    finally:
        os.umask(old_umask)
    tree = snapshot(repo)
    assert tree["ocr/config.pbtxt"] == (0o644, b"c")
    assert {mode for path, (mode, _) in tree.items() if (repo / path).is_dir()} == {0o755}
    assert {mode for path, (mode, _) in tree.items() if (repo / path).is_file()} == {0o644}
    assert repo.stat().st_mode & 0o777 == 0o755
    assert tree["requirements.txt"][1].decode().splitlines()[1:] == ["A", "b"]
    assert result.changed and not result.removed and not result.diagnostics
    assert "ocr/1/model.py" in result.written and result.written[-1] == "tpgen.json"
    assert litter(repo) == []


@pytest.mark.parametrize(
    ("place", "recorded"),
    [
        ("work/ocr.toml", None),  # beside the repository, where it is looked for anyhow
        ("work/pipelines/ocr.toml", "../pipelines/ocr.toml"),
        ("ocr.toml", "../../ocr.toml"),
        ("work/models/../deep/er/ocr.toml", "../deep/er/ocr.toml"),
        ("work/gone.toml", None),
    ],
)
def test_the_place_of_a_toml_is_seen_from_the_repository(
    tmp_path: Path, place: str, recorded: str | None
) -> None:
    repo, source = tmp_path / "work" / "models", tmp_path / place
    repo.mkdir(parents=True)
    if "gone" not in place:
        (tmp_path / "work" / "deep" / "er").mkdir(parents=True)
        source.parent.mkdir(exist_ok=True)
        source.write_text("")
    ocr = plan("ocr", [model("ocr")], source=str(source))
    write([ocr], repo)
    document = json.loads((repo / "tpgen.json").read_text())
    assert document["pipelines"]["ocr"].get("path") == recorded
    assert not write([ocr], repo).changed
    manifest = read_manifest(repo)
    assert manifest is not None and manifest.pipelines["ocr"].path == (recorded or "")


def test_the_place_of_a_toml_far_away_is_not_recorded(tmp_path: Path) -> None:
    repo, source = tmp_path / "a" / "b" / "c" / "models", tmp_path / "ocr.toml"
    repo.mkdir(parents=True)
    source.write_text("")
    write([plan("ocr", [model("ocr")], source=str(source))], repo)
    assert "path" not in json.loads((repo / "tpgen.json").read_text())["pipelines"]["ocr"]


def test_manifest_lists_every_file_with_its_hash_and_no_path_of_this_machine(
    repo: Path, tmp_path: Path
) -> None:
    write([plan("ocr", [model("ocr")], source=str(tmp_path / "ocr.toml"), fingerprint="abc")], repo)
    text = (repo / "tpgen.json").read_text()
    document = json.loads(text)
    assert text == json.dumps(document, indent=2, sort_keys=True) + "\n"
    entry = document["pipelines"]["ocr"]
    assert entry["source"] == "ocr.toml" and entry["fingerprint"] == "abc" and entry["entries"] == ["ocr"]
    assert entry["record"] == {"options": {"cores": 2}, "decisions": ["fused a, b"]}
    for path, digest in entry["models"]["ocr"].items():
        assert hashlib.sha256((repo / "ocr" / path).read_bytes()).hexdigest() == digest
    assert str(tmp_path) not in text
    manifest = read_manifest(repo)
    assert manifest is not None and manifest.owner_of("ocr") == "ocr" and manifest.to_text() == text


def test_same_plans_give_the_same_bytes_anywhere(tmp_path: Path) -> None:
    old, new = old_and_new()
    write([old], tmp_path / "a")
    write([new], tmp_path / "a")
    write([new], tmp_path / "b")
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")


def test_identical_second_build_touches_nothing(repo: Path) -> None:
    plans = [old_and_new()[0]]
    write(plans, repo)
    before = stamps(repo.parent)
    taken = record_steps(lambda: write(plans, repo))
    assert taken == [] and stamps(repo.parent) == before
    result = write(plans, repo)
    assert not result.changed and not result.written and "ocr/config.pbtxt" in result.unchanged


def test_unchanged_files_keep_inode_and_time_when_others_change(repo: Path) -> None:
    old, new = old_and_new()
    write([old], repo)
    before = (repo / "ocr/1/model.onnx").stat()
    result = write([new], repo)
    after = (repo / "ocr/1/model.onnx").stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_nlink) == (before.st_ino, before.st_mtime_ns, 1)
    assert "ocr/1/model.onnx" in result.unchanged
    assert "ocr__gone/config.pbtxt" in result.removed and not (repo / "ocr__gone").exists()


def test_pipelines_share_a_directory_and_requirements_are_merged(repo: Path) -> None:
    write([plan("a", [model("a")], needs=("numpy<2", "onnxruntime"))], repo)
    write([plan("b", [model("b")], needs=("numpy<2", "Pillow"))], repo)
    lines = (repo / "requirements.txt").read_text().splitlines()
    assert lines[0].startswith("#") and lines[1:] == ["numpy<2", "onnxruntime", "Pillow"]
    write([plan("a", [model("a", config=b"2")], needs=("numpy<2",))], repo)
    assert (repo / "requirements.txt").read_text().splitlines()[1:] == ["numpy<2", "Pillow"]
    assert (repo / "b/config.pbtxt").exists()
    manifest = read_manifest(repo)
    assert manifest is not None and sorted(manifest.pipelines) == ["a", "b"]


def test_up_to_date_needs_the_fingerprint_and_every_file(repo: Path) -> None:
    assert not up_to_date({"ocr": "f"}, repo)
    write([plan("ocr", [model("ocr")]), plan("b", [model("b")], fingerprint="g")], repo)
    assert up_to_date({"ocr": "f", "b": "g"}, repo) and up_to_date({"ocr": "f"}, repo)
    assert not up_to_date({"ocr": "other"}, repo) and not up_to_date({"c": "f"}, repo)
    (repo / "ocr/1/model.py").write_bytes(b"edited")
    assert not up_to_date({"ocr": "f"}, repo) and up_to_date({"b": "g"}, repo)
    (repo / "requirements.txt").unlink()
    assert not up_to_date({"b": "g"}, repo)


def test_a_new_fingerprint_alone_rewrites_only_the_manifest(repo: Path) -> None:
    write([plan("ocr", [model("ocr")])], repo)
    inode = repo.stat().st_ino
    result = write([plan("ocr", [model("ocr")], fingerprint="g")], repo)
    assert result.written == ("tpgen.json",) and repo.stat().st_ino == inode
    assert up_to_date({"ocr": "g"}, repo)


# --- what is not ours ---


def test_foreign_things_stay_as_they_are(repo: Path) -> None:
    old, new = old_and_new()
    (repo / "mine/1").mkdir(parents=True)
    (repo / "mine/1/model.py").write_text("mine")
    (repo / "README.md").write_text("mine")
    (repo / "link").symlink_to("mine")
    before = {name: stamps(repo / name) for name in ("mine", "README.md", "link")}
    write([old], repo)
    write([new], repo)
    assert {name: stamps(repo / name) for name in ("mine", "README.md", "link")} == before
    assert sorted(path.name for path in repo.iterdir()) == [
        "README.md", "link", "mine", "ocr", "ocr__det", "ocr__rec", "requirements.txt", "tpgen.json",
    ]  # fmt: skip
    assert litter(repo) == []


@pytest.mark.parametrize("kind", ["dir", "file", "link"])
def test_a_foreign_entry_of_a_models_name_is_an_error(repo: Path, kind: str) -> None:
    repo.mkdir(parents=True)
    taken = repo / "ocr"
    if kind == "dir":
        taken.mkdir()
    elif kind == "file":
        taken.write_text("")
    else:
        taken.symlink_to("/nowhere")
    before = stamps(repo)
    message = only_error([plan("ocr", [model("ocr")])], repo)
    assert (
        message.startswith("TP605") and "model 'ocr' of pipeline 'ocr'" in message and str(taken) in message
    )
    assert "[pipeline] name" in message and stamps(repo) == before and litter(repo) == []


def test_a_model_of_another_pipeline_is_an_error_naming_both(repo: Path) -> None:
    write([plan("a", [model("a"), model("shared")])], repo)
    before = snapshot(repo)
    message = only_error([plan("b", [model("b"), model("shared")])], repo)
    assert message.startswith("TP606") and all(f"'{name}'" in message for name in ("a", "b", "shared"))
    together = only_error([plan("x", [model("m")]), plan("y", [model("m")])], repo)
    assert together.startswith("TP606")
    assert only_error([plan("x", [model("x")]), plan("x", [model("z")])], repo).startswith("TP606")
    assert snapshot(repo) == before


@pytest.mark.parametrize("name", ["tpgen.json", "requirements.txt"])
def test_a_model_cannot_be_called_like_a_file_of_the_root(repo: Path, name: str) -> None:
    assert only_error([plan(name, [model(name)])], repo).startswith("TP605")


def test_a_project_directory_with_its_own_requirements_is_refused(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("torch\n")
    message = only_error([plan("ocr", [model("ocr")])], tmp_path)
    assert message.startswith("TP605") and (tmp_path / "requirements.txt").read_text() == "torch\n"


def test_a_model_may_move_between_pipelines_that_are_built_together(repo: Path) -> None:
    write([plan("a", [model("a"), model("m", helper=b"h")]), plan("b", [model("b")])], repo)
    write([plan("a", [model("a")]), plan("b", [model("b"), model("m")])], repo)
    manifest = read_manifest(repo)
    assert manifest is not None and manifest.owner_of("m") == "b" and not (repo / "m/1/rt").exists()


def test_a_pipeline_deleted_by_hand_is_forgotten(repo: Path) -> None:
    write([plan("a", [model("a")], needs=("a-needs",)), plan("b", [model("b")])], repo)
    for path in sorted((repo / "a").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (repo / "a").rmdir()
    result = write([plan("b", [model("b"), model("a")])], repo)
    assert [d.code for d in result.diagnostics] == ["TP613"]
    assert "a-needs" not in (repo / "requirements.txt").read_text()


def test_the_same_name_from_another_file_is_said(repo: Path) -> None:
    write([plan("ocr", [model("ocr")], source="x/first.toml")], repo)
    result = write([plan("ocr", [model("ocr")], source="y/second.toml")], repo)
    (found,) = result.diagnostics
    assert found.code == "TP612" and "first.toml" in found.message and "second.toml" in found.message


@pytest.mark.parametrize("foreign", [False, True], ids=["exchange", "journal"])
def test_an_entry_that_is_gone_takes_its_models_along(repo: Path, foreign: bool) -> None:
    write([plan("ocr", [model("ocr.a"), model("ocr.a__det"), model("ocr.b")]), plan("x", [model("x")])], repo)
    if foreign:
        (repo / "mine").mkdir()
    result = write([plan("ocr", [model("ocr")])], repo)
    assert result.diagnostics == ()
    assert sorted(path.name for path in repo.iterdir() if path.is_dir()) == ["mine"] * foreign + ["ocr", "x"]


def test_files_of_the_usual_name_are_not_taken_for_one_another(repo: Path) -> None:
    """Folders of examples all hold a ``pipeline.toml``: nothing says that one was renamed to another."""
    write([plan("old", [model("old")], source="x/pipeline.toml")], repo)
    assert write([plan("new", [model("new")], source="y/pipeline.toml")], repo).diagnostics == ()


def test_a_renamed_pipeline_names_what_it_leaves_and_how_to_remove_it(repo: Path) -> None:
    source = "ocr.toml"
    others = [plan("other", [model("other")]), plan("third", [model("third")])]
    write([*others, plan("old", [model("old"), model("old__a b")], source=f"x/{source}")], repo)
    renamed = plan("new", [model("new"), model("new__a b")], source=f"x/{source}")
    before = snapshot(repo / "old")
    (found,) = write([renamed], repo).diagnostics
    assert (found.code, found.severity.value) == ("TP614", "warning")
    assert "'old', 'old__a b'" in found.message and "other" not in f"{found.message} {found.hint}"
    assert snapshot(repo / "old") == before

    assert write([renamed], repo).diagnostics == (), "it is said once"
    assert found.hint is not None
    subprocess.run(shlex.split(found.hint.rpartition(": ")[2]), check=True)
    assert sorted(path.name for path in repo.iterdir() if path.is_dir()) == [
        "new",
        "new__a b",
        "other",
        "third",
    ]
    (forgotten,) = write([renamed], repo).diagnostics
    assert forgotten.code == "TP613"
    assert not up_to_date({"old": "f"}, repo) and up_to_date({"new": "f", "other": "f", "third": "f"}, repo)


def test_pipelines_of_other_files_and_those_built_together_are_no_old_names(repo: Path) -> None:
    write([plan("a", [model("a")], source="x/pipeline.toml")], repo)
    assert write([plan("b", [model("b")], source="x/b.toml")], repo).diagnostics == ()
    together = [plan(name, [model(name)], source=f"{name}/pipeline.toml") for name in ("a", "c")]
    assert write(together, repo).diagnostics == ()


@pytest.mark.parametrize("foreign", [False, True], ids=["exchange", "journal"])
def test_extras_are_carried_and_edits_are_kept_elsewhere(repo: Path, foreign: bool) -> None:
    old, new = old_and_new()
    write([old], repo)
    if foreign:
        (repo / "mine").mkdir()
    det = repo / "ocr__det"
    (det / "configs").mkdir()
    (det / "configs/h100.pbtxt").write_text("mine")
    (det / "2").mkdir()
    (det / "2/model.onnx").symlink_to("../../elsewhere.onnx")
    (det / "1/__pycache__").mkdir()
    (det / "1/__pycache__/model.pyc").write_bytes(b"")
    (det / "1/model.py").write_text("edited")
    (repo / "ocr__gone/1/__pycache__").mkdir()
    (repo / "ocr__gone/1/__pycache__/model.pyc").write_bytes(b"")
    (repo / "ocr__gone/1/notes.txt").write_text("note")
    (repo / "requirements.txt").write_text("edited too")

    result = write([new], repo)
    backup = repo.parent / ".model_repository.tpgen-backup"
    assert (det / "configs/h100.pbtxt").read_text() == "mine"
    assert os.readlink(det / "2/model.onnx") == "../../elsewhere.onnx"
    assert (det / "1/model.py").read_bytes() == b"new\n" and not (repo / "ocr__gone").exists()
    assert (backup / "ocr__det/1/model.py").read_text() == "edited"
    assert (backup / "ocr__gone/1/notes.txt").read_text() == "note"
    assert (backup / "requirements.txt").read_text() == "edited too"
    found = {(d.code, d.severity.value) for d in result.diagnostics}
    assert found == {("TP610", "note"), ("TP611", "warning")}
    said = "\n".join(d.message for d in result.diagnostics)
    assert "'ocr__det/1/model.py' had been edited" in said and str(backup / "ocr__det/1/model.py") in said
    assert "'ocr__gone/1/notes.txt' was not written by tpgen" in said and "__pycache__" not in said

    (det / "1/model.py").write_text("edited again")
    write([new], repo)
    assert (backup / "ocr__det/1/model.py").read_text() == "edited"
    assert (backup / "ocr__det/1/model.py~2").read_text() == "edited again"


def test_an_unlisted_file_in_the_way_of_a_new_one_is_kept_elsewhere(repo: Path) -> None:
    write([plan("ocr", [model("ocr")])], repo)
    (repo / "ocr/1/rt").mkdir()
    (repo / "ocr/1/rt/helper.py").write_text("mine")
    write([plan("ocr", [model("ocr", helper=b"ours")])], repo)
    assert (repo / "ocr/1/rt/helper.py").read_bytes() == b"ours"
    assert (repo.parent / ".model_repository.tpgen-backup/ocr/1/rt/helper.py").read_text() == "mine"


def test_an_unlisted_file_where_a_directory_must_be_is_an_error(repo: Path) -> None:
    write([plan("ocr", [model("ocr")])], repo)
    (repo / "ocr/1/rt").write_text("mine")
    message = only_error([plan("ocr", [model("ocr", helper=b"ours")])], repo)
    assert message.startswith("TP605") and "'ocr/1/rt'" in message
    (repo / "ocr/1/rt").unlink()
    (repo / "ocr/1/rt/helper.py").mkdir(parents=True)
    assert only_error([plan("ocr", [model("ocr", helper=b"ours")])], repo).startswith("TP605")
    assert litter(repo) == []


def test_a_file_replaced_by_a_link_to_equal_content_is_left_alone(repo: Path, tmp_path: Path) -> None:
    write([plan("ocr", [model("ocr", weights=b"big")])], repo)
    (tmp_path / "store.onnx").write_bytes(b"big")
    (repo / "ocr/1/model.onnx").unlink()
    (repo / "ocr/1/model.onnx").symlink_to(tmp_path / "store.onnx")
    assert not write([plan("ocr", [model("ocr", weights=b"big")])], repo).changed
    write([plan("ocr", [model("ocr", weights=b"other")])], repo)
    assert not (repo / "ocr/1/model.onnx").is_symlink() and (tmp_path / "store.onnx").read_bytes() == b"big"


# --- where DIR is, and what goes wrong ---


def test_a_symbolic_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real/repo")
    old, new = old_and_new()
    write([old], tmp_path / "link")
    write([new], tmp_path / "link")
    assert os.readlink(tmp_path / "link") == "real/repo"
    assert (tmp_path / "real/repo/ocr__rec/config.pbtxt").exists()


def test_the_current_directory_is_not_exchanged_under_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = tmp_path / "repo"
    repo.mkdir()
    monkeypatch.chdir(repo)
    old, new = old_and_new()
    write([old], Path())
    write([new], Path())
    assert sorted(os.listdir()) == ["ocr", "ocr__det", "ocr__rec", "requirements.txt", "tpgen.json"]
    assert litter(repo) == []


def test_mode_of_an_existing_directory_is_kept(repo: Path) -> None:
    old, new = old_and_new()
    write([old], repo)
    repo.chmod(0o2775)
    inode = repo.stat().st_ino
    write([new], repo)
    assert repo.stat().st_ino != inode, "the exchange is meant to happen here"
    assert repo.stat().st_mode & 0o7777 == 0o2775


def test_a_file_in_the_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        message = only_error([plan("ocr", [model("ocr")])], directory)
        assert message.startswith("TP601") and str(directory) in message
    assert (tmp_path / "file").read_text() == "x" and len(list(tmp_path.iterdir())) == 1


def test_a_manifest_from_elsewhere_is_never_overwritten(repo: Path) -> None:
    repo.mkdir(parents=True)
    for text in (
        "",
        "{",
        "[]",
        '{"format": 2}',
        '{"format": 1, "pipelines": {}, "files": {"../x": "0"}}',
        "\xff",
    ):
        (repo / "tpgen.json").write_text(text, encoding="latin-1")
        message = only_error([plan("ocr", [model("ocr")])], repo)
        assert message.startswith("TP604") and [path.name for path in repo.iterdir()] == ["tpgen.json"]


def test_a_model_file_is_copied_and_checked(repo: Path, tmp_path: Path) -> None:
    source = tmp_path / "resnet.onnx"
    source.write_bytes(os.urandom(3_000_000))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    plans = [plan("ocr", [model("ocr", weights=CopyFrom(source, digest))])]
    write(plans, repo)
    copied = repo / "ocr/1/model.onnx"
    assert copied.read_bytes() == source.read_bytes() and copied.stat().st_ino != source.stat().st_ino
    source.write_bytes(b"retrained")
    assert not write(plans, repo).changed, "the plan's hash counts, and that file lies there"
    before = snapshot(repo)
    changed = [plan("ocr", [model("ocr", weights=CopyFrom(source, "0" * 64), config=b"2")])]
    assert only_error(changed, repo).startswith("TP608")
    source.unlink()
    assert "can't be read" in only_error(changed, repo)
    assert snapshot(repo) == before and litter(repo) == []


def test_files_saved_by_somebody_during_the_build_are_not_lost(repo: Path) -> None:
    old, new = old_and_new()
    write([old], repo)

    def save_meanwhile(name: str, path: Path) -> None:
        if name == "open" and path.name == "model.py":
            (repo / "ocr/config.pbtxt").write_bytes(b"saved meanwhile")

    steps.hook = save_meanwhile
    assert only_error([new], repo).startswith("TP608")
    assert (repo / "ocr/config.pbtxt").read_bytes() == b"saved meanwhile" and litter(repo) == []


@pytest.mark.parametrize(
    ("error", "code"),
    [(errno.ENOSPC, "TP603"), (errno.EDQUOT, "TP603"), (errno.EIO, "TP603"), (errno.EROFS, "TP602")],
)
@pytest.mark.parametrize("step", ["open", "write", "fsync"])
def test_a_failing_disk_leaves_nothing_half_written(repo: Path, step: str, error: int, code: str) -> None:
    steps.hook = failing(lambda name, path: name == step and path.name == "model.py", error)
    message = only_error([old_and_new()[0]], repo)
    steps.hook = None
    assert message.startswith(code) and str(repo) in message
    assert not repo.parent.exists(), "directories made for the build are removed again"
    write([old_and_new()[0]], repo)
    before = snapshot(repo)
    steps.hook = failing(lambda name, path: name == step and path.name == "model.py", error)
    assert only_error([old_and_new()[1]], repo).startswith(code)
    steps.hook = None
    assert snapshot(repo) == before and litter(repo) == []


@pytest.mark.parametrize("error", [errno.EBUSY, errno.EINVAL, errno.ENOSYS, errno.EXDEV])
def test_without_the_exchange_the_journal_does_it(repo: Path, error: int) -> None:
    old, new = old_and_new()
    write([old], repo)
    inode = repo.stat().st_ino
    steps.hook = failing(lambda name, _path: name == "exchange", error)
    write([new], repo)
    write([new], repo.with_name("fresh"))
    assert (
        repo.stat().st_ino == inode
        and snapshot(repo) == snapshot(repo.with_name("fresh"))
        and litter(repo) == []
    )


def test_internal_models_come_first_and_the_record_last(repo: Path) -> None:
    """The order in which a journal puts things in place, for a server that starts in just that moment."""
    old, new = old_and_new()
    (repo / "mine").mkdir(parents=True)
    write([old, plan("b", [model("b"), model("b__z")])], repo)
    second = plan(
        "b", [model("b", config=b"2"), model("b__z", config=b"2", weights=b"2", **{"labels.txt": b"2"})]
    )
    taken = record_steps(lambda: write([new, second], repo))
    placed = [
        str(path.relative_to(repo)) for name, path in taken if name == "rename" and path.is_relative_to(repo)
    ]
    assert placed[1:] == [
        "b__z/1/model.onnx",
        "b__z/labels.txt",
        "b__z/config.pbtxt",
        "ocr__det/1/model.py",
        "ocr__det/1/user/ops.py",
        "ocr__rec/1/model.py",
        "ocr__rec/config.pbtxt",
        "b/config.pbtxt",
        "ocr/config.pbtxt",
        "requirements.txt",
        "tpgen.json",
    ]
    removed = [path for name, path in taken if name == "unlink" and path.is_relative_to(repo / "ocr__gone")]
    last_entry = taken.index(("rename", repo / "ocr/config.pbtxt"))
    assert removed and all(taken.index(("unlink", path)) > last_entry for path in removed)


def test_a_failure_after_the_commit_is_finished_by_recover(repo: Path) -> None:
    old, new = old_and_new()
    (repo / "mine").mkdir(parents=True)
    write([old], repo)
    steps.hook = failing(lambda name, path: name == "rename" and path == repo / "ocr/config.pbtxt", errno.EIO)
    message = only_error([new], repo)
    steps.hook = None
    assert message.startswith("TP609") and "next build or serve" in message
    assert not up_to_date({"ocr": "new"}, repo)
    assert recover(repo) and not recover(repo)
    write([new], repo.with_name("fresh"))
    (repo / "mine").rmdir()
    assert snapshot(repo) == snapshot(repo.with_name("fresh")) and litter(repo) == []


def test_a_ctrl_c_after_the_commit_still_finishes(repo: Path) -> None:
    old, new = old_and_new()
    (repo / "mine").mkdir(parents=True)
    write([old], repo)
    calls = iter([True])

    def interrupt(name: str, path: Path) -> None:
        if path == repo / "ocr/config.pbtxt" and next(calls, False):
            raise KeyboardInterrupt

    steps.hook = interrupt
    with pytest.raises(KeyboardInterrupt):
        write([new], repo)
    assert up_to_date({"ocr": "new"}, repo) and litter(repo) == []


def test_files_are_on_the_disk_before_they_are_in_place(repo: Path) -> None:
    """Every new file is flushed before the first step that changes the repository."""
    old, new = old_and_new()
    write([old], repo)
    for foreign in (False, True):
        if foreign:
            write([old], repo)
            (repo / "mine").mkdir()
        taken = record_steps(lambda: write([new], repo))
        commit = next(
            i for i, (name, path) in enumerate(taken) if name == "exchange" or path.name == "journal.json"
        )
        opened = [
            path
            for name, path in taken[:commit]
            if name == "open" and path.suffix != ".draft" and path.name != "probe"
        ]
        flushed = {path for name, path in taken[:commit] if name == "fsync"}
        assert opened and set(opened) <= flushed
        assert {path.parent for path in opened} <= flushed, "and so are the directories that name them"
        assert not any(
            path.is_relative_to(repo) for _, path in taken[:commit] if "staging-probe" not in path.name
        )


def test_malformed_plans_are_bugs_not_user_errors(repo: Path) -> None:
    for files in ({"config.pbtxt": b""}, {"1/../../x": b""}, {"/1/x": b""}, {"1//x": b""}):
        with pytest.raises(InternalError):
            write([plan("ocr", [ModelPlan("ocr", files)])], repo)
    with pytest.raises(InternalError):
        write([plan("ocr", [model("../ocr")])], repo)
    with pytest.raises(InternalError):
        write([plan("ocr", [model("ocr"), model("ocr")])], repo)
    assert not repo.parent.exists()


def test_recover_is_quiet_where_there_is_nothing(tmp_path: Path) -> None:
    assert not recover(tmp_path / "nowhere") and not recover(tmp_path) and list(tmp_path.iterdir()) == []
