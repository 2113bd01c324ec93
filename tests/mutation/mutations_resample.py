"""Errors in resizing with aligned corners, and in the way of Pillow."""

from mutations import Mutation

MUTATIONS = (
    Mutation(
        "half pixels for corners",
        "bilinear.py",
        "position = np.arange(size) * step",
        "position = np.maximum((np.arange(size) + 0.5) * length / size - 0.5, 0)",
        seen_by="ResizeTensor",
    ),
    Mutation(
        "corners of n for n - 1",
        "bilinear.py",
        "(length - 1) / (size - 1)",
        "length / size",
        seen_by="ResizeTensor",
    ),
    Mutation(
        "nearest for bilinear",
        "bilinear.py",
        "(position - low)",
        "np.round(position - low)",
        seen_by="ResizeTensor",
    ),
    Mutation(
        "weights swapped", "bilinear.py", "(position - low)", "(low + 1 - position)", seen_by="ResizeTensor"
    ),
    Mutation(
        "uint8 in between",
        "bilinear.py",
        "np.take(image, low, axis).astype(np.float32)",
        "np.round(np.take(image, low, axis)).astype(np.float32)",
        seen_by="ResizeTensor",
    ),
    Mutation(
        "rounded at the end",
        "bilinear.py",
        "    return result\n",
        "    return np.round(result)\n",
        seen_by="ResizeTensor",
    ),
    Mutation(
        "axes of the other layout",
        "bilinear.py",
        'layout.index("H"), layout.index("W")',
        'layout.index("W"), layout.index("H")',
        seen_by="ResizeTensor",
    ),
    Mutation(
        "tensor padded with the last value",
        "bilinear.py",
        "pad_value[0]",
        "pad_value[-1]",
        seen_by="ResizePadTensor",
    ),
    Mutation(
        "tensor padded in front",
        "bilinear.py",
        "(0, max_h - new_h)",
        "(max_h - new_h, 0)",
        seen_by="ResizePadTensor",
    ),
    Mutation(
        "bicubic for bilinear",
        "pillow.py",
        "Image.Resampling.BILINEAR",
        "Image.Resampling.BICUBIC",
        seen_by="PillowResizeMat",
    ),
    Mutation(
        "box for bilinear",
        "pillow.py",
        "Image.Resampling.BILINEAR",
        "Image.Resampling.BOX",
        seen_by="PillowResizeMat",
    ),
    Mutation(
        "columns first",
        "pillow.py",
        "pixels.resize((resize_w, height), _BILINEAR)",
        "pixels.resize((width, resize_h), _BILINEAR)",
        seen_by="PillowResizeMat",
    ),
    Mutation(
        "shape swapped",
        "pillow.py",
        "image.transpose(1, 2, 0), resize_h=resize_h, resize_w=resize_w",
        "image.transpose(2, 1, 0), resize_h=resize_w, resize_w=resize_h",
        seen_by="PillowResizeTensor",
    ),
)
