"""Models of PyTorch in a Python stage: TorchScript files, and modules of the user's with their weights."""

import functools
import io
import os

import numpy as np

from .errors import ItemError, ModelRefused
from .inference import Model
from .user_modules import modules_of


class TorchScriptModel(Model):
    """A TorchScript file on the CPU; ``dtypes`` are the numpy names of its inputs' element types.

    ``model`` is the file, or the bytes of it; with ``groups``, a list with those of each.

    Raises:
        ModelRefused: the file is none.
    """

    def __init__(self, *, model, dtypes, groups=(), threads=None, **declared):
        super().__init__(groups=groups, **declared)
        import torch

        if threads is not None:
            torch.set_num_threads(threads)
        self._torch = torch
        files = model if groups else [model]
        streams = (io.BytesIO(file) if isinstance(file, bytes) else file for file in files)
        self._modules = [self._load(stream).eval() for stream in streams]
        self._dtypes = [np.dtype(name) for name in dtypes]

    def _load(self, file):
        try:
            return self._torch.jit.load(file, map_location="cpu")
        except Exception as problem:  # noqa: BLE001  (of many classes)
            hint = "torch.jit.script(network).save(path) writes one"
            raise _refused(file, f"is no TorchScript file ({_first(problem)})", hint) from None

    def _infer(self, arrays, group):
        with self._torch.inference_mode():
            try:
                answer = self._modules[group](*map(self._as_tensor, arrays))
            except RuntimeError as problem:
                if isinstance(problem, self._torch.cuda.OutOfMemoryError) or "CUDA error" in str(problem):
                    raise  # it is the GPU's, whatever the input
                raise ItemError(f"the model does not take this input: {_reason(problem)}") from None
        outputs = answer if isinstance(answer, (tuple, list)) else (answer,)
        if len(outputs) != len(self._outputs):
            raise ValueError(f"the model gives {len(outputs)} outputs, {len(self._outputs)} are declared")
        return [self._answer(output, arrays) for output in outputs]

    def _as_tensor(self, array):
        return self._torch.from_numpy(array)

    def _answer(self, output, arrays):
        return _apart(output.numpy(), arrays)


class EagerModel(TorchScriptModel):
    """A ``torch.nn.Module`` of the user's, with the weights that ``model`` holds.

    ``directory`` is where the user's modules lie, ``parameters`` are the arguments of the class.

    Raises:
        TypeError: what the name stands for makes no ``torch.nn.Module``, or not of these arguments.
        ModelRefused: the file holds other objects than tensors, which are not loaded, or other weights than
            the module has.
    """

    def __init__(self, *, directory, module, name, parameters, **declared):
        self._name = f"{module}:{name}"
        self._make = functools.partial(getattr(modules_of(directory).load(module), name), **parameters)
        super().__init__(**declared)

    def _load(self, file):
        network = self._make()
        if not isinstance(network, self._torch.nn.Module):
            raise TypeError(f"{self._name} makes a {type(network).__name__}, no torch.nn.Module")
        hint = "save the weights with torch.save(network.state_dict(), path)"
        try:
            weights = self._torch.load(file, map_location="cpu", weights_only=True)
        except Exception as problem:  # noqa: BLE001  (of many classes)
            said = "holds no tensors alone, and nothing else is loaded"
            raise _refused(file, f"{said} ({_first(problem)})", hint) from None
        try:
            network.load_state_dict(weights)
        except (RuntimeError, TypeError) as problem:
            said = f"does not hold the weights of {self._name}: {_reason(problem)}"
            raise _refused(file, said, hint) from None
        return network


def _refused(file, said, hint):
    name = os.path.basename(file) if isinstance(file, (str, os.PathLike)) else None
    shown = f"'{name}'" if name else "the model"
    return ModelRefused(f"{shown} {said}", hint, name)


def _apart(output, arrays):
    """A model may hand an input through, or a view of it, whose memory is used again."""
    shared = any(np.may_share_memory(output, array) for array in arrays)
    return output.copy() if shared else output


def _reason(problem):
    """The last line of PyTorch's report, which is the error itself."""
    return str(problem).strip().splitlines()[-1].strip()


def _first(problem):
    """The first sentence of what PyTorch says of a file: advice on how to load it follows."""
    return str(problem).strip().partition("\n")[0].partition(". ")[0] or type(problem).__name__
