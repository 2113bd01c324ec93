"""The figures of the cost model, as data: what was measured, and what is assumed where nothing is known.

Kernels: `benchmarks/operators.py`, on one core of a shared Xeon, in CPU time, JPEG at quality 90. Other
machines differ by a factor that is much the same for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Figure:
    """Milliseconds of one call, of each megapixel that it reads, and of each that it writes.

    Of arrays that are no images a million numbers count as a megapixel.
    """

    ms: float
    read: float
    written: float


KERNELS: Final[Mapping[str, Figure]] = {
    # <measured>
    "bilinear:resize_pad_tensor": Figure(0.0881, 0.655, 11.4),
    "bilinear:resize_tensor": Figure(0, 1.12, 22.7),
    "compat:copy_make_border": Figure(0, 6.45, 0),
    "compat:resize_center_pad_linear": Figure(0, 6.25, 1.59),
    "compat:resize_pad_linear": Figure(0, 6.08, 1.5),
    "compat:resize_tensor_linear": Figure(0, 6.13, 1.87),
    "crop:crop": Figure(0.00243, 0, 0),
    "geometry:fix_h_resize_pad_mat": Figure(0.0336, 0.0434, 1.46),
    "geometry:fix_ratio_resize_mat": Figure(0.0422, 0, 1.25),
    "geometry:letter_box_mat": Figure(0.0379, 0, 0.922),
    "geometry:resize_center_pad_mat": Figure(0.0405, 0, 0.912),
    "geometry:resize_mat": Figure(0.0362, 0.0262, 1.49),
    "geometry:resize_pad_mat": Figure(0.0405, 0, 0.899),
    "geometry:top_left_resize_mat": Figure(0.0373, 0, 0.915),
    "image:convert_color": Figure(0, 0.145, 0),
    "image:decode_mat": Figure(0, 0, 4.42),
    "image:decode_tensor": Figure(0, 0, 4.9),
    "image:float_mat": Figure(0, 0.429, 0),
    "image:mat_to_tensor": Figure(0, 0.206, 0),
    "image:normalize": Figure(0, 10.9, 0),
    "image:pack_image": Figure(0, 1.35, 0),
    "image:tensor_to_mat": Figure(0, 5.86, 0),
    "pillow:pillow_resize_mat": Figure(0, 4.1, 7.26),
    "pillow:pillow_resize_tensor": Figure(0, 10.5, 8.69),
    "postprocess:arg_max": Figure(0.00078, 0.0649, 0),
    "postprocess:softmax": Figure(0.00631, 1.16, 0),
    "postprocess:softmax_max": Figure(0.00658, 1.26, 0),
    "tensor:contiguous": Figure(0.000755, 0, 0),
    "tensor:float_tensor": Figure(0, 0.417, 0),
    # </measured>
}
# Milliseconds of CPU time around a stage in Python, per item; of a million bytes from or to a client, whose
# own time on the same cores is in it, too; of a million bytes from model to model.
STAGE_MS: Final = 0.28
CLIENT_MS: Final = 1.4
HANDOVER_MS: Final = 1.1
# Bytes per second. Copies in memory, one core: measured. The bus to a GPU, pageable memory: assumed.
MEMORY: Final = 8e9
BUS: Final = 10e9
# Of an encoded image: what a JPEG at quality 90 takes.
BYTES_PER_PIXEL: Final = 0.32
# Height and width of an image whose size is not known; of a part that an operator cuts out of one.
WHOLE: Final = (720, 1280)
PART: Final = (128, 128)
