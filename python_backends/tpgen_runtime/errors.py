"""What kernels raise."""


class ItemError(Exception):
    """The operator cannot work on this item; the message says why, in words for the client.

    The item's result is then absent with this reason. Any other exception is a failure of the operator.
    """


class RemoteError(Exception):
    """A model of its own broke; the message is what it said."""
