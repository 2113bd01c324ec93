"""The examples compile to what `expected/` shows, for one stage and for one model per node.

Text is compared to the letter. The vendored runtime and models are only listed: the one is in this
repository, the other's bytes depend on the version of onnx.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import examples
from golden import Golden
from tpgen.driver import BuildOptions, build
from tpgen.driver.check_repository import check_repository
from tpgen.emit.config_pbtxt import parse

GPU = "gpu"  # the target, beside the fuse levels of the cpu target
CASES = [(name, way) for name in examples.NAMES for way in ("auto", GPU)]
CASES += [("python_node", "none"), ("resnet50", "none")]


_HASH = re.compile(r'"[0-9a-f]{64}"')


def shown(directory: Path) -> dict[str, str]:
    """The files of a repository as goldens hold them, and `FILES`, the list of all."""
    found = {}
    names = sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
    for name in names:
        if "/tpgen_runtime/" not in name and not name.endswith((".onnx", ".data")):
            found[name] = (directory / name).read_text()
    found["tpgen.json"] = _without_hashes(found["tpgen.json"])
    found.update(
        {name: _HASH.sub('"..."', text) for name, text in found.items() if name.endswith("engine.json")}
    )
    return {**found, "FILES": "\n".join(names) + "\n"}


def _without_hashes(manifest: str) -> str:
    """The manifest without what the bytes of models and of the runtime change, and places of files."""
    document = json.loads(_HASH.sub('"..."', manifest))
    for pipeline in document["pipelines"].values():
        pipeline["record"]["options"].pop("models", None)
        pipeline.pop("path", None)  # where this checkout is not far from the temporary folder
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    return {"resnet50": {"resnet50": str(examples.small_resnet(tmp_path_factory.mktemp("models")))}}


@pytest.mark.parametrize(("example", "way"), CASES)
def test_an_example_compiles_to_what_is_expected(
    example: str, way: str, options: dict[str, dict[str, str]], tmp_path: Path, golden: Golden
) -> None:
    models = options.get(example, {})
    chosen = BuildOptions(target=GPU, cores=2, models=models)
    if way != GPU:
        chosen = BuildOptions(fuse=way, cores=2, models=models)
    result = build(examples.pipeline(example), tmp_path / "repository", chosen)
    assert result.changed
    golden.tree(examples.EXAMPLES / example / "expected" / way, shown(tmp_path / "repository"))
    found = check_repository(tmp_path / "repository").diagnostics
    assert {one.code for one in found} <= {"TP809"}, found  # an engine that is still to be built
    again = build(examples.pipeline(example), tmp_path / "repository", chosen)
    assert not again.changed


def interface(text: str) -> tuple[object, ...]:
    """What a client sees of a configuration."""
    config = parse(text)
    tensors = [
        (t.name, t.data_type, tuple(t.dims), tuple(t.reshape.shape), getattr(t, "optional", False))
        for t in (*config.input, *config.output)
    ]
    return config.name, config.max_batch_size, len(config.input), tensors


@pytest.mark.parametrize("example", examples.NAMES)
def test_clients_see_no_difference_between_targets(example: str) -> None:
    expected = examples.EXAMPLES / example / "expected"
    record = json.loads((expected / "auto" / "tpgen.json").read_text())
    entries = [name for one in record["pipelines"].values() for name in one["entries"]]
    assert entries
    for entry in entries:
        own, other = ((expected / way / entry / "config.pbtxt").read_text() for way in ("auto", GPU))
        assert interface(own) == interface(other)
    if not list(expected.glob(f"{GPU}/*__*")):
        # Without models of their own both are the same, so what runs one of them runs both.
        own, other = (
            {path.relative_to(expected / way).as_posix(): path.read_bytes() for path in files(expected / way)}
            for way in ("auto", GPU)
        )
        assert own == other


def files(folder: Path) -> list[Path]:
    """The files of a golden folder, but for what was decided."""
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "tpgen.json"]


def test_generated_code_has_no_long_lines() -> None:
    for path in examples.EXAMPLES.glob("*/expected/**/*.py"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert len(line) <= 110, f"{path}:{number}"
