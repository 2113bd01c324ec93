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
    "bilinear:resize_pad_tensor": Figure(0.0269, 0.799, 10.1),
    "bilinear:resize_tensor": Figure(0.0508, 0.896, 21.4),
    "boxes:text_boxes": Figure(0, 20.5, 0),
    "compat:copy_make_border": Figure(0, 6.19, 0),
    "compat:resize_center_pad_linear": Figure(0, 5.77, 1.09),
    "compat:resize_pad_linear": Figure(0, 5.73, 1.2),
    "compat:resize_tensor_linear": Figure(0, 5.7, 1.79),
    "crop:crop": Figure(0.0019, 0.000345, 0),
    "crop:perspective_transform_mats": Figure(0.0377, 0.00525, 3.86),
    "geometry:fix_h_resize_pad_mat": Figure(0.0249, 0.0334, 1.46),
    "geometry:fix_ratio_resize_mat": Figure(0.0378, 0, 1.15),
    "geometry:letter_box_mat": Figure(0.0362, 0, 0.885),
    "geometry:resize_center_pad_mat": Figure(0.0329, 0.000732, 0.895),
    "geometry:resize_mat": Figure(0.0353, 0.0303, 1.41),
    "geometry:resize_pad_mat": Figure(0.0306, 0, 0.92),
    "geometry:top_left_resize_mat": Figure(0.0362, 0, 0.887),
    "image:convert_color": Figure(0, 0.136, 0),
    "image:decode_mat": Figure(0.13, 0, 3.51),
    "image:decode_tensor": Figure(0.0365, 0, 4.28),
    "image:float_mat": Figure(0, 0.414, 0),
    "image:mat_to_chw": Figure(0, 0.195, 0),
    "image:mat_to_tensor": Figure(0, 0.195, 0),
    "image:normalize": Figure(0, 10.6, 0),
    "image:pack_image": Figure(0, 1.25, 0),
    "image:tensor_to_mat": Figure(0.00692, 5.67, 0),
    "pillow:pillow_resize_mat": Figure(0.0303, 3.58, 6.63),
    "pillow:pillow_resize_tensor": Figure(0, 9.23, 8.68),
    "postprocess:TopK": Figure(0, 10.7, 0),
    "postprocess:arg_max": Figure(0.00078, 0.0646, 0),
    "postprocess:softmax": Figure(0.00602, 1.21, 0),
    "postprocess:softmax_max": Figure(0.00707, 1.28, 0),
    "tensor:channels_first": Figure(0.00256, 1.91, 0),
    "tensor:contiguous": Figure(0.000835, 0, 0),
    "tensor:float_channels_first": Figure(0, 2.6, 0),
    "tensor:float_tensor": Figure(0, 0.412, 0),
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
