"""A stand-in for Triton's Python backend, in this process: it runs a repository's generated ``model.py``.

It keeps the rules that a server keeps (tensors against the configuration, one final answer per request, an
ensemble's maps) and is stricter where a server lets things pass. It tests generated code quickly and on many
inputs; that a real server does the same is what the tests in ``served`` show.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import linecache
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, ClassVar
from unittest.mock import patch

import numpy as np
from google.protobuf.json_format import MessageToDict

from tpgen.emit.config_pbtxt import parse
from tpgen.services.model_spec import ModelSpec, TensorSpec

NUMPY = {
    "TYPE_BOOL": "bool",
    "TYPE_UINT8": "uint8",
    "TYPE_UINT16": "uint16",
    "TYPE_UINT32": "uint32",
    "TYPE_UINT64": "uint64",
    "TYPE_INT8": "int8",
    "TYPE_INT16": "int16",
    "TYPE_INT32": "int32",
    "TYPE_INT64": "int64",
    "TYPE_FP16": "float16",
    "TYPE_FP32": "float32",
    "TYPE_FP64": "float64",
    "TYPE_STRING": "object",
}
Tensors = dict[str, np.ndarray]
_numbers = itertools.count()


# --- what triton_python_backend_utils offers ---------------------------------------------------------------


class Tensor:
    def __init__(self, name: str, array: np.ndarray) -> None:
        assert array.flags.c_contiguous, f"{name}: Triton copies what is not contiguous"
        self._name, self._array = name, array

    def name(self) -> str:
        return self._name

    @staticmethod
    def from_dlpack(name: str, tensor: Any) -> Tensor:
        array = np.from_dlpack(tensor)
        assert array.flags.c_contiguous, f"{name}: Triton takes blocks of memory only"
        return Tensor(name, array.copy())  # Triton's memory from here on

    def as_numpy(self) -> np.ndarray:
        return self._array

    def is_cpu(self) -> bool:
        return True

    def to_dlpack(self) -> Any:
        return self._array.__dlpack__()


class TritonError(Exception):
    """The error of an answer, with a code."""

    UNKNOWN, INTERNAL, NOT_FOUND, INVALID_ARG, UNAVAILABLE, CANCELLED = range(6)

    def __init__(self, message: str, code: int = INTERNAL) -> None:
        super().__init__(message)
        self._code = code

    def code(self) -> int:
        return self._code

    def message(self) -> str:
        return str(self)


class InferenceResponse:
    def __init__(self, output_tensors: Sequence[Tensor] = (), error: TritonError | None = None) -> None:
        self.tensors, self._error = list(output_tensors), error

    def has_error(self) -> bool:
        return self._error is not None

    def error(self) -> TritonError | None:
        return self._error

    def output_tensors(self) -> list[Tensor]:
        return self.tensors


class ResponseSender:
    def __init__(self) -> None:
        self.response: InferenceResponse | None = None

    def send(self, response: InferenceResponse, flags: int = 0) -> None:
        assert flags == 1, "a sender that is never told the end keeps its client waiting"
        assert self.response is None, "a request was answered twice"
        self.response = response


class InferenceRequest:
    """What a model gets; made by a model, with the keywords of Triton, a request to another one (BLS)."""

    server: ClassVar[Server | None] = None  # the one whose models are called

    def __init__(
        self,
        *,
        model_name: str = "",
        requested_output_names: Sequence[str] = (),
        inputs: Sequence[Tensor] = (),
        request_id: str = "",
        timeout: int = 0,
        parameters: Mapping[str, Any] | None = None,
        trace: object = None,
    ) -> None:
        self._model = model_name
        self._tensors = list(inputs)
        self._wanted = list(requested_output_names)
        self._id, self._timeout, self._trace = request_id, timeout, trace
        self._parameters = dict(parameters or {})
        self.sender = ResponseSender()
        self.cancelled = False  # set by tests

    def exec(self) -> InferenceResponse:
        assert InferenceRequest.server is not None
        tensors = {tensor.name(): tensor.as_numpy() for tensor in self._tensors}
        return InferenceRequest.server.called(self._model, tensors, self._wanted)

    def is_cancelled(self) -> bool:
        assert self.sender.response is None, "Triton 24.10 dies of this question after the answer"
        return self.cancelled

    def request_id(self) -> str:
        return self._id

    def timeout(self) -> int:
        return self._timeout

    def trace(self) -> object:
        return self._trace

    def parameters(self) -> str:
        return json.dumps(self._parameters)

    def inputs(self) -> list[Tensor]:
        return self._tensors

    def requested_output_names(self) -> list[str]:
        return self._wanted

    def get_response_sender(self) -> ResponseSender:
        return self.sender


class Metric:
    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels, self.value = dict(labels), 0.0

    def increment(self, by: float) -> None:
        assert by > 0, "a counter only grows"
        self.value += by


class MetricFamily:
    """Metrics of one name; ``made`` are all families of this process."""

    COUNTER, GAUGE = "counter", "gauge"
    made: ClassVar[list[MetricFamily]] = []

    def __init__(self, *, name: str, description: str, kind: str) -> None:
        self.name, self.description, self.kind = name, description, kind
        self.metrics: list[Metric] = []
        MetricFamily.made.append(self)

    def Metric(self, *, labels: Mapping[str, str]) -> Metric:  # noqa: N802 (Triton's name)
        self.metrics.append(Metric(labels))
        return self.metrics[-1]


class Logger:
    """Keeps what models log."""

    lines: ClassVar[list[str]] = []

    @classmethod
    def _log(cls, message: str) -> None:
        cls.lines.append(message)

    log_info = log_warn = log_error = log_verbose = _log


def backend_utils() -> ModuleType:
    """The module that models import."""
    module = ModuleType("triton_python_backend_utils")
    for name in ("Tensor", "TritonError", "InferenceResponse", "InferenceRequest", "MetricFamily", "Logger"):
        setattr(module, name, globals()[name])
    module.TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1  # type: ignore[attr-defined]
    return module


@lru_cache(maxsize=256)
def _compiled(source: bytes, name: str) -> CodeType:
    return compile(source, name, "exec", dont_inherit=True)


def _source_to_code(_: SourceFileLoader, data: bytes, path: str, **__: Any) -> CodeType:
    """Compiles a source once in this process: every model brings the same runtime, in a folder of its own."""
    return _compiled(bytes(data), "/".join(Path(path).parts[-2:]))


def _as_they_run(config: Any) -> Iterator[Any]:
    """The steps of an ensemble, each behind those that write what it reads; their order is of no meaning."""
    known = {tensor.name for tensor in config.input}
    waiting = list(config.ensemble_scheduling.step)
    while waiting:
        step = next(step for step in waiting if known.issuperset(step.input_map.values()))
        waiting.remove(step)
        known.update(step.output_map.values())
        yield step


@contextmanager
def _fresh_modules() -> Iterator[None]:
    """Each model of a server has a process of its own; here it gets its own modules."""

    def is_own(name: str) -> bool:
        top = name.partition(".")[0]
        return top in ("stage", "tpgen_runtime", "triton_python_backend_utils") or top.startswith("_tpgen_")

    kept = {name: sys.modules.pop(name) for name in [*sys.modules] if is_own(name)}
    path, finders = list(sys.path), list(sys.meta_path)
    linecache.clearcache()  # files of the same name, of the server before
    sys.modules["triton_python_backend_utils"] = backend_utils()
    try:
        with patch.object(SourceFileLoader, "source_to_code", _source_to_code):
            yield
    finally:
        sys.path[:], sys.meta_path[:] = path, finders
        for name in [name for name in sys.modules if is_own(name)]:
            del sys.modules[name]
        sys.modules.update(kept)


# --- the server --------------------------------------------------------------------------------------------


@dataclass
class Model:
    """A loaded model: its configuration, and what runs it (None for an ensemble)."""

    config: Any
    python: Any = None
    module: Any = None
    calls: list[int] = field(default_factory=list)  # requests in each call of `execute`

    @property
    def spec(self) -> ModelSpec:
        """The interface as a client sees it."""
        return ModelSpec(
            self.config.name,
            self.config.max_batch_size,
            {tensor.name: _spec(tensor, tensor.optional) for tensor in self.config.input},
            {tensor.name: _spec(tensor, False) for tensor in self.config.output},
        )


def _spec(tensor: Any, optional: bool) -> TensorSpec:
    kind = type(tensor).DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number[tensor.data_type]
    datatype = "BYTES" if kind.name == "TYPE_STRING" else kind.name.removeprefix("TYPE_")
    return TensorSpec(tensor.name, datatype, tuple(tensor.dims), optional)


class Server:
    """All models of a repository, loaded in this process."""

    def __init__(self, repository: Path) -> None:
        self.models: dict[str, Model] = {}
        for folder in sorted(path for path in repository.iterdir() if path.is_dir()):
            config = parse((folder / "config.pbtxt").read_text())
            assert config.name == folder.name
            self.models[config.name] = self._load(folder, config)

    def close(self) -> None:
        for model in self.models.values():
            if model.python is not None:
                model.python.finalize()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def infer(self, name: str, requests: Sequence[Tensors]) -> list[Tensors | TritonError]:
        """Answer requests that arrive together: they form one dynamic batch."""
        model = self.models[name]
        answers: list[Tensors | TritonError | None] = [self._refusal(model, request) for request in requests]
        accepted = [index for index, answer in enumerate(answers) if answer is None]
        if model.python is None:
            found = self._run_ensemble(model, [requests[index] for index in accepted])
        else:
            wanted = [tensor.name for tensor in model.config.output]
            found = self._execute(model, [(requests[index], wanted) for index in accepted])
        for index, answer in zip(accepted, found, strict=True):
            answers[index] = answer
        return [answer for answer in answers if answer is not None]

    def called(self, name: str, tensors: Tensors, wanted: Sequence[str]) -> InferenceResponse:
        """Answer a model's request to another one."""
        model = self.models[name]
        problem = self._refusal(model, tensors)
        answer = problem or self._execute(model, [(tensors, wanted)])[0]
        if isinstance(answer, TritonError):
            return InferenceResponse(error=answer)
        return InferenceResponse([Tensor(key, array) for key, array in answer.items()])

    def _load(self, folder: Path, config: Any) -> Model:
        if config.platform == "ensemble":
            assert (folder / "1").is_dir()
            return Model(config)
        assert config.backend == "python"
        with _fresh_modules():
            spec = importlib.util.spec_from_file_location(
                f"_fake_{next(_numbers)}", folder / "1" / "model.py"
            )
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            python = module.TritonPythonModel()
            python.initialize(
                {
                    "model_config": json.dumps(MessageToDict(config, preserving_proto_field_name=True)),
                    "model_repository": str(folder),
                    "model_version": "1",
                    "model_name": config.name,
                }
            )
        return Model(config, python, module)

    def _refusal(self, model: Model, request: Tensors) -> TritonError | None:
        """What a server says of a request before any model sees it."""
        invalid = TritonError.INVALID_ARG
        declared = {tensor.name: tensor for tensor in model.config.input}
        for name in request:
            if name not in declared:
                return TritonError(f"unexpected inference input '{name}'", invalid)
        least = sum(not tensor.optional for tensor in declared.values())
        if len(request) < least:  # it counts them: an optional one stands in for a required one
            return TritonError(f"expected {least} inputs but got {len(request)} inputs", invalid)
        for name, array in request.items():
            problem = _misfit(declared[name], array)
            if problem is not None:
                return TritonError(problem, invalid)
        sizes = {len(array) for array in request.values()}
        if len(sizes) != 1 or not 1 <= max(sizes) <= model.config.max_batch_size:
            return TritonError(f"batch sizes {sizes}", invalid)
        return None

    def _execute(
        self, model: Model, requests: Sequence[tuple[Tensors, Sequence[str]]]
    ) -> list[Tensors | TritonError]:
        if not requests:
            return []
        made = [
            InferenceRequest(
                requested_output_names=wanted,
                inputs=[Tensor(name, array) for name, array in tensors.items()],
            )
            for tensors, wanted in requests
        ]
        InferenceRequest.server = self
        model.calls.append(len(made))
        returned = model.python.execute(made)
        answers: list[Tensors | TritonError] = []
        for request, response, (tensors, wanted) in zip(made, returned, requests, strict=True):
            sent = request.sender.response
            assert sent is None or response is None, "a request was answered twice"
            response = sent or response
            assert response is not None, "a request got no answer"
            if (error := response.error()) is not None:
                assert not response.tensors
                answers.append(error)
                continue
            answer = {tensor.name(): tensor.as_numpy() for tensor in response.tensors}
            declared = {tensor.name: tensor for tensor in model.config.output}
            assert sorted(answer) == sorted(wanted), f"{model.config.name} answered {sorted(answer)}"
            batch = len(next(iter(tensors.values()))) if tensors else 1
            for name, array in answer.items():
                problem = _misfit(declared[name], array)
                assert problem is None, problem
                assert len(array) == batch, f"{name}: {len(array)} rows for a batch of {batch}"
            answers.append(answer)
        return answers

    def _run_ensemble(self, model: Model, requests: Sequence[Tensors]) -> list[Tensors | TritonError]:
        pools: list[Tensors | TritonError] = [dict(request) for request in requests]
        order = random.Random(len(requests))
        for step in _as_they_run(model.config):
            target = self.models[step.model_name]
            alive = [index for index, pool in enumerate(pools) if isinstance(pool, dict)]
            order.shuffle(alive)  # who comes first in a batch is chance
            made = []
            for index in alive:
                pool = pools[index]
                assert isinstance(pool, dict)
                mapped = {inner: pool[outer] for inner, outer in step.input_map.items() if outer in pool}
                refusal = self._refusal(target, mapped)
                assert refusal is None, f"{step.model_name}: {refusal}"
                made.append((mapped, list(step.output_map)))
            for index, answer in zip(alive, self._execute(target, made), strict=True):
                pool = pools[index]
                if isinstance(answer, TritonError):
                    pools[index] = answer
                    continue
                assert isinstance(pool, dict)
                for inner, outer in step.output_map.items():
                    assert outer not in pool, f"the tensor '{outer}' of the ensemble is written twice"
                    pool[outer] = answer[inner]
        names = [tensor.name for tensor in model.config.output]
        return [pool if isinstance(pool, TritonError) else {n: pool[n] for n in names} for pool in pools]


def _misfit(declared: Any, array: np.ndarray) -> str | None:
    """What is wrong with a tensor, batch axis in front, for a declaration."""
    enum = type(declared).DESCRIPTOR.fields_by_name["data_type"].enum_type
    wanted = NUMPY[enum.values_by_number[declared.data_type].name]
    if array.dtype != np.dtype(wanted):
        return f"'{declared.name}' is {array.dtype}, {wanted} is declared"
    if wanted == "object" and not all(isinstance(value, bytes) for value in array.reshape(-1)):
        return f"'{declared.name}' holds something else than bytes"
    dims = array.shape[1:]
    fits = len(dims) == len(declared.dims) and all(
        want in (-1, got) for want, got in zip(declared.dims, dims, strict=True)
    )
    return None if fits else f"'{declared.name}' has dims {list(dims)}, {list(declared.dims)} is declared"


__all__ = ["Logger", "MetricFamily", "Model", "Server", "TritonError"]
