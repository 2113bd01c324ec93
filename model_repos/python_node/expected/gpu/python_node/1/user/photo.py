"""User code of the example: a report on a photo."""

import cv2
import numpy as np
from palette import dominant_colors

from tpgen_runtime import Tensor, op


@op(
    inputs={"data": Tensor("uint8", ["H", "W", 3], color="rgb")},
    outputs={
        "result": Tensor("string", []),
        "sharpness": Tensor("float32", []),
        "colors": Tensor("uint8", ["K", 3]),
    },
)
def report(data, *, blurred_below: float = 100.0, colors: int = 4):
    """Sharpness is the variance of the Laplacian; ``colors`` are the most frequent ones, RGB."""
    gray = cv2.cvtColor(data, cv2.COLOR_RGB2GRAY)
    sharpness = np.float32(cv2.Laplacian(gray, cv2.CV_32F).var())
    verdict = "blurred" if sharpness < blurred_below else "sharp"
    return {"result": verdict, "sharpness": sharpness, "colors": dominant_colors(data, colors)}
