"""User functions and classes as kernels: what they get, and what their answers are held to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tpgen_runtime.errors import ItemError
from tpgen_runtime.user import UserCode

HEAD = "import numpy as np\nfrom tpgen_runtime import ItemError, Tensor, op\n"


@pytest.fixture
def kernel(tmp_path: Path) -> Any:
    """Make the kernel of ``name`` in a module with this code."""

    def make(
        code: str,
        name: str,
        reads: tuple[str, ...] = ("data",),
        writes: tuple[str, ...] = ("result",),
        *,
        batch: bool = False,
        **parameters: object,
    ) -> UserCode:
        (tmp_path / "ops.py").write_text(HEAD + code)
        return UserCode(
            directory=str(tmp_path),
            module="ops",
            name=name,
            parameters=parameters,
            reads=reads,
            writes=writes,
            batch=batch,
        )

    return make


BOXES = (
    '@op(inputs={"data": Tensor("float32", ["N", 4])}, outputs={"result": Tensor("float32", ["N", "K"])})\n'
)


def test_function_gets_keys_and_parameters(kernel: Any) -> None:
    run = kernel(
        BOXES + "def grow(data, *, by=1.0):\n    return data[:, :2] * np.float32(by)\n", "grow", by=3.0
    )
    assert run(np.ones((5, 4), np.float32)).tolist() == [[3.0, 3.0]] * 5


def test_single_output_bare_or_as_dictionary(kernel: Any) -> None:
    code = BOXES + 'def f(data):\n    return {"result": data}\n'
    assert kernel(code, "f")(np.ones((2, 4), np.float32)).shape == (2, 4)


def test_none_declines(kernel: Any) -> None:
    assert kernel(BOXES + "def f(data):\n    return None\n", "f")(np.ones((2, 4), np.float32)) is None


def test_several_outputs_in_declared_order(kernel: Any) -> None:
    code = (
        '@op(outputs={"result": Tensor("int64", []), "names": [Tensor("string", [])],'
        ' "raw": Tensor("bytes", [])})\n'
        'def f(data):\n    return {"raw": bytearray(b"x"), "names": ("a", "b"), "result": 7}\n'
    )
    result, names, raw = kernel(code, "f", writes=("result", "names", "raw"))(1)
    assert (result, result.dtype, names, raw, type(raw)) == (7, np.int64, ["a", "b"], b"x", bytes)


def test_class_is_made_once_with_its_parameters(kernel: Any) -> None:
    code = (
        '@op(outputs={"result": Tensor("int64", [])})\n'
        "class Counter:\n    def __init__(self, start):\n        self.n = start\n"
        "    def __call__(self, data):\n        self.n += 1\n        return self.n\n"
    )
    run = kernel(code, "Counter", start=10)
    assert [int(run(None)), int(run(None))] == [11, 12]


def test_item_errors_pass(kernel: Any) -> None:
    run = kernel(BOXES + 'def f(data):\n    raise ItemError("too dark")\n', "f")
    with pytest.raises(ItemError, match="too dark"):
        run(np.ones((2, 4), np.float32))


def test_undeclared_function_answers_anything(kernel: Any) -> None:
    assert kernel('def f(data):\n    return {"any": data}\n', "f")(3) == {"any": 3}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("np.ones((3, 2))", "float64[3,2] as 'result'; float32[N,K] is declared"),
        ("np.ones(3, np.float32)", "float32[3] as 'result'"),
        ("np.ones((2, 2), np.float32)", "float32[2,2] (where N is 3) as 'result'"),
        ('"text"', "str as 'result'"),
        ("[[1, 2], [3]]", "list of rows that differ in length as 'result'"),
        ('{"reslt": data}', "returned 'reslt'; declared are 'result'"),
        ("{}", "returned no key"),
    ],
)
def test_wrong_answers_name_file_and_function(kernel: Any, value: str, message: str) -> None:
    run = kernel(BOXES + f"def wrong(data):\n    return {value}\n", "wrong")
    with pytest.raises(TypeError) as caught:
        run(np.ones((3, 4), np.float32))
    assert str(caught.value).startswith("ops.py, wrong() returned ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "value", "fits"),
    [
        ("uint8", "255", True),
        ("uint8", "256", False),
        ("uint8", "-1", False),
        ("int32", "[1, 2.5]", False),
        ("int32", "True", True),
        ("int32", "np.int64(7)", True),
        ("int32", "np.float64(7)", False),
        ("float32", "np.float64(2.5)", True),
        ("float32", "[1, 2.5]", True),
        ("float16", "[]", True),
        ("bool", "[True]", True),
        ("bool", "1", False),
        ("string", '["a", "b"]', True),
    ],
)
def test_python_numbers_are_converted_if_they_fit(kernel: Any, dtype: str, value: str, *, fits: bool) -> None:
    dims = '["N"]' if value.startswith("[") else "[]"
    declared = f'@op(outputs={{"result": Tensor("{dtype}", {dims})}})\n'
    run = kernel(declared + f"def f(data):\n    return {value}\n", "f")
    if fits:
        assert str(run(None).dtype) == dtype.replace("string", "object")
    else:
        with pytest.raises(TypeError):
            run(None)


def test_wrong_lists_are_seen(kernel: Any) -> None:
    code = '@op(outputs={"result": [Tensor("int32", ["N"])]})\ndef f(data):\n    return data\n'
    run = kernel(code, "f")
    assert [part.tolist() for part in run([[1, 2], [3]])] == [[1, 2], [3]], "elements may differ in size"
    with pytest.raises(TypeError, match="int as 'result'"):
        run(3)
    with pytest.raises(TypeError, match=r"float64\[1\] as 'result'"):
        run([np.ones(1)])


def test_value_of_another_type_fails_the_item(kernel: Any) -> None:
    run = kernel(BOXES + "def f(data):\n    return data\n", "f")
    with pytest.raises(ItemError, match=r"takes float32\[N,4\] as 'data', not float32\[3,5\]"):
        run(np.ones((3, 5), np.float32))


BATCH = (
    '@op(inputs={"data": Tensor("int64", [])}, batch=True,'
    ' outputs={"result": Tensor("int64", []), "twice": Tensor("int64", [])})\n'
)


def test_batch_gets_lists_and_every_entry_counts(kernel: Any) -> None:
    code = BATCH + (
        "def f(data, *, limit):\n"
        "    assert isinstance(data, list)\n"
        '    pick = lambda n, v: None if n == 0 else ItemError("big") if n > limit else v\n'
        '    return {"twice": [pick(n, n * 2) for n in data], "result": [pick(n, n) for n in data]}\n'
    )
    run = kernel(code, "f", writes=("result", "twice"), batch=True, limit=5)
    result, twice = run([np.int64(1), np.int64(0), np.int64(9), 2.5, np.int64(3)])
    assert [result[i] for i in (0, 1, 4)] == [1, None, 3]
    assert [twice[i] for i in (0, 1, 4)] == [2, None, 6]
    assert str(result[2]) == str(twice[2]) == "big"
    assert str(result[3]) == "ops.py, f() takes int64[] as 'data', not 2.5"


def test_batch_of_wrong_values_only_never_calls(kernel: Any) -> None:
    run = kernel(
        BATCH + "def f(data):\n    raise RuntimeError\n", "f", writes=("result", "twice"), batch=True
    )
    result, _ = run([np.ones(3, np.int64), np.float32(1)])
    assert all(isinstance(entry, ItemError) for entry in result)


@pytest.mark.parametrize(
    "value", ["{'result': data, 'twice': data[:1]}", "{'result': data, 'twice': 3}", "data"]
)
def test_batch_with_wrong_counts_breaks(kernel: Any, value: str) -> None:
    run = kernel(BATCH + f"def f(data):\n    return {value}\n", "f", writes=("result", "twice"), batch=True)
    with pytest.raises(TypeError, match=r"ops.py, f\(\) returned"):
        run([np.int64(1), np.int64(2)])


TORCHPIPE = (
    "class Old:\n"
    "    def init(self, params{more}):\n        self.params = params\n        self.calls = []\n"
    "    def forward(self, items):\n        self.calls.append(len(items))\n"
    "        for item in items:\n"
    '            if item["data"]:\n                item["result"] = item["data"] * int(self.params["by"])\n'
    '                item["seen"] = len(self.calls)\n'
)


@pytest.mark.parametrize("more", ["", ", options"])
def test_torchpipe_style_item_by_item(kernel: Any, more: str) -> None:
    run = kernel(
        TORCHPIPE.format(more=more), "Old", writes=("result", "seen"), by=3, flag=True, sizes=[1, 2.5]
    )
    assert run(2) == (6, 1)
    assert run(0) is None, "no result: the item declines"
    assert run(1) == (3, 3)


def test_torchpipe_style_parameters_are_texts(kernel: Any) -> None:
    code = TORCHPIPE.format(more="") + '        items[0]["result"] = self.params\n'
    found = kernel(code, "Old", by=1, flag=True, sizes=[1, 2.5])(1)
    assert found == {"by": "1", "flag": "1", "sizes": "1,2.5"}


def test_torchpipe_style_takes_as_many_as_it_says(kernel: Any) -> None:
    code = TORCHPIPE.format(more="") + "    def max(self):\n        return 2\n"
    run = kernel(code, "Old", writes=("result", "seen"), batch=True, by=1)
    assert run([1, 2, 3, 0, 5]) == ([1, 2, 3, None, 5], [1, 1, 2, None, 3])


FLOATS = '@op(inputs={"data": Tensor("float32", ["N"])}, outputs={"result": Tensor("float32", ["N"])})\n'
WAY_OUT = r"data = data\.copy\(\)"


@pytest.mark.parametrize("change", ["data *= 2", "data[0] = 5", "data.sort()", "np.negative(data, out=data)"])
def test_input_cannot_be_changed_in_place(kernel: Any, change: str) -> None:
    given = np.array([3, 1, 2], np.float32)
    run = kernel(FLOATS + f"def f(data):\n    {change}\n    return data\n", "f")
    with pytest.raises(TypeError, match=WAY_OUT):
        run(given)
    assert given.tolist() == [3, 1, 2]
    given *= 2  # whoever gave it may still write to it


def test_input_cannot_be_drawn_on(kernel: Any) -> None:
    code = (
        '@op(outputs={"result": Tensor("uint8", ["H", "W", 3])})\n'
        "def f(data):\n    import cv2\n    return cv2.rectangle(data, (0, 0), (3, 3), (9, 9, 9))\n"
    )
    with pytest.raises(TypeError, match=WAY_OUT):
        kernel(code, "f")(np.zeros((8, 8, 3), np.uint8))


def test_a_copy_can_be_changed(kernel: Any) -> None:
    run = kernel(FLOATS + "def f(data):\n    data = data.copy()\n    data *= 2\n    return data\n", "f")
    assert run(np.ones(2, np.float32)).tolist() == [2, 2]


def test_lists_cannot_be_changed_for_others(kernel: Any) -> None:
    declared = '@op(inputs={"data": [Tensor("float32", ["N"])]}, outputs={"result": Tensor("int64", [])})\n'
    given = [np.ones(2, np.float32), np.ones(3, np.float32)]
    run = kernel(declared + "def f(data):\n    data[1][0] = 7\n    return 1\n", "f")
    with pytest.raises(TypeError, match=WAY_OUT):
        run(given)
    assert kernel(declared + "def f(data):\n    return len(data.pop())\n", "f")(given) == 3
    assert len(given) == 2


def test_refusal_that_speaks_of_read_only_stays_a_refusal(kernel: Any) -> None:
    run = kernel(FLOATS + 'def f(data):\n    raise ItemError("a read-only volume")\n', "f")
    with pytest.raises(ItemError, match=r"^a read-only volume$"):
        run(np.ones(1, np.float32))


def test_torchpipe_style_changes_its_dictionary_but_no_array(kernel: Any) -> None:
    code = (
        "class Old:\n    def forward(self, items):\n"
        "        for item in items:\n            {}\n            item['result'] = item['data']\n"
    )
    given = np.ones(2, np.float32)
    with pytest.raises(TypeError, match=WAY_OUT):
        kernel(code.format("item['data'] += 1"), "Old")(given)
    assert kernel(code.format("item['data'] = item['data'] + 1"), "Old")(given).tolist() == [2, 2]
    assert given.tolist() == [1, 1]


@pytest.mark.parametrize("answer", ["self.kept", "self.kept[:]", "self.kept[::-1]"])
def test_array_that_is_kept_is_not_overwritten_later(kernel: Any, answer: str) -> None:
    code = (
        FLOATS + "class Buffer:\n    kept = np.zeros(2, np.float32)\n"
        f"    def __call__(self, data):\n        self.kept[:] = data\n        return {answer}\n"
    )
    run = kernel(code, "Buffer")
    first = run(np.array([1, 1], np.float32))
    run(np.array([2, 2], np.float32))
    assert first.tolist() == [1, 1]


def test_answer_shares_nothing_with_the_input(kernel: Any) -> None:
    given = np.ones(2, np.float32)
    answer = kernel(FLOATS + "def f(data):\n    return data\n", "f")(given)
    assert answer.flags.writeable
    assert not np.shares_memory(answer, given)
