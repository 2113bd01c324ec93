"""A model repository written by hand, small enough to be read in one go, for tests that talk to a server."""

from __future__ import annotations

import textwrap
from pathlib import Path

REQUIREMENTS = "numpy>=1.24,<2\n"

_CONFIG = """\
name: "{name}"
backend: "python"
max_batch_size: {batch}
{tensors}
{extra}
instance_group [{{ count: 1 kind: KIND_CPU }}]
"""

_MODEL = """\
import numpy as np
import triton_python_backend_utils as pb


def read(request, name):
    tensor = pb.get_input_tensor_by_name(request, name)
    return None if tensor is None else tensor.as_numpy()


def answer(**outputs):
    return pb.InferenceResponse([pb.Tensor(name, np.ascontiguousarray(v)) for name, v in outputs.items()])


def refusal(message):
    return pb.InferenceResponse(error=pb.TritonError(message, pb.TritonError.INVALID_ARG))


class TritonPythonModel:
    def execute(self, requests):
        return [self.one(request) for request in requests]

"""

_DOUBLE = """\
def one(self, request):
    return answer(y=read(request, "x") * 2)
"""

_ECHO = """\
def one(self, request):
    data = read(request, "data")
    for index, value in enumerate(data.reshape(-1)):
        if value == b"bad":
            return refusal(f"echo.toml:6 [echo] item {index}: not wanted")
    return answer(result=data)
"""

_PROBE = """\
def one(self, request):
    import sys
    try:
        import tpgen
        found = f"tpgen from {tpgen.__file__}"
    except ImportError:
        found = "no tpgen"
    return answer(result=np.array([[found.encode(), sys.prefix.encode()]], dtype=object))
"""

# Answers for an image of height h: itself; h rows; its sum unless that is odd; h lines of length 0, 1, 2, 0…;
# its first 1, 2, … h rows as a list of crops.
_PADDED = """\
def one(self, request):
    images, shapes = read(request, "img"), read(request, "img_shape")
    n, top = len(images), int(shapes[:, 0].max())
    wide = int(shapes[:, 1].max())
    out = dict(
        copy=images, copy_shape=shapes,
        rows=np.zeros((n, top, 2), np.float32), rows_count=shapes[:, :1],
        even=np.zeros((n, 1), np.int64), even_valid=np.zeros((n, 1), bool),
        lines=np.zeros((n, top, 2), np.uint8), lines_count=shapes[:, :1],
        lines_count2=np.zeros((n, top), np.int32),
        crops=np.zeros((n, top, top, wide, 3), np.uint8), crops_count=shapes[:, :1],
        crops_shape=np.zeros((n, top, 3), np.int32),
        mean_tag=np.full((n, 1), 7, np.uint8), mean=np.zeros((n, 1), np.float32),
    )
    for i, (padded, (height, width, _)) in enumerate(zip(images, shapes)):
        image = padded[:height, :width]
        assert padded.sum() == image.sum(), "padding is not zero"
        out["mean"][i] = image.mean()
        out["even"][i], out["even_valid"][i] = image.sum(), image.sum() % 2 == 0
        for k in range(height):
            out["rows"][i, k] = k, height
            out["lines"][i, k, : k % 3], out["lines_count2"][i, k] = k, k % 3
            out["crops"][i, k, : k + 1, :width], out["crops_shape"][i, k] = image[: k + 1], (k + 1, width, 3)
    return answer(**out)
"""

_NOTHING = """\
def one(self, request):
    rows = len(read(request, "x"))
    return answer(
        boxes=np.zeros((rows, 0, 4), np.float32),
        mask=np.zeros((rows, 3, 0), np.uint8),
        ids=np.zeros((rows, 0), np.int64),
        words=np.zeros((rows, 0), object),
    )
"""

_SUM = """\
def one(self, request):
    return answer(total=read(request, "x").sum(keepdims=True))
"""

_SLOW = """\
def one(self, request):
    import time
    time.sleep(0.15)
    return answer(y=read(request, "x"))
"""

_TIRED = """\
def one(self, request):
    self.served = getattr(self, "served", 0) + 1
    return answer(y=read(request, "x")) if self.served <= 2 else refusal("tired of it")
"""


def tensors(direction: str, *lines: str) -> str:
    """``name TYPE dims`` lines as ModelConfig text; a trailing ``optional`` or ``ragged`` is understood."""
    entries = []
    for line in lines:
        name, datatype, dims, *flags = line.split()
        more = " optional: true" if "optional" in flags else ""
        more += " allow_ragged_batch: true" if "ragged" in flags else ""
        entries.append(f'{{ name: "{name}" data_type: TYPE_{datatype} dims: {dims}{more} }}')
    return f"{direction} [{', '.join(entries)}]"


def add_model(
    repository: Path, name: str, interface: str, body: str, *, batch: int = 8, batching: bool = True
) -> None:
    """Adds a Python model; ``body`` is a method ``one(self, request)``, or a whole file if it has a class."""
    version = repository / name / "1"
    version.mkdir(parents=True)
    extra = "dynamic_batching { }" if batching and batch else ""
    config = _CONFIG.format(name=name, batch=batch, tensors=interface, extra=extra)
    (repository / name / "config.pbtxt").write_text(config)
    whole = body if "class " in body else _MODEL + textwrap.indent(body, "    ")
    (version / "model.py").write_text(whole)


def add_narrow_model(repository: Path) -> None:
    """Adds ``narrow``: it is slow, and its queue takes one request."""
    add_vector_model(repository, "narrow", _SLOW)
    config = repository / "narrow" / "config.pbtxt"
    queue = "dynamic_batching { default_queue_policy { max_queue_size: 1 } }"
    config.write_text(config.read_text().replace("dynamic_batching { }", queue))


def add_vector_model(repository: Path, name: str, body: str = _DOUBLE) -> None:
    """Adds a model from FP32 ``x`` [4] to ``y`` [4]; by default it doubles."""
    add_model(repository, name, f"{tensors('input', 'x FP32 [4]')}\n{tensors('output', 'y FP32 [4]')}", body)


def write_repository(repository: Path) -> Path:
    """Writes all models, and a requirements.txt, into a folder; returns it."""
    for name, body in (("double", _DOUBLE), ("slow", _SLOW), ("tired", _TIRED)):
        add_vector_model(repository, name, body)
    add_narrow_model(repository)
    for name, body in (("echo", _ECHO), ("probe", _PROBE)):
        count = 2 if name == "probe" else 1
        interface = f"{tensors('input', 'data STRING [1]')}\n{tensors('output', f'result STRING [{count}]')}"
        add_model(repository, name, interface, body)
    inputs = tensors("input", "img UINT8 [-1,-1,3] ragged", "img_shape INT32 [3]", "note STRING [1] optional")
    outputs = tensors(
        "output",
        *("copy UINT8 [-1,-1,3]", "copy_shape INT32 [3]", "rows FP32 [-1,2]", "rows_count INT32 [1]"),
        *("even INT64 [1]", "even_valid BOOL [1]", "lines UINT8 [-1,-1]", "lines_count INT32 [1]"),
        *("lines_count2 INT32 [-1]", "crops UINT8 [-1,-1,-1,3]", "crops_count INT32 [1]"),
        *("crops_shape INT32 [-1,3]", "mean FP32 [1]", "mean_tag UINT8 [1]"),
    )
    add_model(repository, "padded", f"{inputs}\n{outputs}", _PADDED, batch=4)
    empty = tensors("output", "boxes FP32 [-1,4]", "mask UINT8 [3,-1]", "ids INT64 [-1]", "words STRING [-1]")
    add_model(repository, "nothing", f"{tensors('input', 'x FP32 [4]')}\n{empty}", _NOTHING)
    interface = f"{tensors('input', 'x FP32 [-1]')}\n{tensors('output', 'total FP32 [1]')}"
    add_model(repository, "sum", interface, _SUM, batch=0)
    add_model(
        repository, "sum_batched", interface, _SUM.replace("sum(keepdims=True)", "sum(1, keepdims=True)")
    )
    _add_ensemble(repository)
    (repository / "requirements.txt").write_text(REQUIREMENTS)
    return repository


def _add_ensemble(repository: Path) -> None:
    (repository / "quadruple" / "1").mkdir(parents=True)
    (repository / "quadruple" / "1" / ".gitkeep").touch()
    maps = 'input_map { key: "x" value: "%s" } output_map { key: "y" value: "%s" }'
    step = f'model_name: "double" model_version: -1 {maps}'
    steps = ", ".join(f"{{ {step % pair} }}" for pair in (("x", "twice"), ("twice", "y")))
    (repository / "quadruple" / "config.pbtxt").write_text(
        'name: "quadruple"\nplatform: "ensemble"\nmax_batch_size: 8\n'
        f"{tensors('input', 'x FP32 [4]')}\n{tensors('output', 'y FP32 [4]')}\n"
        f"ensemble_scheduling {{ step [{steps}] }}\n"
    )
