"""How values get to a device and back, shown on torch's CPU and on its device without memory, `meta`."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from tpgen_runtime.errors import ItemError
from tpgen_runtime.stage import LoadContext
from tpgen_runtime.wire import ABSENT, Array, Bytes, WireError

torch = pytest.importorskip("torch", reason="no torch: make torch")
torch_device = pytest.importorskip("tpgen_runtime.torch_device")
pytestmark = pytest.mark.torch
META = torch.device("meta")


def stage() -> torch_device.DeviceStage:
    made = torch_device.DeviceStage()
    made.load(LoadContext("", 1))
    return made


def test_an_image_is_brought_once_for_all_that_hold_it() -> None:
    image = np.zeros((4, 5, 3), np.uint8)
    parent = {"data": image}
    branches = [dict(parent) for _ in range(3)]
    for branch in branches:
        torch_device.bring(branch, META, "data")
    assert len({id(branch["data"]) for branch in branches}) == 1
    other = torch_device.to_device(image.copy(), META)
    assert other is not branches[0]["data"]


def test_what_was_brought_goes_with_the_array() -> None:
    before = len(torch_device._brought)
    image = np.zeros((4, 5, 3), np.uint8)
    torch_device.to_device(image, META)
    assert len(torch_device._brought) == before + 1
    del image
    gc.collect()
    assert len(torch_device._brought) == before


@pytest.mark.parametrize("kind", ["read-only", "reversed", "turned"])
def test_arrays_that_torch_does_not_take_as_they_are(kind: str) -> None:
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    if kind == "read-only":
        image.setflags(write=False)
    image = {"reversed": image[::-1], "turned": image.transpose(2, 0, 1)}.get(kind, image)
    found = torch_device.to_device(image, torch.device("cpu"))
    np.testing.assert_array_equal(torch_device.to_host(found), image)


def test_lists_and_tuples_move_with_what_is_in_them() -> None:
    found = torch_device.to_host(([torch.ones(2)], "text", np.ones(1)))
    assert isinstance(found[0][0], np.ndarray) and found[1] == "text"
    assert isinstance(torch_device.on_host(lambda column: column)([torch.ones(2)])[0], np.ndarray)


def test_rows_on_the_device_become_one_tensor() -> None:
    port = Array("result", "uint8", (3, 2, 2))
    rows = [torch.ones((2, 2, 3), dtype=torch.uint8).permute(2, 0, 1) for _ in range(3)]
    (tensor,) = stage().encode(port, rows).values()
    assert tensor.shape == (3, 3, 2, 2) and tensor.is_contiguous()


def test_rows_that_are_not_what_is_declared_are_a_defect() -> None:
    port = Array("result", "uint8", (3, 2, 2))
    with pytest.raises(WireError, match="is float32, uint8 is declared"):
        stage().encode(port, [torch.ones(3, 2, 2)])
    with pytest.raises(WireError, match=r"has shape \[2, 2, 3\]"):
        stage().encode(port, [torch.ones((2, 2, 3), dtype=torch.uint8)])


def test_rows_of_several_sizes_and_absent_ones_go_by_the_host() -> None:
    varying = stage().encode(
        Array("x", "uint8", (None, 2)), [torch.ones((n, 2), dtype=torch.uint8) for n in (1, 3)]
    )
    assert varying["x"].shape == (2, 3, 2) and varying["x_count"].tolist() == [[1], [3]]
    optional = Array("x", "uint8", (2,), optional_value=True)
    assert stage().encode(optional, [ABSENT, torch.ones(2, dtype=torch.uint8)])["x"].tolist() == [
        [0, 0],
        [1, 1],
    ]
    assert stage().encode(Bytes("b"), [b"1"])["b"].tolist() == [[b"1"]]


def test_the_device_is_what_triton_assigned_or_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    made = torch_device.DeviceStage()
    made.load(LoadContext("", 1, "meta"))
    assert made.device == META
    monkeypatch.setenv(torch_device.OVERRIDE, "cpu")
    made.load(LoadContext("", 1, "cuda:0"))
    assert made.device == torch.device("cpu")


@pytest.mark.parametrize("threads", [1, 3])
def test_decoding_in_threads_keeps_order_and_errors(threads: int) -> None:
    def half(value: int, *, by: int) -> int:
        if value % by:
            raise ItemError(f"{value} is odd")
        return value // by

    found = torch_device.InThreads(half, threads=threads, by=2)([2, 3, 8])
    assert found[0] == 1 and found[2] == 4 and str(found[1]) == "3 is odd"


@pytest.mark.gpu
def test_an_image_goes_to_the_gpu_and_back() -> None:
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    tensor = torch_device.to_device(image, torch.device("cuda:0"))
    assert tensor.is_cuda and torch_device.to_device(image, torch.device("cuda:0")) is tensor
    np.testing.assert_array_equal(torch_device.to_host(tensor), image)
    assert torch_device.settled(tensor.permute(2, 0, 1)).is_contiguous()
