"""Measures the example `detect_classify` against hand-written ways to read pages of digits, all in one run.

    python benchmarks/pages.py [--rounds 5] [--seconds 5] [--update]

Every round measures, in turn: 10 clients and pages of 30 digits; one client and the same pages, beside a
plain script that batches the crops of a page, and a stage that only counts the bytes of a page; 8 clients
with empty pages, alone and beside one client with pages of 40 digits. Ratios are taken within a round. Every
variant must read the same texts first.

What the counting stage takes, every request of one client costs: server, protocol, and the way into the
Python process and back. With the script's time it is the least for a stage that is as fast as the script.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import report
from variants import CORES, HERE, PEERS, Served, check_frozen

from tpgen.driver import BuildOptions, build
from tpgen.services.client import Client
from tpgen.services.perf import Settings, perf
from tpgen.services.server import TritonServer

_EXAMPLE = HERE.parent / "model_repos" / "detect_classify"
_DIGITS = HERE.parent / "model_repos" / "digits" / "digits.onnx"
_PAGES = 16
_MANY, _MOST = 30, 40  # digits on a page
_CLIENTS, _LIGHT = 10, 8
_COUNTING = """
from tpgen_runtime import Tensor, op


@op(inputs={"data": Tensor("bytes", [])}, outputs={"result": Tensor("string", [])})
def count(data):
    return str(len(data))
"""
_GOALS = {
    "`default` / `handwritten_bls`: pages/s, 10 clients": (3.0, "at least"),
    "`fuse_none` / `handwritten_bls`: pages/s, 10 clients": (1.0, "at least"),
    "`default` / script: p50, one client": (1.3, "at most"),
    "`default`: p99 of empty pages beside full ones / alone": (2.0, "at most"),
}


@dataclass(frozen=True)
class Figures:
    """One round of one variant: pages per second, and milliseconds."""

    pages_per_second: float
    one_client_ms: float
    light_p99_ms: float
    light_beside_p99_ms: float


def main() -> int:
    options = _options()
    if changed := check_frozen():
        print(f"the baselines are frozen, but not as in peers/FROZEN: {', '.join(changed)}", file=sys.stderr)
        return 1
    sys.path.insert(0, str(_EXAMPLE))
    from pages import make_page

    with tempfile.TemporaryDirectory(prefix="tpgen-bench-") as scratch:
        folder = Path(scratch)
        many, empty, full = (
            [make_page(seed * 4 + 1, count).image for seed in range(_PAGES)] for count in (_MANY, 0, _MOST)
        )
        (folder / "pages").mkdir()
        for number, page in enumerate(many):
            (folder / "pages" / f"{number:03}.jpg").write_bytes(page)
        variants = _variants(folder)
        counting = _counting(folder)
        script = [sys.executable, str(PEERS / "pages_loop.py"), str(_DIGITS), str(folder / "pages")]
        _check(variants, many, script, folder)
        rounds: dict[str, list[Figures]] = {variant.name: [] for variant in variants}
        alone: list[float] = []
        floor: list[float] = []
        for number in range(options.rounds):
            for variant in variants[number % 3 :] + variants[: number % 3]:
                rounds[variant.name].append(_measure(variant, many, empty, full, options.seconds))
                print(f"round {number + 1}: {variant.name}: {rounds[variant.name][-1]}", flush=True)
            text = subprocess.run(
                [*script, "--seconds", str(options.seconds)], check=True, text=True, stdout=subprocess.PIPE
            ).stdout
            alone.append(json.loads(text)["p50_ms"])
            floor.append(_one_client_ms(counting, many, options.seconds))
            print(f"round {number + 1}: p50 of the script {alone[-1]:.2f} ms, of counting {floor[-1]:.2f} ms")
    figures = _table(variants, rounds, alone, floor)
    print(f"\n{figures}")
    if options.update:
        heading = (
            f"{CORES} cores, Triton 24.10, pages of 800 × 600; medians of {options.rounds} rounds of"
            f" {options.seconds:g} s."
        )
        report.update(HERE / "RESULTS.md", heading, figures, "benchmarks/pages.py")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--update", action="store_true", help="write the figures into RESULTS.md")
    return parser.parse_args()


def _variants(folder: Path) -> list[Served]:
    shutil.copytree(PEERS / "handwritten_bls", folder / "handwritten_bls")
    shutil.copy(_DIGITS, folder / "handwritten_bls" / "classify" / "1" / "model.onnx")
    found = [
        Served(
            "handwritten_bls",
            "written by hand: BLS, one call per crop",
            folder / "handwritten_bls",
            "read",
            "image",
        )
    ]
    for name, fuse, what in (
        ("default", "auto", "tpgen build"),
        ("fuse_none", "none", "tpgen build --fuse none"),
    ):
        (entry,) = build(
            _EXAMPLE / "pipeline.toml", folder / name, BuildOptions(cores=CORES, fuse=fuse)
        ).pipelines
        found.append(Served(name, what, folder / name, entry, "data"))
    return found


def _counting(folder: Path) -> Served:
    """A pipeline that takes a page and answers how many bytes it has."""
    (folder / "source").mkdir()
    (folder / "source" / "size.py").write_text(_COUNTING)
    toml = folder / "source" / "counting.toml"
    toml.write_text('[size]\nbackend = "Python[size:count]"\n')
    (entry,) = build(toml, folder / "counting", BuildOptions(cores=CORES)).pipelines
    return Served("counting", "counts the bytes of a page", folder / "counting", entry, "data")


def _check(variants: Sequence[Served], pages: list[bytes], script: list[str], folder: Path) -> None:
    """Stop unless all read the same."""
    subprocess.run([*script, "--texts", str(folder / "texts.json")], check=True)
    expected = json.loads((folder / "texts.json").read_text())
    for variant in variants:
        with TritonServer(variant.repository) as server, Client(server.grpc_url) as client:
            for page, text in zip(pages, expected, strict=True):
                answer = client.infer(variant.model, {variant.input: page})
                found = next(np.asarray(value).item() for value in answer.values())
                if found.decode() != text:
                    raise SystemExit(f"{variant.name} reads {found!r} where the script reads {text!r}")


def _measure(
    variant: Served, many: list[bytes], empty: list[bytes], full: list[bytes], seconds: float
) -> Figures:
    samples = [{variant.input: page} for page in many]
    with TritonServer(variant.repository) as server:
        perf(server, variant.model, samples, _CLIENTS, settings=_settings(1.5))
        busy = perf(server, variant.model, samples, _CLIENTS, settings=_settings(seconds)).measured[0]
        one = perf(server, variant.model, samples, 1, settings=_settings(seconds)).measured[0]
        light = _light_p99(server, variant, empty, [], seconds)
        beside = _light_p99(server, variant, empty, full, seconds)
    assert busy.throughput is not None
    assert one.p50_ms is not None
    return Figures(busy.throughput, one.p50_ms, light, beside)


def _one_client_ms(variant: Served, pages: list[bytes], seconds: float) -> float:
    samples = [{variant.input: page} for page in pages]
    with TritonServer(variant.repository) as server:
        perf(server, variant.model, samples, 1, settings=_settings(1.5))
        found = perf(server, variant.model, samples, 1, settings=_settings(seconds)).measured[0].p50_ms
    assert found is not None
    return found


def _settings(seconds: float) -> Settings:
    return Settings(round(seconds * 1000 / 3), 1e6, 3)


def _light_p99(
    server: TritonServer, variant: Served, empty: list[bytes], full: list[bytes], seconds: float
) -> float:
    """Milliseconds for an empty page, of 8 clients that send them; one more sends ``full`` ones, if any."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    def send(pages: list[bytes], kept: list[float] | None) -> None:
        with Client(server.grpc_url) as client:
            number = 0
            while (started := time.perf_counter()) < end:
                client.infer(variant.model, {variant.input: pages[number % len(pages)]})
                number += 1
                if kept is not None:
                    kept.append((time.perf_counter() - started) * 1000)

    threads = [threading.Thread(target=send, args=(empty, latencies)) for _ in range(_LIGHT)]
    threads += [threading.Thread(target=send, args=(full, None))] if full else []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return float(np.percentile(latencies, 99))


def _table(
    variants: Sequence[Served], rounds: dict[str, list[Figures]], alone: list[float], floor: list[float]
) -> str:
    lines = [
        "| variant | pages/s, 10 clients | p50 ms, one client | p99 ms, empty pages | beside full ones |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for variant in variants:
        measured = rounds[variant.name]
        cells = (
            f"{statistics.median(one.pages_per_second for one in measured):.0f}",
            f"{statistics.median(one.one_client_ms for one in measured):.1f}",
            f"{statistics.median(one.light_p99_ms for one in measured):.1f}",
            f"{statistics.median(one.light_beside_p99_ms for one in measured):.1f}",
        )
        lines.append(f"| `{variant.name}`: {variant.what} | {' | '.join(cells)} |")
    lines += [
        f"| script: one thread, no server | | {statistics.median(alone):.1f} | | |",
        f"| a stage that only counts the bytes of the page | | {statistics.median(floor):.1f} | | |",
        "",
        "| ratio | median of the rounds | lowest to highest | goal | |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    mine, none, hand = (rounds[name] for name in ("default", "fuse_none", "handwritten_bls"))
    pairs = (
        [a.pages_per_second / b.pages_per_second for a, b in zip(mine, hand, strict=True)],
        [a.pages_per_second / b.pages_per_second for a, b in zip(none, hand, strict=True)],
        [a.one_client_ms / b for a, b in zip(mine, alone, strict=True)],
        [one.light_beside_p99_ms / one.light_p99_ms for one in mine],
    )
    for (what, (factor, bound)), ratios in zip(_GOALS.items(), pairs, strict=True):
        median = statistics.median(ratios)
        is_met = median >= factor if bound == "at least" else median <= factor
        lines.append(
            f"| {what} | **{median:.2f}** | {min(ratios):.2f} to {max(ratios):.2f} | {bound} {factor} |"
            f" {'met' if is_met else 'not met'} |"
        )
    least = [(nothing + script) / script for nothing, script in zip(floor, alone, strict=True)]
    lines.append(
        f"| (counting + script) / script: the least for p50, one client | {statistics.median(least):.2f} |"
        f" {min(least):.2f} to {max(least):.2f} | | for comparison |"
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
