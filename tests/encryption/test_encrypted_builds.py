"""Builds of encrypted models: equal answers, located findings, and nothing of the model on any disk."""

from __future__ import annotations

import ast
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import examples
from engines.onnx_build import save
from secret_model import NAME, WEIGHT, leaks, secret_model, write_pipeline
from small_models import write_torchscript
from tpgen.cli import run_command
from tpgen.diagnostics import PipelineError
from tpgen.driver import BuildOptions, build, calibration, check, pipe, reference
from tpgen.driver.deploy import deployment_of
from tpgen.driver.needs import needs_of
from tpgen.emit.config_pbtxt import parse
from tpgen.emit.deployment import deployment_files
from tpgen.emit.features import Features
from tpgen.engines import known_operators
from tpgen.runner import encryption
from tpgen_runtime import memory, unlock

OPTIONS = BuildOptions(cores=2)
APART = BuildOptions(fuse="none", cores=2)
NATIVE = BuildOptions(target="gpu", runtime="onnxruntime", cores=2)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with net.onnx.encrypted and no other model; its key is in the environment."""
    own, scratch = tmp_path / "own", tmp_path / "scratch"
    own.mkdir()
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv("TPGEN_MODEL_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.delenv("TPGEN_MODEL_KEY", raising=False)
    assert run_command(["encrypt", "--new-key", str(tmp_path / "key")]) == 0
    plain = save(secret_model(), tmp_path / "net.onnx")
    assert run_command(["encrypt", str(plain), "-o", str(own / "net.onnx.encrypted")]) == 0
    return own


def _findings(raised: pytest.ExceptionInfo[PipelineError]) -> list[tuple[str, int | str | None]]:
    records = [one.to_json() for one in raised.value.diagnostics]
    return [(str(record["code"]), record["line"]) for record in records]


def _answers(path: Path, options: BuildOptions = OPTIONS) -> tuple[Any, Any]:
    images = [{"data": examples.photo(seed)} for seed in (1, 2, 3)]
    compiled, interpreter = reference(path, options)
    expected = interpreter.run(compiled.reference.entries[0], images)
    with pipe(path, options) as run:
        found = [dict(image) for image in images]
        run(found)
    return [one["result"] for one in expected], [one["result"] for one in found]


def test_the_stage_and_the_reference_answer_as_without_encryption(folder: Path) -> None:
    secret = _answers(write_pipeline(folder, "secret", "net.onnx.encrypted"))
    open_ = _answers(write_pipeline(folder.parent, "open", "net.onnx"))
    np.testing.assert_array_equal(secret, open_)
    np.testing.assert_allclose(secret[0], secret[1], atol=1e-4)


@pytest.mark.parametrize("options", [OPTIONS, NATIVE, APART], ids=["stage", "native", "fuse none"])
def test_nothing_of_the_model_lies_on_a_disk(folder: Path, options: BuildOptions) -> None:
    path, before = write_pipeline(folder, "secret", "net.onnx.encrypted"), _in_memory()
    build(path, folder / "repository", options)
    check(path, options)
    build(path, folder / "repository", options)
    model = "secret" if options is OPTIONS else "secret__net"
    names = sorted(one.name for one in (folder / "repository" / model / "1").iterdir() if one.is_file())
    assert ("model.onnx.encrypted" if options is NATIVE else "net.onnx.encrypted") in names
    assert leaks(folder, Path(tempfile.gettempdir())) == []
    assert _in_memory() == before
    requirements = (folder / "repository" / "requirements.txt").read_text()
    assert "cryptography" in requirements


CACHE = """execution_provider = "tensorrt"
execution_provider_options = {trt_engine_cache_enable = true, trt_engine_cache_path = "/cache"}
"""
RAW = """[pipeline.triton.net.optimization.execution_accelerators]
gpu_execution_accelerator = [{name = "tensorrt", parameters = {trt_dump_subgraphs = "1"}}]
"""


@pytest.mark.parametrize("more", [CACHE, RAW], ids=["key of the node", "raw field"])
def test_options_that_keep_what_was_decrypted_are_refused(folder: Path, more: str) -> None:
    path = write_pipeline(folder, "secret", "net.onnx.encrypted", more)
    for run in (lambda: check(path, NATIVE), lambda: build(path, folder / "repository", NATIVE)):
        with pytest.raises(PipelineError) as raised:
            run()
        assert ("TP913", 17) in _findings(raised)
    assert not (folder / "repository").exists()
    write_pipeline(
        folder, "secret", "net.onnx.encrypted", more.replace("= true", "= false").replace('"1"', '"0"')
    )
    build(path, folder / "repository", NATIVE)


def test_samples_that_are_saved_leave_nothing_of_the_model(folder: Path) -> None:
    path, before = write_pipeline(folder, "secret", "net.onnx.encrypted"), _in_memory()
    (folder / "0.jpg").write_bytes(examples.photo(1))
    given = ["--input", f"data=@{folder}/0.jpg"]
    assert run_command(["engines", "samples", str(path), "net", f"{folder}/samples", *given]) == 0
    assert len(list((folder / "samples").iterdir())) == 1
    assert _in_memory() == before
    assert leaks(folder, Path(tempfile.gettempdir())) == []


# Who makes temporary folders: the first gives away what takes decrypted models with it, the other holds a
# repository, in which models are encrypted again.
MAY_MAKE_FOLDERS = {("encrypted.py", "scratch_folder"), ("local.py", "pipe")}


def test_folders_for_models_go_with_what_was_decrypted_for_them() -> None:
    found = set()
    for file in Path(calibration.__file__).parent.glob("**/*.py"):
        tree = ast.parse(file.read_text())
        functions = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)]
        used = {one.lineno for one in ast.walk(tree) if _makes_folder(one)}
        for line in used:
            inside = [one.name for one in functions if one.lineno <= line <= (one.end_lineno or 0)]
            found.add((file.name, inside[-1] if inside else ""))
    assert found == MAY_MAKE_FOLDERS, "take driver/encrypted.scratch_folder()"


def _makes_folder(node: ast.AST) -> bool:
    names = ("TemporaryDirectory", "mkdtemp")
    if isinstance(node, ast.ImportFrom):
        return node.module == "tempfile" and any(alias.name in names for alias in node.names)
    return isinstance(node, ast.Attribute) and node.attr in names


def _in_memory() -> set[str]:
    return {name for name in os.listdir("/dev/shm") if name.startswith(("tpgen-memory-", "tpgen-models-"))}


def test_the_search_would_find_the_model(folder: Path) -> None:
    path = write_pipeline(folder.parent, "open", "net.onnx")
    build(path, folder / "open", NATIVE)
    assert [one.name for one in leaks(folder)] == ["model.onnx"]
    requirements = (folder / "open" / "requirements.txt").read_text()
    assert "cryptography" not in requirements


def test_a_rewritten_model_is_encrypted_again_and_the_same_each_time(folder: Path) -> None:
    path = write_pipeline(folder, "secret", "net.onnx.encrypted")
    for name in ("one", "two"):
        build(path, folder / name, NATIVE)
    place = Path("secret__net", "1", "model.onnx.encrypted")
    sealed = (folder / "one" / place).read_bytes()
    assert sealed == (folder / "two" / place).read_bytes()
    assert sealed != (folder / "net.onnx.encrypted").read_bytes()
    rewritten = onnx.load_from_string(encryption.decrypt(folder / "one" / place))
    weights = {one.name: onnx.numpy_helper.to_array(one) for one in rewritten.graph.initializer}
    np.testing.assert_array_equal(weights[NAME], WEIGHT)
    assert rewritten.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert not build(path, folder / "one", NATIVE).changed


def test_another_key_builds_anew(folder: Path) -> None:
    path = write_pipeline(folder, "secret", "net.onnx.encrypted")
    build(path, folder / "repository", OPTIONS)
    key = folder.parent / "another"
    plain = folder.parent / "net.onnx"
    target = folder / "net.onnx.encrypted"
    assert run_command(["encrypt", "--new-key", str(key), str(plain), "-o", str(target)]) == 0
    os.environ["TPGEN_MODEL_KEY_FILE"] = str(key)  # the fixture puts it back
    assert build(path, folder / "repository", OPTIONS).changed
    placed = folder / "repository" / "secret" / "1" / "net.onnx.encrypted"
    assert NAME.encode() in encryption.decrypt(placed)


def test_a_fixed_batch_is_made_dynamic_in_memory(folder: Path) -> None:
    plain = save(secret_model(batch=1), folder.parent / "one.onnx")
    assert run_command(["encrypt", str(plain), "-o", str(folder / "one.enc")]) == 0
    path = write_pipeline(folder, "secret", "one.enc")
    with pytest.raises(PipelineError) as raised:
        check(path, OPTIONS)
    assert _findings(raised) == [("TP406", 13)]
    dynamic = BuildOptions(cores=2, dynamic_batch=True)
    build(path, folder / "repository", dynamic)
    assert leaks(folder, Path(tempfile.gettempdir())) == []
    secret, found = _answers(path, dynamic)
    np.testing.assert_allclose(found, secret, atol=1e-4)


def test_each_instance_group_has_its_encrypted_file(folder: Path) -> None:
    for batch in (1, 4):
        plain = save(secret_model(batch=batch), folder.parent / f"net{batch}.onnx")
        assert run_command(["encrypt", str(plain), "-o", str(folder / f"net{batch}.encrypted")]) == 0
    both = write_pipeline(folder, "both", "net1.encrypted&net4.encrypted")
    both.write_text(both.read_text().replace("max = 4", 'min = "1&4"\nmax = "1&4"'))
    expected, found = _answers(both)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    one, _ = _answers(write_pipeline(folder, "one", "net.onnx.encrypted"))
    np.testing.assert_allclose(expected, one, atol=1e-4)


def test_weights_in_a_file_of_their_own_are_taken_in(folder: Path) -> None:
    apart = folder.parent / "apart" / "net.onnx"
    apart.parent.mkdir()
    onnx.save(secret_model(), apart, save_as_external_data=True, location="net.data", size_threshold=0)
    target = folder / "apart.onnx.encrypted"
    assert run_command(["encrypt", str(apart), "-o", str(target)]) == 0
    loaded = onnx.load_from_string(encryption.decrypt(target))
    assert {one.name: onnx.numpy_helper.to_array(one).tobytes() for one in loaded.graph.initializer}[
        NAME
    ] == WEIGHT.tobytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("no key", "there is no key"),
        ("another key", "is encrypted with another key"),
        ("short key", "holds 3 bytes; a key has 32"),
        ("damaged", "is damaged"),
        ("foreign", "is no file that 'tpgen encrypt' wrote"),
    ],
)
def test_findings_are_at_the_line_of_the_model(
    change: str, said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, model = write_pipeline(folder, "secret", "net.onnx.encrypted"), folder / "net.onnx.encrypted"
    match change:
        case "no key":
            monkeypatch.delenv("TPGEN_MODEL_KEY_FILE")
        case "another key":
            monkeypatch.setenv("TPGEN_MODEL_KEY", encryption.new_key_text())
        case "short key":
            monkeypatch.setenv("TPGEN_MODEL_KEY", "AAAA")
        case "damaged":
            model.write_bytes(model.read_bytes()[:-1])
        case "foreign":
            model.write_bytes(b"what TorchPipe wrote")
    with pytest.raises(PipelineError, match=said) as raised:
        build(path, folder / "repository", OPTIONS)
    assert _findings(raised) == [("TP416", 12)]
    assert raised.value.diagnostics[0].hint
    assert not (folder / "repository").exists()


def test_what_is_wrong_with_the_model_names_the_users_file(folder: Path) -> None:
    (folder.parent / "text").write_text("no model at all")
    assert run_command(["encrypt", str(folder.parent / "text"), "-o", str(folder / "net.encrypt")]) == 0
    with pytest.raises(PipelineError) as raised:
        check(write_pipeline(folder, "secret", "net.encrypt"), OPTIONS)
    assert _findings(raised) == [("TP402", 12)]
    assert str(folder / "net.encrypt") in raised.value.diagnostics[0].message
    assert "/dev/shm" not in str(raised.value)


def test_a_large_model_that_breaks_only_when_it_is_loaded_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, before = secret_model(), _in_memory()
    refused.graph.node[-1].op_type, refused.graph.node[-1].input[:] = "Not", ["flat"]
    plain = save(refused, folder.parent / "refused.onnx")
    assert run_command(["encrypt", str(plain), "-o", str(folder / "net.onnx.encrypted")]) == 0
    monkeypatch.setattr(known_operators, "_QUICK", 0)  # as large models: the check does not load them
    path = write_pipeline(folder, "secret", "net.onnx.encrypted")
    check(path, OPTIONS)
    for load in (pipe, reference):
        with pytest.raises(PipelineError, match="tensor") as raised:
            load(path, OPTIONS)
        assert _findings(raised) == [("TP405", 12)]
        assert str(folder / "net.onnx.encrypted") in raised.value.diagnostics[0].message
        assert "/dev/shm" not in str(raised.value)
    assert _in_memory() == before
    assert leaks(folder, Path(tempfile.gettempdir())) == []


def test_native_models_are_named_and_get_no_engine(folder: Path) -> None:
    path = write_pipeline(folder, "secret", "net.onnx.encrypted", 'precision = "fp16"')
    result = build(path, folder / "repository", BuildOptions(target="gpu", cores=2))
    found = {one.code: one for one in result.diagnostics}
    assert set(found) == {"TP911", "TP912"}
    assert found["TP911"].to_json()["line"] == 12
    version = folder / "repository" / "secret__net" / "1"
    assert sorted(path.name for path in version.iterdir()) == ["model.onnx.encrypted", "tpgen_runtime"]
    assert parse((version.parent / "config.pbtxt").read_text()).backend == "onnxruntime"
    assert any("stays encrypted on disk" in line for line in result.compiled[0].decisions)
    assert run_command(["check", str(folder / "repository")]) == 0


def test_a_repository_without_the_encrypted_file_is_still_refused(folder: Path) -> None:
    build(write_pipeline(folder, "secret", "net.onnx.encrypted"), folder / "repository", NATIVE)
    (folder / "repository" / "secret__net" / "1" / "model.onnx.encrypted").unlink()
    assert run_command(["check", str(folder / "repository")]) == 1


def test_a_container_gets_the_key_and_room_in_memory(folder: Path) -> None:
    path = write_pipeline(folder, "secret", "net.onnx.encrypted")
    graph = check(path, NATIVE).compiled[0].graph
    sizes = {"net.TensorrtTensor": 300 << 20}
    assert set(sizes) >= {stage.runs[0] for stage in graph.stages if stage.runs}
    needs = needs_of(graph, sizes)
    assert needs.decrypted == 300 << 20
    assert int(needs.shm_size[:-1]) << 20 > needs.shared_memory + needs.decrypted
    for options in (OPTIONS, NATIVE):
        deployment = deployment_of(check(path, options).compiled, "repository", Features())
        compose = deployment_files(deployment)["compose.yaml"]
        assert b"TPGEN_MODEL_KEY_FILE: /run/secrets/tpgen_model_key" in compose
    plain = check(write_pipeline(folder.parent, "open", "net.onnx"), OPTIONS).compiled
    deployment = deployment_of(plain, "repository", Features())
    assert b"MODEL_KEY" not in deployment_files(deployment)["compose.yaml"]


KILLED = """
import os, signal, sys
from tpgen.driver import BuildOptions
from tpgen.driver import build as module_of_build
from tpgen.driver.build import build
from tpgen.runner import encryption
import tpgen.driver.build

made = encryption.memory_of
def told(scratch):
    folder = made(scratch)
    print(folder, flush=True)
    return folder
encryption.memory_of = told

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[3] == "write":
    sys.modules["tpgen.driver.build"].write = die
options = BuildOptions(target="gpu", runtime="onnxruntime", cores=2)
build(sys.argv[1], sys.argv[2], options, after=lambda name, graph: die() if name == sys.argv[3] else None)
"""


@pytest.mark.parametrize("moment", ["infer", "write"])
def test_a_build_that_is_killed_leaves_nothing_of_the_model(moment: str, folder: Path) -> None:
    path, scratch = write_pipeline(folder, "secret", "net.onnx.encrypted"), folder / "scratch"
    scratch.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), str(folder / "repository"), moment],
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    folder_in_memory = Path(done.stdout.splitlines()[0])
    assert folder_in_memory.parent == Path("/dev/shm")
    assert list(scratch.iterdir())  # what a killed process leaves, and nothing of the model in it
    assert leaks(folder) == []
    for _ in range(200):
        if not folder_in_memory.exists():
            return
        time.sleep(0.1)
    shutil.rmtree(folder_in_memory)
    pytest.fail("the folder in memory outlived its process")


WATCHED = """
import os, time
asked = []
def kill(owner, signal):
    asked.append(os.path.isdir(sys.argv[1]))
    print(len(asked), asked[-1], flush=True)
    raise PermissionError if len(asked) < 3 else ProcessLookupError
os.kill, time.sleep = kill, lambda _: None
"""


def test_an_owner_that_is_another_user_is_not_gone(tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    folder.mkdir()
    code = f"import sys\n{WATCHED}\n{memory._WATCH}"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), "1"], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("1 True\n2 True\n3 True\n", "")
    assert not folder.exists()


def test_a_folder_in_memory_is_removed_without_an_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finalizer can run while a stand-in for Triton has put the runtime's modules away, or at the exit."""
    folder = encryption.memory_of(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "tpgen_runtime"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [])
    encryption.forget(tmp_path)
    assert not folder.exists()
    encryption.forget(tmp_path)  # there is nothing of it any more


def test_the_folder_in_memory_is_only_for_its_owner(tmp_path: Path) -> None:
    folder = encryption.memory_of(tmp_path)
    try:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert encryption.memory_of(tmp_path) == folder
        folder.chmod(0o755)
        with pytest.raises(encryption.EncryptionProblem, match="so that none lies on a disk"):
            encryption.memory_of(tmp_path)
    finally:
        encryption.forget(tmp_path)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("mounts", "is_memory"),
    [
        ("/dev/sda / ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n", True),
        ("/dev/sda / ext4 rw 0 0\nudev /dev devtmpfs rw 0 0\n", False),
        ("tmpfs /dev/shm tmpfs rw 0 0\n/dev/sda /dev/shm ext4 rw 0 0\n", False),
        ("/dev/sda / ext4 rw 0 0\n", False),
    ],
    ids=["as usual", "no mount", "mounted over", "plain folder"],
)
def test_a_folder_that_is_not_in_memory_is_refused(
    mounts: str, is_memory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounts").write_text(mounts)
    monkeypatch.setattr(memory, "MOUNTS", str(tmp_path / "mounts"))
    if is_memory:
        assert encryption.memory_of(tmp_path).is_dir()
        encryption.forget(tmp_path)
        return
    with pytest.raises(encryption.EncryptionProblem, match="no file system in memory"):
        encryption.memory_of(tmp_path)


@pytest.mark.parametrize("system", ["github", "gitlab"])
def test_a_workflow_asks_for_the_key_where_it_is_needed(system: str, folder: Path) -> None:
    for name, model, is_secret in (("secret", "net.onnx.encrypted", True), ("open", "../net.onnx", False)):
        target = folder / f"{name}.yml"
        path = write_pipeline(folder, name, model)
        (folder / ".git").mkdir(exist_ok=True)
        assert run_command(["ci", system, str(path), "-o", str(target)]) == 0
        text = target.read_text()
        assert ("TPGEN_MODEL_KEY" in text) is is_secret
        assert ("tpgen[encrypt,serve]==" in text) is is_secret
    schema = ["--builtin-schema", f"vendor.{system}-{'workflows' if system == 'github' else 'ci'}"]
    if system == "gitlab":
        schema += ["--data-transform", "gitlab-ci"]
    checker = str(Path(sys.executable).with_name("check-jsonschema"))
    done = subprocess.run(
        [checker, *schema, str(folder / "secret.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_a_lack_of_room_in_memory_is_told_and_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "model.onnx")

    build(write_pipeline(folder, "secret", "net.onnx.encrypted"), folder / "repository", NATIVE)
    before = _in_memory()
    monkeypatch.setattr(unlock, "_fill", full)
    with pytest.raises(encryption.EncryptionProblem, match="no room in /dev/shm") as raised:
        encryption.unlocked(folder / "repository")
    assert "--shm-size" in raised.value.hint
    assert _in_memory() == before


@pytest.mark.parametrize(
    "name", ["ORT_TENSORRT_ENGINE_CACHE_ENABLE", "ORT_TENSORRT_DUMP_SUBGRAPHS", "ORT_DUMP_EP_CONTEXT_MODEL"]
)
def test_a_server_that_would_keep_what_is_decrypted_is_not_started(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in ("net.onnx.encrypted", "net.onnx"):
        shutil.copy(folder.parent / "net.onnx", folder)
        build(write_pipeline(folder, "secret", file), folder / file.replace(".", "_"), NATIVE)
    monkeypatch.setenv("ORT_TENSORRT_FP16_ENABLE", "1")
    monkeypatch.setenv(name, "0")
    served, before = encryption.unlocked(folder / "net_onnx_encrypted"), _in_memory()
    assert served is not None
    shutil.rmtree(served)
    monkeypatch.setenv(name, "1")
    with pytest.raises(encryption.EncryptionProblem, match=f"with {name} the server would") as raised:
        encryption.unlocked(folder / "net_onnx_encrypted")
    assert raised.value.hint == "unset it"
    assert _in_memory() == before - {served.name}
    assert encryption.unlocked(folder / "net_onnx") is None


# --- tpgen encrypt ---------------------------------------------------------------------


def test_a_new_key_is_private_and_never_replaces_one(tmp_path: Path, capsys: Any) -> None:
    key = tmp_path / "key"
    assert run_command(["encrypt", "--new-key", str(key)]) == 0
    assert key.stat().st_mode & 0o777 == 0o600
    before = key.read_bytes()
    assert run_command(["encrypt", "--new-key", str(key)]) == 1
    assert key.read_bytes() == before
    assert "never replaced" in capsys.readouterr().err


def test_encrypting_writes_a_whole_file_or_none(folder: Path, capsys: Any) -> None:
    plain, key = folder.parent / "net.onnx", folder.parent / "key"
    assert run_command(["encrypt", str(plain), "--key", str(key), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    written = Path(document["file"])
    assert written == plain.with_name("net.onnx.encrypted")
    assert document["bytes"] == written.stat().st_size
    assert written.read_bytes() == (folder / "net.onnx.encrypted").read_bytes()
    listed = sorted(folder.parent.iterdir())
    assert run_command(["encrypt", str(written), "-o", str(folder / "twice")]) == 1
    assert "encrypted already" in capsys.readouterr().err
    assert run_command(["encrypt", str(plain), "-o", str(plain)]) == 1
    assert run_command(["encrypt", str(plain), "-o", str(folder / "none" / "x")]) == 1
    assert "No such file" in capsys.readouterr().err
    assert sorted(folder.parent.iterdir()) == listed
    assert run_command(["encrypt"]) == 2


def test_what_encrypt_cannot_do_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, key = str(folder.parent / "net.onnx"), str(folder.parent / "key")
    listed = sorted(folder.parent.iterdir())
    wrong = [
        (["-o", str(folder)], 2, "is a directory"),
        (["--key", key, "--new-key", f"{key}2"], 2, "give one of them"),
        (["-o", f"{folder}/none/x"], 1, f"'{folder}/none/x' can't be written"),
    ]
    for options, status, said in wrong:
        assert run_command(["encrypt", plain, *options]) == status
        assert said in capsys.readouterr().err
    assert run_command(["encrypt", "--new-key", f"{key}2", "-o", f"{key}3"]) == 2
    assert "no model is named" in capsys.readouterr().err
    monkeypatch.delenv("TPGEN_MODEL_KEY_FILE")
    assert run_command(["encrypt", plain]) == 1
    told = capsys.readouterr().err
    assert f"there is no key to encrypt '{plain}' with" in told and "--new-key FILE" in told
    assert sorted(folder.parent.iterdir()) == listed


def test_the_package_is_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(encryption.importlib.util, "find_spec", lambda _: None)
    assert run_command(["check", str(write_pipeline(folder, "secret", "net.onnx.encrypted"))]) == 3
    assert "pip install 'tpgen[encrypt]'" in capsys.readouterr().err


TORCHSCRIPT = """
[net]
backend = "TorchScriptTensor"
model = "net.pt.encrypted"
max = 4
inputs = {left = "float32[3]", right = "float32[3]"}
outputs = {total = "float32[3]"}
"""


def test_torchscript_files_stay_as_they_were_encrypted(folder: Path) -> None:
    plain, path = folder.parent / "net.pt", folder / "p.toml"
    write_torchscript(plain, NAME)
    path.write_text(TORCHSCRIPT)
    assert run_command(["encrypt", str(plain), "-o", str(folder / "net.pt.encrypted")]) == 0
    sealed = (folder / "net.pt.encrypted").read_bytes()
    build(path, folder / "stage", OPTIONS)
    assert (folder / "stage" / "p" / "1" / "net.pt.encrypted").read_bytes() == sealed
    code = (folder / "stage" / "p" / "1" / "stage.py").read_text()
    assert 'model=encrypted.read(context.path("net.pt.encrypted"))' in code
    result = build(path, folder / "native", BuildOptions(target="gpu", cores=2))
    assert [one.code for one in result.diagnostics] == ["TP912"]
    (placed,) = (folder / "native").rglob("model.pt.encrypted")
    assert placed.read_bytes() == sealed
    assert leaks(folder) == []


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # users have such files
def test_a_torchscript_model_runs_from_memory(folder: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'tpgen[torch]'")
    plain, path = folder.parent / "net.pt", folder / "p.toml"
    example = torch.zeros(2, 3)
    torch.jit.trace(lambda left, right: left + 2 * right, (example, example)).save(str(plain))
    path.write_text(TORCHSCRIPT)
    assert run_command(["encrypt", str(plain), "-o", str(folder / "net.pt.encrypted")]) == 0
    item = {"left": np.ones(3, np.float32), "right": np.arange(3, dtype=np.float32)}
    with pipe(path, OPTIONS) as run:
        run(item)
    np.testing.assert_array_equal(item["result"], [1, 3, 5])
