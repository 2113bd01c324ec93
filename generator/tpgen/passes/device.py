"""Stages on a GPU: which calls run there, on torch, and which stay on the CPU.

A kernel of the CPU stage has a counterpart on torch or it has none (`LOWERINGS`), so what stays is known while
compiling, and said. Encoded images are decoded on the CPU and brought to the GPU once, as uint8; what boxes,
matrices and texts are stays where it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..ir.filters import SWAP
from ..ir.graph import Call, Graph, Stage
from ..ir.op import Trait
from ..types import Array, DType, Layout, ListOf, Type
from .looks import tagged_writers

GPU = "gpu"
_IMAGE_DTYPES = (DType.UINT8, DType.FLOAT16, DType.FLOAT32)


@dataclass(frozen=True)
class Lowering:
    """How torch computes what a kernel of the CPU stage does.

    ``kernel`` is its counterpart in the runtime; ``tolerance`` the largest difference that is allowed for, in
    grey levels of its result. ``at_load``: it is made at load, with numbers that lie on the GPU from then on.
    """

    kernel: str
    tolerance: float = 0.0
    at_load: bool = False


def _table() -> Iterator[tuple[str, Lowering]]:
    exact = {
        "image": ("convert_color", "mat_to_tensor", "mat_to_chw", "tensor_to_mat", "float_mat"),
        "geometry": ("batch_fix_h_limit_w", "align_mat"),
        "compat": ("copy_make_border", "copy_make_border_of_item"),
        "crop": ("crop",),
        "tensor": ("channels_first", "float_channels_first", "contiguous"),
    }
    half_pixel = {
        "geometry": (
            "resize_mat",
            "dynamic_resize_mat",
            "resize_pad_mat",
            "resize_center_pad_mat",
            "fix_ratio_resize_mat",
            "letter_box_mat",
            "top_left_resize_mat",
            "fix_h_resize_pad_mat",
            "dynamic_fix_h_resize_pad_mat",
        ),
        "compat": ("resize_tensor_linear", "resize_pad_linear", "resize_center_pad_linear"),
        "crop": ("crop_resize_mat", "perspective_transform_mat", "perspective_transform_mats"),
        "pillow": ("pillow_resize_mat", "pillow_resize_tensor"),
    }
    aligned = {"bilinear": ("resize_tensor", "dynamic_resize_tensor", "resize_pad_tensor")}
    homes = {"image": "torch_image", "tensor": "torch_image", "crop": "torch_crop"}
    for kernels, tolerance in ((exact, 0.0), (half_pixel, 1.0), (aligned, 0.15)):
        for module, names in kernels.items():
            for name in names:
                yield f"{module}:{name}", Lowering(f"{homes.get(module, 'torch_geometry')}:{name}", tolerance)
    yield "image:normalize", Lowering("torch_image:Normalize", 0.001, at_load=True)
    yield "image:pack_image", Lowering("torch_image:PackImage", at_load=True)


LOWERINGS: Mapping[str, Lowering] = dict(_table())
