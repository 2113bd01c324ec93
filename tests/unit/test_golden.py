"""The comparison with golden files sees every kind of difference."""

from pathlib import Path

import pytest

from golden import Golden


def test_written_once_then_compared(tmp_path: Path) -> None:
    tree = {"a.txt": "one\n", "b/c.txt": "é\r\n"}
    (tmp_path / "old.txt").touch()
    Golden(update=True).tree(tmp_path, tree)
    assert not (tmp_path / "old.txt").exists()
    assert (tmp_path / "b" / "c.txt").read_bytes() == "é\r\n".encode()
    Golden(update=False).file(tmp_path / "a.txt", "one\n")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a.txt": "two\n", "b.txt": ""}, r"-one\n\+two\n"),
        ({"a.txt": "one\n"}, r"b\.txt is checked in, but no longer made"),
        ({"a.txt": "one\n", "b.txt": "", "c.txt": ""}, r"make gold"),
    ],
)
def test_differences_fail(tmp_path: Path, tree: dict[str, str], message: str) -> None:
    Golden(update=True).tree(tmp_path, {"a.txt": "one\n", "b.txt": ""})
    with pytest.raises(pytest.fail.Exception, match=message):
        Golden(update=False).tree(tmp_path, tree)
