"""The trained example reads held-out digits right, through the served pipeline."""

from __future__ import annotations

import pytest

import examples
from tpgen.services.client import Client

pytestmark = pytest.mark.triton


def test_at_least_97_percent_of_held_out_digits_are_read_right(client: Client) -> None:
    held_out = examples.script("digits", "train").held_out_jpegs()
    assert len(held_out) >= 300
    right = 0
    for start in range(0, len(held_out), 8):
        chosen = held_out[start : start + 8]
        answer = client("digits", data=[jpeg for jpeg, _ in chosen])
        right += sum(
            int(found[0]) == label for found, (_, label) in zip(answer["result"], chosen, strict=True)
        )
    assert right / len(held_out) >= 0.97, f"{right} of {len(held_out)}"
    print(f"{right} of {len(held_out)} digits")


def test_names_and_probabilities_come_with_the_classes(client: Client) -> None:
    jpeg, label = examples.script("digits", "train").held_out_jpegs()[0]
    answer = client("digits", data=jpeg)
    names = [name if isinstance(name, str) else name.decode() for name in answer["labels"]]
    assert names[0] == "zero one two three four five six seven eight nine".split()[label]
    assert answer["scores"].shape == (3,)
    assert 0.0 <= answer["scores"][2] <= answer["scores"][0] <= 1.0
