"""Encrypted models on a real server: equal answers, and clear words where the key is wrong.

A model on a backend of its own runs as a stand-in, which reads the decrypted file as that backend would.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import examples
from engines.onnx_build import save
from secret_model import leaks, secret_model, write_pipeline
from standins import stand_in
from tpgen.diagnostics import PipelineError
from tpgen.driver import BuildOptions, build
from tpgen.runner import encryption
from tpgen.services.client import Client
from tpgen.services.server import ServerError, TritonServer

pytestmark = pytest.mark.triton
MEMORY = Path("/dev/shm")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The text of a key, which is in the environment."""
    text = encryption.new_key_text().strip()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TPGEN_MODEL_KEY_FILE", raising=False)
        patch.setenv("TPGEN_MODEL_KEY", text)
        yield text


@pytest.fixture(scope="module")
def repository(key: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pipelines: ``open`` as it is, ``staged`` encrypted in a stage, ``native`` on a stand-in."""
    folder = tmp_path_factory.mktemp("encrypted")
    plain = save(secret_model(), folder / "net.onnx")
    sealed = encryption.encrypt(plain.read_bytes(), plain.name, encryption.environment_key(plain))
    (folder / "net.onnx.encrypted").write_bytes(sealed)
    target = folder / "repository"
    stage, native = BuildOptions(cores=1), BuildOptions(target="gpu", runtime="onnxruntime", cores=1)
    build(write_pipeline(folder, "open", "net.onnx"), target, stage)
    build(write_pipeline(folder, "staged", "net.onnx.encrypted"), target, stage)
    build(write_pipeline(folder, "native", "net.onnx.encrypted"), target, native)
    served = folder / "served"
    shutil.copytree(target, served)
    assert stand_in(served) == ["native__net"]
    return served


def _only(repository: Path, folder: Path, name: str) -> Path:
    """A repository of one pipeline of those."""
    for model in (path for path in repository.iterdir() if path.name.partition("__")[0] == name):
        shutil.copytree(model, folder / model.name)
    return folder


@pytest.fixture(scope="module")
def server(repository: Path) -> Iterator[TritonServer]:
    before = _unlocked()
    with TritonServer(repository) as running:
        yield running
    assert _unlocked() == before


def _unlocked() -> set[Path]:
    return set(MEMORY.glob("tpgen-models-*"))


def test_answers_are_those_of_the_model_as_it_was(server: TritonServer) -> None:
    with Client(server.http_url) as client:
        for seed in (1, 2, 3):
            answers = [client(m, data=examples.photo(seed))["result"] for m in ("open", "staged", "native")]
            np.testing.assert_array_equal(answers[0], answers[1])
            np.testing.assert_allclose(answers[0], answers[2], rtol=1e-4, atol=1e-4)


def test_only_models_of_triton_are_decrypted_and_only_in_memory(
    server: TritonServer, repository: Path
) -> None:
    (folder,) = {one for one in _unlocked() if (one / "native__net").is_dir()}
    assert folder.stat().st_mode & 0o777 == 0o700
    real = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    real = [path for path in real if path.parent.name != "__pycache__"]  # of the stand-in
    assert real == [folder / "native__net" / "1" / "model.onnx"]
    assert real[0].stat().st_mode & 0o777 == 0o600
    assert (folder / "staged").resolve() == repository / "staged"
    assert [path.parent.parent.name for path in leaks(repository)] == ["open"]
    assert str(folder) not in server.log


def test_a_stage_without_the_right_key_says_so_in_one_line(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "is encrypted with another key"
    monkeypatch.setenv("TPGEN_MODEL_KEY", encryption.new_key_text())
    one = _only(repository, tmp_path / "one", "staged")
    with pytest.raises(ServerError) as raised, TritonServer(one):
        pass
    (finding,) = raised.value.diagnostics
    assert (finding.code, finding.model) == ("TP701", "staged")
    lines = [line for line in raised.value.log.splitlines() if said in line and "EncryptedError" in line]
    assert lines, raised.value.log
    assert said in finding.message.splitlines()[0]
    assert "TPGEN_MODEL_KEY_FILE" in finding.message


@pytest.mark.parametrize("damage", ["wrong key", "changed file"])
def test_native_models_without_the_right_key_stop_the_start(
    damage: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, before = _only(repository, tmp_path / "one", "native"), _unlocked()
    if damage == "wrong key":
        monkeypatch.setenv("TPGEN_MODEL_KEY", encryption.new_key_text())
    else:
        file = one / "native__net" / "1" / "model.onnx.encrypted"
        file.write_bytes(file.read_bytes()[:-20] + bytes(20))
    with pytest.raises(PipelineError) as raised, TritonServer(one):
        pass
    (finding,) = raised.value.diagnostics
    assert finding.code == "TP728"
    assert ("another key" if damage == "wrong key" else "is damaged") in finding.message
    assert _unlocked() == before


ENTRYPOINT = Path(examples.ROOT, "docker", "entrypoint")
# Stands for the server: what it would be given, and what it would see there.
SERVER = """#!/bin/sh
for word in "$@"; do
    case $word in --model-repository=*) echo "${word#*=}"; ls "${word#*=}/native__net/1"; sleep 1;; esac
done
"""


def _entrypoint(root: Path, repository: Path, key: str, **more: str) -> subprocess.CompletedProcess[str]:
    program = root / "bin" / "tritonserver"
    program.parent.mkdir(parents=True)
    program.write_text(SERVER)
    program.chmod(0o755)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "TRITON_HOME": str(root), "MODEL_REPOSITORY": str(repository)}
    command = [str(ENTRYPOINT)]
    return subprocess.run(
        command,
        env={**environment, **more, "TPGEN_MODEL_KEY": key},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_image_decrypts_before_its_server_starts(repository: Path, key: str, tmp_path: Path) -> None:
    done = _entrypoint(tmp_path / "home", repository, key)
    assert done.returncode == 0, done.stderr
    folder, *files = done.stdout.split()
    assert Path(folder).parent == MEMORY
    assert "model.onnx" in files
    for _ in range(100):  # it goes with the server
        if not Path(folder).exists():
            break
        time.sleep(0.1)
    assert not Path(folder).exists()


def test_the_image_does_not_start_its_server_with_a_wrong_key(repository: Path, tmp_path: Path) -> None:
    done = _entrypoint(tmp_path / "home", repository, encryption.new_key_text())
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and "is encrypted with another key" in line


def test_the_image_does_not_start_a_server_that_keeps_engines_of_what_is_decrypted(
    repository: Path, key: str, tmp_path: Path
) -> None:
    done = _entrypoint(tmp_path / "home", repository, key, ORT_TENSORRT_ENGINE_CACHE_ENABLE="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "unset it" in done.stderr
