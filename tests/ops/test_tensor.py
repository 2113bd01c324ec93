"""Tensor utilities: types, refusals, and what the oracles cannot see (files, time, output)."""

from __future__ import annotations

import importlib
import json
import time
from pathlib import Path

import numpy as np
import pytest

import tpgen.ops
from compare import Call
from tpgen.ir.op import REGISTRY, InferError, Op, Trait
from tpgen.ops.unsupported import UNSUPPORTED
from tpgen.types import Array, Bytes, Color, DType, Layout, Symbol, Type
from tpgen_runtime import tensor

ROWS = Symbol("N")
IMAGE = Array(DType.UINT8, (Symbol("H"), Symbol("W"), 3), Layout.HWC, Color.BGR)


def infer(name: str, data: Type, **attributes: object) -> Type:
    op = REGISTRY[name](**attributes)
    return op.infer(Call({"data": data}))["result"]


def test_casts_keep_the_image() -> None:
    assert infer("FloatTensor", IMAGE) == Array(DType.FLOAT32, IMAGE.shape, Layout.HWC, Color.BGR)
    height, width, _ = IMAGE.shape
    assert infer("NCHWTensor", IMAGE) == Array(DType.UINT8, (3, height, width), Layout.CHW, Color.BGR)
    assert infer("FloatNCHWTensor", IMAGE) == Array(DType.FLOAT32, (3, height, width), Layout.CHW, Color.BGR)


@pytest.mark.parametrize(("shape", "layout"), [((3, 8, 8), "CHW"), ((8, 8, 1), "HWC"), ((8, 8, 4), "HWC")])
def test_channel_axis_of_a_plain_array(shape: tuple[int, ...], layout: str) -> None:
    op = REGISTRY["NCHWTensor"]()
    found = Array(DType.FLOAT32, shape)
    assert op.derive({"data": found}) == {"layout": layout}
    written = op.infer(Call({"data": found}))["result"]
    assert isinstance(written, Array)
    assert written.shape == (shape if layout == "CHW" else (shape[2], 8, 8))


@pytest.mark.parametrize(
    ("name", "data", "attributes", "code"),
    [
        ("NCHWTensor", Array(DType.UINT8, (3, 8, 3)), {}, "TP302"),
        ("NCHWTensor", Array(DType.UINT8, (8, 8, 8)), {}, "TP302"),
        ("NCHWTensor", Array(DType.UINT8, IMAGE.shape, Layout.UNKNOWN, Color.UNKNOWN), {}, "TP302"),
        ("NCHWTensor", Array(DType.UINT8, (8, 8)), {}, "TP304"),
        ("FloatTensor", Bytes(), {}, "TP301"),
        ("FloatTensor", Array(DType.STRING, (2,)), {}, "TP305"),
        ("LongItemTensor", Array(DType.INT32, (2, 1)), {}, "TP304"),
        ("Tensor2Vector", Array(DType.FLOAT16, (2,)), {}, "TP305"),
        ("IndexSelectTensor", Array(DType.FLOAT32, (2,)), {"weight": "w.npy", "columns": 3}, "TP305"),
    ],
)
def test_types_that_do_not_fit(name: str, data: Type, attributes: dict[str, object], code: str) -> None:
    with pytest.raises(InferError) as caught:
        infer(name, data, **attributes)
    assert caught.value.code == code


def test_sizes() -> None:
    assert infer("Tensor2Vector", Array(DType.FLOAT32, (2, 3))) == Array(DType.FLOAT32, (6,))
    varying = infer("Tensor2Vector", Array(DType.FLOAT32, (ROWS, 3)))
    assert isinstance(varying, Array)
    assert isinstance(varying.shape[0], Symbol)
    assert varying.shape[0] is not ROWS
    assert infer("LongItemTensor", Array(DType.FLOAT32, (ROWS,))) == Array(DType.INT64, ())


def test_operators_with_effects_are_never_dropped() -> None:
    for name in ("PrintTensor", "SaveTensor", "Sleep", "RuntimeError"):
        assert Trait.FORWARDS not in REGISTRY[name].traits, name


def test_sleep_waits() -> None:
    started = time.monotonic()
    assert tensor.sleep("x", milliseconds=30.0) == "x"
    assert time.monotonic() - started >= 0.03


def test_print_writes_the_ends_of_large_arrays(capsys: pytest.CaptureFixture[str]) -> None:
    tensor.print_tensor(np.arange(1000))
    tensor.print_tensor("text")
    assert capsys.readouterr().err == (
        "PrintTensor: int64[1000] [0 1 2 3 4] ... [995 996 997 998 999]\nPrintTensor: <U4[] text\n"
    )


def test_saved_files_never_overwrite_each_other(tmp_path: Path) -> None:
    first, second = (tensor.SaveTensor(save_dir=str(tmp_path)) for _ in range(2))
    for run in (first, second, first):
        run(np.ones(2))
    numbers = sorted(int(path.stem.split("_")[-1]) for path in tmp_path.glob("*.npy"))
    Path(f"{first.prefix}{numbers[-1] + 1}.npy").write_text("of a process with the same id")
    first(np.ones(2))
    assert len(list(tmp_path.glob("*.npy"))) == 5
    with pytest.raises(FileNotFoundError, match=r"save_dir .* is not a folder"):
        tensor.SaveTensor(save_dir=str(tmp_path / "absent"))


def test_files_that_hold_something_else(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"holds float64\[2, 3\], but the pipeline declares float32\[2, 3\]"):
        tensor.LoadTensor(tensor_name=str(path), shape=(2, 3), dtype="float32")
    with pytest.raises(ValueError, match=r"declares float64\[N, 4\]"):
        tensor.IndexSelect(weight=str(path), columns=4, dtype="float64")
    path.write_text("no array")
    with pytest.raises(ValueError, match=r"is not a \.npy file"):
        tensor.LoadTensor(tensor_name=str(path), shape=(2, 3), dtype="float32")


def test_shared_arrays_cannot_be_written(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones(2))
    loaded = tensor.LoadTensor(tensor_name=str(tmp_path / "a.npy"), shape=(2,), dtype="float64")
    for array in (loaded(), tensor.CreateTensor(shape=(2,), dtype="uint8")()):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_unsupported_operators_say_why() -> None:
    assert not set(UNSUPPORTED) & set(REGISTRY), "an operator that is compiled"
    assert all(20 < len(why) < 160 for why in UNSUPPORTED.values())
    assert json.dumps(dict(UNSUPPORTED)) == json.dumps(
        dict(importlib.reload(tpgen.ops.unsupported).UNSUPPORTED)
    )


def test_kernels_named_by_operators_exist() -> None:
    operators: set[type[Op]] = {
        cls for cls in REGISTRY.values() if cls.group in ("tensor", "keys", "postprocess")
    }
    for cls in operators:
        module, _, name = cls.kernel.partition(":")
        assert callable(getattr(importlib.import_module(f"tpgen_runtime.{module}"), name))
