"""User code of the example: is anything written on the form?"""

import cv2
import numpy as np

from tpgen_runtime import Tensor, op


@op(
    inputs={"data": Tensor("uint8", ["H", "W", 3], color="bgr")},
    outputs={"ink": Tensor("float32", []), "filter": Tensor("string", [])},
)
def look(data, *, at_least: float = 0.01):
    """The share of pixels that are red, and what becomes of the item: Run, or Break if that is too little."""
    blue, green, red = cv2.split(data)
    is_red = cv2.subtract(red, cv2.max(blue, green)) > 45
    share = np.float32(is_red.mean())
    return {"ink": share, "filter": "Run" if share >= at_least else "Break"}
