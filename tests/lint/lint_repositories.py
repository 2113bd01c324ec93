"""Small repositories for the rules: each trips one rule, or nearly does, and says what a server makes of it.

Configurations are put together from parts of one that works; `{name}` stands for the model's name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

MODEL = """\
import numpy as np
import triton_python_backend_utils as pb


class TritonPythonModel:
    def execute(self, requests):
        return [self.one(request) for request in requests]

    def one(self, request):
        tensor = pb.get_input_tensor_by_name(request, "x")
        value = np.zeros((1, 4), np.float32) if tensor is None else tensor.as_numpy()
        return pb.InferenceResponse([pb.Tensor("y", value)])
"""
SENDER = """\
import triton_python_backend_utils as pb


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            value = pb.get_input_tensor_by_name(request, "x").as_numpy()
            sender.send(pb.InferenceResponse([pb.Tensor("y", value)]))
            sender.send(flags=pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
FAILING = MODEL.replace(
    "        return pb.InferenceResponse([",
    """        if value.min() < 0:
            return pb.InferenceResponse(error=pb.TritonError("no negative numbers"))
        return pb.InferenceResponse([""",
)
_PARTS = {
    "name": 'name: "{name}"',
    "backend": 'backend: "python"',
    "batch": "max_batch_size: 8",
    "input": 'input [{ name: "x" data_type: TYPE_FP32 dims: [4] }]',
    "output": 'output [{ name: "y" data_type: TYPE_FP32 dims: [4] }]',
    "batching": "dynamic_batching { }",
    "instances": "instance_group [{ kind: KIND_CPU count: 1 }]",
    "more": "",
}


class Server(Enum):
    """What a real server does with the model."""

    WORKS = "loads it, and answers a request"
    LOADS = "loads it; what a request comes to depends on the data, or on the protocol"
    REFUSES = "does not load it"
    FAILS = "loads it, and fails a request"
    DIES = "ends"
    HANGS = "never finishes to load it, or to answer"
    REFUSES_OR_DIES = "does not load it, or ends"
    NEEDS_GPU = "does not load it without a GPU"
    UNSEEN = "can't be seen on a server without GPU and without that backend"


@dataclass(frozen=True)
class Case:
    """A model, `name`, in a repository with `others`.

    `finding` is the code and severity of what the lint says about it, None for nothing; `files` are texts by
    path in the model's directory, None for a directory.
    """

    name: str
    finding: str | None
    server: Server
    files: dict[str, str | bytes | None]
    others: tuple[str, ...] = ()
    target: str = "24.10"
    more: tuple[str, ...] = field(default=())  # codes of further findings that belong to it

    @property
    def code(self) -> str | None:
        """The code of the finding."""
        return self.finding.split()[0] if self.finding else None

    @property
    def is_error(self) -> bool:
        """True if the finding is an error."""
        return self.finding is not None and self.finding.endswith("error")


def config(**parts: str) -> str:
    """A configuration of a Python model, with some parts replaced."""
    assert parts.keys() <= _PARTS.keys()
    return "\n".join(part for part in {**_PARTS, **parts}.values() if part) + "\n"


def python(model: str | bytes = MODEL, **parts: str) -> dict[str, str | bytes | None]:
    """The files of a Python model."""
    return {"config.pbtxt": config(**parts), "1/model.py": model}


def good(case: str, **parts: str) -> Case:
    """A Python model that works."""
    return Case(case, None, Server.WORKS, python(**parts))


def loaded(case: str, **parts: str) -> Case:
    """A Python model that loads, and wants more than a plain request."""
    return Case(case, None, Server.LOADS, python(**parts))


def refused(case: str, code: str, **parts: str) -> Case:
    """A Python model that the server refuses for this reason."""
    return Case(case, f"{code} error", Server.REFUSES, python(**parts))


def warned(case: str, code: str, **parts: str) -> Case:
    """A Python model that works, but not as written."""
    return Case(case, f"{code} warning", Server.WORKS, python(**parts))


def tensorrt(name: str, finding: str | None, **parts: str) -> Case:
    """A TensorRT model, which has no server here."""
    own = {"instances": "instance_group [{ kind: KIND_GPU }]", **parts}
    files = {"config.pbtxt": config(backend='backend: "tensorrt"', **own), "1/model.plan": ""}
    return Case(name, finding, Server.UNSEEN, files)


def step(
    model: str = "lib_step",
    reads: Iterable[tuple[str, str]] = (("x", "x"),),
    writes: Iterable[tuple[str, str]] = (("y", "y"),),
    version: str = "model_version: -1",
) -> str:
    """A step of an ensemble."""
    maps = [f'input_map {{ key: "{key}" value: "{value}" }}' for key, value in reads]
    maps += [f'output_map {{ key: "{key}" value: "{value}" }}' for key, value in writes]
    return f'{{ model_name: "{model}" {version} {" ".join(maps)} }}'


def ensemble(
    *steps: str, more: str = "", version: bool = True, **parts: str
) -> dict[str, str | bytes | None]:
    """The files of an ensemble."""
    scheduling = f"ensemble_scheduling {{ step [{', '.join(steps)}] }}" if steps else ""
    own = {"backend": 'platform: "ensemble"', "batching": scheduling, "instances": "", **parts}
    files: dict[str, str | bytes | None] = {"config.pbtxt": config(**own, more=more)}
    return {**files, "1/.gitkeep": ""} if version else files


def tensors(kind: str, *entries: str) -> str:
    """Inputs or outputs, each as `NAME MORE`, of TYPE_FP32 [4] if there is no more."""
    texts = []
    for entry in entries:
        name, _, more = entry.partition(" ")
        texts.append(f'{{ name: "{name}" {more or "data_type: TYPE_FP32 dims: [4]"} }}')
    return f"{kind} [{', '.join(texts)}]"


def x(more: str) -> str:
    """One input `x` of TYPE_FP32."""
    return tensors("input", f"x data_type: TYPE_FP32 {more}")


# Models that the ensembles of the cases run.
LIBRARY: dict[str, dict[str, str | bytes | None]] = {
    "lib_step": python(),
    "lib_small": python(batch="max_batch_size: 4"),
    "lib_single": python(batch="max_batch_size: 0", batching=""),
    "lib_wide": python(
        batch="max_batch_size: 0",
        batching="",
        input=tensors("input", "x data_type: TYPE_FP32 dims: [-1,4]"),
        output=tensors("output", "y data_type: TYPE_FP32 dims: [-1,4]"),
    ),
    "lib_optional": python(
        batch="max_batch_size: 1",
        batching="",
        input=tensors("input", "x", "o data_type: TYPE_FP32 dims: [4] optional: true"),
    ),
    "lib_no_input": python(input="", batch="", batching=""),
    "lib_two": python(input=tensors("input", "x", "z")),
    "lib_pair": python(output=tensors("output", "y", "z")),
    "lib_int": python(output=tensors("output", "y data_type: TYPE_INT32 dims: [4]")),
    "lib_sender": python(
        SENDER, batching="", batch="max_batch_size: 1", more="model_transaction_policy { decoupled: true }"
    ),
    "lib_ensemble": ensemble(step()),
    "lib_engine": {
        "config.pbtxt": config(
            backend='backend: "tensorrt"', instances="instance_group [{ kind: KIND_GPU }]"
        ),
        "1/model.plan": "",
    },
}


def write(root: Path, cases: Iterable[Case]) -> None:
    """Writes cases into one repository, with the models that they need."""
    needed: set[str] = set()
    waiting = [other for case in cases for other in case.others]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += ["lib_step"] if name == "lib_ensemble" else []
    for name in sorted(needed):
        write_files(root / name, name, LIBRARY[name])
    for case in cases:
        write_files(root / case.name, case.name, case.files)


def write_files(directory: Path, name: str, files: dict[str, str | bytes | None]) -> None:
    """Writes the files of one model; a text that begins with `->` is a link."""
    directory.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            file.mkdir(exist_ok=True)
        elif isinstance(content, bytes):
            file.write_bytes(content)
        elif content.startswith("->"):
            file.symlink_to(content[2:])
        else:
            file.write_text(content.replace("{name}", name), encoding="utf-8")
