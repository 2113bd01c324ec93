"""The bridge between Triton's Python backend and a stage.

Every request of a dynamic batch is answered on its own. One whose items are done long before the others is
answered at once, through its response sender; those that end together, in the list that `execute` returns,
which costs less. Nothing may escape `execute` after the first answer (Triton 24.10 corrupts its heap then),
so everything is caught here.
"""

import ctypes
import json
import os
import sys
import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils

from . import callers
from .errors import ItemError
from .metrics import Metrics
from .stage import Item, LoadContext
from .wire import ABSENT, WireError

_FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_SCALARS = (bool, int, str)
_WORTH_SENDING = 0.001  # seconds that an answer would wait for the rest of the batch: a sender costs 0.1 ms


class PythonModel:
    """Base of the generated ``TritonPythonModel``; ``stage_class`` is the generated stage."""

    stage_class = None

    def initialize(self, args):
        """Load the stage. ``args`` are Triton's: the configuration, the directory, the version."""
        config = json.loads(args["model_config"])
        directory = os.path.join(args["model_repository"], args["model_version"])
        self._stage = self.stage_class()
        threads = _threads(config)
        self._stage.load(LoadContext(directory, threads, _device(args)))
        _limit_opencv(threads)
        _keep_freed_memory()
        self._warm_up(directory)
        self._metrics = Metrics(self._stage, pb_utils)
        self._pace = 0.0  # seconds between two items at the end of the stage, a running mean

    def _warm_up(self, directory):
        """Run what is to run before the first request; most stages have no samples (`warmup`)."""

    def execute(self, requests):
        """Answer every request; None in the list stands for one that was answered at once."""
        replies = [Reply(request, self._stage, at_once=len(requests) > 1) for request in requests]
        callers.begin(replies)
        try:
            self._run([item for reply in replies for item in reply.open()])
        except BaseException as problem:  # noqa: BLE001  (nothing may escape, see above)
            pb_utils.Logger.log_error(f"stage {self._stage.pipeline}: {type(problem).__name__}: {problem}")
        callers.end()
        return [reply.close() for reply in replies]

    def _run(self, items):
        previous = None
        for done, item in enumerate(self._stage.run(items), 1):
            if previous is not None:
                self._pace += (time.perf_counter() - previous - self._pace) / 8
            left = len(items) - done
            is_long = self._stage.uneven or left * self._pace > _WORTH_SENDING
            item.owner.at_once = left > 0 and is_long
            item.finish()
            previous = time.perf_counter()

    def finalize(self):
        """Send the last figures."""
        self._metrics.close()


class Reply:
    """One request: its items, and its one answer.

    ``at_once``: the answer is sent as soon as it is known; otherwise `close` hands it out. ``has_left``: the
    client is known to wait no more.
    """

    def __init__(self, request, stage, *, at_once):
        self._request = request
        self._stage = stage
        self.at_once = at_once
        self._returned = None
        self._items = []
        self._waiting = 0
        self._answered = False
        self._lock = threading.Lock()
        self._headers = None
        self.has_left = False

    @property
    def caller(self):
        """The request's reply, as every owner of items knows it."""
        return self

    def leaves(self):
        """Ask the server; True if the client waits no more."""
        with self._lock:  # a question about a request that was answered ends the server (24.10: signal 11)
            if not (self._answered or self.has_left):
                self.has_left = self._request.is_cancelled()
        return self.has_left

    @property
    def headers(self):
        """What came beside the tensors and goes along to models that are called: see `_headers`."""
        if self._headers is None:
            self._headers = _headers(self._request)
        return self._headers

    def trace(self):
        """The request's trace; None once the request is answered, as the trace may have ended with it."""
        return None if self._answered else self._request.trace()

    def open(self):
        """The request's items; none (and an error answer) if its tensors are not acceptable."""
        try:
            columns = self._columns()
            size = len(columns[0][1]) if columns else 1
            self._items = [
                Item({key: values[row] for key, values in columns if values[row] is not ABSENT}, self, row)
                for row in range(size)
            ]
            self._waiting = size
        except ItemError as problem:
            self._fail(f"{self._stage.pipeline}: {problem}", pb_utils.TritonError.INVALID_ARG)
        except Exception as problem:  # noqa: BLE001  (nothing may escape, see above)
            message = f"{self._stage.pipeline}: {type(problem).__name__}: {problem}"
            self._fail(message, pb_utils.TritonError.INTERNAL)
        return [] if self._answered else self._items

    def finished(self, item):
        """One item is done; the last one sends the answer."""
        self._items[item.index] = item  # behind a branch it is another one than at the start
        self._waiting -= 1
        if self._waiting == 0 and not self._answered:
            self._answer()

    def failed(self, item, message):
        """An operator broke on an item: the request fails, as a server error; where it broke is logged."""
        if self.has_left:
            self._fail(f"{self._stage.pipeline}: {callers.CANCELLED}", pb_utils.TritonError.CANCELLED)
            return
        pb_utils.Logger.log_error(f"{message}{message.trace}")
        code = pb_utils.TritonError.UNAVAILABLE if message.is_busy else pb_utils.TritonError.INTERNAL
        self._fail(message, code)

    def close(self):
        """The answer to return, None if it was sent; whatever happened, no request stays without one."""
        if not self._answered:
            self._fail(
                f"{self._stage.pipeline}: the stage did not finish this request",
                pb_utils.TritonError.INTERNAL,
            )
        response, self._returned = self._returned, None
        self._items = self._request = None  # items refer to their reply: a cycle would keep tensors for long
        return response

    def _columns(self):
        """The inputs that were sent: pairs of a key and its values."""
        tensors = {tensor.name(): self._stage.received(tensor) for tensor in self._request.inputs()}
        columns = []
        for port in self._stage.inputs:
            if port.key in tensors:
                columns.append((port.key, port.decode(tensors)))
            elif not port.optional_value:  # the server only counts: an optional tensor came in its place
                raise ItemError(f"input '{port.key}' is missing")
        return columns

    def _answer(self):
        reason = next((item.reason for item in self._items if item.reason and "result" not in item), None)
        if reason is not None:
            self._fail(reason, pb_utils.TritonError.INVALID_ARG)
            return
        try:
            tensors = self._encode()
        except Exception as problem:  # noqa: BLE001  (user code answers with anything)
            kind = "" if isinstance(problem, WireError) else f"{type(problem).__name__}: "
            self._fail(f"{self._stage.pipeline}: {kind}{problem}", pb_utils.TritonError.INTERNAL)
            return
        self._send(pb_utils.InferenceResponse(output_tensors=tensors))

    def _encode(self):
        wanted = set(self._request.requested_output_names())
        tensors = []
        for port in self._stage.outputs:
            encoded = self._stage.encode(port, [item.get(port.key, ABSENT) for item in self._items])
            tensors += [_tensor(name, value) for name, value in encoded.items() if name in wanted]
        return tensors

    def _fail(self, message, code):
        if not self._answered:
            self._send(pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code)))

    def _send(self, response):
        with self._lock:
            self._answered = True
            if self.at_once:
                self._send_at_once(response)
            else:
                self._returned = response

    def _send_at_once(self, response):
        try:
            self._request.get_response_sender().send(response, flags=_FINAL)
        except Exception as problem:  # noqa: BLE001  e.g. the client is gone; raising would take the server down
            pb_utils.Logger.log_warn(f"stage {self._stage.pipeline}: an answer could not be sent: {problem}")


def _tensor(name, value):
    """One of Triton's tensors: a copy of an array, or the memory of a tensor of torch, wherever that lies."""
    if isinstance(value, np.ndarray):
        return pb_utils.Tensor(name, np.ascontiguousarray(value))
    return pb_utils.Tensor.from_dlpack(name, value)


def _headers(request):
    """Id, parameters and timeout of a request. Triton takes no numbers with a fraction back."""
    parameters = json.loads(request.parameters() or "{}")
    return {
        "request_id": request.request_id(),
        "parameters": {key: value for key, value in parameters.items() if isinstance(value, _SCALARS)},
        "timeout": request.timeout(),
    }


def _limit_opencv(threads):
    """Keep OpenCV, if the stage uses it, to the instance's share: its default is a pool of all cores."""
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)


def _keep_freed_memory():
    """Let malloc keep what images were in. Given back, every page would be faulted in for the next image."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 128 << 20)


def _device(args):
    """The device that the server assigned to the instance, as torch names it."""
    is_on_gpu = args.get("model_instance_kind") == "GPU"
    return f"cuda:{args['model_instance_device_id']}" if is_on_gpu else "cpu"


def _threads(config):
    """Threads that one instance may use: the CPUs usable here, shared among the instances."""
    instances = sum(group.get("count", 1) for group in config.get("instance_group", [])) or 1
    return max(1, usable_cpus() // instances)


def usable_cpus():
    """CPUs of this process, by affinity and by the cgroup's quota."""
    return max(1, min(len(os.sched_getaffinity(0)), _cgroup_cpus()))


def _cgroup_cpus():
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
        return 1 << 30 if quota == "max" else max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):
        return 1 << 30
