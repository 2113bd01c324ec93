"""What a server's log says, on lines as server 24.10 writes them."""

from __future__ import annotations

import pytest

from tpgen.services import serverlog

STAMP = "1121 02:16:07.626213 7086 "
NO_CUDA = "CUDA driver version is insufficient for CUDA runtime version"
NO_POOL = "no pinned memory pool, falling back to non-pinned system memory"
QUIET = f"""\
W{STAMP}pinned_memory_manager.cc:273] "Unable to allocate pinned system memory, pinned memory pool: {NO_CUDA}"
I{STAMP}cuda_memory_manager.cc:117] "CUDA memory pool disabled"
E{STAMP}server.cc:241] "CudaDriverHelper has not been initialized."
I{STAMP}model_lifecycle.cc:472] "loading: my double:1"
I{STAMP}model_lifecycle.cc:472] "loading: echo:1"
I{STAMP}model_lifecycle.cc:839] "successfully loaded 'echo'"
E{STAMP}ensemble_scheduler.cc:1468] "unable to create stream for ens: {NO_CUDA}"
Error: Failed to initialize NVML
W{STAMP}metrics.cc:798] "DCGM unable to start: DCGM initialization error"
+--------+---------+--------+
| Model  | Version | Status |
W{STAMP}pinned_memory_manager.cc:170] "failed to allocate pinned system memory: {NO_POOL}"
"""


@pytest.mark.parametrize(
    "line",
    [
        "[libprotobuf ERROR a.cc:3] Error parsing text-format: 4:35: x",
        "E1121 02:13:40.539972 5552 model_repository_manager.cc:724] \"failed to load model 'double': x\"",
        "2024-11-21T02:13:40Z E 5552 model_lifecycle.cc:642] something",
        "terminate called after throwing an instance of 'std::invalid_argument'",
        "[libprotobuf ERROR a.cc:3] Error parsing text-format inference.ModelConfig: 4:35: x",
        "Error: something new",
    ],
)
def test_warnings_that_a_model_caused_stand_out(line: str) -> None:
    assert serverlog.own_log_problems(QUIET) == []
    assert serverlog.own_log_problems(f"{QUIET}{line}\nI1121 02:13:41.0 1 x.cc:1] fine\n") == [line]


def test_a_parse_error_is_joined_to_the_model_that_the_next_line_names() -> None:
    log = f"""\
[libprotobuf ERROR a.cc:3] Error parsing text-format inference.ModelConfig: 4:35: Unknown "x".
E{STAMP}a.cc:1460] "Poll failed for model directory 'a': failed to read text proto from /r/a/config.pbtxt"
E{STAMP}a.cc:1460] "Poll failed for model directory 'b': x, directory name must equal model name"
"""
    first, second = serverlog.failures(log)
    assert (first.model, first.reason) == ("a", 'config.pbtxt:4:35: Unknown "x".')
    assert (second.model, second.hint) == (
        "b",
        "the folder's name and 'name' in config.pbtxt have to be the same",
    )


def test_a_python_traceback_keeps_the_users_own_frames() -> None:
    error = "ModuleNotFoundError: No module named 'x'"
    frames = r"\n  /r/m/1/model.py(1): <module>\n  <frozen importlib._bootstrap>(241): f\n"
    log = f"E{STAMP}b.cc:642] \"failed to load 'm' version 1: Internal: {error}\\n\\nAt:{frames}\"\n"
    (failure,) = serverlog.failures(log)
    assert failure.reason == "ModuleNotFoundError: No module named 'x'\n  at /r/m/1/model.py(1): <module>"


def test_models_that_were_begun_and_not_finished() -> None:
    assert serverlog.unfinished_models(QUIET) == ["my double"]


def test_the_end_of_a_log_is_what_a_person_wants_to_see() -> None:
    assert serverlog.last_words(QUIET + "what():  stol\n") == ["what():  stol"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("error: creating server: Internal - failed to load all models", "failed to load all models"),
        ("/opt/bin/tritonserver: unrecognized option '--x'", "unrecognized option '--x'"),
        ('Bad option: "--http-port".', 'Bad option: "--http-port".'),
        ("I am fine", None),
    ],
)
def test_the_servers_own_reason(line: str, reason: str | None) -> None:
    assert serverlog.fatal_reason(f"{line}\nUsage: tritonserver [options]\n  --help\n") == reason


def test_a_missing_library_is_named() -> None:
    line = "tritonserver: error while loading shared libraries: libdcgm.so.3: cannot open shared object file"
    assert serverlog.missing_library(line) == "libdcgm.so.3"
    assert serverlog.missing_library(QUIET) is None


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("ensemble e contains step with required version 0 is not loaded", "model_version"),
        ("ensemble output 'z' for ensemble e' is not used", "dangling"),
        ("inference request batch-size must be <= 8 for 'm'", "max_batch_size"),
        ("Exceeds maximum queue size", "overloaded"),
        ("Stub process 'm_0_0' is not healthy.", "died"),
        ("Failed to increase the shared memory pool size for key 'x'", "--shm-size"),
        ("unexpected deadlock, at least one output is not set", "fewer tensors"),
        ("instance group m_0 of model m has kind KIND_GPU but no GPUs are available", "--target cpu"),
        ("unable to find backend library for backend 'onnxruntime'", "Python one"),
        ("NoSuchFile: [ONNXRuntimeError] : 3 : NO_SUCHFILE : Load model from m.onnx", "tpgen check DIR"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'labels.txt'", "tpgen check DIR"),
    ],
)
def test_messages_are_explained_in_plain_words(message: str, word: str) -> None:
    assert word in (serverlog.explain(message) or "")


def test_an_unknown_message_is_left_alone() -> None:
    assert serverlog.explain("the moon is full") is None


def test_the_frames_of_python_code_are_cut_to_the_innermost() -> None:
    frames = (
        r"\n\nAt:\n  <frozen importlib>(1): run\n  /m/1/model.py(4): deep\n  /m/1/model.py(7): initialize\n"
    )
    line = "E1121 16:39:13.860386 24539 model_lifecycle.cc:642] \"failed to load 'm' version 1: Internal: "
    line += f'RuntimeError: no weights{frames}"'
    (found,) = serverlog.failures(line)
    assert found.reason == "RuntimeError: no weights\n  at /m/1/model.py(4): deep"
    (word,) = serverlog.last_words(line)
    assert word.endswith("RuntimeError: no weights")
    words = r'E1121 Traceback (most recent call last):\n  File "m.py", line 3\n    load()\nKeyError: 7\n"'
    assert serverlog.last_words(words) == ["E1121 KeyError: 7"]
