"""User code of the example: turn words that stand on their head."""

import numpy as np

from tpgen_runtime import Tensor, op


@op(
    inputs={"data": Tensor("float32", [2]), "word": Tensor("uint8", ["H", "W", 3], color="bgr")},
    outputs={"result": Tensor("uint8", ["H", "W", 3], color="bgr")},
)
def turn(data, word, *, at_least: float = 0.5):
    """The word, turned by 180 degrees if the second class has a probability of ``at_least``."""
    return np.ascontiguousarray(word[::-1, ::-1]) if data[1] >= at_least else word
