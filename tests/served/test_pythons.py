"""Generated stages run under the other Pythons that the server has stubs for.

The interpreters are those named in ``TPGEN_TEST_PYTHONS`` (paths, separated as in PATH): for each of them an
environment with all requirements is made, which takes minutes.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import examples
from tpgen.driver import BuildOptions, build
from tpgen.services.client import Client
from tpgen.services.runtime import Runtime, isolated_environment, server_runtime
from tpgen.services.server import TritonServer

pytestmark = [pytest.mark.triton, pytest.mark.slow]


def interpreter(version: str) -> Path | None:
    named = [Path(path) for path in os.environ.get("TPGEN_TEST_PYTHONS", "").split(os.pathsep) if path]
    for candidate in named:
        said = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False).stdout
        if said.startswith(f"Python {version}."):
            return candidate
    return None


class ServerWithPython(TritonServer):
    """A server whose stages run in an environment of another Python."""

    environment: Path

    def _runtime(self) -> Runtime:
        return server_runtime(None, self.environment)


@pytest.mark.parametrize("version", ["3.10", "3.12"])
def test_a_stage_answers_the_same_under_another_python(
    version: str, tmp_path: Path, server: TritonServer
) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version}: set TPGEN_TEST_PYTHONS to its path, several separated as in PATH")
    directory = tmp_path / "repository"
    for example in ("digits", "python_node"):
        build(examples.pipeline(example), directory, BuildOptions(cores=1))
    other = ServerWithPython(directory)
    other.environment = isolated_environment((directory / "requirements.txt").read_text(), python=python)
    held_out = [jpeg for jpeg, _ in examples.script("digits", "train").held_out_jpegs()[:8]]
    with other, Client(other.grpc_url) as theirs, Client(server.grpc_url) as ours:
        for example, data in (("digits", held_out), ("python_node", [examples.photo(1)])):
            answer, wanted = theirs(example, data=data), ours(example, data=data)
            assert set(answer) == set(wanted)
            for key in wanted:
                for one, expected in zip(answer[key], wanted[key], strict=True):
                    if isinstance(expected, np.ndarray) and expected.dtype.kind == "f":
                        np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-5)
                    else:
                        np.testing.assert_array_equal(one, expected)
