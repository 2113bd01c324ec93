"""Errors in crops, quadrilaterals, affine maps and borders."""

from mutations import Mutation

MUTATIONS = (
    Mutation(
        "box as y, x",
        "crop.py",
        "x1, y1, x2, y2 = _whole_box(box)",
        "y1, x1, y2, x2 = _whole_box(box)",
        seen_by="CropMat",
    ),
    Mutation(
        "box with its end",
        "crop.py",
        "min(x2, width), min(y2, height)), box)",
        "min(x2 + 1, width), min(y2, height)), box)",
        seen_by="CropMat",
    ),
    Mutation("negative corner wraps", "crop.py", "(max(x1, 0), max(y1, 0),", "(x1, y1,", seen_by="CropMat"),
    Mutation(
        "box rounded",
        "crop.py",
        "[int(side) for side in sides]",
        "[round(side) for side in sides]",
        seen_by="CropMat",
    ),
    Mutation(
        "empty crop", "crop.py", "if x1 >= x2 or y1 >= y2:", "if x1 > x2 or y1 > y2:", seen_by="CropMat"
    ),
    Mutation(
        "channels cropped",
        "crop.py",
        'if layout == "HWC" else image[:, y1:y2, x1:x2]',
        "if layout else image[:, y1:y2, x1:x2]",
        seen_by="CropTensor",
    ),
    Mutation(
        "sides of the image swapped",
        "crop.py",
        "[width, height, width, height]",
        "[height, width, height, width]",
        seen_by="CropResizeMat",
    ),
    Mutation(
        "not enlarged by one",
        "crop.py",
        "np.float32(x2 - x1 + 1)",
        "np.float32(x2 - x1)",
        seen_by="CropResizeMat",
    ),
    Mutation("enlarged on one side", "crop.py", "max(x1 - grow_x, 0)", "max(x1, 0)", seen_by="CropResizeMat"),
    Mutation(
        "enlarged over the edge", "crop.py", "max(y1 - grow_y, 0)", "y1 - grow_y", seen_by="CropResizeMat"
    ),
    Mutation(
        "linear for the dialect's nearest",
        "crop.py",
        '"nearest": cv2.INTER_NEAREST',
        '"nearest": cv2.INTER_LINEAR',
        seen_by="PerspectiveTransformMat",
    ),
    Mutation(
        "edges of the wrong corners",
        "crop.py",
        "for i in (1, 3))",
        "for i in (3, 1))",
        seen_by="PerspectiveTransformMat",
    ),
    Mutation(
        "upright to the last pixel",
        "crop.py",
        "[width, 0], [width, height], [0, height]]",
        "[width - 1, 0], [width - 1, height - 1], [0, height - 1]]",
        seen_by="PerspectiveTransformMat",
    ),
    Mutation(
        "corners counter-clockwise",
        "crop.py",
        "corners.astype(np.float32)",
        "corners[[0, 3, 2, 1]].astype(np.float32)",
        seen_by="PerspectiveTransformMat",
    ),
    Mutation(
        "flat box accepted", "crop.py", "or _three_in_line(corners)", "", seen_by="PerspectiveTransformMat"
    ),
    Mutation(
        "only the first box",
        "crop.py",
        "in enumerate(boxes)]",
        "in enumerate(boxes[:1])]",
        seen_by="PerspectiveTransformMats",
    ),
    Mutation(
        "matrix from source to result",
        "compat.py",
        "cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP",
        "cv2.INTER_LINEAR",
        seen_by="PPLWarpAffineTensor",
    ),
    Mutation(
        "warped nearest",
        "compat.py",
        "cv2.INTER_LINEAR | cv2",
        "cv2.INTER_NEAREST | cv2",
        seen_by="PPLWarpAffineTensor",
    ),
    Mutation(
        "target swapped",
        "compat.py",
        "(target_w, target_h)",
        "(target_h, target_w)",
        seen_by="PPLWarpAffineTensor",
    ),
    Mutation(
        "rounded up",
        "compat.py",
        "max(int(np.float32(side) * ratio), 1)",
        "max(int(np.float32(side) * ratio + 0.5), 1)",
        seen_by="PPLResizeCenterPadTensor",
    ),
    Mutation(
        "ratio not inverted",
        "compat.py",
        "np.float32(1) / ratio",
        "ratio",
        seen_by="PPLResizeCenterPadTensor",
    ),
    Mutation(
        "bottom and right swapped",
        "compat.py",
        "resize_h - new_h - top, left, resize_w - new_w - left",
        "resize_w - new_w - left, left, resize_h - new_h - top",
        seen_by="PPLResizeCenterPadTensor",
    ),
    Mutation(
        "border on the other side",
        "compat.py",
        "width + left + right, top, left, (0,)",
        "width + left + right, bottom, left, (0,)",
        seen_by="CopyMakeBorderTensor",
    ),
    Mutation(
        "layout not restored",
        "compat.py",
        'return image if layout == "HWC" else to_chw(image)',
        "return image",
        seen_by="PPLResizeTensor",
    ),
)
