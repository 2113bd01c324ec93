"""What kernels raise, and what is said of it."""

import sys
import traceback

_FRAMES = 6  # of a traceback, the innermost ones, that are logged


class ItemError(Exception):
    """The operator cannot work on this item; the message says why, in words for the client.

    The item's result is then absent with this reason. Any other exception is a failure of the operator.
    """


class RemoteError(Exception):
    """A model of its own broke; the message is what it said."""


class Busy(RemoteError):
    """A model of its own had no time, which can pass: its queue was full, or waiting in it took too long."""


class Broken(str):
    """What a client is told of an operator that broke; ``trace``, for the log, is where the error was raised.

    Made while the error is handled; the item's owner may hear of it later. ``is_busy``: the client may try
    again.
    """

    __slots__ = ("is_busy", "trace")

    def __new__(cls, message, *, is_busy=False):
        made = super().__new__(cls, message)
        made.is_busy = is_busy
        is_raised = sys.exc_info()[0] is not None
        made.trace = f"\n{traceback.format_exc(limit=-_FRAMES).rstrip()}" if is_raised else ""
        return made
