"""A seeded sample of the mutation job; ``make mutation`` runs all of it."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from mutations import Mutation, all_mutations
from run import RUNTIME, survives

SAMPLE = random.Random(20).sample(all_mutations(), min(8, len(all_mutations())))


@pytest.mark.parametrize("mutation", SAMPLE, ids=lambda m: m.name.replace(" ", "-"))
def test_planted_error_is_seen(mutation: Mutation) -> None:
    problem = survives(mutation)
    assert problem is None, problem


@pytest.mark.parametrize("mutation", all_mutations(), ids=lambda m: m.name.replace(" ", "-"))
def test_mutation_can_be_planted(mutation: Mutation) -> None:
    assert (RUNTIME / mutation.file).read_text().count(mutation.old) == 1
    assert mutation.old != mutation.new


def test_names_are_unique() -> None:
    names = [(mutation.file, mutation.name) for mutation in all_mutations()]
    assert len(names) == len(set(names))
