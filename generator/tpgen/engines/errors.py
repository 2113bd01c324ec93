"""What is wrong with a model file, as an exception that `driver` turns into a located diagnostic."""

from __future__ import annotations

from typing import Final

MISSING: Final = "TP401"
NOT_A_MODEL: Final = "TP402"
EXTERNAL_DATA: Final = "TP403"
UNSUPPORTED_TYPE: Final = "TP404"
REFUSED: Final = "TP405"
REWRITE: Final = "TP407"
BLOCKED_BATCH: Final = "TP408"


class ModelError(Exception):
    """A model file that cannot be used as asked.

    Attributes:
        code: TP4xx.
        message: what is wrong, with the file's name as the user gave it.
        hint: the way out, or None.
        node: the graph node at fault, or None.
    """

    def __init__(self, code: str, message: str, hint: str | None = None, *, node: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.node = node
