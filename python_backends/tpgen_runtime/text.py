"""Kernels that end in text: label files and greedy CTC decoding."""

import numpy as np

from .errors import ItemError


def read_labels(path):
    """The lines of a UTF-8 file, in order.

    Only line feeds (and a carriage return before one) end a line: characters such as U+2028 are labels.
    """
    with open(path, encoding="utf-8-sig", newline="") as file:
        lines = file.read().split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


class CTCGreedyDecode:
    """The best character of each step, repetitions merged and blanks left out.

    ``is_reduced``: of each step there are only the best class and its probability.
    """

    def __init__(self, *, labels, blank, space, logits, classes, is_reduced=False):
        self.blank = blank
        self.logits = logits
        self.is_reduced = is_reduced
        self.characters = read_labels(labels)
        if space:
            self.characters.append(" ")
        if blank > len(self.characters):
            raise ValueError(
                f"blank = {blank}, but with {labels} there are {len(self.characters) + 1} classes"
            )
        self.characters.insert(blank, "")
        if classes is not None and len(self.characters) != classes:
            raise ValueError(_wrong_count(labels, len(self.characters), classes, space))

    def __call__(self, steps):
        """``[T,C]`` to the text and the mean confidence of its characters (0 for the empty text).

        Raises:
            ItemError: a class has no character (only where the number of classes varies).
        """
        best = steps[:, 0].astype(np.int64) if self.is_reduced else steps.argmax(axis=1)
        if best.max(initial=0) >= len(self.characters):
            raise ItemError(f"class {best.max()} has no character: there are {len(self.characters)} classes")
        kept = best != self.blank
        kept[1:] &= best[1:] != best[:-1]
        text = "".join([self.characters[index] for index in best[kept]])
        return text, self._confidence(steps[kept])

    def _confidence(self, steps):
        if not len(steps):
            return np.float32(0.0)
        scores = steps.astype(np.float32, copy=False)
        top = scores[:, 1] if self.is_reduced else scores.max(axis=1)
        if self.logits and not self.is_reduced:
            top = 1.0 / np.exp(scores - top[:, None]).sum(axis=1)
        return top.mean(dtype=np.float32)


def _wrong_count(path, characters, classes, space):
    listed = characters - 1 - space
    hint = (
        "; set space = true if the last class is a space" if classes == characters + 1 and not space else ""
    )
    return (
        f"{path} has {listed} labels, which with the blank{' and the space' if space else ''} makes"
        f" {characters} classes, but the model has {classes}{hint}"
    )
