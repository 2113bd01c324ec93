"""The examples as they are built for a GPU answer on a real server as the reference does.

The models run as stand-ins, because the server of the wheel has no backend but Python's (tests/standins.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import examples
from standins import stand_in
from tpgen.driver import BuildOptions, build
from tpgen.services.server import TritonServer
from tpgen.services.verify import verify

pytestmark = pytest.mark.triton
WITH_MODELS = (
    *("detect_classify", "digits", "early_exit", "logical"),
    *("ocr", "resnet50", "two_heads", "two_inputs"),
)


def _options(example: str, models: Mapping[str, str]) -> BuildOptions:
    return BuildOptions(target="gpu", cores=2, models={n: path for n, path in models.items() if n == example})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, models: dict[str, str]) -> Iterator[TritonServer]:
    repository = tmp_path_factory.mktemp("gpu") / "repository"
    for example in WITH_MODELS:
        build(examples.pipeline(example), repository, _options(example, models))
    served = repository.with_name("served")
    shutil.copytree(repository, served)
    replaced = stand_in(served)
    assert {name.partition("__")[0] for name in replaced} == set(WITH_MODELS)
    with TritonServer(served, extra_args=["--disable-auto-complete-config"]) as running:
        yield running


def _samples(example: str) -> list[dict[str, Any]]:
    if example in ("detect_classify", "ocr"):
        make_page = examples.script(example, "pages").make_page
        return [{"data": make_page(seed).image} for seed in (1, 2)]
    return [{"data": examples.photo(seed)} for seed in (1, 2)] if example != "two_inputs" else []


@pytest.mark.parametrize("example", WITH_MODELS)
def test_an_example_for_the_gpu_is_equal_to_the_reference(
    example: str, server: TritonServer, models: dict[str, str]
) -> None:
    report = verify(
        examples.pipeline(example), _samples(example), url=server.grpc_url, options=_options(example, models)
    )
    assert report.ok, report.table()
