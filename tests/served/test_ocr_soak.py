"""Many clients read pages at once: every answer is there, right, and that of its own page.

TPGEN_SOAK_SECONDS is how long each build is loaded (8; two minutes are run before a release).
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

import examples
from tpgen.driver import BuildOptions, build
from tpgen.services.client import Client
from tpgen.services.server import TritonServer

SECONDS = float(os.environ.get("TPGEN_SOAK_SECONDS", "8"))
CLIENTS = 64
PAGES = 48


@pytest.fixture(scope="module")
def pages() -> list[tuple[bytes, list[str], str]]:
    """Pages with what the reference reads on each, and the word with the page's number."""
    read = examples.script("ocr", "reference").Reader()
    made = [examples.script("ocr", "pages").make_page(seed, number=seed * 7919) for seed in range(PAGES)]
    found = [(page.image, [word.text for word in read(page.image)], f"P{page.number:06}") for page in made]
    assert sum(number in texts for _, texts, number in found) > 0.95 * PAGES
    return found


@pytest.mark.parametrize("fuse", ["auto", "none"])
def test_no_answer_is_lost_or_another_pages(
    fuse: str, pages: list[tuple[bytes, list[str], str]], tmp_path: Path
) -> None:
    build(examples.pipeline("ocr"), tmp_path / "repository", BuildOptions(fuse=fuse, cores=2))
    wrong: list[str] = []
    answered = [0] * CLIENTS

    def work(client_number: int) -> None:
        try:
            with Client(server.grpc_url) as client:
                turn = client_number
                while time.monotonic() < end:
                    image, texts, _ = pages[turn % PAGES]
                    answer = client("ocr", data=image)
                    found = [text.decode() for text in answer["result"]]
                    if sorted(found) != sorted(texts):  # two words at one height may come either way
                        wrong.append(f"page {turn % PAGES}: {found}, not {texts}")
                    answered[client_number] += 1
                    turn += 1
        except Exception as problem:  # noqa: BLE001  (a lost request is what is looked for)
            wrong.append(f"client {client_number}: {problem!r}")

    with TritonServer(tmp_path / "repository") as server:
        end = time.monotonic() + SECONDS
        threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS + 60)
        assert not any(thread.is_alive() for thread in threads), "a client waits for ever"
    print(f"{fuse}: {sum(answered)} pages in {SECONDS:g} s")
    assert wrong == []
    assert min(answered) > 0
