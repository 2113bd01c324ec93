"""Cases about directories, the text of config.pbtxt, and the code of Python models."""

from __future__ import annotations

import textwrap

from lint_repositories import (
    MODEL,
    SENDER,
    Case,
    Server,
    config,
    ensemble,
    good,
    python,
    refused,
    step,
    tensors,
    warned,
)

LAYOUT = (
    Case("works", None, Server.WORKS, python()),
    Case("no_model", "TP801 error", Server.REFUSES, {"readme.md": "notes"}),
    Case("no_model_empty", "TP801 error", Server.REFUSES, {}),
    Case("link_dangling", "TP802 error", Server.REFUSES, {**python(), "w.bin": "->/nowhere/w.bin"}),
    Case("link_circular", "TP802 error", Server.REFUSES, {**python(), "w.bin": "->w.bin"}),
    Case("link_deeper", None, Server.WORKS, {**python(), "1/w.bin": "->/nowhere/w.bin"}),
    Case("link_good", None, Server.WORKS, {**python(), "w.bin": "->1/model.py"}),
    Case("name with blank", "TP803 error", Server.HANGS, python(), more=("TP804",)),
    Case("name'quote", "TP803 error", Server.HANGS, python(), more=("TP804",)),
    Case("näme", "TP803 error", Server.UNSEEN, python(), more=("TP804",)),
    Case("name+plus", "TP804 warning", Server.UNSEEN, python()),
    Case("name.dot-dash~tilde", None, Server.WORKS, python()),
    Case("name_other", "TP805 error", Server.REFUSES, python(name='name: "other"')),
    Case("name_missing", None, Server.WORKS, python(name="")),
    Case("no_version", "TP806 error", Server.REFUSES, {"config.pbtxt": config(), "model.py": MODEL}),
    Case("no_version_zero", "TP806 error", Server.REFUSES, {"config.pbtxt": config(), "01/model.py": MODEL}),
    Case("no_version_file", "TP806 error", Server.REFUSES, {"config.pbtxt": config(), "1": "text"}),
    Case(
        "no_version_word", "TP806 error", Server.REFUSES, {"config.pbtxt": config(), "latest/model.py": MODEL}
    ),
    Case(
        "policy_missing",
        "TP806 error",
        Server.REFUSES,
        python(more="version_policy { specific { versions: [2] } }"),
    ),
    Case(
        "policy_present", None, Server.WORKS, python(more="version_policy { specific { versions: [1, 2] } }")
    ),
    Case("policy_latest_0", "TP806 error", Server.REFUSES, python(more="version_policy { latest { } }")),
    Case("policy_empty", None, Server.WORKS, python(more="version_policy { }")),
    Case("policy_all", None, Server.WORKS, python(more="version_policy { all { } }")),
    Case("version_0", None, Server.WORKS, {"config.pbtxt": config(), "0/model.py": MODEL}),
    Case("version_backup", "TP807 error", Server.HANGS, {**python(), "2_backup/model.py": MODEL}),
    Case("version_minus", "TP807 error", Server.HANGS, {"config.pbtxt": config(), "-1/model.py": MODEL}),
    Case("version_huge", "TP807 error", Server.DIES, {"config.pbtxt": config(), f"{10**20}/model.py": MODEL}),
    Case("version_old_copy", None, Server.WORKS, {**python(), "1_old/model.py": MODEL}),
    Case(
        "version_not_latest", None, Server.WORKS, {**python(), "3/model.py": MODEL, "2_old/model.py": MODEL}
    ),
    Case("version_ignored", "TP808 warning", Server.WORKS, {**python(), "02/model.py": MODEL}),
    Case("version_v2", "TP808 warning", Server.WORKS, {**python(), "v2/model.py": MODEL}),
    Case("version_other_folder", None, Server.WORKS, {**python(), "old/model.py": MODEL, "warmup/x": ""}),
    Case("file_missing", "TP809 error", Server.HANGS, {"config.pbtxt": config(), "1/other.py": MODEL}),
    Case("file_missing_latest", "TP809 error", Server.HANGS, {**python(), "2/.gitkeep": ""}),
    Case("file_is_directory", "TP809 error", Server.REFUSES, {"config.pbtxt": config(), "1/model.py/x": ""}),
    Case("file_named_missing", "TP809 error", Server.HANGS, python(more='default_model_filename: "m2.py"')),
    Case(
        "file_named",
        None,
        Server.WORKS,
        {"config.pbtxt": config(more='default_model_filename: "m2.py"'), "1/m2.py": MODEL},
    ),
    Case("onnx_missing", "TP809 error", Server.REFUSES, python(backend='backend: "onnxruntime"')),
    Case("no_config", "TP814 warning", Server.LOADS, {"1/model.py": MODEL}),
)

_INFLIGHT = f"ensemble_scheduling {{ step [{step()}] max_inflight_requests: 4 }}"


def _input(more: str) -> str:
    return tensors("input", f"x {more}")


def _parameters(*values: str) -> str:
    return " ".join(f'parameters {{ key: "a" value {{ {value} }} }}' for value in values)


_SHIFTED_COMMA = 'input [{ name: "x" data_type: TYPE_FP32 dims: [4] },]'
_OTHER_SIGNS = "parameters: < key: 'k', value: < string_value: 'a' \"b\" >; >"
_LATIN_1 = b"# \xe9\n" + config(name="").encode()
_NON_LINEAR = "data_type: TYPE_FP32 dims: [4] is_non_linear_format_io: false"
_TWO_MAPS = _parameters('string_value: "1"') + ' metric_tags { key: "a" value: "2" }'
_NO_COUNT = "version_policy { latest { num_versions: -1 } }"

TEXT = (
    Case("config_directory", "TP810 error", Server.DIES, {"config.pbtxt/x": "", "1/model.py": MODEL}),
    Case("config_link", "TP810 error", Server.REFUSES, {"config.pbtxt": "->/no", "1/model.py": MODEL}),
    refused("field_unknown", "TP811", more="max_batch_sise: 8"),
    refused("field_unknown_inside", "TP811", input=_input("dtype: TYPE_FP32 dims: [4]")),
    refused("value_lower_case", "TP811", input=_input("data_type: fp32 dims: [4]")),
    refused("value_bytes", "TP811", input=_input("data_type: TYPE_BYTES dims: [4]")),
    good("value_number", input=_input("data_type: 11 dims: [4]")),
    refused("value_quoted", "TP811", batch='max_batch_size: "8"'),
    refused("value_fraction", "TP811", batch="max_batch_size: 8.0"),
    refused("value_too_large", "TP811", batch="max_batch_size: 3000000000"),
    good("value_hexadecimal", batch="max_batch_size: 0x8"),
    refused("value_negative", "TP811", more=_NO_COUNT),
    refused("parameter_int64", "TP811", more=_parameters("int64_param: 1")),
    good("parameter_string", more=_parameters('string_value: "1"')),
    refused("given_twice", "TP811", more='name: "{name}"'),
    refused("two_schedulers", "TP811", more="sequence_batching { }"),
    refused("colon_missing", "TP811", batch="max_batch_size 8"),
    refused("comma_too_many", "TP811", input=_SHIFTED_COMMA),
    refused("brace_missing", "TP811", batching="dynamic_batching {"),
    good("angles_and_commas", more=_OTHER_SIGNS),
    good("sign_and_number", input=_input("data_type: TYPE_FP32 dims: [ -\n 1 ] allow_ragged_batch: true")),
    refused("byte_order_mark", "TP811", name='\ufeffname: "{name}"'),
    Case("field_newer", "TP812 error", Server.REFUSES, ensemble(batching=_INFLIGHT), ("lib_step",)),
    Case("field_not_newer", None, Server.UNSEEN, ensemble(batching=_INFLIGHT), ("lib_step",), "25.11"),
    good("field_older", input=_input(_NON_LINEAR)),
    Case("latin_1", "TP813 warning", Server.WORKS, {"1/model.py": MODEL, "config.pbtxt": _LATIN_1}),
    good("utf_8", name='name: "{name}"  # é'),
    warned("key_twice", "TP815", more=_parameters('string_value: "1"', 'string_value: "2"')),
    good("key_of_two_maps", more=_TWO_MAPS),
    Case(
        "map_key_twice",
        "TP815 warning",
        Server.WORKS,
        ensemble(step(reads=(("x", "other"), ("x", "x")))),
        ("lib_step",),
    ),
)


def _method(text: str) -> str:
    return f"{MODEL}\n    {text}\n"


def _answering(text: str) -> str:
    return MODEL.replace("return [self.one(request) for request in requests]", text)


_WORKER = SENDER.replace("execute", "work").replace("TritonPythonModel", "Worker")
_DELEGATES = """\
from worker import Worker


class TritonPythonModel:
    def execute(self, requests):
        Worker().work(requests)
"""

CODE = (
    Case(
        "module_txt",
        "TP829 error",
        Server.REFUSES,
        {"config.pbtxt": config(more='default_model_filename: "m.txt"'), "1/m.txt": MODEL},
    ),
    Case(
        "module_dots",
        "TP829 error",
        Server.REFUSES,
        {"config.pbtxt": config(more='default_model_filename: "m.2.py"'), "1/m.2.py": MODEL},
    ),
    Case(
        "module_above",
        "TP829 error",
        Server.REFUSES,
        {"config.pbtxt": config(more='default_model_filename: "../m.py"'), "1/x": "", "m.py": MODEL},
    ),
    Case(
        "module_below",
        None,
        Server.WORKS,
        {"config.pbtxt": config(more='default_model_filename: "sub/m-2.py"'), "1/sub/m-2.py": MODEL},
    ),
    Case(
        "module_blank",
        "TP829 error",
        Server.HANGS,
        {"config.pbtxt": config(more='default_model_filename: "a b.py"'), "1/a b.py": MODEL},
    ),
    Case("code_syntax", "TP832 error", Server.REFUSES, python("def f(:\n")),
    Case("code_null", "TP832 error", Server.REFUSES, python(b"\0" + MODEL.encode())),
    Case("code_escape", None, Server.WORKS, python(MODEL + '\nPATTERN = "\\d"\n')),
    Case("class_missing", "TP833 error", Server.REFUSES, python(MODEL.replace("TritonPythonModel", "Model"))),
    Case(
        "class_in_function",
        "TP833 error",
        Server.REFUSES,
        python("def make():\n" + textwrap.indent(MODEL, "    ")),
    ),
    Case("class_in_branch", None, Server.WORKS, python("if True:\n" + textwrap.indent(MODEL, "    "))),
    Case("class_empty_file", "TP833 error", Server.REFUSES, python("")),
    Case(
        "class_assigned",
        None,
        Server.WORKS,
        python(MODEL.replace("TritonPythonModel", "Model") + "\nTritonPythonModel = Model\n"),
    ),
    Case(
        "class_imported",
        None,
        Server.WORKS,
        {**python("from helper import TritonPythonModel\n"), "1/helper.py": MODEL},
    ),
    Case("execute_missing", "TP834 error", Server.FAILS, python("class TritonPythonModel:\n    pass\n")),
    Case(
        "execute_no_argument",
        "TP834 error",
        Server.FAILS,
        python("class TritonPythonModel:\n    def execute(self):\n        return []\n"),
    ),
    Case(
        "execute_inherited",
        None,
        Server.WORKS,
        python(
            MODEL.replace("class TritonPythonModel", "class Base")
            + "\n\nclass TritonPythonModel(Base):\n    pass\n"
        ),
    ),
    Case(
        "execute_any_arguments",
        None,
        Server.WORKS,
        python(MODEL.replace("(self, requests):", "(self, *given):\n        requests = given[0]")),
    ),
    Case("execute_async", None, Server.WORKS, python(MODEL.replace("def execute", "async def execute"))),
    Case(
        "initialize_no_argument", "TP835 error", Server.REFUSES, python(_method("def initialize(self): pass"))
    ),
    Case(
        "initialize_argument",
        None,
        Server.WORKS,
        python(_method("def initialize(self, args, more=None): pass")),
    ),
    Case("init_argument", "TP835 error", Server.REFUSES, python(_method("def __init__(self, args): pass"))),
    Case("init_default", None, Server.WORKS, python(_method("def __init__(self, args=None): pass"))),
    Case(
        "complete_of_instance",
        "TP835 error",
        Server.REFUSES,
        python(_method("def auto_complete_config(self, config): return config")),
    ),
    Case(
        "complete_static",
        None,
        Server.WORKS,
        python(_method("@staticmethod\n    def auto_complete_config(config): return config")),
    ),
    Case(
        "complete_nothing",
        "TP820 error",
        Server.REFUSES,
        python(
            _method("@staticmethod\n    def auto_complete_config(config): return config"),
            output=tensors("output", "y data_type: TYPE_FP32"),
        ),
    ),
    Case(
        "complete_output",
        None,
        Server.WORKS,
        python(
            _method(
                "@staticmethod\n    def auto_complete_config(config):\n        config.add_output("
                '{"name": "y", "data_type": "TYPE_FP32", "dims": [4]})\n        return config'
            ),
            output=tensors("output", "y data_type: TYPE_FP32"),
        ),
    ),
    Case(
        "complete_no_return",
        "TP835 error",
        Server.REFUSES,
        python(_method("@staticmethod\n    def auto_complete_config(config): pass")),
    ),
    Case(
        "complete_of_class",
        None,
        Server.WORKS,
        python(_method("@classmethod\n    def auto_complete_config(cls, config): return config")),
    ),
    Case(
        "complete_plain",
        None,
        Server.WORKS,
        python(_method("def auto_complete_config(config): return config")),
    ),
    Case(
        "answer_forgotten",
        "TP836 error",
        Server.HANGS,
        python("class TritonPythonModel:\n    def execute(self, requests):\n        answers = [1]\n"),
    ),
    Case("answer_yielded", "TP836 error", Server.FAILS, python(_answering("yield self.one(requests[0])"))),
    Case(
        "answer_tuple",
        "TP836 error",
        Server.FAILS,
        python(_answering("return self.one(requests[0]),")),
    ),
    Case(
        "answer_of_inner",
        None,
        Server.WORKS,
        python(
            _answering(
                "def each():\n            yield from map(self.one, requests)\n        return list(each())"
            )
        ),
    ),
    Case(
        "answer_sent", None, Server.LOADS, python(SENDER, more="model_transaction_policy { decoupled: true }")
    ),
    Case("answer_sent_by_helper", None, Server.WORKS, {**python(_DELEGATES), "1/worker.py": _WORKER}),
    Case(
        "helper_shadowed",
        "TP837 warning",
        Server.WORKS,
        {**python("import queue\n" + MODEL), "1/queue.py": "1 / 0\n"},
    ),
    Case(
        "helper_relative", None, Server.WORKS, {**python("from . import queue\n" + MODEL), "1/queue.py": ""}
    ),
    Case(
        "helper_own_name",
        None,
        Server.WORKS,
        {**python("import frame_queue\n" + MODEL), "1/frame_queue.py": ""},
    ),
)
