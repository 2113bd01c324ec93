"""Encrypted files: what they hold comes back whole, or not at all."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tpgen.runner import encryption
from tpgen_runtime import encrypted

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encrypted, "CHUNK", 64)


def _opened(data: bytes, path: Path, key: bytes = KEY) -> bytes:
    path.write_bytes(data)
    found: bytes = encrypted.decrypt(path, key)[1]
    return found


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 128, 200])
def test_what_goes_in_comes_out(size: int, small_chunks: None, tmp_path: Path) -> None:
    data = bytes(i % 251 for i in range(size))
    sealed = encryption.encrypt(data, "net.onnx", KEY)
    assert _opened(sealed, tmp_path / "x") == data
    assert encrypted.decrypt(tmp_path / "x", KEY)[0] == "net.onnx"
    assert size < 16 or data[:16] not in sealed


def test_a_file_of_several_real_chunks(tmp_path: Path) -> None:
    data = bytes(encrypted.CHUNK) + b"end"
    assert _opened(encryption.encrypt(data, "big", KEY), tmp_path / "x") == data


def test_the_same_model_gives_the_same_file_and_another_one_no_salt_of_it() -> None:
    sealed = encryption.encrypt(b"model", "net.onnx", KEY)
    assert encryption.encrypt(b"model", "net.onnx", KEY) == sealed
    salts = {one[17:49] for one in (sealed, *(encryption.encrypt(b"m", n, KEY) for n in ("a", "b")))}
    assert len(salts) == 3
    assert encryption.encrypt(b"model", "net.onnx", OTHER)[17:49] != sealed[17:49]


@pytest.mark.usefixtures("small_chunks")
def test_a_bit_that_is_turned_in_any_byte_is_noticed(tmp_path: Path) -> None:
    sealed = encryption.encrypt(b"0123456789" * 20, "net.onnx", KEY)
    for place in range(len(sealed)):
        turned = bytearray(sealed)
        turned[place] ^= 1 << place % 8
        with pytest.raises(encrypted.EncryptedError):
            _opened(bytes(turned), tmp_path / "turned")


@pytest.mark.usefixtures("small_chunks")
def test_a_file_that_is_cut_off_anywhere_is_noticed(tmp_path: Path) -> None:
    sealed = encryption.encrypt(b"0123456789" * 20, "net.onnx", KEY)
    for size in range(8, len(sealed)):
        with pytest.raises(encrypted.EncryptedError, match="damaged"):
            _opened(sealed[:size], tmp_path / "cut")


@pytest.mark.usefixtures("small_chunks")
def test_chunks_that_change_places_or_are_appended_are_noticed(tmp_path: Path) -> None:
    sealed = encryption.encrypt(b"0123456789" * 20, "net.onnx", KEY)
    begin, step = len(sealed) - 200 - 4 * 16, 64 + 16
    head, chunks = sealed[:begin], [sealed[i : i + step] for i in range(begin, len(sealed), step)]
    assert head.endswith(b"net.onnx")
    first, second, *rest = chunks
    for wrong in ([second, first, *rest], [first, second], [*chunks, first], [first, first, *rest]):
        with pytest.raises(encrypted.EncryptedError, match="damaged"):
            _opened(head + b"".join(wrong), tmp_path / "moved")


def test_another_key_is_told_from_damage(tmp_path: Path) -> None:
    with pytest.raises(encrypted.EncryptedError, match="another key"):
        _opened(encryption.encrypt(b"model", "net.onnx", KEY), tmp_path / "x", OTHER)


def test_other_files_and_later_versions_are_named(tmp_path: Path) -> None:
    with pytest.raises(encrypted.EncryptedError, match="no file that 'tpgen encrypt' wrote"):
        _opened(b"\x08\x08onnx", tmp_path / "x")
    sealed = bytearray(encryption.encrypt(b"model", "net.onnx", KEY))
    sealed[8] = 2
    with pytest.raises(encrypted.EncryptedError, match="version 2"):
        _opened(bytes(sealed), tmp_path / "x")


def test_a_key_is_32_bytes_in_base64_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = encryption.new_key_text()
    assert len(base64.b64decode(text)) == 32
    assert text != encryption.new_key_text()
    monkeypatch.delenv("TPGEN_MODEL_KEY", raising=False)
    monkeypatch.delenv("TPGEN_MODEL_KEY_FILE", raising=False)
    with pytest.raises(encryption.EncryptionProblem, match="there is no key") as raised:
        encryption.environment_key(Path("net.onnx.encrypted"))
    assert "TPGEN_MODEL_KEY_FILE" in raised.value.hint
    file = tmp_path / "key"
    file.write_text(text)
    monkeypatch.setenv("TPGEN_MODEL_KEY_FILE", str(file))
    assert encryption.environment_key(Path("x")) == base64.b64decode(text)
    monkeypatch.setenv("TPGEN_MODEL_KEY", base64.b64encode(KEY).decode())  # goes before the file
    assert encryption.environment_key(Path("x")) == KEY


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (base64.b64encode(b"0123456789abcdef"), "holds 16 bytes; a key has 32"),
        (base64.b64encode(bytes(33)), "holds 33 bytes"),
        (b"", "holds 0 bytes"),
        (b"correct horse battery staple!", "not base64"),
        (bytes(range(128, 160)), "can't be read: it is no text"),
    ],
)
def test_a_wrong_key_is_refused_and_never_shown(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(encryption.EncryptionProblem, match=said) as raised:
        encryption.file_key(file)
    shown = raised.value.message + raised.value.hint
    assert not content or content.decode("latin-1") not in shown


def test_a_key_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(encryption.EncryptionProblem, match="No such file"):
        encryption.file_key(tmp_path / "key")
