"""Where findings stand, and what they say: a repository with an error in every corner, printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from golden import Golden
from tpgen.diagnostics import render
from tpgen.emit.lint import lint_repository
from tpgen.emit.lint.scan import Key, Places, scan, unquote
from tpgen.source import SourceFile

_HERE = Path(__file__).parent

_DETECTOR = """\
# written by hand
name: "detect"
backend: "python"
max_batch_size: 8
input [
  { name: "image" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] },
  {
    name: "scale"
    data_type: TYPE_FP32
    dims: [ 2, 0 ]
  }
]
output [ { name: "boxes" data_type: TYPE_FP32 dims: [ -1, 4 ] label_filename: "boxes.txt" } ]
dynamic_batching {
  preferred_batch_size: [ 4, 16 ]
  default_queue_policy { allow_timeout_override: true }
}
instance_group [ { kind: KIND_CPU gpus: 0 count: 0 } ]
parameters { key: "FORCE_CPU_ONLY_INPUT_TENSORS" value { string_value: "no" } }
parameters { key: "FORCE_CPU_ONLY_INPUT_TENSORS" value: { string_value: "false" } }
"""
_CODE = """\
import json


class TritonPythonModel:
    def initialize(self):
        self.threshold = 0.5

    def execute(self, requests):
        for request in requests:
            json.dumps(self.threshold)
"""
_OCR = """\
platform: "ensemble"
max_batch_size: 16
input [ { name: "image" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] } ]
output [ { name: "text" data_type: TYPE_STRING dims: [ 1 ] } ]
ensemble_scheduling {
  step [
    {
      model_name: "detector"
      input_map { key: "image" value: "image" }
      output_map { key: "boxs" value: "boxes" }
    },
    {
      model_name: "recogniser"
      model_version: -1
      input_map { key: "image" value: "imgae" }
      output_map { key: "text" value: "text" }
    }
  ]
}
instance_group [ { count: 2 } ]
"""


def test_findings_of_a_broken_repository(
    tmp_path: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "detector/config.pbtxt": _DETECTOR,
        "detector/1/model.py": _CODE,
        "detector/1/json.py": "",
        "detector/v2/model.py": _CODE,
        "ocr/config.pbtxt": _OCR,
        "ocr/1/.gitkeep": "",
        "recognizer/config.pbtxt": 'backend: "pyton" max_batch_sise: 4',
        "recognizer/1/model.py": "class TritonPythonModel\n    pass\n",
        ".git/HEAD": "",
    }
    for name, text in files.items():
        (tmp_path / "models" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "models" / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    shown = "\n".join(render(finding) for finding in lint_repository(Path("models")))
    golden.file(_HERE / "expected" / "broken_repository.txt", f"{shown}\n")


def places(text: str) -> Places:
    return scan(SourceFile("config.pbtxt", text))


def test_the_scanner_finds_fields_of_all_forms() -> None:
    text = (
        "input [ { name: \"a\" dims: [ -1, 4 ] }, < name: 'b' dims: 3; dims: - 4 > ]  # input { }\n"
        'parameters { key: "k" value: { string_value: "1" } }\n'
        "parameters { key: 'k' value { string_value: \"2\" } }\n"
        "name: \"x\" 'y'\nversion_policy: { all { } }"
    )
    found = places(text)
    assert found.span("input", 0, "dims", 1).text == "4"
    assert found.span("input", 0, "dims").text == "4", "without an index, the last"
    assert found.span("input", 1, "name").text == "name: 'b'"
    assert found.span("input", 1, "dims", 0).text == "dims: 3"
    assert found.span("input", 1, "dims", 1).text == "dims: - 4"
    assert found.span("parameters", Key("k"), "value", "string_value").text == 'string_value: "2"'
    assert found.span("name").text == "name: \"x\" 'y'"
    assert found.span("version_policy", "all").text == "all"


def test_a_missing_field_is_shown_by_what_is_around_it() -> None:
    found = places('input [ { name: "a" } ] dynamic_batching { }')
    assert found.span("input", 0, "data_type").text == "{" and found.span("input", 0, "data_type").column == 9
    assert found.span("dynamic_batching", "preferred_batch_size", 3).text == "dynamic_batching"
    assert found.span("input", 5, "dims").text == "{", "the last of the inputs that there are"
    assert found.find("input", 5) is None and found.find("parameters", Key("k")) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a"', "a"),
        ("'a' \"b\"\n'c'", "abc"),
        (r'"\x41\101\n\"\u00e9\U0001F600\q"', 'AA\n"é😀q'),
        (r'"\UFFFFFFFF"', "\N{REPLACEMENT CHARACTER}"),
        ("word", "word"),
    ],
)
def test_strings_are_read_as_protobuf_reads_them(text: str, value: str) -> None:
    assert unquote(text) == value
