"""Kernels and helpers that run inside Triton's Python backend; they never import the compiler."""
