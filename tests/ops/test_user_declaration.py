"""What the compiler reads from a user's file, without running it, and how it says what is wrong there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpgen.diagnostics import Diagnostic, PipelineError, render
from tpgen.frontend.user_code import Parameter, UserOp, read_user_op
from tpgen.types import Array, Bytes, Color, DType, Layout, ListOf, Opaque, Symbol, Text

IMPORT = "from tpgen_runtime import Tensor, op\n"
OUT = 'outputs={"result": Tensor("float32", [])}'


@pytest.fixture
def read(tmp_path: Path):
    """Write a module with this code and read the operator ``f`` (or another) from it."""

    def run(code: str, name: str = "f", *, head: str = IMPORT) -> UserOp:
        path = tmp_path / "ops.py"
        path.write_text(head + code, encoding="utf-8")
        return read_user_op(path, name)

    return run


def failure(caught: pytest.ExceptionInfo[PipelineError]) -> tuple[str, str, str | None]:
    """Code, ``line:column: message`` and hint of the first finding."""
    found = caught.value.diagnostics[0]
    place = f"{found.span.line}:{found.span.column}" if found.span else "-"
    return found.code, f"{place}: {found.message}", found.hint


def test_function(read) -> None:
    user = read(
        '@op(inputs={"data": Tensor("float32", ["N", 4])},\n'
        '    outputs={"result": Tensor("float32", ["K", "N"]), "boxes": [Tensor("int32", [4])],\n'
        '             "text": Tensor("string", []), "raw": Tensor("bytes", [])})\n'
        "def f(data, image, *, score=0.5, top: int, names: list[str] = (), more=None, exact=3):\n    pass\n"
    )
    assert (user.kind, user.reads, user.batch, user.open_parameters) == (
        "function",
        ("data", "image"),
        False,
        False,
    )
    data, result = user.input_types["data"], user.writes["result"]
    assert isinstance(data, Array)
    assert isinstance(result, Array)
    assert data.shape[0] is result.shape[1], "equal names in one declaration are one dimension"
    assert data.shape[0] is not result.shape[0]
    assert user.writes["boxes"] == ListOf(Array(DType.INT32, (4,)))
    assert (user.writes["text"], user.writes["raw"]) == (Text(), Bytes())
    assert user.parameters == {
        "score": Parameter("float", required=False, default=0.5),
        "top": Parameter("int", required=True),
        "names": Parameter("tuple[str, ...]", required=False, default=()),
        "more": Parameter("any", required=False),
        "exact": Parameter("number", required=False, default=3),
    }
    assert not user.warnings


def test_class_takes_parameters_in_init(read) -> None:
    user = read(
        "class Base:\n    def __init__(self, size, *, scale: float = 1.0, **rest): pass\n"
        f"@op({OUT}, batch=True)\n"
        "class f(Base):\n    def __call__(self, data, mask): pass\n"
    )
    assert (user.kind, user.reads, user.batch, user.open_parameters) == (
        "class",
        ("data", "mask"),
        True,
        True,
    )
    assert user.parameters["size"] == Parameter("any", required=True)
    assert user.parameters["scale"] == Parameter("float", required=False, default=1.0)


@pytest.mark.parametrize(
    ("head", "decorator"),
    [
        (
            "from tpgen_runtime import op as declare, Tensor as T\n",
            'declare(outputs={"result": T("bool", [])})',
        ),
        ("import tpgen_runtime\n", 'tpgen_runtime.op(outputs={"result": tpgen_runtime.Tensor("bool", [])})'),
        ("import tpgen_runtime as tr\n", 'tr.op(outputs={"result": tr.Tensor("bool", [])})'),
        (
            "import tpgen_runtime.user\n",
            'tpgen_runtime.user.op(outputs={"result": tpgen_runtime.Tensor("bool", [])})',
        ),
        ("from tpgen_runtime.user import *\n", 'op(outputs={"result": Tensor("bool", [])})'),
        (
            "try:\n    from tpgen_runtime import op, Tensor\nfinally:\n    pass\n",
            'op(outputs={"result": Tensor("bool", [])})',
        ),
        (IMPORT + 'B = Tensor("bool", D)\nD = []\nOUT = {"result": B}\n', "op(outputs=OUT)"),
    ],
)
def test_names_of_the_declaration(read, head: str, decorator: str) -> None:
    user = read(f"@{decorator}\n@staticmethod\ndef f(data): pass\n", head=head)
    assert user.writes == {"result": Array(DType.BOOL, ())}


def test_a_decorator_of_another_origin_declares_nothing(read) -> None:
    user = read(f"@op({OUT})\ndef f(data): pass\n", head="from somewhere import op, Tensor\n")
    assert isinstance(user.writes["result"], Opaque)
    assert [w.code for w in user.warnings] == ["TP510"]


def test_images(read) -> None:
    user = read(
        '@op(outputs={"result": Tensor("uint8", ["H", -1, 3], color="bgr"),'
        ' "chw": Tensor("float32", [3, 8, 8], layout="CHW")})\ndef f(data): pass\n'
    )
    result, chw = user.writes["result"], user.writes["chw"]
    assert isinstance(result, Array)
    assert isinstance(chw, Array)
    assert (result.layout, result.color, chw.layout, chw.color) == (
        Layout.HWC,
        Color.BGR,
        Layout.CHW,
        Color.UNKNOWN,
    )
    assert all(isinstance(dim, Symbol) for dim in result.shape[:2])


def test_torchpipe_style(read) -> None:
    user = read(
        "class f:\n"
        "    def init(self, params): self.table = params['file']\n"
        "    def forward(self, dicts):\n"
        "        for i, d in enumerate(dicts):\n"
        "            if 'mask' in d and d.get('color') == self.table['x']:\n"
        "                d['tmp'] = 1\n"
        "            d['result'] = (\n"
        "                d['data'] + d.pop('_box') + d['tmp'])\n"
        "        first = dicts[0]\n"
        "        first.update({'seen': 1}, late=2)\n"
        "        first['data'] += 1\n"
    )
    assert (user.kind, user.open_parameters, user.batch) == ("legacy", True, False)
    assert set(user.reads) == {"data", "_box"}
    assert set(user.optional) == {"mask", "color"}
    assert set(user.writes) == {"result", "tmp", "seen", "late", "data"}
    assert [w.code for w in user.warnings] == ["TP511"]


@pytest.mark.parametrize(
    ("statement", "reads", "writes"),
    [
        ("item['a'], item['b'] = item['one'], 2", {"one"}, {"a", "b"}),
        ("[item['a'], (item['b'], *item['c'])] = made(item['one'])", {"one"}, {"a", "b", "c"}),
        ("item['a'] = item['b'] = item['one']", {"one"}, {"a", "b"}),
        ("item['a']: int = item['one']", {"one"}, {"a"}),
        ("item['a']: int", {"data"}, set()),
        ("for item['a'] in item['one']: pass", {"one"}, {"a"}),
        ("item.update(dict(a=1), b=item['one'])", {"one"}, {"a", "b"}),
        ("item |= {'a': item['one'], **more}", {"one"}, {"a"}),
        ("item |= dict({'a': 1}, b=2)", {"data"}, {"a", "b"}),
        ("items[0] |= {'a': items[0]['one']}", {"one"}, {"a"}),
        ("n, same = 1, item; same['a'] = same['one'] + n", {"one"}, {"a"}),
        ("other['a'], item['b'] = other['one'], 2", {"data"}, {"b"}),
        ("(item['a'],\n            item['b']) = 1, item['a']", {"a"}, {"a", "b"}),
        ("item['a'], b = 1, 2\n            b = item['a']", {"data"}, {"a"}),
    ],
)
def test_torchpipe_style_reads_and_writes(read, statement: str, reads: set[str], writes: set[str]) -> None:
    user = read(
        f"class f:\n    def forward(self, items):\n        for item in items:\n            {statement}\n"
    )
    assert (set(user.reads), set(user.writes)) == (reads, {"result", *writes})


def test_torchpipe_style_with_max_takes_batches(read) -> None:
    assert read("class f:\n    def max(self): return 4\n    def forward(self, io): pass\n").batch


WRONG = {
    "f": ("TP503", "-: there is no function or class 'f'", "did you mean 'ff'?", "def ff(data): pass\n"),
    "imported": (
        "TP503",
        "2:1: 'f' is imported here, not defined",
        "name the module that defines it: Python[helper:g]",
        "from helper import g as f\n",
    ),
    "assigned": ("TP503", "2:1: 'f' is neither a function nor a class", "write a def", "f = print\n"),
    "bytes as a class": (
        "TP504",
        "2:24: this is no type",
        'write Tensor("bytes", [])',
        '@op(outputs={"result": Bytes()})\ndef f(data): pass\n',
    ),
    "text as a name": (
        "TP504",
        "2:24: this is no type",
        'write Tensor("string", [])',
        '@op(outputs={"result": str})\ndef f(data): pass\n',
    ),
    "computed": (
        "TP504",
        "2:13: 'outputs' is not a dictionary that is written out",
        None,
        "@op(outputs=make())\ndef f(d): pass\n",
    ),
    "no type": (
        "TP504",
        "2:24: this is no type",
        None,
        '@op(outputs={"result": "float32"})\ndef f(d): pass\n',
    ),
    "umlaut before": (
        "TP504",
        "2:23: this is no type",
        None,
        '@op(outputs={"größe": int})\ndef f(d): pass\n',
    ),
    "no outputs": ("TP504", "2:2: 'op' declares no outputs", None, "@op()\ndef f(d): pass\n"),
    "no call": ("TP504", "2:2: 'op' needs its arguments", None, "@op\ndef f(d): pass\n"),
    "keyword": (
        "TP504",
        "2:5: 'op' takes no 'output'",
        "did you mean 'outputs'?",
        f"@op(output=1, {OUT})\ndef f(d): pass\n",
    ),
    "positional": (
        "TP504",
        "2:5: 'op' takes keywords only: inputs, outputs, batch",
        None,
        f"@op({{}}, {OUT})\ndef f(d): pass\n",
    ),
    "dtype": (
        "TP506",
        "2:31: 'flot32' is not an element type",
        "did you mean 'float32'?",
        '@op(outputs={"result": Tensor("flot32", [])})\ndef f(d): pass\n',
    ),
    "zero": (
        "TP506",
        "2:43: '0' is not a dimension",
        None,
        '@op(outputs={"result": Tensor("float32", [0])})\ndef f(d): pass\n',
    ),
    "bytes": (
        "TP504",
        "2:24: 'bytes' has no dimensions",
        None,
        '@op(outputs={"result": Tensor("bytes", [1])})\ndef f(d): pass\n',
    ),
    "twice": (
        "TP504",
        None,
        None,
        '@op(outputs={"a": Tensor("bool", []), "a": Tensor("bool", [])})\ndef f(d): pass\n',
    ),
    "default": (
        "TP505",
        "3:13: 'score' is a key of the item; it has no default",
        "a TOML key is keyword-only: def f(data, *, score=…)",
        f"@op({OUT})\ndef f(data, score=0.5): pass\n",
    ),
    "not a parameter": (
        "TP505",
        "2:13: 'date' is declared, but is no parameter",
        "did you mean 'data'?",
        f'@op(inputs={{"date": Tensor("bool", [])}}, {OUT})\ndef f(data): pass\n',
    ),
    "star": ("TP505", "3:8: '*keys' names no keys", None, f"@op({OUT})\ndef f(*keys): pass\n"),
    "async": (
        "TP505",
        "2:1: 'f' is asynchronous; it is called, not awaited",
        None,
        "async def f(data): pass\n",
    ),
    "no __call__": (
        "TP505",
        "2:1: class 'f' has no method '__call__'",
        None,
        "class f:\n    def run(self, data): pass\n",
    ),
    "keyword-only": (
        "TP505",
        "4:33: '__call__' has keyword-only parameters",
        None,
        f"@op({OUT})\nclass f:\n    def __call__(self, data, *, a=1): pass\n",
    ),
    "empty batch": ("TP505", None, None, f"@op({OUT}, batch=True)\ndef f(): pass\n"),
    "syntax": ("TP502", "2:7: this is not Python: expected '('", None, "def f f(data): pass\n"),
    "null": ("TP502", None, None, "x = '\0'\n"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_declarations_are_located(read, case: str) -> None:
    code, message, hint, text = WRONG[case]
    with pytest.raises(PipelineError) as caught:
        read(text)
    found_code, found_message, found_hint = failure(caught)
    assert found_code == code
    assert message is None or found_message == message
    assert hint is None or found_hint == hint
    assert render(caught.value.diagnostics[0])


def test_all_findings_come_together(read) -> None:
    with pytest.raises(PipelineError) as caught:
        read('@op(outputs={"a": Tensor("x", []), "b": Tensor("bool", [-2])})\ndef f(data, n=1): pass\n')
    assert [d.code for d in caught.value.diagnostics] == ["TP506", "TP506", "TP505"]


def test_the_file_is_never_run(read, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    read(f"open({str(marker)!r}, 'w')\nraise SystemExit\n@op({OUT})\ndef f(data): pass\n")
    assert not marker.exists()


@pytest.mark.parametrize("name", ["json", "numpy", "model", "tpgen_runtime"])
def test_taken_names_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("def f(data): pass\n")
    with pytest.raises(PipelineError) as caught:
        read_user_op(tmp_path / f"{name}.py", "f")
    assert failure(caught)[0] == "TP507"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PipelineError) as caught:
        read_user_op(tmp_path / "absent.py", "f")
    assert failure(caught)[0] == "TP501"
    (tmp_path / "latin.py").write_bytes("x = 'ö'".encode("latin-1"))
    with pytest.raises(PipelineError) as caught:
        read_user_op(tmp_path / "latin.py", "f")
    assert failure(caught)[0] == "TP502"


def test_old_line_ends_keep_places(tmp_path: Path) -> None:
    (tmp_path / "ops.py").write_bytes(
        b"\xef\xbb\xbf# one\r# two\r\nfrom tpgen_runtime import op\r\n@op()\rdef f(d): pass"
    )
    with pytest.raises(PipelineError) as caught:
        read_user_op(tmp_path / "ops.py", "f")
    assert failure(caught)[1].startswith("4:2:")


@given(st.text(max_size=200) | st.text("@op(outputs={\"\n'[]})def f:, *\\", max_size=80))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "ops.py"
    path.write_text(IMPORT + text, encoding="utf-8", errors="replace")
    found: tuple[Diagnostic, ...] = ()
    try:
        read_user_op(path, "f")
    except PipelineError as problem:
        found = problem.diagnostics
    assert all(render(diagnostic) for diagnostic in found)
