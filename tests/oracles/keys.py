"""Operators on keys: every case names, per written key, the value that must stand there."""

from __future__ import annotations

import numpy as np

from oracles.harness import Case, oracle, same

NAMES = ("a", "b", "c", "score", "_box")


def _value(rng: np.random.Generator) -> object:
    kind = rng.integers(3)
    if kind == 0:
        return rng.integers(0, 99, int(rng.integers(1, 5)))
    return bytes(rng.integers(0, 255, 5).astype(np.uint8)) if kind == 1 else f"text {rng.integers(99)}"


def _answer(*values: object, answer: object) -> object:
    return answer


def _kept(rng: np.random.Generator, attribute: str) -> Case:
    value = _value(rng)
    name = str(rng.choice(NAMES))
    return Case((value,), compile={attribute: name}, told={"answer": (value, value)})


oracle("Result2Key", generate=lambda rng: _kept(rng, "key"), tolerance=same)(_answer)
oracle("Result2Other", generate=lambda rng: _kept(rng, "other"), tolerance=same)(_answer)


def _a_to_b(rng: np.random.Generator) -> Case:
    source, target = (str(name) for name in rng.choice(NAMES, 2, replace=False))
    value, data = _value(rng), _value(rng)
    if rng.integers(4) == 0:
        return Case((value,), compile={"key_a": source, "key_b": "result"}, told={"answer": value})
    return Case((value, data), compile={"key_a": source, "key_b": target}, told={"answer": (value, data)})


oracle("KeyA2KeyB", generate=_a_to_b, tolerance=same)(_answer)


def _pairs(rng: np.random.Generator) -> Case:
    """Pairs ``source:target``; the values are given in the order in which sources are first named."""
    count = int(rng.integers(1, 4))
    sources = [str(name) for name in rng.choice([*NAMES, "data"], count)]
    targets = [str(name) for name in rng.choice([*NAMES, "data", "result"], count, replace=False)]
    held = {name: _value(rng) for name in (*NAMES, "data")}
    written = dict(zip(targets, [held[s] for s in sources], strict=True))
    order = list(dict.fromkeys(sources))
    if "result" not in written:
        written["result"] = written.get("data", held["data"])
        if "data" not in order and "data" not in targets:
            order.append("data")
    answer = tuple(written.values())
    argument = ", ".join(f"{s}:{t}" for s, t in zip(sources, targets, strict=True))
    return Case(
        tuple(held[name] for name in order),
        compile={"argument": argument},
        told={"answer": answer if len(answer) > 1 else answer[0]},
    )


oracle("Copy", "Move", generate=_pairs, tolerance=same)(_answer)


def _constants(rng: np.random.Generator, *, numbers: bool) -> Case:
    names = [str(name) for name in rng.choice([*NAMES, "result"], int(rng.integers(1, 4)), replace=False)]
    texts = [str(rng.integers(-(2**63), 2**63)) if numbers else f"v{rng.integers(99)}" for _ in names]
    made = [np.int64(int(text)) if numbers else text for text in texts]
    argument = ",".join(f"{name} : {text}" for name, text in zip(names, texts, strict=True))
    data = _value(rng)
    answer = made if "result" in names else [*made, data]
    return Case(
        () if "result" in names else (data,),
        compile={"argument": argument},
        told={"answer": tuple(answer) if len(answer) > 1 else answer[0]},
    )


oracle("Add", generate=lambda rng: _constants(rng, numbers=False), tolerance=same)(_answer)
oracle("AddInt", generate=lambda rng: _constants(rng, numbers=True), tolerance=same)(_answer)


def _handed_on(rng: np.random.Generator, attributes: dict[str, object]) -> Case:
    value = _value(rng)
    return Case((value,), compile=attributes, told={"answer": value})


oracle("Remove", generate=lambda rng: _handed_on(rng, {"argument": "a, b"}), tolerance=same)(_answer)
oracle("Keep", generate=lambda rng: _handed_on(rng, {"keep": ("a",)}), tolerance=same)(_answer)
