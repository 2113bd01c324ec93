"""Errors in the image kernels."""

from mutations import Mutation

MUTATIONS = (
    Mutation(
        "colours never swapped",
        "image.py",
        "image[:, :, ::-1]",
        "image[:, :, ::1]",
        seen_by="cvtColorMat",
    ),
)
