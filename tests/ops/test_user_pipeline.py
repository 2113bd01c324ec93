"""User code in pipelines: from the TOML to answers, in this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tpgen.diagnostics import PipelineError
from tpgen.driver import check, pipe
from tpgen.runner.interpreter import ItemError

OPS = """
import numpy as np
from tpgen_runtime import ItemError, Tensor, op
from helper import FACTOR

@op(inputs={"data": Tensor("float32", ["N"])}, outputs={"result": Tensor("float32", ["N"])})
def scale(data, *, by=1.0, offset: int = 0):
    from late import SHIFT
    if data.sum() < 0:
        raise ItemError("negative")
    return data * np.float32(by * FACTOR) + np.float32(offset + SHIFT)

class Old:
    def init(self, params):
        self.by = float(params["by"])
    def forward(self, items):
        for item in items:
            item["result"] = item["data"] * self.by

@op(inputs={"data": Tensor("float32", ["M"])}, outputs={"result": Tensor("float32", [])})
def total(data):
    return data.sum()
"""


def write(folder: Path, backend: str, keys: str = "", factor: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "ops.py").write_text(OPS)
    (folder / "helper.py").write_text(f"FACTOR = {factor}\n")
    (folder / "late.py").write_text(f"SHIFT = {factor * 1000}\n")
    toml = folder / "calc.toml"
    toml.write_text(f'[a]\nbackend = "{backend}"\n{keys}\n[pipeline.inputs]\ndata = "float32[N]"\n')
    return toml


def answer(toml: Path, values: list[float]) -> object:
    with pipe(toml) as run:
        item: dict[str, object] = {"data": np.array(values, np.float32)}
        run(item)
        return item["result"]


def test_two_pipelines_with_modules_of_the_same_names(tmp_path: Path) -> None:
    one = write(tmp_path / "one", "Python[ops:scale]", factor=1)
    two = write(tmp_path / "two", "Python[ops:scale]", factor=2)
    with pipe(one) as first, pipe(two) as second:
        for run, expected in ((first, [1003]), (second, [2006]), (first, [1003])):
            item = {"data": np.array([3], np.float32)}
            run(item)
            assert item["result"].tolist() == expected


def test_toml_keys_are_parameters(tmp_path: Path) -> None:
    toml = write(tmp_path, "Python[ops:scale]", 'by = "2.5"\noffset = 7')
    assert np.array_equal(answer(toml, [2, 4]), np.array([1012, 1017], np.float32))


def test_item_errors_name_the_node(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match=r"calc\.toml:[12] \[a\] item 0: negative"):
        answer(write(tmp_path, "Python[ops:scale]"), [-3])


def test_torchpipe_style_feeds_declared_code(tmp_path: Path) -> None:
    toml = write(tmp_path, "Sequential[Python[ops:Old],Python[ops:total]]", "by = 3")
    assert answer(toml, [1, 2]) == 9


@pytest.mark.parametrize(
    ("backend", "keys", "code"),
    [
        ("Python[ops:scal]", "", "TP503"),
        ("Python[opps:scale]", "", "TP501"),
        ("Python[ops.scale]", "", "TP501"),
        ("Python[ops:scale]", "offset = 1.5", "TP103"),
        ("Python[ops:scale]", "bye = 1", "TP102"),
        ("Sequential[ArgMax,Python[ops:total]]", "", "TP305"),
        ("Sequential[Python[ops:total],Python[ops:total]]", "", "TP304"),
        ("Python[ops:Old]", "by = 1", "TP308"),
    ],
)
def test_wrong_pipelines_are_refused(tmp_path: Path, backend: str, keys: str, code: str) -> None:
    with pytest.raises(PipelineError) as caught:
        check(write(tmp_path, backend, keys))
    assert code in [diagnostic.code for diagnostic in caught.value.diagnostics]


def test_declared_dimensions_reach_the_output(tmp_path: Path) -> None:
    """`scale` answers as many values as it gets, so a fixed input makes a fixed output."""
    toml = write(tmp_path, "Sequential[Python[ops:scale],TopK(k=4)]")
    toml.write_text(toml.read_text().replace("float32[N]", "float32[3]"))
    with pytest.raises(PipelineError, match="k is 4, but there are 3 classes"):
        check(toml)


def test_included_files_lie_beside_the_module(tmp_path: Path) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "list.txt").write_text("three")
    (tmp_path / "factor.txt").write_text("2")
    (tmp_path / "reader.py").write_text(
        "from pathlib import Path\nimport numpy as np\nfrom tpgen_runtime import Tensor, op\n"
        "HERE = Path(__file__).parent\n"
        "NUMBER = len((HERE / 'words' / 'list.txt').read_text()) * int((HERE / 'factor.txt').read_text())\n"
        "@op(inputs={'data': Tensor('int32', [])}, outputs={'result': Tensor('int32', [])})\n"
        "def add(data):\n    return np.int32(data + NUMBER)\n"
    )
    toml = tmp_path / "words.toml"
    toml.write_text('[pipeline]\ninclude = ["words", "factor.txt"]\n[a]\nbackend = "Python[reader:add]"\n')
    with pipe(toml) as run:
        item: dict[str, object] = {"data": np.int32(1)}
        run(item)
    assert item["result"] == 11
