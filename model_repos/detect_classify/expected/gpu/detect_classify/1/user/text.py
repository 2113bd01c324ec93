"""User code of the example: the digits that were read become text."""

import math

import numpy as np

from tpgen_runtime import Tensor, op


@op(
    inputs={"data": [Tensor("int64", [])], "boxes": [Tensor("int32", [4])]},
    outputs={"result": Tensor("string", [])},
)
def join(data, boxes):
    """The digits in the order of their boxes; one that is below the box before it starts a new line."""
    text = ""
    bottom = math.inf
    for digit, (_, top, _, next_bottom) in zip(data, np.array(boxes).reshape(-1, 4).tolist(), strict=True):
        if (top + next_bottom) / 2 > bottom:
            text += "\n"
        text += str(int(digit))
        bottom = next_bottom
    return text
