"""What kernels raise, and what is said of it."""

import os
import sys
import traceback

_FRAMES = 6  # of a traceback, the innermost ones, that are logged
USER_MODULES = "_tpgen_user_"  # what the names of modules with user code begin with


class ItemError(Exception):
    """The operator cannot work on this item; the message says why, in words for the client.

    The item's result is then absent with this reason. Any other exception is a failure of the operator.
    """


class ModelRefused(ValueError):
    """A model cannot be loaded. ``hint`` is the way out, ``file`` the name of its file, if it has one."""

    def __init__(self, message, hint, file=None):
        super().__init__(f"{message}; {hint}")
        self.message = message
        self.hint = hint
        self.file = file


class RemoteError(Exception):
    """A model of its own broke; the message is what it said."""


class Busy(RemoteError):
    """A model of its own had no time, which can pass: its queue was full, or waiting in it took too long."""


class Broken(str):
    """What a client is told of an operator that broke; ``trace``, for the log, is where the error was raised.

    ``place`` is the innermost line of user code on the way there, ``ops.py:12 in find``, if there is one.
    Made while the error is handled; the item's owner may hear of it later. ``is_busy``: the client may try
    again.
    """

    __slots__ = ("is_busy", "place", "trace")

    def __new__(cls, message, *, is_busy=False):
        made = super().__new__(cls, message)
        made.is_busy = is_busy
        problem = sys.exc_info()[1]
        is_raised = problem is not None
        made.place = user_place(problem)
        made.trace = f"\n{traceback.format_exc(limit=-_FRAMES).rstrip()}" if is_raised else ""
        return made


def user_place(problem):
    """The innermost line of user code on the way to an error, ``ops.py:12 in find``; else an empty text."""
    while problem is not None:
        frames = [frame for frame in traceback.walk_tb(problem.__traceback__) if _is_user(frame[0])]
        if frames:
            frame, line = frames[-1]
            return f"{os.path.basename(frame.f_code.co_filename)}:{line} in {frame.f_code.co_name}"
        problem = problem.__cause__ or problem.__context__
    return ""


def _is_user(frame):
    return str(frame.f_globals.get("__name__", "")).startswith(USER_MODULES)
