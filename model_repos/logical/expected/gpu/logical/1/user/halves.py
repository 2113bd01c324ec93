"""User code of the example: two halves of a picture, and a number of two digits."""

import numpy as np

from tpgen_runtime import ItemError, Tensor, op

IMAGE = Tensor("uint8", ["H", "W", 3], color="bgr")
HALF = Tensor("uint8", ["H", "V", 3], color="bgr")  # as high, of another width


@op(inputs={"data": IMAGE}, outputs={"left": HALF, "right": HALF, "result": IMAGE})
def split(data):
    """The picture, and its left and right half."""
    middle = data.shape[1] // 2
    if middle == 0:
        raise ItemError("a picture one pixel wide has no halves")
    return {"left": data[:, :middle], "right": data[:, -middle:], "result": data}


@op(
    inputs={"data": Tensor("int64", []), "ones": Tensor("int64", [])},
    outputs={"result": Tensor("int64", [])},
)
def join(data, ones):
    """The number whose digits are these."""
    return np.int64(10 * data + ones)
