"""The wire form of keys: how values travel as Triton tensors, whose first axis is the batch.

===================  ======================================================================
value                tensors
===================  ======================================================================
fixed shape          ``key`` with its dims; a scalar has dims ``[1]``
bytes, text          ``key`` BYTES ``[1]``; raw bytes (inputs only): UINT8 ``[-1]``, zero-padded
one varying dim      ``key``, zero-padded to the request's largest, and ``key_count`` INT32 ``[1]``
several varying      ``key``, zero-padded, and ``key_shape`` INT32 ``[rank]``
list of T            ``key`` with the list's length in front, and ``key_count`` INT32 ``[1]``;
                     elements that vary: and ``key_shape`` INT32 ``[length, rank]``
list of lists        as a list of lists of equal length, and ``key_count2`` INT32 ``[length]``
image that varies    in layout or colour order: and ``key_tag`` (`image_wire`)
may be absent        and ``key_valid`` BOOL ``[1]``; an absent value is zeros
===================  ======================================================================
"""

import numpy as np

from .errors import ItemError

ABSENT = object()
COUNT, COUNT2, SHAPE, VALID, TAG = "_count", "_count2", "_shape", "_valid", "_tag"


class WireError(Exception):
    """A value that does not have the type its port declares; a defect of the operator that made it."""


class Port:
    """A key on the wire. ``optional_value``: the value may be absent (``key_valid`` travels along).

    ``has_tag``: its images say their layout and colour order (``key_tag`` travels along).
    """

    has_tag = False

    def __init__(self, key, *, optional_value=False):
        self.key = key
        self.optional_value = optional_value

    def encode(self, values):
        """The tensors of one request: a list of values (`ABSENT` where there is none) as a dictionary."""
        present = [value is not ABSENT for value in values]
        tensors = self._encode(values)
        if self.optional_value:
            tensors[self.key + VALID] = np.array(present, dtype=np.bool_).reshape(-1, 1)
        elif not all(present):
            raise WireError(f"'{self.key}' is missing")
        return tensors

    def decode(self, tensors, what="item"):
        """The values of one request from its tensors; `ABSENT` where ``key_valid`` says so.

        ``what`` is what messages call one value, in front of its number.

        Raises:
            ItemError: a value is too large, or its companions do not fit it.
        """
        values = self._decode(tensors, what)
        valid = tensors.get(self.key + VALID)
        if valid is None:
            return values
        return [value if ok else ABSENT for value, ok in zip(values, valid.reshape(-1), strict=True)]

    def _encode(self, values):
        raise NotImplementedError

    def _decode(self, tensors, what):
        raise NotImplementedError


class Bytes(Port):
    """Bytes; ``max_bytes`` bounds what is accepted. ``raw``: as UINT8 instead of BYTES."""

    def __init__(self, key, *, max_bytes=None, raw=False, optional_value=False):
        super().__init__(key, optional_value=optional_value)
        self._max_bytes = max_bytes
        self._raw = raw

    def _encode(self, values):
        values = [b"" if value is ABSENT else value for value in values]
        for value in values:
            if not isinstance(value, (bytes, bytearray, memoryview)):
                raise WireError(f"'{self.key}' is {_kind(value)}, not bytes")
        if self._raw:
            return {self.key: _stack_padded([np.frombuffer(value, np.uint8) for value in values])}
        return {self.key: _objects(values)}

    def _decode(self, tensors, what):
        tensor = tensors[self.key]
        values = [row.tobytes() for row in tensor] if self._raw else list(tensor.reshape(-1))
        for index, value in enumerate(values):
            if self._max_bytes is not None and len(value) > self._max_bytes:
                raise ItemError(
                    f"{what} {index}: '{self.key}' has {len(value)} bytes,"
                    f" at most {self._max_bytes} are accepted"
                )
        return values


class Text(Port):
    """A unicode string, UTF-8 on the wire."""

    def _encode(self, values):
        return {self.key: _objects([b"" if v is ABSENT else _utf8(self.key, v) for v in values])}

    def _decode(self, tensors, what):
        values = enumerate(tensors[self.key].reshape(-1))
        return [self._decode_one(value, f"{what} {index}") for index, value in values]

    def _decode_one(self, value, what):
        if isinstance(value, str):
            return value
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ItemError(f"{what}: '{self.key}' is not UTF-8 text") from None


class Array(Port):
    """An array of ``dtype``; None in ``dims`` is a dimension that varies from item to item."""

    def __init__(self, key, dtype, dims, *, max_pixels=None, optional_value=False):
        super().__init__(key, optional_value=optional_value)
        self._dtype = np.dtype(np.object_ if dtype == "string" else dtype)
        self._dims = tuple(dims)
        self._varying = [axis for axis, dim in enumerate(dims) if dim is None]
        self._counts = len(self._varying) == 1  # one size travels as key_count, several as key_shape
        self._max_pixels = max_pixels

    def _encode(self, values):
        rows = [self._zeros() if v is ABSENT else self._checked(v) for v in values]
        if not self._varying:
            stacked = rows[0][np.newaxis] if len(rows) == 1 else np.stack(rows)
            return {self.key: stacked if self._dims else stacked.reshape(-1, 1)}
        return {self.key: _stack_padded(rows), **self._sizes(rows)}

    def leave_count_to_list(self):
        """As the element of a list, whose length is in ``key_count``, even one size goes to ``key_shape``."""
        self._counts = False

    def _sizes(self, rows):
        if self._counts:
            axis = self._varying[0]
            return {self.key + COUNT: np.array([[row.shape[axis]] for row in rows], dtype=np.int32)}
        return {self.key + SHAPE: np.array([row.shape for row in rows], dtype=np.int32)}

    def _decode(self, tensors, what):
        tensor = tensors[self.key]
        if not self._dims:
            return list(tensor.reshape(-1))
        if self._counts:
            shapes = _axis_shapes(
                tensor, self._varying[0], _counts(tensors, self.key, tensor, self._varying[0])
            )
        elif self._varying:
            given = tensors.get(self.key + SHAPE)
            shapes = [tensor.shape[1:]] * len(tensor) if given is None else given
        else:
            return list(tensor)
        return [
            self._cut(f"{what} {index}", row, shape)
            for index, (row, shape) in enumerate(zip(tensor, shapes, strict=True))
        ]

    def _cut(self, what, row, shape):
        shape = tuple(int(n) for n in shape)
        sizes = zip(shape, row.shape, self._dims, strict=True)
        if any(n < 0 or n > limit or (dim is not None and n != dim) for n, limit, dim in sizes):
            raise ItemError(f"{what}: '{self.key}' has shape {list(row.shape)}, its sizes say {list(shape)}")
        if self._max_pixels is not None and _pixels(shape) > self._max_pixels:
            raise ItemError(
                f"{what}: '{self.key}' has {_pixels(shape)} pixels, at most {self._max_pixels} are accepted"
            )
        return row if shape == row.shape else row[tuple(slice(n) for n in shape)]

    def _checked(self, value):
        array = np.asarray(value)
        if array.dtype != self._dtype:
            array = self._converted(array)
        self.check(array.dtype, array.shape)
        return array

    def check(self, dtype, shape):
        """Compare what a value is with what is declared.

        Raises:
            WireError: it has another dtype or shape.
        """
        if dtype != self._dtype:
            raise WireError(f"'{self.key}' is {dtype}, {self._dtype} is declared")
        fits = len(shape) == len(self._dims) and all(
            want is None or want == got for want, got in zip(self._dims, shape, strict=True)
        )
        if not fits:
            wanted = ["any" if dim is None else dim for dim in self._dims]
            raise WireError(f"'{self.key}' has shape {list(shape)}, {wanted} is declared")

    def _converted(self, array):
        """Python numbers take the declared dtype; an array of another dtype is a defect."""
        if array.ndim == 0 and np.can_cast(array.dtype, self._dtype, "same_kind"):
            return array.astype(self._dtype)
        return array

    @property
    def is_fixed(self):
        """True if all values have one shape of at least one dimension: they travel as rows of one tensor."""
        return bool(self._dims) and not self._varying

    def _zeros(self):
        zeros = np.zeros([0 if dim is None else dim for dim in self._dims], dtype=self._dtype)
        if self._dtype.kind == "O":
            zeros.fill(b"")
        return zeros


class List(Port):
    """A list of varying length; ``element`` is the port of one element, under the same key."""

    def __init__(self, element, *, optional_value=False):
        super().__init__(element.key, optional_value=optional_value)
        self.has_tag = element.has_tag
        self._element = element
        # Those with an entry per element.
        self._names = (self.key, self.key + COUNT2, self.key + SHAPE, self.key + TAG)
        if isinstance(element, Array):
            element.leave_count_to_list()

    def _encode(self, values):
        lists = [[] if value is ABSENT else list(value) for value in values]
        longest = max((len(value) for value in lists), default=0)
        flat = [element for value in lists for element in value]
        encoded = self._element.encode(flat) if flat else self._element._encode([ABSENT])
        tensors = {
            _inner(self.key, name): _scatter(tensor, lists, longest) for name, tensor in encoded.items()
        }
        tensors[self.key] = _without_unit(tensors[self.key], self._element)
        if self.key + COUNT2 in tensors:
            tensors[self.key + COUNT2] = tensors[self.key + COUNT2].reshape(len(lists), longest)
        if self.key + TAG in tensors and not isinstance(self._element, List):
            tensors[self.key + TAG] = tensors[self.key + TAG].reshape(len(lists), longest)
        tensors[self.key + COUNT] = np.array([[len(value)] for value in lists], dtype=np.int32)
        return tensors

    def _decode(self, tensors, what):
        own = {name: tensors[name] for name in self._names if name in tensors}
        counts = tensors.get(self.key + COUNT)
        main = tensors[self.key]
        lengths = [main.shape[1]] * len(main) if counts is None else [int(n) for n in counts.reshape(-1)]
        return [self._decode_row(own, row, length, f"{what} {row}") for row, length in enumerate(lengths)]

    def _decode_row(self, own, row, length, what):
        held = min(len(tensor[row]) for tensor in own.values())
        if not 0 <= length <= held:
            raise ItemError(f"{what}: '{self.key}' has {held} elements, its count says {length}")
        if length == 0:
            return []
        inner = {_outer(self.key, name): tensor[row][:length] for name, tensor in own.items()}
        return self._element.decode(inner, f"{what}, element")


def _inner(key, name):
    """An element's companion on the list's level: the count of an inner list is ``key_count2``."""
    return key + COUNT2 if name == key + COUNT else name


def _outer(key, name):
    return key + COUNT if name == key + COUNT2 else name


def _scatter(tensor, lists, longest):
    """Elements back into their lists: ``[elements, ...]`` to ``[items, longest, ...]``, zero-padded."""
    out = np.zeros((len(lists), longest, *tensor.shape[1:]), dtype=tensor.dtype)
    if tensor.dtype.kind == "O":
        out.fill(b"")
    start = 0
    for row, value in enumerate(lists):
        out[row, : len(value)] = tensor[start : start + len(value)]
        start += len(value)
    return out


def _without_unit(tensor, element):
    """Scalars and strings have dims ``[1]`` alone, and none inside a list."""
    is_scalar = isinstance(element, (Bytes, Text)) or (isinstance(element, Array) and not element._dims)
    return tensor.reshape(tensor.shape[:2]) if is_scalar else tensor


def _objects(values):
    tensor = np.empty((len(values), 1), dtype=np.object_)
    for row, value in enumerate(values):
        tensor[row, 0] = bytes(value)
    return tensor


def _utf8(key, value):
    if not isinstance(value, str):
        raise WireError(f"'{key}' is {_kind(value)}, not a string")
    return value.encode()


def _stack_padded(rows):
    """Arrays of one rank as one array, each zero-padded to the largest; one alone is not copied."""
    if len(rows) == 1:
        return rows[0][np.newaxis]
    largest = np.max([row.shape for row in rows], axis=0)
    out = np.zeros((len(rows), *largest), dtype=rows[0].dtype)
    if out.dtype.kind == "O":
        out.fill(b"")
    for index, row in enumerate(rows):
        out[(index, *(slice(n) for n in row.shape))] = row
    return out


def _counts(tensors, key, tensor, axis=0):
    counts = tensors.get(key + COUNT)
    return [tensor.shape[axis + 1]] * len(tensor) if counts is None else counts.reshape(-1)


def _axis_shapes(tensor, axis, counts):
    shapes = []
    for count in counts:
        shape = list(tensor.shape[1:])
        shape[axis] = count
        shapes.append(shape)
    return shapes


def _pixels(shape):
    """Height times width: all but the smallest dimension, which is the channels."""
    return int(np.prod(sorted(shape)[1:], dtype=np.int64))


def _kind(value):
    return type(value).__name__
