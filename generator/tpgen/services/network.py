"""Ports to listen on, and one plain question to whatever listens already."""

from __future__ import annotations

import contextlib
import errno
import http.client
import socket
import urllib.request
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit


def can_listen(host: str, port: int) -> bool:
    """True if this process could listen there; port 0 asks only for the host.

    Raises:
        OSError: the host is not an address of this machine, or the port may not be used.
    """
    try:
        _bound(host, port).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise
    return True


def free_ports(host: str, wanted: Sequence[int]) -> list[int]:
    """The wanted ports, with a free one for each 0. They are held together, so that they differ."""
    with contextlib.ExitStack() as held:
        return [port or int(held.enter_context(_bound(host, 0)).getsockname()[1]) for port in wanted]


def listen_address(service: str, host: str) -> str:
    """A host as tritonserver's ``--http-address`` and the like want it; they differ for IPv6."""
    if ":" not in host:
        return host
    return f"[{host}]" if service == "grpc" else f"ipv6:{host}"


def split_url(url: str) -> SplitResult:
    """The parts of a server's URL; the scheme of a bare ``host:port`` is empty.

    Raises:
        ValueError: not ``http://…``, ``https://…``, ``grpc://…``, ``grpcs://…`` or ``host:port``.
    """
    parts = urlsplit(url if "://" in url else f"//{url}")
    try:
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number
        has_host = False
    if not has_host or parts.scheme not in ("", "http", "https", "grpc", "grpcs"):
        raise ValueError(
            f"'{url}' is not a server's address: http://host:port, grpc://host:port or host:port"
        )
    return parts


def call_address(host: str, port: int) -> str:
    """``host:port`` of a server that listens on a host, which may stand for all of them."""
    # These two are addresses to listen on, not to call.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def fetch(url: str) -> bytes | None:
    """The body of a successful answer, asked for without any proxy; None for anything else."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as answer:
            return bytes(answer.read())
    except (OSError, http.client.HTTPException):
        return None


def _bound(host: str, port: int) -> socket.socket:
    probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
    except OSError:
        probe.close()
        raise
    return probe
