"""Errors in the post-processing kernels."""

from mutations import Mutation

MUTATIONS = (
    Mutation(
        "overflow", "postprocess.py", "scores - scores.max(axis=axis, keepdims=True)", "scores", "Softmax"
    ),
    Mutation(
        "wrong sum", "postprocess.py", "powers.sum(axis=axis, keepdims=True)", "powers.sum()", "Softmax"
    ),
    Mutation(
        "wrong axis",
        "postprocess.py",
        "return array.argmax(axis=axis)",
        "return array.argmax(axis=0)",
        "ArgMax",
    ),
    Mutation(
        "raw score",
        "postprocess.py",
        "softmax(array, axis=-1).max(axis=-1)",
        "array.max(axis=-1).astype('f4')",
        "SoftmaxArgMaxTensor",
    ),
    Mutation(
        "score and class swapped",
        "postprocess.py",
        "[best, softmax(array, axis=-1)[best]]",
        "[softmax(array, axis=-1)[best], best]",
        "SoftmaxMax",
    ),
    Mutation(
        "strictly above",
        "postprocess.py",
        "return array >= threshold",
        "return array > threshold",
        "Threshold",
    ),
    Mutation(
        "worst first",
        "postprocess.py",
        "np.argsort(-scores[candidates]",
        "np.argsort(scores[candidates]",
        "TopK",
    ),
    Mutation("ties lost", "postprocess.py", "scores >= least", "scores > least", "TopK"),
    Mutation(
        "unstable ties",
        "postprocess.py",
        'np.argsort(-scores[candidates], kind="stable")',
        "np.argsort(scores[candidates][::-1])[::-1]",
        "TopK",
    ),
    Mutation("NaN accepted", "postprocess.py", "np.isnan(values).any()", "np.isnan(values).all()", "TopK"),
    Mutation("missing label accepted", "postprocess.py", ">= len(self.labels)", "> len(self.labels)", "TopK"),
    Mutation("labels one off", "postprocess.py", "self.labels[index]", "self.labels[index - 1]", "TopK"),
    Mutation(
        "all line ends", "text.py", 'file.read().split("\\n")', "file.read().splitlines()", "CTCGreedyDecode"
    ),
    Mutation("BOM kept", "text.py", "utf-8-sig", "utf-8", "CTCGreedyDecode"),
    Mutation("carriage return kept", "text.py", 'line.removesuffix("\\r")', "line", "CTCGreedyDecode"),
    Mutation("repetitions kept", "text.py", "kept[1:] &=", "kept[1:] |=", "CTCGreedyDecode"),
    Mutation("blank fixed", "text.py", "best != self.blank", "best != 0", "CTCGreedyDecode"),
    Mutation(
        "score of all steps",
        "text.py",
        "self._confidence(steps[kept])",
        "self._confidence(steps)",
        "CTCGreedyDecode",
    ),
    Mutation("logits as probabilities", "text.py", "if self.logits", "if not self.logits", "CTCGreedyDecode"),
    Mutation(
        "space first",
        "text.py",
        'self.characters.append(" ")',
        'self.characters.insert(0, " ")',
        "CTCGreedyDecode",
    ),
    Mutation("union too large", "boxes.py", "areas[later] - shared)", "areas[later])", "NMS"),
    Mutation("classes ignored", "boxes.py", "and class_aware else None", "and False else None", "NMS"),
    Mutation("one detection more", "boxes.py", "== max_detections:", "> max_detections:", "NMS"),
    Mutation(
        "negative sides",
        "boxes.py",
        "np.maximum(widths, 0.0) * np.maximum(heights, 0.0)",
        "widths * heights",
        "NMS",
    ),
    Mutation("heights of pixels", "boxes.py", "y1[later])\n", "y1[later]) + 1\n", "NMS"),
    Mutation("worst box first", "boxes.py", "np.argsort(-scores[order]", "np.argsort(scores[order]", "NMS"),
    Mutation(
        "objectness ignored",
        "boxes.py",
        '    if form != "yolov8":\n        scores = scores * rows[:, 4].astype(np.float32, copy=False)\n',
        "",
        "YoloDecode",
    ),
    Mutation(
        "whole sizes", "boxes.py", "middles_and_sizes[:, 2:] / 2", "middles_and_sizes[:, 2:]", "YoloDecode"
    ),
    Mutation(
        "rows and columns swapped", "boxes.py", "[::-1].reshape(2, -1)", ".reshape(2, -1)", "YoloDecode"
    ),
    Mutation(
        "half-cell offset",
        "boxes.py",
        "origin.astype(np.float32)) * stride",
        "origin.astype(np.float32) + 0.5) * stride",
        "YoloDecode",
    ),
    Mutation("linear sizes", "boxes.py", "np.exp(raw[:, 2:])", "raw[:, 2:]", "YoloDecode"),
    Mutation("matrix transposed", "boxes.py", "matrix[:, :2].T", "matrix[:, :2]", "YoloDecode"),
    Mutation("shift left out", "boxes.py", " + matrix[:, 2]", "", "DBPostProcess"),
    Mutation(
        "few candidates",
        "boxes.py",
        "best_indices(scores[kept], max_candidates)",
        "best_indices(scores[kept], max_candidates - 1)",
        "YoloDecode",
    ),
    Mutation(
        "unclip twice",
        "boxes.py",
        "width * height * ratio / (2 * (width + height))",
        "width * height * ratio / (width + height)",
        "DBPostProcess",
    ),
    Mutation(
        "grows on one side",
        "boxes.py",
        "return width + 2 * distance",
        "return width + distance",
        "DBPostProcess",
    ),
    Mutation(
        "mean of the whole box",
        "boxes.py",
        "left : right + 1], inside)",
        "left : right + 1])",
        "DBPostProcess",
    ),
    Mutation(
        "score of the grown box",
        "boxes.py",
        "score < box_threshold",
        "score <= box_threshold + 0.05",
        "DBPostProcess",
    ),
    Mutation("truncated pixels", "boxes.py", "np.rint(corners)", "np.floor(corners)", "DBPostProcess"),
    Mutation("past the last pixel", "boxes.py", "limit - 1)", "limit)", "DBPostProcess"),
    Mutation("height as width", "boxes.py", "reference.shape[1::-1]", "reference.shape[:2]", "DBPostProcess"),
    Mutation(
        "counter-clockwise",
        "boxes.py",
        "[top_left, top_right, bottom_right, bottom_left]",
        "[top_left, bottom_left, bottom_right, top_right]",
        "DBPostProcess",
    ),
    Mutation("small boxes kept", "boxes.py", "> SMALLEST_SIDE", "> 0", "DBPostProcess"),
    Mutation("small regions kept", "boxes.py", "min(size) < min_size", "min(size) < 1", "DBPostProcess"),
    Mutation("lines ignored", "boxes.py", ">= SAME_LINE", ">= 0", "DBPostProcess"),
)
