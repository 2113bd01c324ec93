"""A client that speaks in items: values in, values out, no batch axis, no padding."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np

from .input_values import Array, Value
from .model_spec import ModelSpec, RequestError, TensorSpec, model_spec
from .transport import Transport, connect
from .wire import decode, encode

__all__ = ["Client", "ModelSpec", "RequestError", "TensorSpec"]


class Client:
    """Sends requests to a Triton server; any number of threads may share one.

        client = Client("http://127.0.0.1:8000")
        answer = client("resnet50", data=jpeg)            # {"result": array of shape (1000,)}
        answers = client("resnet50", data=[a, b, c])      # {"result": [array, array, array]}

    Args:
        url: ``http://host:port``, ``grpc://host:port``, the secure ``https`` and ``grpcs``, or ``host:port``.
        timeout: seconds to wait for one answer.

    Raises:
        ValueError: the URL has another form.
    """

    def __init__(self, url: str, *, timeout: float = 300.0) -> None:
        self.url = url
        self._timeout = timeout
        self._lock = threading.Lock()
        self._connection: Transport | None = None
        self._specs: dict[str, ModelSpec] = {}

    def __call__(self, model: str, /, **inputs: Any) -> dict[str, Value]:
        """`infer` for input names that are Python names."""
        return self.infer(model, inputs)

    def infer(self, model: str, inputs: Mapping[str, Any]) -> dict[str, Value]:
        """Sends one item, or a batch of items, and returns the model's outputs.

        Args:
            model: the model's name.
            inputs: input name -> value. bytes, str (UTF-8), numbers, arrays and nested lists are taken as the
                model's metadata asks; numbers are converted within their kind, or if no value changes. A list
                that is one level deeper than an item is a batch; single values beside it go to each item.

        Returns:
            Output name -> array in its true shape, list of arrays for a list of differing ones, for a single
            element a numpy scalar or bytes (of text: UTF-8), None if the pipeline produced no value; for a
            batch, a list of these, one per item.

        Raises:
            RequestError: no server answers, the inputs do not fit the model, or the server refused them.
        """
        spec = self.spec(model)
        is_batch, requests = encode(spec, inputs)
        items: list[dict[str, Value]] = []
        for request in requests:
            try:
                items += decode(spec, self.send(model, request.tensors), request.items)
            except RequestError as error:
                if len(requests) == 1:
                    raise
                where = f"items {len(items)} to {len(items) + request.items - 1} of the batch"
                raise RequestError(f"{where}: {error.message}", error.status) from error
        if not is_batch:
            return items[0]
        return {name: [item[name] for item in items] for name in items[0]}

    def send(self, model: str, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Sends tensors as they are, batch dimension and companions included, and returns all outputs so.

        Nothing is checked or converted: the datatype is the array's. (float32 is sent as BF16 where the model
        wants that.)
        """
        from tritonclient.utils import np_to_triton_dtype

        wanted = self.spec(model).inputs
        typed = {}
        for name, array in tensors.items():
            datatype = np_to_triton_dtype(array.dtype)
            if name in wanted and wanted[name].datatype == "BF16" and array.dtype == np.float32:
                datatype = "BF16"
            typed[name] = (datatype, array)
        try:
            return self._transport.infer(model, typed)
        except RequestError as error:
            if error.status is None or error.status == 400:
                self._specs.pop(model, None)  # the model may have been replaced by one of another interface
            raise

    def spec(self, model: str) -> ModelSpec:
        """The model's interface; asked for once and remembered."""
        spec = self._specs.get(model)
        if spec is None:
            spec = model_spec(self._transport.metadata(model), self._transport.config(model))
            self._specs[model] = spec
        return spec

    def models(self) -> list[dict[str, Any]]:
        """The server's models: ``name``, ``version``, ``state`` ("READY"…) and ``reason`` of each."""
        keys = ("name", "version", "state", "reason")
        return [{key: model.get(key, "") for key in keys} for model in self._transport.index()]

    def model_metadata(self, model: str) -> dict[str, Any]:
        """The model's inputs and outputs as the server describes them, batch dimension included."""
        return self._transport.metadata(model)

    def model_config(self, model: str) -> dict[str, Any]:
        """The model's configuration as the server completed it."""
        return self._transport.config(model)

    def statistics(self, model: str = "") -> list[dict[str, Any]]:
        """The server's counters of one model, or of all."""
        return self._transport.statistics(model)

    def ready(self) -> bool:
        """True if a server answers and all of its models are ready."""
        return self._transport.ready()

    @property
    def scheme(self) -> str:
        """``http``, ``https``, ``grpc`` or ``grpcs``: found out by asking if the URL does not say."""
        return self._transport.scheme

    @property
    def address(self) -> str:
        """``host:port``."""
        return self._transport.address

    def close(self) -> None:
        """Closes the connections; a later request opens new ones."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _transport(self) -> Transport:
        with self._lock:
            if self._connection is None:
                self._connection = connect(self.url, self._timeout)
            return self._connection
