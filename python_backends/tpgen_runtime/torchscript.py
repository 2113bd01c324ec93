"""TorchScript models in a Python stage."""

import io

import numpy as np

from .errors import ItemError
from .inference import Model


class TorchScriptModel(Model):
    """A TorchScript file on the CPU; ``dtypes`` are the numpy names of its inputs' element types.

    ``model`` is the file, or the bytes of it; with ``groups``, a list with those of each.
    """

    def __init__(self, *, model, dtypes, groups=(), threads=None, **declared):
        super().__init__(groups=groups, **declared)
        import torch

        if threads is not None:
            torch.set_num_threads(threads)
        self._torch = torch
        files = model if groups else [model]
        streams = (io.BytesIO(file) if isinstance(file, bytes) else file for file in files)
        self._modules = [torch.jit.load(stream, map_location="cpu").eval() for stream in streams]
        self._dtypes = [np.dtype(name) for name in dtypes]

    def _infer(self, arrays, group):
        with self._torch.inference_mode():
            try:
                answer = self._modules[group](*map(self._as_tensor, arrays))
            except RuntimeError as problem:
                raise ItemError(f"the model does not take this input: {_reason(problem)}") from None
        outputs = answer if isinstance(answer, (tuple, list)) else (answer,)
        if len(outputs) != len(self._outputs):
            raise ValueError(f"the model gives {len(outputs)} outputs, {len(self._outputs)} are declared")
        return [self._answer(output, arrays) for output in outputs]

    def _as_tensor(self, array):
        return self._torch.from_numpy(array)

    def _answer(self, output, arrays):
        return _apart(output.numpy(), arrays)


def _apart(output, arrays):
    """A model may hand an input through, or a view of it, whose memory is used again."""
    shared = any(np.may_share_memory(output, array) for array in arrays)
    return output.copy() if shared else output


def _reason(problem):
    """The last line of TorchScript's report, which is the error itself."""
    return str(problem).strip().splitlines()[-1]
