"""Compiler from TOML pipeline descriptions to Triton Inference Server model repositories."""

__version__ = "0.1.0"
