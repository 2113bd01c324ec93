"""Where the values of a stage on a GPU lie, how they get there, and how they are handed to Triton.

Images are torch tensors on the stage's device. All else stays on the host: bytes, texts, boxes, matrices.
"""

import os
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from .errors import ItemError
from .stage import Stage
from .wire import ABSENT, Array

# What was brought to a device, by the id of the array, as long as that lives: branches and the elements of a
# list hold the same image, which crosses once.
_brought = {}
OVERRIDE = "TPGEN_STAGE_DEVICE"  # of the environment: "cpu" or "cuda:1" instead of what Triton assigned


class DeviceStage(Stage):
    """Base of generated stages whose images are worked on by torch.

    The device is the one that Triton assigned to the instance; ``TPGEN_STAGE_DEVICE`` overrules that, so that
    the same stage runs on torch's CPU device.
    """

    def load(self, context):
        self.device = torch.device(os.environ.get(OVERRIDE) or context.device)
        if self.device.type == "cpu":
            torch.set_num_threads(context.threads)

    def received(self, tensor):
        """A tensor of a request as an array, or where it lies on a GPU as torch's tensor."""
        return tensor.as_numpy() if tensor.is_cpu() else torch.from_dlpack(tensor.to_dlpack())

    def encode(self, port, values):
        """The tensors of one request; rows that lie on the device become one tensor there."""
        is_dense = isinstance(port, Array) and port.is_fixed and not port.optional_value
        if is_dense and all(map(is_on_device, values)):
            for value in values:
                port.check(str(value.dtype).removeprefix("torch."), tuple(value.shape))
            return {port.key: settled(torch.stack(values))}
        return port.encode([value if value is ABSENT else to_host(value) for value in values])


def is_on_device(value):
    """True for a value that torch works on."""
    return isinstance(value, torch.Tensor)


def to_device(value, device):
    """An array as a tensor on the device; a list element by element; what lies there already as it is."""
    if isinstance(value, list):
        return [to_device(one, device) for one in value]
    if is_on_device(value):
        return value
    known = _brought.get(id(value))
    if known is not None and known[0]() is value and known[1].device == device:
        return known[1]
    array = np.ascontiguousarray(value).reshape(value.shape)
    tensor = torch.from_numpy(array if array.flags.writeable else array.copy())
    if device.type == "cpu":  # it shares the array's memory: there is nothing to save
        return tensor
    tensor = tensor.to(device)
    number = id(value)
    _brought[number] = weakref.ref(value, lambda _: _brought.pop(number, None)), tensor
    return tensor


def to_host(value):
    """A tensor as an array; lists and tuples element by element; anything else as it is."""
    if isinstance(value, (list, tuple)):
        return type(value)(to_host(one) for one in value)
    return value.cpu().numpy() if is_on_device(value) else value


def on_host(kernel):
    """A kernel on lists that only knows arrays."""

    def run(*columns):
        return kernel(*map(to_host, columns))

    return run


class InThreads:
    """A kernel for one value as one on lists, in threads: it has to let Python's lock go, as decoders do.

    Where it cannot work on a value, its error is in the value's place.
    """

    def __init__(self, kernel, *, threads, **arguments):
        self._kernel = kernel
        self._arguments = arguments
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="in-threads") if threads > 1 else None

    def __call__(self, values):
        alone = self._pool is None or len(values) == 1
        return list(map(self._one, values) if alone else self._pool.map(self._one, values))

    def _one(self, value):
        try:
            return self._kernel(value, **self._arguments)
        except ItemError as problem:
            return problem


def bring(item, device, *keys):
    """Bring some keys of an item to the device, once and for all that follow."""
    for key in keys:
        item[key] = to_device(item[key], device)


def settled(value):
    """A tensor that can be handed on: in one block of memory, and computed, as Triton waits for no stream."""
    value = value.contiguous()
    if value.is_cuda:
        torch.cuda.current_stream(value.device).synchronize()
    return value
