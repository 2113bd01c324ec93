"""Sends tensors to Triton over HTTP or gRPC and gives the same answers and errors over both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import numpy as np

from .input_values import Array
from .model_spec import RequestError
from .network import split_url

_GRPC_STATUS = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "CANCELLED": 400,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_CONNECTIONS = 256  # kept open at a time; more are made when needed


class Transport(Protocol):
    """A connection to a server that any number of threads may use.

    All methods raise `RequestError`. Documents are as in the HTTP protocol, numbers as int; over gRPC a field
    that is zero, false or empty is left out.
    """

    address: str
    scheme: str

    def infer(self, model: str, tensors: Mapping[str, tuple[str, Array]]) -> dict[str, Array]:
        """Sends (datatype, array) by input name; returns all outputs."""

    def metadata(self, model: str) -> dict[str, Any]: ...
    def config(self, model: str) -> dict[str, Any]: ...
    def statistics(self, model: str) -> list[dict[str, Any]]: ...
    def index(self) -> list[dict[str, Any]]: ...
    def ready(self) -> bool: ...
    def close(self) -> None: ...


def connect(url: str, timeout: float) -> Transport:
    """Opens a connection to ``http://…``, ``https://…``, ``grpc://…``, ``grpcs://…`` or a bare ``host:port``.

    Of a bare one it finds out, by asking, whether HTTP is spoken there.

    Raises:
        ValueError: not such a URL.
        RequestError: nothing listens at a bare ``host:port``.
    """
    parts = split_url(url)
    secure = parts.scheme in ("https", "grpcs")
    if parts.scheme in ("grpc", "grpcs"):
        return GrpcTransport(parts.netloc, timeout, secure=secure)
    http = HttpTransport(parts.netloc, timeout, secure=secure, prefix=parts.path.rstrip("/"))
    if parts.scheme == "" and not http.speaks_http():
        http.close()
        return GrpcTransport(parts.netloc, timeout, secure=False)
    return http


class HttpTransport:
    """KServe v2 over HTTP, tensors in binary, over kept-open connections."""

    def __init__(self, address: str, timeout: float, *, secure: bool, prefix: str = "") -> None:
        import urllib3

        self.address = address
        self.scheme = "https" if secure else "http"
        host, port = urlsplit(f"//{address}").hostname, urlsplit(f"//{address}").port
        kind = urllib3.HTTPSConnectionPool if secure else urllib3.HTTPConnectionPool
        limits = urllib3.Timeout(connect=min(10.0, timeout), read=timeout)
        # A request that got no answer may have been worked on: only a connection that failed is tried again.
        retries = urllib3.Retry(total=1, connect=1, read=0, redirect=0, other=0, status=0)
        self._pool = kind(
            host or "", port or (443 if secure else 80), timeout=limits, maxsize=_CONNECTIONS, retries=retries
        )
        self._prefix = prefix

    def infer(self, model: str, tensors: Mapping[str, tuple[str, Array]]) -> dict[str, Array]:
        from tritonclient.http import InferenceServerClient, InferInput

        inputs = [
            InferInput(name, list(array.shape), datatype).set_data_from_numpy(array)
            for name, (datatype, array) in tensors.items()
        ]
        body, header_length = InferenceServerClient.generate_request_body(inputs)
        headers = {"Content-Type": "application/octet-stream"}
        if header_length is not None:
            headers["Inference-Header-Content-Length"] = str(header_length)
        reply = self._send("POST", f"/v2/models/{quote(model)}/infer", body=body, headers=headers)
        length = reply.headers.get("Inference-Header-Content-Length")
        result = InferenceServerClient.parse_response_body(
            reply.data, header_length=int(length) if length is not None else None
        )
        outputs = result.get_response().get("outputs", ())
        return {
            output["name"]: _own(result.as_numpy(output["name"]), output["datatype"]) for output in outputs
        }

    def metadata(self, model: str) -> dict[str, Any]:
        return dict(self._document("GET", f"/v2/models/{quote(model)}"))

    def config(self, model: str) -> dict[str, Any]:
        return dict(self._document("GET", f"/v2/models/{quote(model)}/config"))

    def statistics(self, model: str) -> list[dict[str, Any]]:
        path = f"/v2/models/{quote(model)}/stats" if model else "/v2/models/stats"
        return list(self._document("GET", path)["model_stats"])

    def index(self) -> list[dict[str, Any]]:
        return list(self._document("POST", "/v2/repository/index"))

    def ready(self) -> bool:
        try:
            self._send("GET", "/v2/health/ready")
        except RequestError:
            return False
        return True

    def speaks_http(self) -> bool:
        """True if whatever listens there answers in HTTP.

        Raises:
            RequestError: nothing listens there.
        """
        import urllib3

        try:
            self._send("GET", "/v2/health/live")
        except RequestError as error:
            reason = getattr(error.__cause__, "reason", None)
            if isinstance(reason, urllib3.exceptions.NewConnectionError):
                raise
            return error.status is not None
        return True

    def close(self) -> None:
        self._pool.close()

    def _document(self, method: str, path: str) -> Any:
        return json.loads(self._send(method, path).data)

    def _send(self, method: str, path: str, **request: Any) -> Any:
        import urllib3

        try:
            reply = self._pool.request(method, self._prefix + path, **request)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise RequestError(f"no answer from {self.address} in time", 504) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise RequestError(
                f"no server answers at {self.scheme}://{self.address}: {_cause(error)}", None
            ) from error
        if reply.status != 200:
            raise RequestError(_plain(_http_message(reply.data, reply.status)), reply.status)
        return reply


class GrpcTransport:
    """KServe v2 over gRPC, one channel."""

    def __init__(self, address: str, timeout: float, *, secure: bool) -> None:
        from tritonclient.grpc import InferenceServerClient

        self.address = address
        self.scheme = "grpcs" if secure else "grpc"
        self._timeout = timeout
        unlimited = 2**31 - 1
        options = [
            ("grpc.max_send_message_length", unlimited),
            ("grpc.max_receive_message_length", unlimited),
        ]
        if (urlsplit(f"//{address}").hostname or "") in ("127.0.0.1", "localhost", "::1"):
            options.append(
                ("grpc.enable_http_proxy", 0)
            )  # a proxy of the environment cannot reach this machine
        self._client = InferenceServerClient(address, ssl=secure, channel_args=options)

    def infer(self, model: str, tensors: Mapping[str, tuple[str, Array]]) -> dict[str, Array]:
        from tritonclient.grpc import InferInput

        inputs = [
            InferInput(name, list(array.shape), datatype).set_data_from_numpy(array)
            for name, (datatype, array) in tensors.items()
        ]
        result = self._call("infer", model, inputs, client_timeout=self._timeout)
        outputs = result.get_response().outputs
        return {output.name: _own(result.as_numpy(output.name), output.datatype) for output in outputs}

    def metadata(self, model: str) -> dict[str, Any]:
        return self._document("get_model_metadata", model)

    def config(self, model: str) -> dict[str, Any]:
        document: dict[str, Any] = self._document("get_model_config", model)["config"]
        return document

    def statistics(self, model: str) -> list[dict[str, Any]]:
        return list(self._document("get_inference_statistics", model).get("model_stats", ()))

    def index(self) -> list[dict[str, Any]]:
        return list(self._document("get_model_repository_index").get("models", ()))

    def ready(self) -> bool:
        try:
            return bool(self._call("is_server_ready", client_timeout=self._timeout))
        except RequestError:
            return False

    def close(self) -> None:
        self._client.close()

    def _document(self, method: str, *arguments: str) -> dict[str, Any]:
        from google.protobuf.json_format import MessageToDict

        message = self._call(method, *arguments, client_timeout=self._timeout)
        document = MessageToDict(message, preserving_proto_field_name=True)
        return dict(_with_integers(document, message.DESCRIPTOR))

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        from tritonclient.utils import InferenceServerException

        try:
            return getattr(self._client, method)(*arguments, **options)
        except InferenceServerException as error:
            code = str(error.status() or "").removeprefix("StatusCode.")
            message = _plain(error.message() or code)
            if code == "UNAVAILABLE" and "failed to connect" in message.lower():
                raise RequestError(
                    f"no server answers at {self.scheme}://{self.address}: {message}", None
                ) from error
            raise RequestError(message, _GRPC_STATUS.get(code, 500)) from error


def _own(array: Array | None, datatype: str) -> Array:
    """An array that the caller may keep and write to; the client libraries give views of the message."""
    from tritonclient.utils import triton_to_np_dtype

    if array is None:
        raise RequestError("the server sent an output without data", 500)
    if array.size == 0:  # the client libraries know no type without elements, and say float64
        return np.empty(array.shape, triton_to_np_dtype(datatype))
    return np.array(array)


def _plain(message: str) -> str:
    """The server's message without the request id that was not given."""
    return message.removeprefix("[request id: <id_unknown>] ")


def _http_message(body: bytes, status: int) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip() or f"HTTP status {status}"


def _cause(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason).rpartition(": ")[2]


def _with_integers(document: Any, descriptor: Any) -> Any:
    """Undoes what JSON does to protobuf's 64-bit integers: they come as strings."""
    fields = descriptor.fields_by_name
    return {key: _field(value, fields[key]) for key, value in document.items()}


def _field(value: Any, field: Any) -> Any:
    if isinstance(value, list):
        return [_field(element, field) for element in value]
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return {key: _field(entry, kind.fields_by_name["value"]) for key, entry in value.items()}
    if kind is not None:
        return _with_integers(value, kind)
    is_integer = field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64)
    return int(value) if is_integer else value
