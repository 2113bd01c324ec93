"""The steps of the CPU image, done without Docker: installed into a fresh environment, started, asked."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tpgen.services.network import free_ports


def read_yaml(path: Path) -> Any:
    """The content of a YAML file."""
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without what could lead to this interpreter's packages."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
    return {**{k: v for k, v in os.environ.items() if k not in hidden}, **more}


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile as (keyword, rest), comments left out."""
    lines = [line.strip() for line in dockerfile.read_text(encoding="utf-8").splitlines()]
    parts = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return [(keyword, rest.strip()) for keyword, _, rest in parts]


@dataclass
class Image:
    """A folder in the place of an image's file system: what the Dockerfile copies and makes."""

    root: Path
    python: Path
    repository: Path

    def path(self, inside: str) -> Path:
        """Where a path of the image is."""
        return image_path(self.root, inside)


def make_image(root: Path, deployed: Path) -> Image:
    """Carries out the COPY and RUN lines of Dockerfile.cpu, with the paths of the image below ``root``.

    ``deployed`` is the build context, with the repository in it.
    """
    venv = root / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, env=clean_environment())
    repository = (
        deployed
        / read_yaml(deployed / "compose.yaml")["services"]["triton"]["build"]["additional_contexts"][
            "repository"
        ]
    )
    image = Image(root, venv / "bin" / "python3", image_path(root, "/models"))
    for keyword, rest in instructions(deployed / "Dockerfile.cpu"):
        words = rest.split()
        if keyword == "COPY":
            *flags, last = [word for word in words if not word.startswith("--chmod")]
            contexts = {"--from=repository": repository}
            context = next((contexts[flag] for flag in flags if flag.startswith("--from")), deployed)
            for name in (flag for flag in flags if not flag.startswith("--")):
                copy(context / name, image.path(last))
        elif keyword == "RUN":
            assert words[0] == "python3"
            placed = [str(image.path(word)) if word.startswith("/") else word for word in words[1:]]
            done = subprocess.run(
                [str(image.python), *placed],
                capture_output=True,
                text=True,
                check=False,
                env=clean_environment(),
            )
            assert done.returncode == 0, done.stdout + done.stderr
    return image


def image_path(root: Path, inside: str) -> Path:
    """Where a path of the image is below its root."""
    return root / inside.lstrip("/")


def copy(source: Path, target: Path) -> None:
    """As COPY does: a folder's content into the folder, a file into or as the target."""
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
        return
    folder = target if not target.suffix else target.parent
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


class Container:
    """The image's entry point, as a process; `stop` leaves nothing behind."""

    def __init__(self, image: Image, arguments: list[str], scratch: Path) -> None:
        self.image = image
        self.http, self.grpc, self.metrics = free_ports("127.0.0.1", [0, 0, 0])
        self._log = scratch / "log"
        self._prefix = f"tpgen-image-{secrets.token_hex(4)}-"
        self._environment = clean_environment(
            TRITON_HOME=str(image.path("/opt/tritonserver")),
            MODEL_REPOSITORY=str(image.repository),
            HTTP_PORT=str(self.http),
            GRPC_PORT=str(self.grpc),
            METRICS_PORT=str(self.metrics),
            HEALTH_STATE=str(scratch / "health.json"),
        )
        addresses = [f"--{name}-address=127.0.0.1" for name in ("http", "grpc", "metrics")]
        prefix = f"--backend-config=python,shm-region-prefix-name={self._prefix}"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(image.path("/opt/tpgen/entrypoint")), *addresses, prefix, *arguments],
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """What the server wrote."""
        return self._log.read_text(errors="replace")

    @property
    def regions(self) -> list[Path]:
        """The shared memory of the server's processes."""
        return sorted(Path("/dev/shm").glob(f"{self._prefix}*"))

    def health(self) -> tuple[int, str]:
        """The status and the words of the image's health check."""
        command = [str(self.image.python), str(self.image.path("/opt/tpgen/healthcheck"))]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment)
        return done.returncode, done.stdout.strip() + done.stderr

    def wait_healthy(self, seconds: float = 120.0) -> None:
        """Returns when the health check succeeds."""
        deadline = time.monotonic() + seconds
        while True:
            status, words = self.health()
            if status == 0:
                return
            assert self._process.poll() is None, f"the server ended\n{self.log}"
            assert time.monotonic() < deadline, f"{words}\n{self.log}"
            time.sleep(0.5)

    def post(self, path: str, body: object | None = None) -> tuple[int, bytes]:
        """The status and body of an HTTP answer."""
        data = json.dumps(body).encode() if body is not None else b""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data=data, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()

    def stubs(self) -> dict[int, str]:
        """The processes of Python models: process id -> its command line."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_text(errors="replace").split("\0")
            except OSError:
                continue
            if Path(words[0]).name == "triton_python_backend_stub" and self._prefix in " ".join(words):
                found[int(entry.name)] = " ".join(words)
        return found

    def stop(self) -> None:
        """Ends all processes and removes their shared memory."""
        self._process.terminate()
        try:
            self._process.wait(30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            for region in self.regions:
                region.unlink(missing_ok=True)
