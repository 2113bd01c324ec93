"""Encrypted model files: the key, and what a file holds, decrypted in memory.

A file is a header and chunks of AES-256-GCM, each with its tag behind it:

    magic (8) | version (1) | key's mark (8) | salt (32) | length of the name (2) | name | chunks

Each file has a key of its own, of HKDF-SHA256 from the key and the salt. The nonce of a chunk is its number,
and whether it is the last; the header is the associated data of every chunk. So nothing in the file can be
changed, moved, left out or cut off without notice.
"""

import base64
import binascii
import hashlib
import hmac
import os
import struct

SUFFIX = ".encrypted"
MAGIC = b"TPGEN\x00\xe5\x01"
VERSION = 1
CHUNK = 1 << 22  # bytes of the model in one chunk
TAG = 16
KEY_BYTES = 32
KEY, KEY_FILE = "TPGEN_MODEL_KEY", "TPGEN_MODEL_KEY_FILE"

_FIXED = struct.Struct(">8sB8s32sH")


class EncryptedError(Exception):
    """An encrypted model cannot be read: no key, another key, a damaged file. ``hint`` is the way out."""

    def __init__(self, message, hint):
        super().__init__(f"{message}; {hint}")
        self.message = message
        self.hint = hint


def read(path):
    """The bytes of the model that an encrypted file holds.

    Raises EncryptedError.
    """
    return decrypt(path, find_key(path))[1]


def decrypt(path, key):
    """The name that a file had before it was encrypted, and its bytes.

    Raises EncryptedError.
    """
    try:
        with open(path, "rb") as file:
            sealed = file.read()
    except OSError as problem:
        raise EncryptedError(f"'{path}' can't be read: {problem.strerror}", "put the file there") from None
    header, mark, salt, name = _header(path, sealed)
    if not hmac.compare_digest(mark, mark_of(key)):
        raise EncryptedError(f"'{path}' is encrypted with another key", f"{_WAY}, the one it was made with")
    cipher, invalid = cipher_of(key, salt)
    body, data = memoryview(sealed)[len(header) :], []
    step = CHUNK + TAG
    count = max(1, -(-len(body) // step))
    for number in range(count):
        chunk = body[number * step : (number + 1) * step]
        try:
            data.append(cipher.decrypt(nonce_of(number, number == count - 1), chunk, header))
        except (invalid, ValueError):
            raise _damaged(path) from None
    return name, b"".join(data)


def find_key(path):
    """The key from the environment: its text, or a file with it.

    ``path`` is the file that it is needed for. Raises EncryptedError.
    """
    text, file = os.environ.get(KEY), os.environ.get(KEY_FILE)
    if text:
        return parse_key(text, KEY)
    if file:
        return read_key(file)
    raise EncryptedError(f"'{path}' is encrypted, and there is no key", _WAY)


def read_key(path):
    """The key in a file. Raises EncryptedError."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(4096)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or "it is no text"
        raise EncryptedError(f"the key file '{path}' can't be read: {reason}", _MAKE) from None
    return parse_key(text, f"the key file '{path}'")


def parse_key(text, where):
    """The key from its text, 32 bytes in base64; messages never show it. Raises EncryptedError."""
    try:
        key = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise EncryptedError(f"{where} holds no key: it is not base64", _MAKE) from None
    if len(key) != KEY_BYTES:
        raise EncryptedError(f"{where} holds {len(key)} bytes; a key has {KEY_BYTES}", _MAKE)
    return key


def mark_of(key):
    """What tells one key from another, and nothing more of it."""
    return _expand(key, b"tpgen key mark")[:8]


def cipher_of(key, salt):
    """The cipher of the file with this salt, and the exception that it raises where a tag doesn't fit."""
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        message = "encrypted models need the package 'cryptography'"
        raise EncryptedError(message, "install it: pip install cryptography") from None
    return AESGCM(_expand(hmac.digest(salt, key, hashlib.sha256), b"tpgen model")), InvalidTag


def nonce_of(number, is_last):
    """The nonce of a chunk, 12 bytes."""
    return number.to_bytes(11, "big") + bytes([is_last])


def header_of(key, salt, name):
    """The header of a file that was called ``name``."""
    encoded = name.encode()
    return _FIXED.pack(MAGIC, VERSION, mark_of(key), salt, len(encoded)) + encoded


def is_encrypted(path):
    """True if a file begins as encrypted ones do."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _header(path, sealed):
    """The header's bytes, the key's mark, the salt and the name."""
    if sealed[: len(MAGIC)] != MAGIC:
        message = f"'{path}' is no file that 'tpgen encrypt' wrote"
        raise EncryptedError(message, "encrypt the original model: tpgen encrypt MODEL")
    if len(sealed) < _FIXED.size:
        raise _damaged(path)
    _, version, mark, salt, length = _FIXED.unpack_from(sealed)
    if version != VERSION:
        message = f"'{path}' is encrypted in version {version} of the format; version {VERSION} is known here"
        raise EncryptedError(message, "encrypt the model again with this tpgen")
    end = _FIXED.size + length
    try:
        return sealed[:end], mark, salt, sealed[_FIXED.size : end].decode()
    except UnicodeDecodeError:
        raise _damaged(path) from None


def _expand(key, purpose):
    """HKDF's second step, for 32 bytes: what is derived for one purpose says nothing of another."""
    return hmac.digest(key, purpose + b"\x01", hashlib.sha256)


def _damaged(path):
    message = f"'{path}' is damaged: it was changed or cut off after it was encrypted"
    return EncryptedError(message, "copy it again, or encrypt the original again")


_WAY = f"set {KEY_FILE} to the file with the key, or {KEY} to its text"
_MAKE = "'tpgen encrypt --new-key FILE' writes a key: 32 bytes in base64"
