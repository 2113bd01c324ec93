"""Cases about backend, batch size, inputs and outputs."""

from __future__ import annotations

from lint_repositories import (
    Case,
    Server,
    config,
    good,
    loaded,
    python,
    refused,
    tensorrt,
    tensors,
    warned,
    x,
)

_OPTIONAL = "x data_type: TYPE_FP32 dims: [4] optional: true"
_RAGGED = "allow_ragged_batch: true"


def _backend(name: str) -> str:
    return f'backend: "{name}"'


def _labelled(path: str) -> str:
    return tensors("output", f'y data_type: TYPE_FP32 dims: [4] label_filename: "{path}"')


def _batch_input(more: str) -> str:
    return f'batch_input [{{ kind: BATCH_ELEMENT_COUNT target_name: "n" {more} }}]'


def _batch_output(targets: str) -> str:
    kind = "BATCH_SCATTER_WITH_INPUT_SHAPE"
    return f'batch_output [{{ kind: {kind} target_name: {targets} source_input: "x" }}]'


TOP_LEVEL = (
    refused("platform_unknown", "TP816", backend='platform: "onnxruntime"'),
    Case(
        "backend_nowhere",
        "TP816 error",
        Server.REFUSES,
        {"config.pbtxt": config(backend=""), "1/weights": ""},
    ),
    good("backend_by_file", backend=""),
    Case(
        "pair_wrong",
        "TP817 error",
        Server.REFUSES,
        python(backend=f'{_backend("onnxruntime")} platform: "tensorrt_plan"'),
        more=("TP809",),
    ),
    good("pair_of_python", backend=f'{_backend("python")} platform: "onnxruntime_onnx"'),
    refused("backend_misspelt", "TP818", backend=_backend("pyton")),
    Case("backend_foreign", "TP818 warning", Server.UNSEEN, python(backend=_backend("acme_engine"))),
    Case(
        "backend_brought",
        None,
        Server.UNSEEN,
        {**python(backend=_backend("acme_engine")), "1/libtriton_acme_engine.so": ""},
    ),
    refused("runtime_unknown", "TP818", more='runtime: "python"'),
    # The server at hand has links for its backends' libraries, which it refuses when they are named.
    Case("runtime_of_backend", None, Server.UNSEEN, python(more='runtime: "libtriton_python.so"')),
    refused("batch_negative", "TP819", batch="max_batch_size: -1", batching=""),
    good("batch_missing", batch="", batching=""),
    Case("no_input", "TP828 error", Server.FAILS, python(input="")),
    good("no_input_no_batch", input="", batch="max_batch_size: 0", batching=""),
    warned("no_output", "TP828", output=""),
)

TENSORS = (
    refused("tensor_no_name", "TP820", input="input [{ data_type: TYPE_FP32 dims: [4] }]"),
    refused("tensor_no_type", "TP820", input=tensors("input", "x dims: [4]")),
    refused("tensor_no_dims", "TP820", input=tensors("input", "x data_type: TYPE_FP32")),
    refused("tensor_empty_dims", "TP820", output=tensors("output", "y data_type: TYPE_FP32 dims: []")),
    tensorrt("tensor_of_engine", None, input=tensors("input", "x"), output=tensors("output", "y dims: [4]")),
    refused("dims_0", "TP821", input=x("dims: [4,0]")),
    refused("dims_minus_2", "TP821", input=x("dims: [-2]")),
    good("dims_minus_1", input=x(f"dims: [-1] {_RAGGED}")),
    refused("reshape_minus_2", "TP821", input=x("dims: [4] reshape { shape: [-2] }")),
    refused("reshape_4_to_3", "TP822", input=x("dims: [4] reshape { shape: [3] }")),
    good("reshape_4_to_2x2", input=x("dims: [4] reshape { shape: [2,2] }")),
    refused("reshape_4_to_scalar", "TP822", input=x("dims: [4] reshape { shape: [] }")),
    good("reshape_1_to_scalar", input=x("dims: [1] reshape { }")),
    refused("reshape_no_batch", "TP822", input=x("dims: [1] reshape { }"), batch="", batching=""),
    good("reshape_varying", input=x(f"dims: [2,-1] reshape {{ shape: [1,2,-1] }} {_RAGGED}")),
    refused("reshape_moves", "TP822", input=x(f"dims: [2,-1] reshape {{ shape: [-1,2] }} {_RAGGED}")),
    refused("reshape_joins", "TP822", input=x(f"dims: [-1,-1] reshape {{ shape: [-1] }} {_RAGGED}")),
    refused("format_vector", "TP823", input=x("format: FORMAT_NHWC dims: [4]")),
    good("format_image", input=x("format: FORMAT_NHWC dims: [4,4,3]")),
    refused("shape_tensor", "TP824", input=x("dims: [4] is_shape_tensor: true")),
    refused("non_linear", "TP824", input=x("dims: [4] is_non_linear_format_io: true")),
    tensorrt("shape_tensor_of_engine", None, input=x("dims: [4] is_shape_tensor: true")),
    tensorrt("non_linear_vector", "TP824 error", input=x("dims: [4] is_non_linear_format_io: true")),
    refused("batch_no_source", "TP825", more=_batch_input("data_type: TYPE_INT32")),
    refused("batch_source", "TP825", more=_batch_input('data_type: TYPE_INT32 source_input: "z"')),
    refused("batch_type", "TP825", more=_batch_input('data_type: TYPE_INT64 source_input: "x"')),
    warned("batch_input", "TP825", more=_batch_input('data_type: TYPE_INT32 source_input: "x"')),
    refused("batch_target", "TP825", more=_batch_output('"z"')),
    refused("batch_target_twice", "TP825", more=_batch_output('["y", "y"]')),
    warned("batch_output", "TP825", more=_batch_output('"y"')),
    refused("labels_missing", "TP826", output=_labelled("no.txt")),
    refused("labels_absolute", "TP826", output=_labelled("/etc/passwd")),
    Case("labels_directory", "TP826 error", Server.DIES, python(output=_labelled("1"))),
    Case(
        "labels_outside",
        "TP826 warning",
        Server.WORKS,
        {**python(output=_labelled("../shared.txt")), "../shared.txt": "a\n"},
    ),
    Case("labels_there", None, Server.WORKS, {**python(output=_labelled("l.txt")), "l.txt": "a\n"}),
    Case("two_inputs", "TP827 error", Server.FAILS, python(input=tensors("input", "x", "x"))),
    warned(
        "two_inputs_one_optional",
        "TP827",
        input=tensors("input", "x", _OPTIONAL),
        batch="max_batch_size: 1",
        batching="",
    ),
    warned("two_outputs", "TP827", output=tensors("output", "y", "y")),
    loaded("input_and_output", output=tensors("output", "x")),
    warned("varying_not_ragged", "TP831", input=x("dims: [-1]")),
    good("varying_of_one", batch="max_batch_size: 1", batching="", input=x("dims: [-1]")),
)
