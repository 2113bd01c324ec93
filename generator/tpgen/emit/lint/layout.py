"""Rules about directories, versions and files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...diagnostics import Diagnostic
from ..repo_plan import ENCRYPTED
from . import backends
from .engine_file import REQUEST
from .model import Entry, Model, Version, is_too_big

_READS_AS_VERSION = re.compile(r"0\d+|[vV]\d+")


def directory_is_readable(model: Model) -> Iterator[Diagnostic]:
    """TP800: the server can list the directory."""
    if model.problem is not None:
        message = f"the directory of model '{model.name}' can't be read: {model.problem}"
        yield model.error_in("TP800", message, "", hint="give the server's user the right to read it")


def directory_is_a_model(model: Model) -> Iterator[Diagnostic]:
    """TP801: every directory of a repository is a model to the server, which ends if it is none."""
    if model.problem is None and not _looks_like_a_model(model):
        message = f"'{model.name}' is no model: it has no config.pbtxt, and no version with a model file"
        yield model.error_in("TP801", message, "", hint="move it out of the repository")


def _looks_like_a_model(model: Model) -> bool:
    return "config.pbtxt" in model.entries or bool(model.backend)


def links_lead_somewhere(model: Model) -> Iterator[Diagnostic]:
    """TP802: the server wants to know the age of all that lies directly in a model's directory."""
    for name, kind in model.entries.items():
        if kind is Entry.BROKEN and name != "config.pbtxt":
            message = f"the link '{name}' of model '{model.name}' leads nowhere, so the server refuses it"
            yield model.error_in("TP802", message, name, hint="remove or mend the link")


def name_starts_python(model: Model) -> Iterator[Diagnostic]:
    """TP803: the name survives the shell; without it the server waits for the model for ever."""
    if model.backend != backends.PYTHON:
        return
    found = backends.BREAKS_SHELL.search(model.name)
    if found is not None:
        message = f"the name '{model.name}' has {found[0]!r} in it: the server never finishes to load it"
        yield model.error_in("TP803", message, "", hint="use letters, digits, '_', '-' and '.' only")
    elif not model.name.isascii():
        message = f"the name '{model.name}' is not ASCII, which Python models need in the server's locale"
        yield model.error_in("TP803", message, "", hint="use letters, digits, '_', '-' and '.' only")


def instances_start_python(model: Model) -> Iterator[Diagnostic]:
    """TP803: the names of instance groups stand in the same line of the shell."""
    for index, group in enumerate(model.config.instance_group if model.backend == backends.PYTHON else ()):
        found = backends.BREAKS_SHELL.search(group.name)
        if found is not None:
            message = (
                f"an instance group of '{model.name}' has {found[0]!r} in its name: no process is started"
            )
            hint = "leave name out, or use letters, digits, '_', '-' and '.' only"
            yield model.error("TP803", message, "instance_group", index, "name", hint=hint)


def name_survives_http(model: Model) -> Iterator[Diagnostic]:
    """TP804: clients escape other characters in addresses, and the server does not undo that."""
    if not re.fullmatch(r"[A-Za-z0-9_.~-]+", model.name):
        message = f"HTTP clients can't reach a model of the name '{model.name}': they escape it, and get 404"
        yield model.warning_in("TP804", message, "", hint="use letters, digits, '_', '-' and '.' only")


def name_is_the_directory(model: Model) -> Iterator[Diagnostic]:
    """TP805: `name` in the configuration."""
    name = model.config.name
    if name and name != model.name:
        message = f"name is '{name}', but the directory is called '{model.name}'"
        yield model.error(
            "TP805", message, "name", hint=f'write name: "{model.name}", or rename the directory'
        )


def a_version_is_admitted(model: Model) -> Iterator[Diagnostic]:
    """TP806: there is a version directory, and the version policy takes one of them."""
    if model.loaded:
        return
    if not model.versions:
        near = ", ".join(f"'{name}'" for name in _misnamed_versions(model))
        message = f"model '{model.name}' has no version directory" + (f" ({near} is none)" if near else "")
        yield model.error_in("TP806", message, "", hint="make a directory '1' with the model's files in it")
        return
    present = ", ".join(str(version.number) for version in model.versions)
    kind = model.config.version_policy.WhichOneof("policy_choice")
    message = f"version_policy admits none of the versions of '{model.name}' ({present})"
    hint = "num_versions must be 1 or more" if kind == "latest" else "name versions that exist"
    yield model.error("TP806", message, "version_policy", str(kind), hint=hint)


def versions_are_read_right(model: Model) -> Iterator[Diagnostic]:
    """TP807: the server reads the number that a name begins with, and takes the directory so called."""
    for version in model.loaded:
        if is_too_big(version.number):
            message = (
                f"the version '{version.directory}' of '{model.name}' is too large: the server dies of it"
            )
            yield model.error_in("TP807", message, version.directory, hint="use a small number")
        elif version.number < 0 and not model.is_ensemble:
            message = f"the server takes '{version.directory}' of '{model.name}' for a version it can't load"
            yield model.error_in("TP807", message, version.directory, hint="use a number from 1")
        elif _is_misread(model, version) and not model.is_ensemble:
            message = (
                f"the server takes '{version.directory}' for version {version.number} of '{model.name}' and "
                f"looks for it in '{version.number}', which does not exist"
            )
            yield model.error_in("TP807", message, version.directory, hint="rename it, or move it away")


def _is_misread(model: Model, version: Version) -> bool:
    return model.entries.get(str(version.number)) is not Entry.DIRECTORY or version.number < 0


def versions_are_not_ignored(model: Model) -> Iterator[Diagnostic]:
    """TP808: names that look like versions and are none, beside versions that are."""
    if model.versions:
        for name in _misnamed_versions(model):
            message = f"the directory '{name}' of '{model.name}' is no version: the server ignores it"
            hint = "rename it to a number without leading zeros, or move it away"
            yield model.warning_in("TP808", message, name, hint=hint)


def _misnamed_versions(model: Model) -> list[str]:
    return [
        name
        for name, kind in model.entries.items()
        if kind is Entry.DIRECTORY and _READS_AS_VERSION.fullmatch(name)
    ]


def model_file_exists(model: Model) -> Iterator[Diagnostic]:
    """TP809, TP912: each version that is loaded has its model; a Python model without hangs the server."""
    file = backends.model_file(model.backend, model.config)
    if file is None or model.is_ensemble or _is_chosen_by_gpu(model):
        return
    for version in model.loaded:
        path = model.path_of(f"{version.number}/{file}")
        if _is_misread(model, version) or _is_there(model, path.is_file(), path.exists()):
            continue
        if model.backend == backends.TENSORRT and (path.parent / REQUEST).is_file():
            message = (
                f"the engine of '{model.name}' has not been built yet: there is {REQUEST}, and no {file}"
            )
            way_out = "build it where the GPU is: tpgen engines build"
            yield model.warning_in("TP809", message, f"{version.number}/{REQUEST}", hint=way_out)
            continue
        if path.with_name(f"{path.name}{ENCRYPTED}").is_file():
            message = f"'{model.name}' is encrypted: a server that is started by itself can't load it"
            way_out = "tpgen serve and the image of tpgen docker decrypt it at start"
            yield model.warning_in("TP912", message, f"{version.number}/{file}{ENCRYPTED}", hint=way_out)
            continue
        waits = model.backend == backends.PYTHON and not path.exists()
        message = f"version {version.number} of '{model.name}' has no {file}"
        message += "; the server waits for it for ever" if waits else ""
        hint = f"put the model there, or set default_model_filename (backend {model.backend})"
        yield model.error_in("TP809", message, f"{version.number}/{file}", hint=hint)


def _is_there(model: Model, is_file: bool, exists: bool) -> bool:
    """Some backends load a directory of that name."""
    return exists if model.backend in (backends.ONNX, "tensorflow", "pytorch") else is_file


def _is_chosen_by_gpu(model: Model) -> bool:
    return bool(model.config.cc_model_filenames)


def has_a_configuration(model: Model) -> Iterator[Diagnostic]:
    """TP814: without config.pbtxt a model is what its backend makes of the file."""
    if "config.pbtxt" not in model.entries and _looks_like_a_model(model):
        message = (
            f"'{model.name}' has no config.pbtxt: no batching, and inputs only if the backend finds them"
        )
        hint = "write one; a server with --disable-auto-complete-config refuses the model"
        yield model.warning_in("TP814", message, "", hint=hint)
