"""Reads a repository for the rules: every oddity of the file system becomes a fact, never an exception."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ...source import SourceFile
from ...system import READ
from ..config_pbtxt import ConfigSyntaxError, messages, parse
from .model import CONFIG, ConfigText, Entry, Model, Repository
from .scan import Places, scan
from .schema import parseable

_MAX_BYTES = 4 << 20


class Unreadable(Exception):
    """Why a file has no text; the words complete "config.pbtxt …"."""


def read_repository(root: Path, target: str) -> Repository:
    """A repository with all its models; what cannot be read says why."""
    try:
        entries = list_directory(root)
    except OSError as error:
        return Repository(root, target, problem=error.strerror or str(error))
    repository = Repository(root, target, entries=entries)
    for name, kind in entries.items():
        if kind is Entry.DIRECTORY:
            repository.models[name] = _read_model(repository, name)
    return repository


def list_directory(directory: Path) -> dict[str, Entry]:
    """The names in a directory, sorted, with what each stands for; links are followed.

    Raises:
        OSError: it cannot be listed.
    """
    with os.scandir(directory) as entries:
        return {entry.name: _kind(entry) for entry in sorted(entries, key=lambda entry: entry.name)}


def _kind(entry: os.DirEntry[str]) -> Entry:
    try:
        return Entry.DIRECTORY if stat.S_ISDIR(entry.stat().st_mode) else Entry.FILE
    except OSError:
        return Entry.BROKEN


def read_text(path: Path) -> tuple[str, bool]:
    """The text of a regular file, and whether it is UTF-8 (what is not, is replaced).

    Raises:
        Unreadable: it is something else, is too large, or may not be read.
    """
    try:
        with open(os.open(path, READ), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unreadable("is no file")
            data = file.read(_MAX_BYTES + 1)
    except IsADirectoryError:
        raise Unreadable("is a directory") from None
    except OSError as error:
        raise Unreadable(f"can't be read: {error.strerror or error}") from None
    if len(data) > _MAX_BYTES:
        raise Unreadable(f"is larger than {_MAX_BYTES >> 20} MiB")
    try:
        return data.decode("utf-8"), True
    except UnicodeDecodeError:
        return data.decode("utf-8", errors="replace"), False


def _read_model(repository: Repository, name: str) -> Model:
    directory = repository.root / name
    config = messages().ModelConfig()
    try:
        entries = list_directory(directory)
    except OSError as error:
        text = ConfigText(str(directory / CONFIG), False, _nothing(directory))
        return Model(name, directory, {}, text, config, repository, problem=error.strerror or str(error))
    text = _read_config(directory, entries)
    syntax = None
    if text.problem is None:
        try:
            config = parse(parseable(text.places, repository.target))
        except ConfigSyntaxError as error:
            syntax = error
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            syntax = ConfigSyntaxError(str(error), None, None)  # protobuf's parser lets some of these through
    return Model(name, directory, entries, text, config, repository, syntax)


def _read_config(directory: Path, entries: dict[str, Entry]) -> ConfigText:
    path = directory / CONFIG
    if CONFIG not in entries:
        return ConfigText(str(path), False, _nothing(directory))
    if entries[CONFIG] is Entry.BROKEN:
        return ConfigText(str(path), False, _nothing(directory), "is a link that leads nowhere")
    try:
        text, is_utf8 = read_text(path)
    except Unreadable as problem:
        return ConfigText(str(path), False, _nothing(directory), str(problem))
    return ConfigText(str(path), True, scan(SourceFile(str(path), text)), is_utf8=is_utf8)


def _nothing(directory: Path) -> Places:
    return scan(SourceFile(str(directory / CONFIG), ""))
