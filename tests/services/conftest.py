"""One server, shared by all tests that only send requests; it runs in an environment without tpgen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tiny_repository import write_repository
from tpgen.services.client import Client
from tpgen.services.server import TritonServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    repository = write_repository(tmp_path_factory.mktemp("repository"))
    with TritonServer(repository, isolated=True) as running:
        yield running


@pytest.fixture(scope="session", params=["http", "grpc"])
def client(request: pytest.FixtureRequest, server: TritonServer) -> Iterator[Client]:
    with Client(server.http_url if request.param == "http" else server.grpc_url) as connected:
        yield connected
