"""Errors in decoding, colour order, layout and normalising."""

from mutations import Mutation

MUTATIONS = (
    Mutation(
        "EXIF ignored",
        "image.py",
        "cv2.IMREAD_COLOR)",
        "cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)",
        seen_by="DecodeMat",
    ),
    Mutation("decoded as RGB", "image.py", "cv2.IMREAD_COLOR)", "cv2.IMREAD_COLOR_RGB)", seen_by="DecodeMat"),
    Mutation("alpha kept", "image.py", "cv2.IMREAD_COLOR)", "cv2.IMREAD_UNCHANGED)", seen_by="DecodeMat"),
    Mutation(
        "16 bits kept",
        "image.py",
        "cv2.IMREAD_COLOR)",
        "cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)",
        seen_by="DecodeMat",
    ),
    Mutation(
        "max_pixels by one side",
        "image.py",
        "if width * height > max_pixels",
        "if width > max_pixels",
        seen_by="DecodeMat",
    ),
    Mutation(
        "CMYK accepted", "image.py", "header.channels == 4", "header.channels == 5", seen_by="DecodeTensor"
    ),
    Mutation(
        "any format accepted",
        "image.py",
        'header.format != "JPEG"',
        'header.format == ""',
        seen_by="DecodeTensor",
    ),
    Mutation(
        "tensor of the other colour",
        "image.py",
        'source="bgr", color=color, layout="HWC")',
        'source="rgb", color=color, layout="HWC")',
        seen_by="DecodeTensor",
    ),
    Mutation(
        "colours never swapped", "image.py", "image[:, :, ::-1]", "image[:, :, ::1]", seen_by="cvtColorMat"
    ),
    Mutation(
        "colours rotated", "image.py", "cv2.COLOR_BGR2RGB", "cv2.COLOR_BGR2YCrCb", seen_by="cvtColorMat"
    ),
    Mutation(
        "rows flipped for colours",
        "image.py",
        "np.ascontiguousarray(image[::-1])",
        "np.ascontiguousarray(image[:, ::-1])",
        seen_by="cvtColorTensor",
    ),
    Mutation(
        "colours always swapped", "image.py", "if source == color:", "if source == '':", seen_by="cvtColorMat"
    ),
    Mutation(
        "axes swapped",
        "image.py",
        "image.transpose(2, 0, 1)",
        "image.transpose(2, 1, 0)",
        seen_by="Mat2Tensor",
    ),
    Mutation(
        "planes reversed",
        "image.py",
        "[planes[0], planes[1], planes[2]]",
        "[planes[2], planes[1], planes[0]]",
        seen_by="Mat2Tensor",
    ),
    Mutation(
        "rows and columns swapped",
        "image.py",
        "tensor.transpose(1, 2, 0)",
        "tensor.transpose(2, 1, 0)",
        seen_by="Tensor2Mat",
    ),
    Mutation(
        "half kept",
        "image.py",
        "image.dtype == np.float16",
        "image.dtype == np.float64",
        seen_by="Tensor2Mat",
    ),
    Mutation(
        "float64 for float32",
        "image.py",
        "return image.astype(np.float32)",
        "return image.astype(np.float64)",
        seen_by="FloatMat",
    ),
    Mutation(
        "std before mean",
        "image.py",
        "result -= np.asarray(mean",
        "result -= np.asarray(std) * np.asarray(mean",
        seen_by="Normalize",
    ),
    Mutation(
        "std reversed",
        "image.py",
        "result /= np.asarray(std, np.float32)",
        "result /= np.asarray(std[::-1], np.float32)",
        seen_by="Normalize",
    ),
    Mutation(
        "mean reversed",
        "image.py",
        "np.asarray(mean, np.float32)",
        "np.asarray(mean[::-1], np.float32)",
        seen_by="Normalize",
    ),
    Mutation(
        "normalised along rows",
        "image.py",
        '(-1, 1, 1) if layout == "CHW"',
        '(-1, 1, 1) if layout == "HWC"',
        seen_by="Normalize",
    ),
    Mutation(
        "packed in one plane",
        "image.py",
        "rows[:, index] = planes",
        "rows[:, 0] = planes",
        seen_by="PackImage",
    ),
    Mutation(
        "packed without the mean",
        "image.py",
        "np.float32(mean).reshape(-1, 1) if mean else None",
        "None",
        seen_by="PackImage",
    ),
    Mutation(
        "packed without the swap",
        "image.py",
        "-1 if swap_rb else 1",
        "1",
        seen_by="PackImage",
    ),
    Mutation(
        "packed with the other mean",
        "image.py",
        "self._means[index]",
        "self._means[-1 - index]",
        seen_by="PackImage",
    ),
    Mutation(
        "packed with the mean added",
        "image.py",
        "np.subtract(planes,",
        "np.add(planes,",
        seen_by="PackImage",
    ),
    Mutation(
        "saved with the colours swapped",
        "image.py",
        'if self._source == "rgb" and',
        'if self._source == "bgr" and',
        seen_by="SaveMat",
    ),
    Mutation(
        "list not checked",
        "image.py",
        "image.dtype != np.uint8",
        "image.dtype == np.bool_",
        seen_by="Any2Mat",
    ),
    Mutation(
        "every JPEG taken as truncated",
        "image_structure.py",
        'return data.rfind(b"\\xff\\xd9", start) >= 0',
        "return False",
        seen_by="DecodeMat",
    ),
    Mutation(
        "every PNG taken as truncated",
        "image_structure.py",
        "return position <= len(data)",
        "return position < len(data)",
        seen_by="DecodeMat",
    ),
    Mutation(
        "JPEG size read one byte early",
        "image_header.py",
        '">HHB", data, start + 3',
        '">HHB", data, start + 2',
        seen_by="DecodeMat",
    ),
)
