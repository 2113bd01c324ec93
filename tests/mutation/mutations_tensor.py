"""Errors in the tensor and key kernels."""

from mutations import Mutation

MUTATIONS = (
    Mutation(
        "cast to double", "tensor.py", "array.astype(np.float32", "array.astype(np.float64", "FloatTensor"
    ),
    Mutation("axes mirrored", "tensor.py", "transpose(2, 0, 1)", "transpose(2, 1, 0)", "NCHWTensor"),
    Mutation(
        "float cast left out",
        "tensor.py",
        ".astype(np.float32, copy=False)\n\n\ndef contiguous",
        "\n\n\ndef contiguous",
        "FloatNCHWTensor",
    ),
    Mutation("scalar gets an axis", "tensor.py", ".reshape(array.shape)", "", "ContiguousTensor"),
    Mutation(
        "NaN accepted", "tensor.py", "if not np.isfinite(value)", "if np.isinf(value)", "LongItemTensor"
    ),
    Mutation(
        "rounded up",
        "tensor.py",
        "value.astype(np.int64)",
        "np.ceil(value).astype(np.int64)",
        "LongItemTensor",
    ),
    Mutation(
        "memory order",
        "tensor.py",
        "array.reshape(-1)\n\n\nclass",
        'array.ravel("K")\n\n\nclass',
        "Tensor2Vector",
    ),
    Mutation("ones created", "tensor.py", "np.zeros(", "np.ones(", "CreateTensor"),
    Mutation("negative index wraps", "tensor.py", "(index < 0) | ", "", "IndexSelectTensor"),
    Mutation("index one too far", "tensor.py", "index >= len", "index > len", "IndexSelectTensor"),
    Mutation("saved transposed", "tensor.py", "np.save(file, array)", "np.save(file, array.T)", "SaveTensor"),
    Mutation("failure passes", "tensor.py", "raise ItemError(message)", "return _data", "RuntimeError"),
    Mutation("values reversed", "keys.py", "for i in picks", "for i in reversed(picks)", "Copy"),
    Mutation("constants behind values", "keys.py", "(*constants, *values)", "(*values, *constants)", "Add"),
    Mutation(
        "constants of 32 bits",
        "keys.py",
        "np.array(constant, np.int64)",
        "np.array(constant).astype(np.int32)",
        "AddInt",
    ),
)
