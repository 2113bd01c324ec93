"""Operators of the dialect that tpgen does not compile, each with the way out."""

UNSUPPORTED: dict[str, str] = {}
