"""Random straight-line pipelines that compile, and random items for their inputs, some of them corrupt."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import tpgen.ops  # noqa: F401 - fills the registry
from engines.onnx_build import model, node, save, tensor
from tpgen.diagnostics import Bag
from tpgen.driver import BuildOptions, Compiled, compile_pipeline
from tpgen.ir.graph import Entry
from tpgen.ir.op import REGISTRY, AttributeField, Op, attributes_of, bracket_attribute
from tpgen.types import Array, Bytes, DType, ListOf, Symbol, Text, Type

# Decides by size alone, which rounding cannot change, what it makes of an item.
USER_CODE = """
import numpy as np
from tpgen_runtime import ItemError, Tensor, op


def size_of(value):
    if isinstance(value, (bytes, str)):
        return len(value)
    if isinstance(value, (list, tuple)):
        return len(value) + sum(size_of(element) for element in value)
    return int(sum(np.shape(value)))


@op(outputs={"result": Tensor("int32", ["N", 2])})
def maybe(data):
    size = size_of(data)
    return None if size % 3 == 0 else np.full((size % 4, 2), size, np.int32)


@op(outputs={"result": Tensor("float32", [3]), "note": Tensor("string", [])})
def fussy(data, *, limit=4):
    size = size_of(data)
    if size % limit == 0:
        raise ItemError(f"size {size}")
    return {"result": np.full(3, size, np.float32), "note": f"é{size}"}


@op(outputs={"result": [Tensor("float32", ["N"])]})
class Lists:
    def __init__(self, *, step: int = 1):
        self.step = step

    def __call__(self, data):
        size = size_of(data)
        if size % 7 == 0:
            raise KeyError(size)
        return [np.arange(i * self.step, dtype=np.float32) for i in range(size % 4)]


@op(outputs={"result": Tensor("int64", []), "texts": [Tensor("string", [])]}, batch=True)
def together(data):
    answers = []
    for value in data:
        size = size_of(value)
        if size % 5 == 0:
            answers.append(None)
        elif size % 11 == 0:
            answers.append(ItemError("eleven"))
        else:
            answers.append({"result": np.int64(size), "texts": ["x" * i for i in range(size % 3)]})
    return answers


@op(outputs={"boxes": Tensor("int32", ["N", 4]), "result": Tensor("uint8", ["H", "W", 3], color="bgr")})
def picture(data):
    size = size_of(data)
    if size % 6 == 0:
        return None
    image = np.arange((size % 5 + 1) * (size % 7 + 1) * 3, dtype=np.uint8)
    return {"boxes": np.zeros((size % 3, 4), np.int32), "result": image.reshape(size % 5 + 1, -1, 3)}


def runs(data):
    return "Run" if size_of(data) % 3 else "Skip"


def turns(result):
    if size_of(result) % 4 == 0:
        return "Break"
    return "Swap"


def turns_or_skips(result, *, limit=7):
    return "Skip" if size_of(result) % limit == 2 else "Swap"


def noted(note: str, data):
    return "Run" if len(note) % 2 else "Error"


def breaking(data):
    size = size_of(data)
    if size % 7 == 0:
        raise KeyError(size)
    if size % 8 == 0:
        raise ItemError("eight")
    return "Run"


class Older:
    def forward(self, item):
        if "note" in item and size_of(item.get("note")) % 2:
            return "Skip"
        return "Run" if size_of(item["data"]) % 5 else "Break"
"""
KEYS = ("other", "alpha", "beta", "alpha_count", "data", "result", "note", "boxes", "inverse_trans", "scores")
NAMES = ("n", "node.x", "run", "class", "items", "self", "0", "image", "load", "a-b", "stage", "Node")
INPUTS = (
    'data = "bytes"',
    'data = "bytes"',
    'data = {type = "bytes", wire = "uint8"}',
    'data = "uint8[H,W,3] bgr"',
    'data = "uint8[H,W,3] rgb"',
    'data = "uint8[3,H,W] rgb"',
    'data = "float32[H,W,3] bgr"',
    'data = "uint8[9,7,3] bgr"',
    'data = "float32[N,5]"',
    'data = "float32[6]"',
    'data = "int64[]"',
    'data = "float32[3,8,8]"',
    'data = "string"',
    'data = "[uint8[H,W,3] bgr]"',
    'data = "[[int32[4]]]"',
    'data = "[string]"',
    "",
)
WEIGHTS = {"image": 8, "tensor": 3, "keys": 4, "postprocess": 4}
FIXED = {
    "LoadTensor": ("tensor_name=matrix.npy", "shape=[9,2]"),
    "IndexSelectTensor": ("weight=matrix.npy", "columns=2"),
}
# They have effects, take time, or want a file that fits what arrives.
LEFT_OUT = {
    *("Sleep", "PrintTensor", "SaveMat", "SaveMats", "SaveTensor", "CTCGreedyDecode"),
}
USER = ("maybe", "fussy", "Lists", "together", "picture")
MODELS = ("small.onnx", "any.onnx", "vector.onnx", "two.onnx", "fixed1.onnx & fixed3.onnx")
BATCHES = (  # of a node with a model
    *("max = 1\n", "max = 2\n", "max = 3\n", "max = 3\nmin = 2\n"),
    *('max = "2;4"\nmin = "1;3"\n', 'max = 5\nforce_range = "1,2"\n', 'max = "2&4"\nmin = "1&3"\n'),
)
USER_FILTERS = ("runs", "turns", "turns_or_skips", "noted", "breaking", "Older")
NODE_FILTERS = (
    *[""] * 12,
    *['filter = "or"\n'] * 3,
    "or = true\n",
    'filter = "else"\n',
    'filter = "Run"\n',
    'filter = "swap"\n',
    'filter = "result2other"\n',
    'filter = "result2key_1"\n',
    'filter = "IsKeyExistFilter"\nkey = "note"\n',
    'filter = "IsKeyExistFilter"\nkey = "boxes"\n',
    'filter = "IsOtherExistFilter"\nother = "other"\n',
    *(f'filter = "Python[mine:{name}]"\n' for name in USER_FILTERS),
)
ITEM_FILTERS = (
    *("(Run)", "(or)", "(or)", "(else)", "(result2other)", "(swap)"),
    *(f"(Python[mine:{name}])" for name in USER_FILTERS),
)
NORMS = ("", "", ",mean=[10,20,30],std=[2,4,8]", ",mean=[123.675,116.28,103.53]", ",std=[58.4,57.1,57.4]")


def write_files(folder: Path) -> None:
    """What the pipelines name: models, labels, a matrix, user code."""
    rng = np.random.default_rng(5)
    image = ["N", 3, 8, 8]
    weight = rng.normal(size=(4, 3, 3, 3)).astype(np.float32)
    convolve = node("Conv", "image w", "maps", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    pool = [node("GlobalAveragePool", "maps", "mean"), node("Flatten", "mean", "logits")]
    out = [tensor("logits", ["N", 4])]
    save(model([convolve, *pool], [tensor("image", image)], out, {"w": weight}), folder / "small.onnx")
    free = [tensor("image", ["N", 3, "H", "W"])]
    save(model([convolve, *pool], free, out, {"w": weight}), folder / "any.onnx")
    double = [node("Add", "x x", "y")]
    save(model(double, [tensor("x", ["N", "C"])], [tensor("y", ["N", "C"])]), folder / "vector.onnx")
    for size in (1, 3):
        ports = [tensor("x", [size, "C"])], [tensor("y", [size, "C"])]
        save(model(double, *ports), folder / f"fixed{size}.onnx")
    halves = [node("Relu", "x", "up"), node("Neg", "x", "down")]
    outs = [tensor("up", ["N", "C"]), tensor("down", ["N", "C"])]
    save(model(halves, [tensor("x", ["N", "C"])], outs), folder / "two.onnx")
    (folder / "labels.txt").write_text("a\nb\né\nd\n", encoding="utf-8")
    np.save(folder / "matrix.npy", rng.normal(size=(9, 2)).astype(np.float32))
    (folder / "mine.py").write_text(USER_CODE, encoding="utf-8")


def backend_text(calls: Sequence[str], index: int) -> str:
    """The operators of a node, and which batches they take; the same for the same calls."""
    backend = calls[0] if len(calls) == 1 else f"Sequential[{','.join(calls)}]"
    batches = f"max = {index % 3 + 1}\n"
    if "&" in backend:
        batches = 'max = "1&3"\nmin = "1&3"\n'
    elif "Onnx(" in backend:
        batches = BATCHES[(index + len(backend)) % len(BATCHES)]
        if len(backend) % 5 == 0:
            backend, batches = f"Range[{backend}]", f'{batches}range = "1,{index + 4}"\n'
    return f'backend = "{backend}"\n{batches}'


_MACRO = re.compile(r"(?<=[\[,:])(data|result)(?=[:,\]])")  # a key that a macro may stand for


@dataclass
class Pipeline:
    """A pipeline that compiles: its text, and what it was compiled to."""

    text: str
    compiled: Compiled


@dataclass
class Maker:
    """Adds operators as long as what comes out compiles."""

    rng: random.Random
    folder: Path
    name: str
    nodes: list[list[str]] = field(default_factory=list)
    filters: list[str] = field(default_factory=list)
    head: str = ""

    def make(self) -> Pipeline:
        wanted = self.rng.randint(1, 9)
        self.head = self._head()
        names = self.rng.sample(NAMES, len(NAMES))
        found: Pipeline | None = None
        tries = 0
        while sum(map(len, self.nodes)) < wanted and tries < 60:
            tries += 1
            before = [list(calls) for calls in self.nodes]
            if not self.nodes or (
                (len(self.nodes[-1]) >= 4 or self.rng.random() < 0.4) and len(self.nodes) < 6
            ):
                self.nodes.append([])
                self.filters = self.filters[: len(self.nodes) - 1]
                self.filters.append(self.rng.choice(NODE_FILTERS) if len(self.nodes) > 1 else "")
            self.nodes[-1].append(self._call())
            made = self._compiled(self._text(names))
            if made is None:
                self.nodes = before
            else:
                found = made
        return found if found is not None else Maker(self.rng, self.folder, self.name).make()

    def with_outputs(self, made: Pipeline) -> Pipeline:
        """The pipeline with some of its keys as declared outputs, where that compiles."""
        graph = made.compiled.graph
        assert graph.types is not None
        (entry,) = graph.entries
        inputs = {port.key for port in entry.inputs}
        keys = [
            key for key, state in graph.types.final[entry.root].items() if state.present and key not in inputs
        ]
        if not keys:
            return made
        chosen = self.rng.sample(keys, self.rng.randint(1, len(keys)))
        text = f"[pipeline]\noutputs = {chosen!r}\n".replace("'", '"')
        if self.rng.random() < 0.5:
            text += f"max_batch = {self.rng.randint(3, 9)}\n"
        return (
            self._compiled(text + made.text.replace("[pipeline]\n", "", 1))
            or self._compiled(made.text)
            or made
        )

    def _head(self) -> str:
        declared = self.rng.choice(INPUTS)
        return "[pipeline]\n" + (f"[pipeline.inputs]\n{declared}\n" if declared else "")

    def _text(self, names: list[str]) -> str:
        lines = [self.head]
        for index, calls in enumerate(self.nodes):
            follower = f'next = "{names[index + 1]}"\n' if index + 1 < len(self.nodes) else ""
            node_ = backend_text(calls, index)
            lines.append(f'["{names[index]}"]\n{node_}{self.filters[index]}{follower}')
        return "\n".join(lines)

    def _compiled(self, text: str) -> Pipeline | None:
        text = _MACRO.sub(self._macro, text)
        path = self.folder / f"{self.name}.toml"
        path.write_text(text, encoding="utf-8")
        bag = Bag()
        compiled = compile_pipeline(path, BuildOptions(cores=2), bag, self.folder)
        return Pipeline(text, compiled) if compiled is not None and not bag.has_errors else None

    def _macro(self, key: re.Match[str]) -> str:
        return f"TASK_{key[0].upper()}_KEY" if self.rng.random() < 0.1 else key[0]

    def _call(self) -> str:
        """The text of a random operator call."""
        kind = self.rng.random()
        run = self.rng.choice(ITEM_FILTERS) if self.nodes[-1] and self.rng.random() < 0.15 else ""
        if self.rng.random() < 0.12:
            return run + self._fork()
        if kind < 0.12:
            return f"{run}Python[mine:{self.rng.choice(USER)}]"
        if kind < 0.27:
            name = self.rng.choice(MODELS)
            norm = self.rng.choice(NORMS) if name in ("small.onnx", "any.onnx") else ""
            color = ",input_color=any" if norm and self.rng.random() < 0.5 else ""
            return f"{run}Onnx(model={name}{norm}{color})"
        group = self.rng.choices([*WEIGHTS], [*WEIGHTS.values()])[0]
        classes = sorted({c.names[0] for c in REGISTRY.values() if c.group == group} - LEFT_OUT)
        name = self.rng.choice(classes)
        return run + self._operator(REGISTRY[name], self.rng.choice(REGISTRY[name].names))

    def _fork(self) -> str:
        """The text of a container with one way for items that have a key, and another one for the others."""
        key = self.rng.choice(("note", "note", "boxes", "other", "alpha", "filter"))
        name = self.rng.choice((f"HasKey(key={key})", f"HasKey({key})", f"NotHasKey(key={key})"))
        arms = [self._arm() for _ in range(self.rng.randint(1, 2))]
        return f"{name}[{','.join(arms)}]"

    def _arm(self) -> str:
        before, self.nodes = self.nodes, [[]]
        self.nodes[-1].append(self._call())
        while self.rng.random() < 0.5 and len(self.nodes[-1]) < 3:
            self.nodes[-1].append(self._call())
        (calls,), self.nodes = self.nodes, before
        return calls[0] if len(calls) == 1 else f"Sequential[{','.join(calls)}]"

    def _operator(self, cls: type[Op], name: str) -> str:
        if bracket_attribute(cls):
            return f"{name}[{self._brackets(cls.names[0])}]"
        given = [*FIXED.get(cls.names[0], ())]
        for f in attributes_of(cls) if not given else ():
            if f.is_key and f.declared.target is None and (f.required or self.rng.random() < 0.5):
                value = self._value(f)
                if value:
                    given.append(f"{f.key}={value}")
        return f"{name}({','.join(given)})" if given else name

    def _brackets(self, name: str) -> str:
        keys = self.rng.sample(KEYS, self.rng.randint(1, 3))
        if name in ("Copy", "Move"):
            return ",".join(f"{self.rng.choice(KEYS)}:{key}" for key in keys)
        if name == "AddInt":
            return ",".join(f"{key}:{self.rng.randint(-5, 5)}" for key in keys)
        if name == "Add":
            return ",".join(f"{key}:{self.rng.choice(('x', 'two words', 'é'))}" for key in keys)
        return ",".join(keys)

    def _value(self, f: AttributeField) -> str:
        rng = self.rng
        if f.declared.file:
            return "labels.txt"
        if f.declared.choices:
            return str(rng.choice([c for c in f.declared.choices if c != ""]))
        makers: dict[str, Callable[[], str]] = {
            "int": lambda: str(rng.randint(max(-2, int(f.declared.ge or 0)), 9)),
            "float": lambda: str(round(rng.uniform(f.declared.ge or 0.0, min(f.declared.le or 3.0, 3.0)), 2)),
            "bool": lambda: rng.choice(("true", "false")),
            "str": lambda: rng.choice(KEYS),
            "tuple[str, ...]": lambda: f"[{rng.choice(KEYS)},{rng.choice(KEYS)}]",
            "tuple[int, ...]": lambda: (
                f"[{','.join(str(rng.randint(1, 9)) for _ in range(rng.randint(1, 3)))}]"
            ),
            "tuple[float, ...]": lambda: (
                f"[{','.join(str(rng.randint(1, 9)) for _ in range(rng.choice((1, 3))))}]"
            ),
        }
        return makers[f.annotation]()


def make_pipeline(rng: random.Random, folder: Path, name: str) -> Pipeline:
    """A pipeline of one to nine operators, in one to six nodes, with random outputs."""
    maker = Maker(rng, folder, name)
    made = maker.make()
    made = maker.with_outputs(made) if rng.random() < 0.7 else made
    return read_pipeline(made.text, folder, name)  # what was tried last need not be what compiles


def read_pipeline(text: str, folder: Path, name: str) -> Pipeline:
    """A given pipeline."""
    found = Maker(random.Random(), folder, name)._compiled(text)
    assert found is not None, f"this does not compile: {text}"
    return found


# --- items -------------------------------------------------------------------------------------------------


def make_item(rng: random.Random, entry: Entry) -> dict[str, Any]:
    """A value for each input of an entry; encoded images are now and then corrupt, or none at all.

    Of optional inputs, some are left out, but never all that there are: a request has at least one.
    """
    sizes: dict[Symbol, int] = {}
    ports = [port for port in entry.inputs if not port.optional or rng.random() < 0.6]
    return {
        port.key: _status(rng)
        if port.key in ("filter", "target") and port.type == Text()
        else make_value(rng, port.type, sizes)
        for port in ports or entry.inputs
    }


def _status(rng: random.Random) -> str:
    return rng.choice(("Run", "Run", "Skip", "SerialSkip", "SubGraphSkip", "Break", "Error", "1"))


def make_value(rng: random.Random, type_: Type, sizes: dict[Symbol, int]) -> Any:
    """A random value of a type; equal symbols have equal sizes in one item."""
    if isinstance(type_, Bytes):
        return _image_file(rng)
    if isinstance(type_, Text):
        return "".join(rng.choices("aé7 \n", k=rng.randint(0, 4)))
    if isinstance(type_, ListOf):
        # A list's elements differ in shape, so symbols are drawn anew for each.
        return [make_value(rng, type_.item, {}) for _ in range(rng.randint(0, 3))]
    assert isinstance(type_, Array)
    shape = tuple(
        dim if isinstance(dim, int) else sizes.setdefault(dim, rng.randint(1, 9)) for dim in type_.shape
    )
    generator = np.random.default_rng(rng.randrange(1 << 32))
    if type_.dtype is DType.BOOL:
        return generator.integers(0, 2, shape).astype(bool)
    if type_.dtype in (DType.FLOAT16, DType.FLOAT32, DType.FLOAT64):
        return generator.normal(scale=4, size=shape).astype(type_.dtype.value)
    if type_.dtype is DType.STRING:
        flat = [
            "".join(rng.choices(string.ascii_lowercase, k=2)).encode() for _ in range(int(np.prod(shape)))
        ]
        return np.array([*flat, None], object)[:-1].reshape(shape)
    high = 9 if type_.is_image is False else 256
    most = min(high, 127 if type_.dtype is DType.INT8 else 256)
    # A single number as a server's stage gets it: a scalar, not an array without axes.
    return generator.integers(0, most, shape).astype(type_.dtype.value)[()]


def _image_file(rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.08:
        return b""
    if kind < 0.16:
        return rng.randbytes(rng.randint(1, 40))
    generator = np.random.default_rng(rng.randrange(1 << 32))
    shape = (rng.randint(1, 20), rng.randint(1, 20))
    channels = () if rng.random() < 0.15 else (3,)
    pixels = generator.integers(0, 256, (*shape, *channels), dtype=np.uint8)
    _, encoded = cv2.imencode(rng.choice((".jpg", ".png")), pixels)
    data = encoded.tobytes()
    return data[: len(data) // 2] if kind < 0.24 else data


def batches(rng: random.Random, count: int, largest: int) -> Iterator[range]:
    """Cuts `count` items into requests of random sizes."""
    start = 0
    while start < count:
        stop = min(count, start + rng.randint(1, largest))
        yield range(start, stop)
        start = stop
