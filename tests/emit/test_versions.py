"""Fields newer than the Triton that a build is for."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pytest

from tpgen.diagnostics import CODES
from tpgen.emit.config_pbtxt import messages
from tpgen.emit.versions import DEFAULT_TARGET, FIRST_RELEASE, OLDEST_TARGET, check_fields, parse_release


def field_exists(path: str) -> bool:
    descriptor: Any = messages().ModelConfig.DESCRIPTOR
    for name in path.split("."):
        field = descriptor.fields_by_name.get(name)
        if field is None:
            return False
        descriptor = field.message_type
    return True


@pytest.mark.parametrize("path", FIRST_RELEASE)
def test_the_table_agrees_with_the_protobuf_of_24_10(path: str) -> None:
    if version("tritonclient") != "2.51.0":
        pytest.skip("another tritonclient than that of 24.10")
    assert field_exists(path) == (parse_release(FIRST_RELEASE[path]) <= parse_release("24.10"))


def test_a_message_is_checked_at_any_depth() -> None:
    config = messages().ModelConfig()
    for name in "ab":
        config.input.add(name=name, is_non_linear_format_io=True)
    config.parameters["model_metrics"].string_value = "a user's own word"
    (found,) = check_fields(config, "24.07")
    assert found.code in CODES and found.field == "input.is_non_linear_format_io"
    assert "24.08" in found.message and "24.07" in found.message and '"24.08"' in found.hint
    assert check_fields(config, "24.08") == [] and check_fields(config, DEFAULT_TARGET) == []


def test_the_json_form_is_checked_in_both_spellings() -> None:
    for key, inner in (
        ("ensemble_scheduling", "max_inflight_requests"),
        ("ensembleScheduling", "maxInflightRequests"),
    ):
        config = {"name": "x", key: {inner: 4, "step": [{"model_name": "m"}]}, "model_metrics": {}}
        assert [found.field for found in check_fields(config, "24.10")] == [
            "ensemble_scheduling.max_inflight_requests",
            "model_metrics",
        ]
        assert [found.field for found in check_fields(config, "25.01")] == [
            "ensemble_scheduling.max_inflight_requests"
        ]
        assert check_fields(config, "25.11") == []


def test_releases_compare_as_numbers() -> None:
    assert parse_release("24.10") > parse_release("24.09") and parse_release("25.01") > parse_release("24.12")
    assert parse_release(OLDEST_TARGET) == (24, 6)
    for text in ("24.5", "24.13", "24.00", "2.51.0", "latest", "", "24.10 "):
        with pytest.raises(ValueError, match="not a Triton release"):
            parse_release(text)
    with pytest.raises(ValueError, match="too old"):
        parse_release("23.12")
