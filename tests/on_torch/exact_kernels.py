"""The kernels on torch, replaced by those of the CPU: what is left to differ is how a stage is composed."""

from __future__ import annotations

import shutil
from pathlib import Path

from tpgen.passes.device import LOWERINGS

_HEAD = '''
import torch

from . import bilinear as on_bilinear, compat as on_compat, crop as on_crop, geometry as on_geometry
from . import image as on_image, tensor as on_tensor
from .torch_device import to_device, to_host


def _moved(found, device):
    """The image among a kernel's results, which comes first, on the device."""
    if isinstance(found, tuple):
        return _moved(found[0], device), *found[1:]
    return to_device(found, device)


def _run(kernel, image, *others, **arguments):
    assert isinstance(image, torch.Tensor), f"{kernel} got {type(image)}"
    assert not any(isinstance(other, torch.Tensor) for other in others), f"{kernel}: only the image moves"
    return _moved(kernel(to_host(image), *others, **arguments), image.device)
'''
_FUNCTION = """

def {name}(image, *others, **arguments):
    return _run({module}.{name}, image, *others, **arguments)
"""
_CLASS = """

class {class_}:
    def __init__(self, *, device, **arguments):
        self.arguments = arguments

    def __call__(self, image):
        return _run({module}.{name}, image, **self.arguments)
"""


def make_exact(repository: Path) -> int:
    """Replace the kernels in all stages of a repository; returns how many stages are on a GPU."""
    texts: dict[str, str] = {}
    for kernel, lowering in LOWERINGS.items():
        module, _, name = kernel.partition(":")
        home, _, counterpart = lowering.kernel.partition(":")
        body = _CLASS if lowering.at_load else _FUNCTION
        texts[home] = texts.get(home, _HEAD) + body.format(
            module=f"on_{module}", name=name, class_=counterpart
        )
    stages = [path.parent for path in repository.glob("*/1/tpgen_runtime/torch_device.py")]
    for stage in stages:
        for home, text in texts.items():
            (stage / f"{home}.py").write_text(text)
        for path in RUNTIME.glob("*.py"):  # what the stage does without else
            if not (stage / path.name).exists():
                shutil.copy(path, stage)
    return len(stages)


RUNTIME = Path(__file__).parents[2] / "python_backends" / "tpgen_runtime"
