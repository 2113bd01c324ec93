"""Run mutations: plant each error in a copy of the runtime and see that an oracle notices.

``python tests/mutation/run.py`` runs all, ``--only TEXT`` those whose name holds the text. Exit 1 if a
mutation survives or cannot be planted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mutations import Mutation, all_mutations

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ROOT / "python_backends" / "tpgen_runtime"
JUDGE = ROOT / "tests" / "ops" / "compare.py"


def plant(mutation: Mutation, folder: Path) -> None:
    """Write a copy of the runtime with the error to ``folder/tpgen_runtime``.

    Raises:
        ValueError: the text to replace is not there exactly once.
    """
    copy = folder / "tpgen_runtime"
    shutil.copytree(RUNTIME, copy, ignore=shutil.ignore_patterns("__pycache__"))
    path = copy / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        raise ValueError(
            f"{mutation.name}: {mutation.old!r} stands {text.count(mutation.old)} × in {mutation.file}"
        )
    path.write_text(text.replace(mutation.old, mutation.new))


def judge(operators: list[str], runtime: Path) -> subprocess.CompletedProcess[str]:
    """Compare operators with their oracles, using the ``tpgen_runtime`` inside ``runtime``."""
    environment = {**os.environ, "PYTHONPATH": str(runtime), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, str(JUDGE), *operators],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def survives(mutation: Mutation) -> str | None:
    """None if the operator's oracle saw the error, else what went wrong instead."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            plant(mutation, Path(folder))
        except ValueError as error:
            return str(error)
        done = judge([mutation.seen_by], Path(folder))
    if done.returncode == 1 and done.stdout.startswith(mutation.seen_by):
        return None
    return f"{mutation.name}: not seen by the oracle of {mutation.seen_by}\n{done.stdout}{done.stderr}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Plant kernel errors and see that the oracles notice them.")
    parser.add_argument("--only", default="", help="run mutations whose name or file holds this text")
    chosen = [m for m in all_mutations() if parser.parse_args().only in f"{m.file} {m.name}"]
    clean = judge(sorted({m.seen_by for m in chosen}), RUNTIME.parent)
    if clean.returncode != 0:
        print(f"the unchanged runtime does not pass:\n{clean.stdout}{clean.stderr}")
        return 1
    problems = []
    for mutation in chosen:
        problem = survives(mutation)
        print(f"{'survived' if problem else 'seen':8}  {mutation.file}: {mutation.name}", flush=True)
        problems += [problem] if problem else []
    print(f"{len(chosen) - len(problems)} of {len(chosen)} planted errors were seen")
    print("\n".join(problems))
    return 1 if problems or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
