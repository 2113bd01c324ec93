"""User code of the example: the digits that were read become text."""

from tpgen_runtime import Tensor, op


@op(
    inputs={"data": [Tensor("int64", [])], "boxes": [Tensor("int32", [4])]},
    outputs={"result": Tensor("string", [])},
)
def join(data, boxes):
    """The digits in the order of their boxes; one that is below the box before it starts a new line."""
    text = ""
    for i, digit in enumerate(data):
        if i and (boxes[i][1] + boxes[i][3]) / 2 > boxes[i - 1][3]:
            text += "\n"
        text += str(int(digit))
    return text
