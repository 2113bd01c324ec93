"""One deployment and one image for all tests of containers."""

from __future__ import annotations

from pathlib import Path

import pytest

import examples
from image import Image, make_image
from tpgen import BuildOptions
from tpgen.services.deployment import write_deployment


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `tpgen docker` writes for an example, its repository included."""
    folder = tmp_path_factory.mktemp("deployment") / "docker"
    write_deployment(examples.pipeline("detect_classify"), folder, BuildOptions(cores=2))
    return folder


@pytest.fixture(scope="session")
def image(deployed: Path, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """What Dockerfile.cpu makes of the repository, in a folder."""
    return make_image(tmp_path_factory.mktemp("image"), deployed)
