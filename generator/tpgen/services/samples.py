"""Distinct inputs for a check: made from the ones given, or from the entry's types alone.

What is made is a function of the seed. An encoded image becomes other images (mirrored, cropped, brighter,
re-encoded); an array gets seeded noise; text becomes other text (longer, of other scripts, empty once). Other
bytes may be of a format that only the pipeline knows: every other sample has them as they were given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..ir.graph import Entry, Port
from ..types import Array, Bytes, Color, DType, ListOf, Symbol, Text, Type

Sample = dict[str, Any]
SIZES = (7, 24, 33, 48)
# Two, three and four bytes a character, a combining accent, right-to-left, a line break, quotes, a NUL.
_SCRIPTS = "äß 日本語 🙂 e\u0301 שלום\n\"quoted\" 'too' \0 {{ }} \\"
_LONG_TEXT = 5_000
_LONG_BYTES = 70_000


def enough_samples(entry: Entry, given: Sequence[Mapping[str, Any]], count: int) -> list[Sample]:
    """At least ``count`` samples: the given ones first, then variations of them.

    Without any given, half of them are made from the types of the entry's inputs.
    """
    rng = np.random.default_rng(0)
    samples = [dict(sample) for sample in given] or made_samples(entry, (count + 1) // 2)
    originals = list(samples)
    for index in range(max(0, count - len(samples))):
        origin = originals[index % len(originals)]
        samples.append({key: vary(value, rng, index) for key, value in origin.items()})
    return samples


def made_samples(entry: Entry, count: int) -> list[Sample]:
    """As many samples of the types that the entry's inputs declare; bytes are JPEGs."""
    rng = np.random.default_rng(0)
    return [_made(entry, rng) for _ in range(count)]


def vary(value: Any, rng: np.random.Generator, turn: int = 0) -> Any:
    """Another value of the same kind.

    Arrays keep their shape, images about their size. Text and plain bytes go through the kinds of content in
    turns: successive ``turn`` numbers give successive kinds.
    """
    if isinstance(value, bytes | bytearray):
        return _vary_bytes(bytes(value), rng, turn)
    if isinstance(value, str):
        return _vary_text(value, rng, turn)
    if isinstance(value, np.ndarray):
        return _vary_array(value, rng, turn)
    if isinstance(value, list):
        return [vary(item, rng, turn) for item in value]
    return value


def _vary_text(text: str, rng: np.random.Generator, turn: int) -> str:
    number = int(rng.integers(1_000_000))
    match turn % 4:
        case 0:
            return f"{text} {number}"
        case 1:
            return f"{_SCRIPTS}{number}"
        case 2:
            return "" if turn == 2 else str(number)
        case _:
            piece = f"{text} {number} "
            return (piece * (_LONG_TEXT // len(piece) + 1))[:_LONG_TEXT]


def _vary_plain(data: bytes, rng: np.random.Generator, turn: int) -> bytes:
    # Never empty: as raw UINT8 an item of no bytes is no tensor that a server takes.
    match turn % 6:
        case 1:
            return rng.bytes(max(1, len(data)))
        case 3:
            return data[: int(rng.integers(1, len(data) + 1))] if data else rng.bytes(1)
        case 5:
            return rng.bytes(_LONG_BYTES)
        case _:
            return data


def _vary_bytes(data: bytes, rng: np.random.Generator, turn: int) -> bytes:
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        return _vary_plain(data, rng, turn)
    height, width = image.shape[:2]
    top, left = rng.integers(0, height // 8 + 1), rng.integers(0, width // 8 + 1)
    image = image[top:, left:]
    if rng.integers(2):
        image = image[:, ::-1]
    image = cv2.convertScaleAbs(image, alpha=float(rng.uniform(0.7, 1.2)), beta=float(rng.uniform(-20, 20)))
    return _jpeg(image)


def _jpeg(image: np.ndarray[Any, Any]) -> bytes:
    import cv2

    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done, "OpenCV encodes every uint8 image"
    return bytes(encoded.tobytes())


def _vary_array(value: np.ndarray[Any, Any], rng: np.random.Generator, turn: int) -> np.ndarray[Any, Any]:
    if value.size == 0:
        return value
    if value.dtype.kind == "O":
        return _vary_strings(value, rng, turn)
    if value.dtype.kind == "b":
        flips: np.ndarray[Any, Any] = rng.integers(0, 2, value.shape).astype(bool)
        return np.logical_xor(value, flips).reshape(value.shape)
    if value.dtype.kind == "f":
        spread = float(np.std(value)) or 1.0
        noisy: np.ndarray[Any, Any] = value + rng.normal(0.0, 0.1 * spread, value.shape)
        return noisy.astype(value.dtype)
    if value.dtype.kind in "iu":
        return _rolled(value, int(rng.integers(1, value.size))) if value.size > 1 else _stepped(value, rng)
    return value


def _vary_strings(value: np.ndarray[Any, Any], rng: np.random.Generator, turn: int) -> np.ndarray[Any, Any]:
    """Strings, which an array holds as bytes, each as another text."""
    varied = np.empty_like(value)
    for place, text in np.ndenumerate(value):
        varied[place] = _vary_text(text.decode(errors="replace"), rng, turn + sum(place)).encode()
    return varied


def _rolled(value: np.ndarray[Any, Any], by: int) -> np.ndarray[Any, Any]:
    rolled: np.ndarray[Any, Any] = np.roll(value, by)
    return rolled


def _stepped(value: np.ndarray[Any, Any], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """A single whole number as another one near it."""
    step = value.dtype.type(rng.integers(1, 9))
    is_high = int(value.reshape(-1)[0]) > np.iinfo(value.dtype).max - 9
    stepped: np.ndarray[Any, Any] = value - step if is_high else value + step
    return stepped


def _made(entry: Entry, rng: np.random.Generator) -> Sample:
    sizes: dict[Symbol, int] = {}
    return {port.key: _made_value(port, port.type, rng, sizes) for port in entry.inputs}


def _made_value(port: Port, type_: Type, rng: np.random.Generator, sizes: dict[Symbol, int]) -> Any:
    if isinstance(type_, Bytes):
        return _jpeg(_picture(rng, int(rng.integers(64, 320)), int(rng.integers(64, 320))))
    if isinstance(type_, Text):
        return f"sample {int(rng.integers(1_000_000))}"
    if isinstance(type_, ListOf):
        return [_made_value(port, type_.item, rng, sizes) for _ in range(int(rng.integers(1, 4)))]
    assert isinstance(type_, Array), f"input '{port.key}' is {type_}"
    shape = tuple(
        dim if isinstance(dim, int) else sizes.setdefault(dim, int(rng.choice(SIZES))) for dim in type_.shape
    )
    return _made_array(type_, shape, rng)


def _made_array(type_: Array, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    if type_.dtype is DType.STRING:
        flat = [f"s{int(n)}".encode() for n in rng.integers(0, 1000, int(np.prod(shape)))]
        return np.array(flat, dtype=object).reshape(shape)
    if type_.dtype is DType.BOOL:
        return rng.integers(0, 2, shape).astype(bool)
    if type_.color is not Color.NONE and type_.dtype is DType.UINT8 and len(shape) == 3 and shape[2] == 3:
        return _picture(rng, shape[0], shape[1])
    if type_.dtype.value.startswith("float"):
        return rng.normal(0.0, 1.0, shape).astype(type_.dtype.value)
    return rng.integers(0, 100, shape).astype(type_.dtype.value)


def _picture(rng: np.random.Generator, height: int, width: int) -> np.ndarray[Any, Any]:
    """A picture with large shapes, edges and three differing channels: errors in any of these show."""
    import cv2

    coarse = rng.integers(0, 256, (5, 5, 3)).astype(np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(6):
        corner = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        color = tuple(int(c) for c in rng.integers(0, 256, 3))
        cv2.circle(image, corner, int(rng.integers(2, max(3, min(height, width) // 4))), color, -1)
    return image
