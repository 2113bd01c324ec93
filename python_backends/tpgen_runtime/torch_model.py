"""Models of PyTorch on the device of a stage on a GPU: batches are made there, and never leave it."""

import numpy as np
import torch

from .torch_device import is_on_device, to_device, to_host
from .torchscript import EagerModel, TorchScriptModel


class _OnDevice:
    """Makes a model of PyTorch run on a device. ``stays``: torch works on its answers, which stay there."""

    def __init__(self, *, device, mean=(), std=(), channels_last=False, stays=False, **options):
        super().__init__(channels_last=channels_last, **options)
        self._device = device
        self._stays = stays
        self._modules = [module.to(device) for module in self._modules]
        shape = (-1,) if channels_last else (-1, 1, 1)
        self._offset, self._scale = (
            torch.tensor(values, dtype=torch.float32, device=device).reshape(shape) if values else None
            for values in (mean, std)
        )

    def _values(self, values, dtype):
        return [
            value if is_on_device(value) else to_device(np.asarray(value), self._device) for value in values
        ]

    def _batch(self, index, values, size):
        rows = torch.stack([*values, *[values[-1]] * (size - len(values))])
        if index == 0 and self._offset is not None:
            rows = rows.float() - self._offset
        if index == 0 and self._scale is not None:
            rows = rows.float() / self._scale
        return rows.to(getattr(torch, self._dtypes[index].name))

    def _as_tensor(self, array):
        return array

    def _answer(self, output, arrays):
        return output if self._stays else to_host(output)


class DeviceTorchScript(_OnDevice, TorchScriptModel):
    """`TorchScriptModel` on a device."""


class DeviceEager(_OnDevice, EagerModel):
    """`EagerModel` on a device."""
