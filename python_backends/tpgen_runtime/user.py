"""Operators of the user's own: how they are declared, and how a declared function becomes a kernel."""

import functools
import inspect
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .errors import ItemError
from .user_modules import modules_of

DECLARATION = "__tpgen_op__"
NUMBERS = (
    "bool",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
)


class Tensor:
    """A value's type: ``Tensor("float32", ["N", 4])``, without the batch axis.

    A dimension is a number, a name (equal names in one declaration are equal sizes) or -1 (any size).
    ``Tensor("bytes", [])`` is bytes, ``Tensor("string", [])`` text; a list of one Tensor is a list of
    varying length. ``color`` ("rgb", "bgr", "gray") and ``layout`` ("HWC", "CHW") describe an image.
    """

    def __init__(self, dtype, dims, *, color=None, layout=None):
        if dtype not in (*NUMBERS, "bytes", "string"):
            raise ValueError(f"{dtype!r} is not an element type; known: {', '.join(NUMBERS)}, bytes, string")
        self.dtype = dtype
        self.dims = tuple(dims)
        self._numpy = np.dtype(dtype) if dtype in NUMBERS else None
        self._scalar = self._numpy.type if self._numpy else None
        self.color = color
        self.layout = layout

    def __repr__(self):
        return f"{self.dtype}[{','.join(map(str, self.dims))}]"

    def checked(self, value, sizes):
        """The value in this type. ``sizes`` holds the sizes of named dimensions, and gets new ones.

        Python's and numpy's numbers and lists are converted; arrays must have the declared element type.

        Raises:
            TypeError: it is something else; the message says what.
        """
        if self.dtype == "bytes" or (self.dtype == "string" and not self.dims):
            return _plain(value, bytes if self.dtype == "bytes" else str)
        if type(value) is self._scalar and not self.dims:
            return np.asarray(value)
        is_right = isinstance(value, (np.ndarray, np.generic)) and value.dtype == self._numpy
        array = np.asarray(value) if is_right else self._array(value)
        if is_right and array.shape == self.dims:
            return array
        if array.ndim != len(self.dims):
            raise TypeError(_form(array))
        for want, got in zip(self.dims, array.shape, strict=True):
            if want != -1 and (want if isinstance(want, int) else sizes.setdefault(want, got)) != got:
                known = f" (where {want} is {sizes[want]})" if want in sizes else ""
                raise TypeError(_form(array) + known)
        return array

    def all_checked(self, values):
        """The elements of a list in this type; each has sizes of its own."""
        dims, dtype = self.dims, self._numpy
        return [
            value
            if type(value) is np.ndarray and value.shape == dims and value.dtype == dtype
            else self.checked(value, {})
            for value in values
        ]

    def _array(self, value):
        if isinstance(value, np.generic) and value.dtype.kind in "biuf":
            value = value.item()  # the mean of an image is float64, whatever it is declared as
        if isinstance(value, (np.ndarray, np.generic)):
            fits = value.dtype.kind in "OSU" if self.dtype == "string" else value.dtype.name == self.dtype
            if not fits:
                raise TypeError(_form(value))
            return np.asarray(value)
        try:
            natural = np.asarray(value, object if self.dtype == "string" else None)
        except ValueError:
            raise TypeError(f"{type(value).__name__} of rows that differ in length") from None
        return natural if self.dtype == "string" else _converted(natural, np.dtype(self.dtype), value)


def _converted(natural, dtype, value):
    """An array made from Python numbers in another element type, if that changes no value but by rounding.

    Raises:
        TypeError: it would.
    """
    fits = natural.dtype.kind in _FITTING[dtype.kind] or natural.size == 0
    if fits and dtype.kind in "iu" and natural.size:
        limits = np.iinfo(dtype)
        fits = limits.min <= natural.min() and natural.max() <= limits.max
    if not fits:
        shown = repr(value) if natural.dtype.kind in "biuf" and natural.size == 1 else _form(value)
        raise TypeError(shown)
    return natural.astype(dtype)


_FITTING = {"b": "b", "i": "biu", "u": "biu", "f": "biuf"}  # kinds of numpy that each kind takes over


def op(*, inputs=None, outputs=None, batch=False):
    """Declare a function, or a class with ``__call__``, as an operator.

    ``inputs`` and ``outputs`` give the types of the keys that it reads and writes. Positional parameters
    are keys; keyword-only ones (of a class: the parameters of ``__init__``) come from the node's TOML keys.
    The only output may be returned bare, several as a dictionary; None is no result for this item. With
    ``batch``, every argument is a list with one entry per item, and so is every output.
    """

    def declare(target):
        setattr(target, DECLARATION, Declaration(dict(inputs or {}), dict(outputs or {}), batch))
        return target

    return declare


class Declaration(NamedTuple):
    """What `op` was given. The compiler reads the same from the syntax tree."""

    inputs: dict
    outputs: dict
    batch: bool


class UserCode:
    """The kernel of ``module:name`` in ``directory``: from the values of ``reads`` to those of ``writes``.

    ``parameters`` are the values of the node's TOML keys. With ``batch``, values are lists, one entry per
    item. Loading raises whatever the user's module raises at its top, or the class in ``__init__``.
    """

    def __init__(self, *, directory, module, name, parameters, reads, writes, batch):
        found = getattr(modules_of(directory).load(module), name)
        declared = getattr(found, DECLARATION, None)
        if inspect.isclass(found) and declared is None and not _has_call(found):
            operator = TorchPipeOperator(found(), parameters, reads, writes)
            self._call = operator if batch else operator.one
            return
        call = found(**parameters) if inspect.isclass(found) else functools.partial(found, **parameters)
        if declared is not None:
            checks = _Checks(declared, reads, writes, f"{module.replace('.', '/')}.py, {name}()")
            call = _Batched(call, checks) if batch else _PerItem(call, checks)
        self._call = call

    def __call__(self, *values):
        """The answer; arrays go in as views that can't be written to, and come out as copies."""
        return _owned(called(self._call, values))


def called(code, values):
    """What the user's code answers; it gets arrays as views that can't be written to.

    Raises:
        TypeError: it tried to change one of them; whatever else it raises passes through.
    """
    try:
        return code(*map(_read_only, values))
    except Exception as problem:
        if not _is_read_only(problem):
            raise
        raise TypeError(f"{str(problem).strip()}; {_WAY_OUT}") from problem


_WAY_OUT = "arrays are given to user code read-only: change a copy, for example data = data.copy()"


def _is_read_only(problem):
    """True if numpy or OpenCV refused to write into an array."""
    numpys = isinstance(problem, ValueError) and "read-only" in str(problem)
    return numpys or (type(problem).__name__ == "error" and "readonly" in str(problem))


def _read_only(value):
    """The value as user code gets it. Lists are new ones, so that changing them changes no other key."""
    if isinstance(value, np.ndarray):
        view = value.view(np.ndarray)
        view.setflags(write=False)
        return view
    return type(value)([_read_only(one) for one in value]) if type(value) in (list, tuple) else value


def _owned(value):
    """The value with arrays that nobody else holds: user code may write to its own again at the next item."""
    if isinstance(value, np.ndarray):
        return value.copy()
    return type(value)([_owned(one) for one in value]) if type(value) in (list, tuple) else value


def _has_call(cls):
    return any("__call__" in vars(base) for base in cls.__mro__)


class _PerItem:
    """A declared function or object, called with one item's values."""

    def __init__(self, call, checks):
        self._call = call
        self._checks = checks

    def __call__(self, *values):
        sizes = {}
        values = self._checks.inputs(values, sizes)
        returned = self._call(*values)
        if returned is None:
            return None
        written = self._checks.outputs(self._checks.by_key(returned), sizes)
        return written if len(written) > 1 else written[0]


class _Batched:
    """A declared function or object that works on lists, called with one list per key."""

    def __init__(self, call, checks):
        self._call = call
        self._checks = checks

    def __call__(self, *columns):
        sizes = [{} for _ in columns[0]]
        answers = [self._admitted(*one) for one in zip(sizes, *columns, strict=True)]
        fit = [index for index, answer in enumerate(answers) if not isinstance(answer, ItemError)]
        if fit:
            returned = self._call(*map(list, zip(*(answers[index] for index in fit), strict=True)))
            answered = zip(*self._columns(returned, len(fit)), strict=True)
            for index, values in zip(fit, answered, strict=True):
                answers[index] = self._answer(values, sizes[index])
        written = [_entries(answers, i) for i in range(len(self._checks.keys))]
        return tuple(written) if len(written) > 1 else written[0]

    def _admitted(self, sizes, *values):
        """The values of one item in their declared types, or the reason why they are not."""
        try:
            return self._checks.inputs(values, sizes)
        except ItemError as problem:
            return problem

    def _columns(self, returned, count):
        columns = self._checks.by_key(returned)
        for key, column in zip(self._checks.keys, columns, strict=True):
            if not isinstance(column, (list, tuple)) or len(column) != count:
                form = (
                    f"{len(column)} entries" if isinstance(column, (list, tuple)) else type(column).__name__
                )
                raise TypeError(
                    f"{self._checks.where} returned {form} for '{key}'; a list of {count} is needed"
                )
        return columns

    def _answer(self, values, sizes):
        """The values of one item, or None, or the reason why there are none."""
        problem = next((value for value in values if isinstance(value, ItemError)), None)
        if problem is not None or all(value is None for value in values):
            return problem
        return self._checks.outputs(values, sizes)


def _entries(answers, position):
    return [a[position] if isinstance(a, tuple) else a for a in answers]


class _Checks:
    """Compares what goes in and comes out with the declaration."""

    def __init__(self, declared, reads, writes, where):
        self.where = where
        self.keys = writes
        self._reads = [(key, declared.inputs.get(key)) for key in reads]
        self._writes = [(key, declared.outputs[key]) for key in writes]

    def inputs(self, values, sizes):
        """The values in their declared types.

        Raises:
            ItemError: a value is of another type.
        """
        return [self._input(*one, sizes) for one in zip(self._reads, values, strict=True)]

    def _input(self, read, value, sizes):
        key, wanted = read
        try:
            return value if wanted is None else _checked(wanted, value, sizes)
        except TypeError as problem:
            raise ItemError(f"{self.where} takes {wanted} as '{key}', not {problem}") from None

    def by_key(self, returned):
        """What was returned, per declared key.

        Raises:
            TypeError: keys are missing, or others came.
        """
        if isinstance(returned, Mapping):
            if set(returned) == set(self.keys):
                return [returned[key] for key in self.keys]
            got = ", ".join(map(repr, returned)) or "no key"
            raise TypeError(f"{self.where} returned {got}; declared are {', '.join(map(repr, self.keys))}")
        if len(self.keys) == 1:
            return [returned]
        raise TypeError(
            f"{self.where} returned {type(returned).__name__}; a dictionary with"
            f" {', '.join(map(repr, self.keys))} is needed"
        )

    def outputs(self, values, sizes):
        """The values in their declared types.

        Raises:
            TypeError: a value is of another type.
        """
        return tuple(self._output(*one, sizes) for one in zip(self._writes, values, strict=True))

    def _output(self, write, value, sizes):
        key, wanted = write
        try:
            return _checked(wanted, value, sizes)
        except TypeError as problem:
            raise TypeError(f"{self.where} returned {problem} as '{key}'; {wanted} is declared") from None


def _checked(wanted, value, sizes):
    """`Tensor.checked`, and lists of it; the sizes of a list's elements may differ."""
    if isinstance(wanted, Tensor):
        return wanted.checked(value, sizes)
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise TypeError(_form(value))
    element = wanted[0]
    if isinstance(element, Tensor):
        return element.all_checked(value)
    return [_checked(element, one, {}) for one in value]


def _plain(value, kind):
    if isinstance(value, (bytearray, memoryview)) and kind is bytes:
        return bytes(value)
    if not isinstance(value, kind):
        raise TypeError(_form(value))
    return value


def _form(value):
    if isinstance(value, (np.ndarray, np.generic)):
        return f"{value.dtype.name}[{','.join(map(str, value.shape))}]"
    return type(value).__name__


class TorchPipeOperator:
    """TorchPipe's own style: ``init(params)``, then ``forward`` with a list of dictionaries.

    It gets ``max()`` dictionaries at a time, one if it has no such method. What it leaves under the keys
    ``writes`` is the answer; without ``result`` there is none for this item.
    """

    def __init__(self, operator, parameters, reads, writes):
        self._operator = operator
        self._reads = reads
        self._writes = writes
        self._largest = int(operator.max()) if hasattr(operator, "max") else 1
        if hasattr(operator, "init"):
            texts = {key: _as_text(value) for key, value in parameters.items()}
            takes_options = len(inspect.signature(operator.init).parameters) > 1
            operator.init(texts, {}) if takes_options else operator.init(texts)

    def __call__(self, *columns):
        items = [dict(zip(self._reads, values, strict=True)) for values in zip(*columns, strict=True)]
        for start in range(0, len(items), self._largest):
            self._operator.forward(items[start : start + self._largest])
        written = [[item.get(key) if "result" in item else None for item in items] for key in self._writes]
        return tuple(written) if len(written) > 1 else written[0]

    def one(self, *values):
        """The answer for one item: its values, bare if there is one key, None if there is no result."""
        item = dict(zip(self._reads, values, strict=True))
        self._operator.forward([item])
        if "result" not in item:
            return None
        written = tuple(item.get(key) for key in self._writes)
        return written if len(written) > 1 else written[0]


def _as_text(value):
    """A TOML value as TorchPipe hands it to operators."""
    if isinstance(value, bool):
        return str(int(value))
    return ",".join(map(_as_text, value)) if isinstance(value, (list, tuple)) else str(value)
