"""Cases about ensembles."""

from __future__ import annotations

from lint_repositories import Case, Server, config, ensemble, step, tensors

_INTS = "data_type: TYPE_INT32 dims: [4]"
_WIDE = "data_type: TYPE_FP32 dims: [-1,4]"

FIELDS = (
    Case("e_works", None, Server.WORKS, ensemble(step()), ("lib_step",)),
    Case("e_no_version", "TP806 error", Server.REFUSES, ensemble(step(), version=False), ("lib_step",)),
    Case("e_no_platform", "TP880 error", Server.REFUSES, ensemble(step(), backend=""), ("lib_step",)),
    Case(
        "e_other_platform",
        "TP880 error",
        Server.REFUSES,
        ensemble(step(), backend='platform: "tensorrt_plan"'),
        ("lib_step",),
    ),
    Case("e_no_scheduling", "TP880 error", Server.REFUSES, ensemble()),
    Case("e_no_steps", "TP880 error", Server.REFUSES, ensemble(batching="ensemble_scheduling { }")),
    Case(
        "e_backend", "TP881 error", Server.REFUSES, ensemble(step(), more='backend: "python"'), ("lib_step",)
    ),
    Case(
        "e_instances",
        "TP881 error",
        Server.REFUSES,
        ensemble(step(), instances="instance_group [{ kind: KIND_CPU }]"),
        ("lib_step",),
    ),
    Case(
        "e_optimization",
        "TP881 error",
        Server.REFUSES,
        ensemble(step(), more="optimization { }"),
        ("lib_step",),
    ),
    Case(
        "e_warmup",
        "TP881 error",
        Server.REFUSES,
        ensemble(step(), more='model_warmup [{ name: "w" }]'),
        ("lib_step",),
    ),
    Case(
        "e_parameters",
        None,
        Server.WORKS,
        ensemble(step(), more='parameters { key: "a" value { string_value: "b" } }'),
        ("lib_step",),
    ),
    Case(
        "e_cache",
        "TP879 note",
        Server.WORKS,
        ensemble(step(), more="response_cache { enable: true }"),
        ("lib_step",),
    ),
    Case(
        "e_batching",
        "TP811 error",
        Server.REFUSES,
        ensemble(step(), more="dynamic_batching { }"),
        ("lib_step",),
    ),
    Case(
        "e_format",
        "TP823 error",
        Server.REFUSES,
        ensemble(step(), input=tensors("input", "x data_type: TYPE_FP32 format: FORMAT_NHWC dims: [4]")),
        ("lib_step",),
    ),
    Case(
        "e_same_names",
        "TP827 error",
        Server.FAILS,
        ensemble(step(), input=tensors("input", "x", "x")),
        ("lib_step",),
    ),
)

STEPS = (
    Case("s_no_model", "TP882 error", Server.REFUSES, ensemble(step(""))),
    Case(
        "s_no_reads",
        "TP882 error",
        Server.REFUSES,
        ensemble(step(reads=()), input=""),
        ("lib_step",),
        more=("TP886",),
    ),
    Case("s_no_writes", "TP882 error", Server.REFUSES, ensemble(step(), step(writes=())), ("lib_step",)),
    Case("s_unknown", "TP883 error", Server.REFUSES, ensemble(step("lib_stap")), ("lib_step",)),
    Case("s_version_missing", "TP884 error", Server.REFUSES, ensemble(step(version="")), ("lib_step",)),
    Case(
        "s_version_0",
        "TP884 error",
        Server.REFUSES,
        ensemble(step(version="model_version: 0")),
        ("lib_step",),
    ),
    Case(
        "s_version_9",
        "TP884 error",
        Server.REFUSES,
        ensemble(step(version="model_version: 9")),
        ("lib_step",),
    ),
    Case("s_version_1", None, Server.WORKS, ensemble(step(version="model_version: 1")), ("lib_step",)),
    Case(
        "s_input_unknown",
        "TP885 error",
        Server.REFUSES,
        ensemble(step(reads=(("X", "x"),))),
        ("lib_step",),
        more=("TP886",),
    ),
    Case(
        "s_input_more",
        "TP885 error",
        Server.REFUSES,
        ensemble(step(reads=(("x", "x"), ("w", "x")))),
        ("lib_step",),
    ),
    Case(
        "s_output_unknown", "TP885 error", Server.REFUSES, ensemble(step(writes=(("Y", "y"),))), ("lib_step",)
    ),
    Case(
        "s_no_input",
        "TP885 error",
        Server.REFUSES,
        ensemble(step("lib_no_input"), batch=""),
        ("lib_no_input",),
    ),
    Case("s_input_missing", "TP886 error", Server.REFUSES, ensemble(step("lib_two")), ("lib_two",)),
    Case(
        "s_optional_missing",
        None,
        Server.WORKS,
        ensemble(step("lib_optional"), batch="max_batch_size: 1"),
        ("lib_optional",),
    ),
    Case("s_output_not_mapped", None, Server.WORKS, ensemble(step("lib_pair")), ("lib_pair",)),
)

_CHAIN = (step(writes=(("y", "t"),)), step(reads=(("x", "t"),)))

TENSORS = (
    Case("t_chain", None, Server.WORKS, ensemble(*_CHAIN), ("lib_step",)),
    Case("t_chain_backwards", None, Server.WORKS, ensemble(*_CHAIN[::-1]), ("lib_step",)),
    Case(
        "t_input_unused",
        "TP887 error",
        Server.REFUSES,
        ensemble(step(), input=tensors("input", "x", "z")),
        ("lib_step",),
    ),
    Case(
        "t_output_unused",
        "TP887 error",
        Server.REFUSES,
        ensemble(step("lib_pair", writes=(("y", "y"), ("z", "t")))),
        ("lib_pair",),
    ),
    Case(
        "t_output_not_written",
        "TP888 error",
        Server.REFUSES,
        ensemble(step(), output=tensors("output", "y", "z")),
        ("lib_step",),
    ),
    Case(
        "t_input_not_written",
        "TP888 error",
        Server.REFUSES,
        ensemble(step(), step(reads=(("x", "q"),), writes=(("y", "z"),)), output=tensors("output", "y", "z")),
        ("lib_step",),
    ),
    Case(
        "t_circle",
        "TP888 error",
        Server.REFUSES,
        ensemble(
            step(),
            step(reads=(("x", "b"),), writes=(("y", "a"),)),
            step(reads=(("x", "a"),), writes=(("y", "b"),)),
        ),
        ("lib_step",),
    ),
    Case(
        "t_maps_swapped",
        "TP885 error",
        Server.REFUSES,
        ensemble(step(reads=(("data", "x"),)), input=tensors("input", "data")),
        ("lib_step",),
        more=("TP886", "TP887", "TP888"),
    ),
    Case("t_no_input", "TP888 error", Server.REFUSES, ensemble(step(), input=""), ("lib_step",)),
    Case("t_two_writers", "TP889 error", Server.REFUSES, ensemble(step(), step()), ("lib_step",)),
    Case(
        "t_writes_input",
        "TP890 error",
        Server.HANGS,
        ensemble(step(writes=(("y", "x"),)), step()),
        ("lib_step",),
    ),
    Case(
        "t_input_is_output",
        None,
        Server.WORKS,
        ensemble(step(), output=tensors("output", "y", "x")),
        ("lib_step",),
    ),
    Case(
        "t_input_is_other_output",
        "TP891 warning",
        Server.WORKS,
        ensemble(step(), output=tensors("output", "y", f"x {_INTS}")),
        ("lib_step",),
    ),
    Case(
        "t_input_is_larger_output",
        "TP891 warning",
        Server.WORKS,
        ensemble(step(), output=tensors("output", "y", "x data_type: TYPE_FP32 dims: [5]")),
        ("lib_step",),
    ),
)


def _rows(count: int) -> dict[str, str | bytes | None]:
    """An ensemble that does not batch, with so many rows for a step that does."""
    rows = f"data_type: TYPE_FP32 dims: [{count},4]"
    return ensemble(
        step(), batch="", input=tensors("input", f"x {rows}"), output=tensors("output", f"y {rows}")
    )


TYPES = (
    Case("j_type_of_output", "TP891 error", Server.REFUSES, ensemble(step("lib_int")), ("lib_int",)),
    Case(
        "j_type_of_input",
        "TP891 error",
        Server.REFUSES,
        ensemble(step(), input=tensors("input", f"x {_INTS}")),
        ("lib_step",),
    ),
    Case(
        "j_type_between",
        "TP891 error",
        Server.REFUSES,
        ensemble(step("lib_int", writes=(("y", "t"),)), _CHAIN[1]),
        ("lib_int", "lib_step"),
    ),
    Case(
        "j_shape",
        "TP892 error",
        Server.REFUSES,
        ensemble(step(), input=tensors("input", "x data_type: TYPE_FP32 dims: [5]")),
        ("lib_step",),
    ),
    Case(
        "j_rank",
        "TP892 error",
        Server.REFUSES,
        ensemble(step(), input=tensors("input", "x data_type: TYPE_FP32 dims: [4,1]")),
        ("lib_step",),
    ),
    Case(
        "j_varying",
        None,
        Server.WORKS,
        ensemble(step(), input=tensors("input", "x data_type: TYPE_FP32 dims: [-1]")),
        ("lib_step",),
    ),
    Case(
        "j_reshape",
        None,
        Server.WORKS,
        ensemble(step(), input=tensors("input", "x data_type: TYPE_FP32 dims: [2,2] reshape { shape: [4] }")),
        ("lib_step",),
    ),
    Case(
        "j_reshape_wrong",
        "TP892 error",
        Server.REFUSES,
        ensemble(step(), input=tensors("input", "x data_type: TYPE_FP32 dims: [4] reshape { shape: [2,2] }")),
        ("lib_step",),
    ),
    Case("j_no_batch_in_batch", "TP894 warning", Server.LOADS, ensemble(step("lib_single")), ("lib_single",)),
    Case("j_wide_in_batch", None, Server.WORKS, ensemble(step("lib_wide")), ("lib_wide",)),
    Case("j_batch_in_no_batch", None, Server.LOADS, ensemble(step(), batch=""), ("lib_step",)),
    Case(
        "j_batch_in_wide",
        None,
        Server.WORKS,
        ensemble(
            step(), batch="", input=tensors("input", f"x {_WIDE}"), output=tensors("output", f"y {_WIDE}")
        ),
        ("lib_step",),
    ),
    Case("j_nine_in_eight", "TP893 error", Server.FAILS, _rows(9), ("lib_step",)),
    Case("j_eight_in_eight", None, Server.WORKS, _rows(8), ("lib_step",)),
    Case("j_batch_too_large", "TP893 error", Server.REFUSES, ensemble(step("lib_small")), ("lib_small",)),
    Case(
        "j_batch_smaller",
        None,
        Server.WORKS,
        ensemble(step("lib_small"), batch="max_batch_size: 2"),
        ("lib_small",),
    ),
    Case(
        "j_no_batch_in_one",
        None,
        Server.WORKS,
        ensemble(step("lib_single"), batch="max_batch_size: 1"),
        ("lib_single",),
    ),
    Case("n_nested", None, Server.WORKS, ensemble(step("lib_ensemble")), ("lib_ensemble",)),
    Case("n_self", "TP895 error", Server.REFUSES, ensemble(step("n_self"))),
    Case(
        "d_decoupled",
        None,
        Server.LOADS,
        ensemble(step("lib_sender"), batch="max_batch_size: 1"),
        ("lib_sender",),
    ),
    Case(
        "d_cache",
        "TP844 error",
        Server.REFUSES,
        ensemble(step("lib_sender"), batch="max_batch_size: 1", more="response_cache { enable: true }"),
        ("lib_sender",),
    ),
    Case(
        "d_outputs",
        "TP896 error",
        Server.REFUSES,
        ensemble(step("lib_sender"), batch="max_batch_size: 1", output=tensors("output", "y", "x")),
        ("lib_sender",),
    ),
    Case(
        "d_join",
        "TP896 error",
        Server.REFUSES,
        ensemble(
            step("lib_sender", writes=(("y", "t"),)),
            step("lib_two", reads=(("x", "t"), ("z", "x"))),
            batch="max_batch_size: 1",
        ),
        ("lib_sender", "lib_two"),
    ),
    Case(
        "d_no_join",
        None,
        Server.LOADS,
        ensemble(
            step("lib_sender", writes=(("y", "t"),)),
            step("lib_two", reads=(("x", "t"), ("z", "t"))),
            batch="max_batch_size: 1",
        ),
        ("lib_sender", "lib_two"),
    ),
    Case(
        "o_optional_required",
        "TP897 warning",
        Server.LOADS,
        ensemble(
            step("lib_two", reads=(("x", "x"), ("z", "z"))),
            input=tensors("input", "x", "z data_type: TYPE_FP32 dims: [4] optional: true"),
        ),
        ("lib_two",),
    ),
    Case(
        "o_optional_optional",
        None,
        Server.WORKS,
        ensemble(
            step("lib_optional", reads=(("x", "x"), ("o", "o"))),
            batch="max_batch_size: 1",
            input=tensors("input", "x", "o data_type: TYPE_FP32 dims: [4] optional: true"),
        ),
        ("lib_optional",),
    ),
)


def _branches(*order: int) -> dict[str, str | bytes | None]:
    """`a` leads to `p` through `t`; `b` and `t` lead to `q`."""
    steps = (
        step(reads=(("x", "a"),), writes=(("y", "t"),)),
        step(reads=(("x", "t"),), writes=(("y", "p"),)),
        step("lib_two", reads=(("x", "t"), ("z", "b")), writes=(("y", "q"),)),
    )
    ends = {"input": tensors("input", "a", "b"), "output": tensors("output", "p", "q")}
    return ensemble(*(steps[index] for index in order), **ends)


_DALI = {
    "config.pbtxt": config(backend='backend: "dali"', output=tensors("output", "y", "z"), batching=""),
    "1/model.dali": "",
}

PARTS = (
    Case("p_first_is_dropped", "TP898 warning", Server.WORKS, _branches(0, 1, 2), ("lib_step", "lib_two")),
    Case("p_first_is_not_needed", None, Server.WORKS, _branches(2, 0, 1), ("lib_step", "lib_two")),
)

# Ensembles whose steps are models of the cases themselves.
DALI = (
    Case("lib_dali", None, Server.UNSEEN, _DALI),
    Case("dali_part", "TP899 error", Server.UNSEEN, ensemble(step("lib_dali"))),
    Case(
        "dali_all",
        None,
        Server.UNSEEN,
        ensemble(step("lib_dali", writes=(("y", "y"), ("z", "z"))), output=tensors("output", "y", "z")),
    ),
)
CIRCLE = (
    Case("circle_a", "TP895 error", Server.REFUSES, ensemble(step("circle_b"))),
    Case("circle_b", "TP895 error", Server.REFUSES, ensemble(step("circle_a"))),
)
