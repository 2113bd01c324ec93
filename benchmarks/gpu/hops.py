"""The cost of handing a tensor from one Python model to the next: by dlpack where it lies, and by the host.

Two models written by hand and an ensemble. The first makes the tensor on the device, the second adds it up
there; a hop of four bytes is taken off, so what is left is the tensor's own way.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np

from tpgen.services.client import Client
from tpgen.services.server import TritonServer

WAYS = ("dlpack", "host")
_WARM_UP = 5
_MODEL = """
import torch
import triton_python_backend_utils as pb_utils

DEVICE, WAY, FLOATS = {device!r}, {way!r}, {floats}


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

{answer}

    def wait(self):
        if DEVICE != "cpu":
            torch.cuda.synchronize()
"""
_MAKE = """
    def answer(self, request):
        tensor = torch.ones(1, FLOATS, device=DEVICE)
        self.wait()
        if WAY == "dlpack":
            made = pb_utils.Tensor.from_dlpack("tensor", tensor)
        else:
            made = pb_utils.Tensor("tensor", tensor.cpu().numpy())
        return pb_utils.InferenceResponse([made])
"""
_TAKE = """
    def answer(self, request):
        given = request.inputs()[0]
        if WAY == "dlpack":
            tensor = torch.from_dlpack(given.to_dlpack())
        else:
            tensor = torch.from_numpy(given.as_numpy()).to(DEVICE)
        total = tensor.sum().reshape(1, 1).cpu().numpy()
        return pb_utils.InferenceResponse([pb_utils.Tensor("total", total)])
"""
_CONFIG = """
name: "{name}"
backend: "python"
max_batch_size: 1
input {{ name: "{given}" data_type: TYPE_FP32 dims: [{takes}] }}
output {{ name: "{made}" data_type: TYPE_FP32 dims: [{makes}] }}
instance_group {{ kind: {kind} count: 1 }}
parameters {{ key: "FORCE_CPU_ONLY_INPUT_TENSORS" value {{ string_value: "{force}" }} }}
"""
_ENSEMBLE = """
name: "hop"
platform: "ensemble"
max_batch_size: 1
input { name: "x" data_type: TYPE_FP32 dims: [1] }
output { name: "total" data_type: TYPE_FP32 dims: [1] }
ensemble_scheduling {
  step {
    model_name: "make" model_version: -1
    input_map { key: "x" value: "x" } output_map { key: "tensor" value: "tensor" }
  }
  step {
    model_name: "take" model_version: -1
    input_map { key: "tensor" value: "tensor" } output_map { key: "total" value: "total" }
  }
}
"""


def write_hop(folder: Path, size: int, way: str, device: str) -> None:
    """A repository whose tensor has ``size`` bytes."""
    floats = max(1, size // 4)
    kind = "KIND_CPU" if device == "cpu" else "KIND_GPU"
    force = "no" if way == "dlpack" else "yes"
    for name, given, made, answer in (("make", "x", "tensor", _MAKE), ("take", "tensor", "total", _TAKE)):
        place = folder / name / "1"
        place.mkdir(parents=True)
        sizes = {"x": 1, "tensor": floats, "total": 1}
        config = _CONFIG.format(
            name=name, given=given, made=made, takes=sizes[given], makes=sizes[made], kind=kind, force=force
        )
        (folder / name / "config.pbtxt").write_text(config)
        code = _MODEL.format(device=device, way=way, floats=floats, answer=answer.strip("\n"))
        (place / "model.py").write_text(code)
    (folder / "hop" / "1").mkdir(parents=True)
    (folder / "hop" / "config.pbtxt").write_text(_ENSEMBLE)


def milliseconds(folder: Path, size: int, way: str, device: str, *, requests: int, pool: int = 0) -> float:
    """The median time of a request, one after the other. ``pool``: bytes of the CUDA pool, if set."""
    write_hop(folder, size, way, device)
    flags = [f"--cuda-memory-pool-byte-size=0:{pool}"] if pool else []
    with TritonServer(folder, extra_args=flags) as server, Client(server.grpc_url) as client:
        times = []
        for number in range(_WARM_UP + requests):
            started = time.perf_counter()
            total = client("hop", x=np.ones(1, np.float32))["total"]
            if number >= _WARM_UP:
                times.append(1000 * (time.perf_counter() - started))
            if float(np.ravel(total)[0]) != max(1, size // 4):
                raise SystemExit(f"a hop of {size} bytes by {way} lost something: {total}")
    return statistics.median(times)
