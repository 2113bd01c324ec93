"""Every entry of the table of lowerings runs on DALI and is compared with the kernels."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from dali.chains import (
    Chain,
    compiled_chain,
    encoded_images,
    furthest,
    needs_dali,
    nodes,
    pipeline_of,
    reference,
    run_dali,
)
from tpgen.emit.dali import TABLE, DaliChain

needs_dali()

IMAGES = 120
DECODE = 'backend = "DecodeMat"'
JPEG = 'backend = "DecodeTensor"'
FIXED = 'backend = "ResizeMat"\nresize_h = 37\nresize_w = 52'


def sized(name: str, *lines: str) -> str:
    return "\n".join([f'backend = "{name}"', *lines])


PAD = ("max_h = 61", "max_w = 88")
SIZE = ("resize_h = 61", "resize_w = 88")
# For each class of the table: the nodes of a chain with it, and the keys that the chain answers.
CASES: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "DecodeMat": [((DECODE, FIXED), ("result",))],
    "DecodeTensor": [
        ((JPEG, sized("ResizeTensor", *SIZE)), ("result",)),
        ((sized("DecodeTensor", 'color = "bgr"', 'data_format = "hwc"'), FIXED), ("result",)),
    ],
    "CvtColorMat": [((DECODE, sized("cvtColorMat", 'color = "rgb"'), FIXED), ("result",))],
    "CvtColorTensor": [
        ((JPEG, sized("ResizeTensor", *SIZE), sized("cvtColorTensor", 'color = "bgr"')), ("result",)),
        ((JPEG, sized("cvtColorTensor", 'color = "rgb"'), sized("ResizeTensor", *SIZE)), ("result",)),
    ],
    "CvtColorNvTensor": [((DECODE, FIXED, sized("CvtColorNvTensor", 'color = "rgb"')), ("result",))],
    "Mat2Tensor": [((DECODE, FIXED, sized("Mat2Tensor")), ("result",))],
    "Mat2GpuTensor": [((DECODE, FIXED, sized("Mat2GpuTensor")), ("result",))],
    "Mat2CpuTensor": [((DECODE, FIXED, sized("Mat2CpuTensor")), ("result",))],
    "Tensor2Mat": [((JPEG, sized("Tensor2Mat"), FIXED), ("result",))],
    "NCHWTensor": [((DECODE, FIXED, sized("NCHWTensor")), ("result",))],
    "Identity": [((DECODE, FIXED, sized("Identity")), ("result",))],
    "SyncTensor": [((DECODE, FIXED, sized("SyncTensor")), ("result",))],
    "MoveTensor": [((DECODE, FIXED, sized("GpuTensor")), ("result",))],
    "NvTensor": [((DECODE, FIXED, sized("Tensor2NvTensor")), ("result",))],
    "ContiguousTensor": [((DECODE, FIXED, sized("ContiguousTensor")), ("result",))],
    "FloatMat": [((DECODE, sized("FloatMat"), FIXED), ("result",))],
    "FloatTensor": [((DECODE, FIXED, sized("Mat2Tensor"), sized("FloatTensor")), ("result",))],
    "FloatNCHWTensor": [((DECODE, FIXED, sized("FloatNCHWTensor")), ("result",))],
    "Normalize": [
        ((DECODE, FIXED, sized("Normalize", 'mean = "103,116,123"', 'std = "57,58,59"')), ("result",)),
        (
            (
                DECODE,
                FIXED,
                sized("Mat2Tensor"),
                sized("Normalize", 'mean = "103,116,123"', 'std = "0.5,2,1"'),
            ),
            ("result",),
        ),
    ],
    "PackImage": [
        ((DECODE, FIXED, sized("PackImage", 'mean = "103.5,116,123"', "swap_rb = true")), ("result",)),
        ((DECODE, FIXED, sized("PackImage")), ("result",)),
    ],
    "ResizeMat": [
        ((DECODE, FIXED), ("result",)),
        ((DECODE, sized("ResizeMat", "resize_h = 1", "resize_w = 1")), ("result",)),
    ],
    "PPLResizeTensor": [((JPEG, sized("PPLResizeTensor", *SIZE)), ("result",))],
    "ResizeNvTensor": [((JPEG, sized("ResizeNvTensor", *SIZE)), ("result",))],
    "PillowResizeMat": [((DECODE, sized("PillowResizeMat", *SIZE)), ("result",))],
    "PillowResizeTensor": [((JPEG, sized("PillowResizeTensor", *SIZE)), ("result",))],
    "ResizeTensor": [
        ((JPEG, sized("ResizeTensor", *SIZE)), ("result",)),
        ((DECODE, sized("ResizeTensor", "resize_h = 1", "resize_w = 300")), ("result",)),
        ((DECODE, sized("ResizeTensor", "resize_h = 2", "resize_w = 1")), ("result",)),
    ],
    "ResizeTensorV1": [((JPEG, sized("ResizeTensorV1", *SIZE)), ("result",))],
    "ResizePadTensor": [
        ((JPEG, sized("ResizePadTensor", *PAD, "pad_value = 114.5")), ("result", "inverse_trans")),
    ],
    "ResizePadMat": [
        ((DECODE, sized("ResizePadMat", *PAD, 'pad_value = "1,20.7,255"')), ("result", "inverse_trans")),
    ],
    "ResizeCenterPadMat": [
        ((DECODE, sized("ResizeCenterPadMat", *PAD, "pad_value = 114")), ("result", "inverse_trans")),
        ((DECODE, sized("ResizeCenterPadMat", *PAD, "pad_value = 0.5")), ("result",)),
    ],
    "PPLResizePadTensor": [((JPEG, sized("PPLResizePadTensor", *PAD)), ("result", "inverse_trans"))],
    "FixRatioResizeMat": [((DECODE, sized("FixRatioResizeMat", *PAD), FIXED), ("result", "inverse_trans"))],
    "LetterBoxMat": [
        ((DECODE, sized("LetterBoxMat", *SIZE, 'pad_val = "114,3,2"')), ("result", "scale", "offset")),
    ],
    "TopLeftResizeMat": [((DECODE, sized("TopLeftResizeMat", *SIZE)), ("result", "scale", "offset"))],
    "PPLResizeCenterPadTensor": [
        (
            (JPEG, sized("PPLResizeCenterPadTensor", *SIZE)),
            ("result", "top", "bottom", "left", "right", "ratio"),
        ),
    ],
    "FixHResizePadMat": [((DECODE, sized("FixHResizePadMat", "resize_h = 32", "max_w = 100")), ("result",))],
    "CopyMakeBorderTensor": [
        ((DECODE, FIXED, sized("CopyMakeBorderTensor", "top = 1", "left = 3", "right = 2")), ("result",)),
        ((JPEG, sized("CopyMakeBorderTensor", "bottom = 4"), sized("ResizeTensor", *SIZE)), ("result",)),
    ],
}


@pytest.mark.parametrize(
    ("operator", "case"), [(name, index) for name, found in CASES.items() for index in range(len(found))]
)
def test_dali_is_as_near_as_declared(operator: str, case: int, tmp_path: Path) -> None:
    tables, outputs = CASES[operator][case]
    chain = compiled_chain(tmp_path, nodes(*tables), outputs=outputs)
    lowered = chain.lowered(limit=100.0)
    assert isinstance(lowered, DaliChain), str(lowered)
    rng = np.random.default_rng(zlib.crc32(f"{operator} {case}".encode()))
    images = encoded_images(rng, IMAGES, jpeg="DecodeTensor" in tables[0])
    pipeline = pipeline_of(chain.code(limit=100.0))
    found = run_dali(pipeline, chain.outputs, images, rng)
    difference = furthest(chain.outputs, reference(chain, images), found)
    assert difference <= _allowed(chain, lowered) + 1e-6


def _allowed(chain: Chain, lowered: DaliChain) -> float:
    """What is declared, less what decoders are allowed for: here are no images of 16 bits or in CMYK."""
    declared = [TABLE[type(call.op).__name__] for call in chain.calls]
    total = sum(one.tolerance for one in declared)
    of_others = sum(one.tolerance for one in declared if not one.decodes)
    return lowered.tolerance * of_others / total if total else 0.0
