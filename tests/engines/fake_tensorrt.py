"""A module with the names of TensorRT that tpgen may call, and no others; it notes every call.

Made from `tpgen.engines.tensorrt_api`, so that a call of anything that is not on that list fails. What an
engine is made of is written into the plan, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import Any

import onnx

from tpgen.engines.tensorrt_api import CALLS, ENUMERATIONS, PROPERTIES

_KINDS = {"float32": "FLOAT", "float16": "HALF", "int64": "INT64", "uint8": "UINT8"}


class FakeTensorRT:
    """One installation.

    Attributes:
        module: what `import tensorrt` would give.
        calls: names of methods with their arguments, in order.
        broken: the next engine does not come out.
    """

    def __init__(self, version: str = "10.13.2.6") -> None:
        self.version, self.calls, self.broken = version, [], False  # type: ignore[var-annotated]
        self._error = ""
        self.config: dict[str, Any] = {"flags": ["TF32"], "profiles": []}
        major = int(version.split(".")[0])
        self.module = ModuleType("tensorrt")
        self.module.__version__ = version  # type: ignore[attr-defined]
        for name, members in ENUMERATIONS[major].items():
            setattr(self.module, name, IntEnum(name, members, start=0))
        logger = self._callable("Logger", lambda *_: self._object("Logger"))
        logger.WARNING = "WARNING"  # type: ignore[attr-defined]
        for name, value in (
            ("Logger", logger),
            ("Builder", self._callable("Builder", lambda *_: self._builder())),
            ("OnnxParser", self._callable("OnnxParser", lambda network, _: self._parser(network))),
            ("Runtime", self._callable("Runtime", lambda *_: self._runtime())),
            ("Refitter", self._callable("Refitter", lambda engine, _: self._refitter(engine))),
            ("OnnxParserRefitter", self._callable("OnnxParserRefitter", lambda *_: self._weights())),
            ("init_libnvinfer_plugins", self._callable("init_libnvinfer_plugins", lambda *_: True)),
        ):
            setattr(self.module, name, value)

    def _callable(self, name: str, body: Callable[..., Any]) -> Callable[..., Any]:
        parameters = CALLS[name]
        needed = [p for p in parameters if not p.endswith("?")]

        def call(*arguments: Any) -> Any:
            if not len(needed) <= len(arguments) <= len(parameters):
                raise TypeError(f"{name}({', '.join(parameters)}) was given {len(arguments)} arguments")
            self.calls.append((name, *arguments))
            return body(*arguments)

        return call

    def _object(self, kind: str, bodies: dict[str, Callable[..., Any]] | None = None, **values: Any) -> Any:
        """An object with methods and properties that are on the list, and that can be set if they are."""
        fake = self
        properties = PROPERTIES.get(kind, ())
        assert set(values) <= set(properties), kind

        class Fake:
            __slots__ = (*properties, *(bodies or {}))

            def __setattr__(self, name: str, value: Any) -> None:
                if name in properties and name not in values and kind == "IBuilderConfig":
                    fake.config[name] = value
                object.__setattr__(self, name, value)

        made = Fake()
        for name, body in (bodies or {}).items():
            object.__setattr__(made, name, self._callable(f"{kind}.{name}", body))
        for name, value in values.items():
            object.__setattr__(made, name, value)
        return made

    def _builder(self) -> Any:
        return self._object(
            "Builder",
            {
                "create_network": self._network,
                "create_builder_config": self._config,
                "create_optimization_profile": self._profile,
                "build_serialized_network": lambda *_: None if self.broken else self._plan(),
            },
        )

    def _plan(self) -> bytes:
        return json.dumps({"tensorrt": self.version, **self.config}, default=str).encode()

    def _runtime(self) -> Any:
        def deserialized(plan: bytes) -> Any:
            content = json.loads(plan)
            return self._object(
                "ICudaEngine",
                {
                    "create_serialization_config": lambda: self._object(
                        "ISerializationConfig",
                        {"clear_flag": lambda flag: content.update({"weights": flag.name})},
                    ),
                    "serialize_with_config": lambda _: json.dumps(content).encode(),
                },
            )

        return self._object("Runtime", {"deserialize_cuda_engine": deserialized})

    def _refitter(self, engine: Any) -> Any:
        return self._object("Refitter", {"refit_cuda_engine": lambda: not self.broken})

    def _weights(self) -> Any:
        def refit(model: bytes) -> bool:
            self._error = "no initializer of that name"
            return bool(model)

        return self._object(
            "OnnxParserRefitter",
            {
                "refit_from_bytes": refit,
                "get_error": lambda _: self._object("ParserError", {"desc": lambda: self._error}),
            },
            num_errors=1,
        )

    def _network(self, flags: int = 0) -> SimpleNamespace:
        self.config["strongly_typed"] = bool(flags) or self.version.startswith("11")
        return SimpleNamespace(real=None)

    def _parser(self, network: SimpleNamespace) -> Any:
        def parse(model: bytes) -> bool:
            try:
                graph = onnx.ModelProto.FromString(model).graph
            except Exception as error:  # noqa: BLE001 (as the parser does, which only says no)
                self._error = str(error)
                return False
            self._fill(network, graph)
            return True

        return self._object(
            "OnnxParser",
            {
                "parse": parse,
                "set_flag": lambda flag: self.config["flags"].append(flag.name),
                "get_error": lambda _: self._object("ParserError", {"desc": lambda: self._error}),
            },
            num_errors=1,
        )

    def _fill(self, network: SimpleNamespace, graph: onnx.GraphProto) -> None:
        inputs, outputs = (list(map(self._tensor, values)) for values in (graph.input, graph.output))
        network.num_inputs, network.num_outputs = len(inputs), len(outputs)
        network.get_input = self._callable("INetworkDefinition.get_input", inputs.__getitem__)
        network.get_output = self._callable("INetworkDefinition.get_output", outputs.__getitem__)

    def _tensor(self, value: onnx.ValueInfoProto) -> Any:
        tensor = value.type.tensor_type
        kind = _KINDS[onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name]
        shape = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim)
        types: Any = self.module.DataType
        return self._object("ITensor", name=value.name, dtype=types[kind], shape=shape)

    def _profile(self) -> Any:
        shapes: dict[str, Any] = {}

        def set_shape(name: str, *sizes: Any) -> None:
            shapes[name] = [list(size) for size in sizes]

        made = self._object("IOptimizationProfile", {"set_shape": set_shape})
        self._shapes = shapes
        return made

    def _config(self) -> Any:
        flags = self.config["flags"]
        mine = b"timings of " + self.version.encode()
        cache = self._object("ITimingCache", {"serialize": lambda: mine})

        def add_profile(_: Any) -> int:
            self.config["profiles"].append(self._shapes)
            return len(self.config["profiles"]) - 1

        return self._object(
            "IBuilderConfig",
            {
                "add_optimization_profile": add_profile,
                "set_memory_pool_limit": lambda pool, size: self.config.update({pool.name: size}),
                "set_flag": lambda flag: None if flag.name in flags else flags.append(flag.name),
                "clear_flag": lambda flag: flags.remove(flag.name) if flag.name in flags else None,
                "create_timing_cache": lambda known: cache if known in (b"", mine) else None,
                "set_timing_cache": lambda given, _: given.serialize() == mine,
                "get_timing_cache": lambda: cache,
            },
        )
