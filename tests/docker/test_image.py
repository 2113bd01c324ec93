"""The CPU image without Docker: its steps in a fresh environment, its server, health check and dashboard."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import examples
from image import Container, Image, clean_environment, read_yaml
from tpgen import Client
from tpgen.services.network import free_ports

pytestmark = [pytest.mark.triton, pytest.mark.slow]

MODEL = "detect_classify"
# Unloading a model, which the image's own settings don't allow, is how a test makes one that is not ready.
EXPLICIT = ["--model-control-mode=explicit", "--load-model=*"]


@pytest.fixture(scope="module")
def container(image: Image, deployed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """The server with the flags of the compose file."""
    flags = read_yaml(deployed / "compose.yaml")["services"]["triton"]["command"]
    running = Container(image, [*flags, *EXPLICIT], tmp_path_factory.mktemp("container"))
    try:
        running.wait_healthy()
        yield running
    finally:
        running.stop()


def test_image_holds_the_requirements_and_the_server_only(image: Image) -> None:
    command = [str(image.python), "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=clean_environment())
    names = {package["name"].lower() for package in json.loads(done.stdout)}
    assert {"nvidia-pytriton", "numpy", "onnxruntime", "opencv-python-headless"} <= names
    assert not names & {"tpgen", "jinja2", "click", "onnx", "tritonclient"}


def test_server_answers(container: Container) -> None:
    page = examples.script(MODEL, "pages").make_page(3)
    with Client(f"http://127.0.0.1:{container.http}") as client:
        answer = client(MODEL, data=page.image)
    assert answer["result"].decode() == page.text


def test_memory_for_batches_is_there_from_the_start(container: Container, deployed: Path) -> None:
    (flag,) = read_yaml(deployed / "compose.yaml")["services"]["triton"]["command"]
    pool = int(flag.rpartition("=")[2])
    sizes = [region.stat().st_size for region in container.regions]
    assert len(sizes) == len(container.stubs()) == 2
    assert min(sizes) >= pool > 1 << 20


def test_health_check_sees_an_unloaded_model(container: Container) -> None:
    assert container.health() == (0, "ready")
    assert container.post(f"/v2/repository/models/{MODEL}/unload")[0] == 200
    deadline = time.monotonic() + 30
    while container.health()[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.2)
    status, words = container.health()
    assert status == 1
    assert words.startswith(f"model '{MODEL}' is not ready")
    assert container.post(f"/v2/repository/models/{MODEL}/load")[0] == 200
    container.wait_healthy()


def test_health_check_without_a_server_or_a_record_fails(image: Image, tmp_path: Path) -> None:
    (port,) = free_ports("127.0.0.1", [0])
    for repository, words in ((image.repository, "does not answer"), (tmp_path, "cannot read")):
        environment = clean_environment(MODEL_REPOSITORY=str(repository), HTTP_PORT=str(port))
        command = [str(image.python), str(image.path("/opt/tpgen/healthcheck"))]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 1
        assert words in done.stdout
        assert not done.stderr


class Prometheus:
    """A real Prometheus with the generated configuration, its target and pace apart."""

    def __init__(self, configuration: Path, metrics_port: int, folder: Path) -> None:
        (self.port,) = free_ports("127.0.0.1", [0])
        text = configuration.read_text().replace("triton:8002", f"127.0.0.1:{metrics_port}")
        (folder / "prometheus.yml").write_text(text.replace("scrape_interval: 5s", "scrape_interval: 1s"))
        with (folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                stdout=log,
                stderr=log,
            )

    def query(self, promql: str) -> list[dict[str, Any]]:
        """The series of an instant query; none while Prometheus starts."""
        arguments = urllib.parse.urlencode({"query": promql})
        url = f"http://127.0.0.1:{self.port}/api/v1/query?{arguments}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as refused:
            pytest.fail(f"{promql}: {refused.read().decode()}")
        except OSError:
            return []
        return found

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait(30)


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="no Prometheus: apt-get install prometheus")
def test_every_panel_of_the_dashboard_has_data(container: Container, deployed: Path, tmp_path: Path) -> None:
    prometheus = Prometheus(deployed / "prometheus.yml", container.metrics, tmp_path)
    pages = [examples.script(MODEL, "pages").make_page(seed).image for seed in range(6)]
    try:
        with Client(f"http://127.0.0.1:{container.http}") as client, ThreadPoolExecutor(4) as pool:
            scrapes = "sum_over_time(up{job='triton'}[1m])"
            deadline = time.monotonic() + 60
            while not (seen := prometheus.query(scrapes)) or float(seen[0]["value"][1]) < 8:
                list(pool.map(lambda page: client(MODEL, data=page), pages))
                assert time.monotonic() < deadline, "Prometheus gets nothing"
        board = json.loads((deployed / "grafana" / "dashboards" / "pipelines.json").read_text())
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                expression = target["expr"].replace("$__rate_interval", "20s")
                (series,) = prometheus.query(expression) or pytest.fail(f"no data for {expression}")
                value = float(series["value"][1])
                quiet = panel["title"].startswith(("errors", "skipped", "failed", "waiting"))
                # The time that a sub-graph takes is that of its nodes, not of the node that calls it.
                quiet |= 'node="digits"' in expression and "seconds" in expression
                assert value >= 0 if quiet else value > 0, expression
    finally:
        prometheus.stop()


def test_health_check_sees_a_dead_process_that_readiness_hides(container: Container) -> None:
    container.wait_healthy()
    victim, line = min(container.stubs().items())
    instance = line.split()[8]
    os.kill(victim, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while victim in container.stubs() and time.monotonic() < deadline:
        time.sleep(0.1)
    with urllib.request.urlopen(f"http://127.0.0.1:{container.http}/v2/models/{MODEL}/ready") as answer:
        assert answer.status == 200
    for _ in range(2):  # it stays so
        status, words = container.health()
        assert (status, words) == (1, f"died, and the server does not start it again: {instance}")
