"""User code for the pipelines in this folder; it is read, never run."""

from tpgen_runtime import Tensor, op


@op(outputs={"boxes": Tensor("float32", ["N", 4])})
def boxes_only(data):
    raise NotImplementedError


def untyped(data):
    raise NotImplementedError


def misspelt(result):
    if len(result) > 3:
        return "Run"
    return "Skp"


def reads_note(note):
    return "Run" if note else "Skip"


def never(result):
    return "Break" if len(result) else "Skip"


def silent(data):
    print(data)


def numbered(data):
    return 1


class Writes:
    """Writes a key."""

    def forward(self, item):
        item["seen"] = True
        return "Run"


class Configured:
    """Takes parameters."""

    def init(self, params):
        self.params = params

    def forward(self, item):
        return "Run"


class NoForward:
    """Nothing to call."""


def wide(result):
    return "Swap" if result.shape[1] > 9 else "Skip"


@op(outputs={"result": Tensor("uint8", ["H", "W", 3])})
def picture(data):
    raise NotImplementedError


@op(inputs={"data": Tensor("string", [])}, outputs={"result": Tensor("string", [])})
def reads_text(data):
    raise NotImplementedError


@op(outputs={"result": Tensor("uint8", ["H", "W", 3], color="bgr"), "mean": Tensor("float32", [])})
def brightness(data):
    raise NotImplementedError


def dark(mean):
    return "Skip" if mean < 9 else "Swap"
