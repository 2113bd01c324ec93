"""What a client is told, with types."""

import numpy as np

from tpgen_runtime import Tensor, op


@op(
    inputs={"data": Tensor("uint8", ["H", "W", 3])},
    outputs={
        "result": Tensor("string", []),
        "sharpness": Tensor("float64", []),
        "strongest": Tensor("float64", []),
        "thumbnail": Tensor("uint8", [32, 48, 3]),
    },
)
def report(data, measured, edges, *, blurred_below: float = 100.0):
    """A word on the image, how sharp it is, and its strongest edge."""
    return {
        "result": "blurred" if measured < blurred_below else "sharp",
        "sharpness": np.float64(measured),
        "strongest": np.float64(np.abs(edges).max()),
        "thumbnail": data,
    }
