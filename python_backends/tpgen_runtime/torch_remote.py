"""Models of their own that a stage on a GPU calls: their inputs are handed over where they lie."""

import torch
import triton_python_backend_utils as pb_utils

from .remote import RemoteModel
from .torch_device import is_on_device, settled, to_host


class DeviceModel(RemoteModel):
    """`RemoteModel` for images on a GPU: rows of one shape are packed there, into one tensor per call.

    ``device`` is the stage's. ``stays``: what the model answers is worked on by torch, and asked for on the
    device; otherwise on the host, where what reads it runs.
    """

    def __init__(self, model, *, device, stays=False, **options):
        super().__init__(model, **options)
        self._device = device
        self._stays = stays
        if stays and device.type == "cuda" and hasattr(pb_utils, "PreferredMemory"):
            memory = pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_GPU, device.index or 0)
            self._memory = {"preferred_memory": memory}

    def _packed(self, port, column):
        if not all(map(is_on_device, column)):
            return super()._packed(port, [to_host(value) for value in column])
        rows = torch.stack(column).to(getattr(torch, port.dtype.name))
        rows = settled(rows[:, None] if port.is_scalar else rows)
        return [pb_utils.Tensor.from_dlpack(port.key, rows)]

    def _unpacked(self, tensor):
        if tensor.is_cpu() and not self._stays:
            return super()._unpacked(tensor)
        found = torch.from_dlpack(tensor.to_dlpack())
        # A copy that is done before this returns: the memory is Triton's, and goes with the response.
        return settled(found.to(self._device, copy=True)) if self._stays else found.cpu().numpy()
