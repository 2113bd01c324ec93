"""Every field of a model configuration survives printing and parsing by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tpgen.emit.config_pbtxt import ConfigSyntaxError, messages, parse, render

SAMPLES = {"string": 'a "b"\n\\ ü', "integer": 3, "float": 0.5, "bool": True}
Path = tuple[Any, ...]


def kind_of(field: Any) -> str:
    kinds = {field.CPPTYPE_STRING: "string", field.CPPTYPE_BOOL: "bool"}
    return kinds.get(
        field.cpp_type,
        "float" if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE) else "integer",
    )


def paths(descriptor: Any, prefix: Path = ()) -> Iterator[Path]:
    """Every field, at any depth, as the tuple of descriptors that leads to it."""
    for field in descriptor.fields:
        yield (*prefix, field)
        if field.message_type is not None:
            yield from paths(field.message_type, (*prefix, field))


def sample(field: Any) -> Any:
    return field.enum_type.values[-1].number if field.enum_type else SAMPLES[kind_of(field)]


def set_field(message: Any, path: Path) -> None:
    """Sets the one field at the end of the path and whatever is needed to get there."""
    field, rest = path[0], path[1:]
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, content = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
        if content.message_type is None:
            value[sample(key)] = sample(content)
        elif rest[1:]:
            set_field(value[sample(key)], rest[1:])
        else:
            value[sample(key)].SetInParent()
    elif field.message_type is not None:
        part = value.add() if field.label == field.LABEL_REPEATED else value
        part.SetInParent()
        if rest:
            set_field(part, rest)
    elif field.label == field.LABEL_REPEATED:
        value.extend([sample(field), sample(field)])
    else:
        setattr(message, field.name, sample(field))


ALL = list(paths(messages().ModelConfig.DESCRIPTOR))


def test_the_fields_are_all_here() -> None:
    names = {".".join(field.name for field in path) for path in ALL}
    assert len(ALL) == len(names) > 180
    assert {
        "ensemble_scheduling.step.input_map.key",
        "sequence_batching.direct.minimum_slot_utilization",
    } <= names


@pytest.mark.parametrize("path", ALL, ids=lambda path: ".".join(field.name for field in path))
def test_each_field_alone_round_trips(path: Path) -> None:
    config = messages().ModelConfig()
    set_field(config, path)
    assert config.ListFields(), "the sample must say something"
    assert parse(render(config)) == config
    assert parse(render(config, "two\nlines: 1")) == config


def test_layout() -> None:
    config = messages().ModelConfig(name="ocr", backend="python", max_batch_size=8)
    config.input.add(name="data", data_type="TYPE_UINT8", dims=[-1, -1, 3], allow_ragged_batch=True)
    config.output.add(name="result", data_type="TYPE_FP32", dims=[1000])
    config.dynamic_batching.SetInParent()
    config.parameters["b"].string_value = "2"
    config.parameters["a"].string_value = "1"
    assert (
        render(config, "Written by tpgen.\n\nDo not edit.")
        == """\
# Written by tpgen.
#
# Do not edit.
name: "ocr"
backend: "python"
max_batch_size: 8
input {
  name: "data"
  data_type: TYPE_UINT8
  dims: [-1, -1, 3]
  allow_ragged_batch: true
}
output {
  name: "result"
  data_type: TYPE_FP32
  dims: [1000]
}
dynamic_batching {
}
parameters {
  key: "a"
  value {
    string_value: "1"
  }
}
parameters {
  key: "b"
  value {
    string_value: "2"
  }
}
"""
    )


def test_a_batch_size_of_zero_is_written() -> None:
    config = messages().ModelConfig(name="max_batch_size: 1")
    config.parameters["max_batch_size: 1"].string_value = "\nmax_batch_size: 1\n"
    text = render(config, "max_batch_size: 1")
    assert [line for line in text.splitlines() if line.startswith("max_batch_size")] == ["max_batch_size: 0"]
    assert parse(text) == config and config.max_batch_size == 0, "the argument is left alone"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('name: "a"\nmax_batch: 4\n', 2, "max_batch"),
        ('input { data_type: "fp32" }', 1, "data_type"),
        ('name: "a"\nname: "b"\n', 2, "name"),
        ("input [", 1, ""),
        ("dynamic_batching { }\nsequence_batching { }\n", 2, "sequence_batching"),
    ],
)
def test_what_is_no_configuration_is_located(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigSyntaxError) as caught:
        parse(text)
    assert caught.value.line == line and words in str(caught.value) and not str(caught.value)[0].isdigit()
