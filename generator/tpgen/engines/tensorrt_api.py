"""The part of TensorRT's Python bindings that tpgen calls, in the versions that it builds with.

Compared with the real bindings of 10.0.1, 10.16.1, 11.0.0 and 11.4.0, whose signatures
``tests/engines/real_bindings.py`` reads without a GPU. A test gives `build` a module that has these names
and no others.
"""

from __future__ import annotations

from typing import Final

# Functions and methods with the names of their parameters, in order; a trailing "?" marks one with a default.
CALLS: Final[dict[str, tuple[str, ...]]] = {
    "Logger": ("min_severity?",),
    "init_libnvinfer_plugins": ("logger", "namespace"),
    "Builder": ("logger",),
    "Builder.create_network": ("flags?",),
    "Builder.create_builder_config": (),
    "Builder.create_optimization_profile": (),
    "Builder.build_serialized_network": ("network", "config"),
    "OnnxParser": ("network", "logger"),
    "OnnxParser.parse": ("model", "path?"),
    "OnnxParser.set_flag": ("flag",),
    "OnnxParser.get_error": ("index",),
    "ParserError.desc": (),
    "INetworkDefinition.get_input": ("index",),
    "INetworkDefinition.get_output": ("index",),
    "IOptimizationProfile.set_shape": ("input", "min", "opt", "max"),
    "IBuilderConfig.add_optimization_profile": ("profile",),
    "IBuilderConfig.set_memory_pool_limit": ("pool", "pool_size"),
    "IBuilderConfig.set_flag": ("flag",),
    "IBuilderConfig.clear_flag": ("flag",),
    "IBuilderConfig.create_timing_cache": ("serialized_timing_cache",),
    "IBuilderConfig.set_timing_cache": ("cache", "ignore_mismatch"),
    "IBuilderConfig.get_timing_cache": (),
    "ITimingCache.serialize": (),
    "Runtime": ("logger",),
    "Runtime.deserialize_cuda_engine": ("serialized_engine",),
    "Refitter": ("engine", "logger"),
    "Refitter.refit_cuda_engine": (),
    "OnnxParserRefitter": ("refitter", "logger"),
    "OnnxParserRefitter.refit_from_bytes": ("model", "path?"),
    "OnnxParserRefitter.get_error": ("index",),
    "ICudaEngine.create_serialization_config": (),
    "ICudaEngine.serialize_with_config": ("arg0",),  # which has no name
    "ISerializationConfig.clear_flag": ("flag",),
}

PROPERTIES: Final[dict[str, tuple[str, ...]]] = {
    "OnnxParser": ("num_errors",),
    "OnnxParserRefitter": ("num_errors",),
    "INetworkDefinition": ("num_inputs", "num_outputs"),
    "ITensor": ("name", "shape", "dtype"),
    "IBuilderConfig": ("builder_optimization_level", "hardware_compatibility_level"),
}

# The element types of inputs and outputs: their names in TensorRT, and ours.
DTYPES: Final[dict[str, str]] = {
    "BF16": "bfloat16",
    "BOOL": "bool",
    "FLOAT": "float32",
    "HALF": "float16",
    "INT32": "int32",
    "INT64": "int64",
    "INT8": "int8",
    "UINT8": "uint8",
}

_BOTH: Final[dict[str, tuple[str, ...]]] = {
    "BuilderFlag": (
        "EXCLUDE_LEAN_RUNTIME",
        "REFIT",
        "REFIT_IDENTICAL",
        "STRIP_PLAN",
        "TF32",
        "VERSION_COMPATIBLE",
        "WEIGHT_STREAMING",
    ),
    "DataType": tuple(DTYPES),
    "HardwareCompatibilityLevel": ("AMPERE_PLUS", "NONE", "SAME_COMPUTE_CAPABILITY"),
    "MemoryPoolType": ("WORKSPACE",),
    "OnnxParserFlag": ("NATIVE_INSTANCENORM",),
    "SerializationFlag": ("EXCLUDE_WEIGHTS",),
}

# SAME_COMPUTE_CAPABILITY came in the course of 10.x: `build` says so where it is not there.
#
# By major version. 11 has only strongly typed networks; its flag for them is accepted and has no effect, and
# the flags for weak precision (FP16, INT8 ...) are gone: none of either is listed.
ENUMERATIONS: Final[dict[int, dict[str, tuple[str, ...]]]] = {
    10: {**_BOTH, "NetworkDefinitionCreationFlag": ("STRONGLY_TYPED",)},
    11: _BOTH,
}
