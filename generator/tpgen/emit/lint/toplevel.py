"""Rules about a configuration's own fields: backend, platform, batch size."""

from __future__ import annotations

from collections.abc import Iterator

from ...diagnostics import Diagnostic, did_you_mean
from . import backends
from .model import Entry, Model
from .python_code import completes_itself


def backend_is_given(model: Model) -> Iterator[Diagnostic]:
    """TP816: the server finds a backend, by name, by platform, or by the file in the first version."""
    if model.backend or model.is_ensemble or "config.pbtxt" not in model.entries:
        return
    platform = model.config.platform
    if platform:
        message = f"platform '{platform}' is none that Triton knows"
        close = did_you_mean(platform, backends.BACKEND_OF_PLATFORM)
        hint = f"did you mean '{close}'?" if close else f'write backend: "{platform}" if it is a backend'
        yield model.error("TP816", message, "platform", hint=hint)
    else:
        message = f"'{model.name}' names no backend, and none can be told from its files"
        yield model.error("TP816", message, "name", hint='write backend: "python", "onnxruntime", …')


def platform_fits_backend(model: Model) -> Iterator[Diagnostic]:
    """TP817: some backends take certain platforms only."""
    backend, platform = model.config.backend, model.config.platform
    if not backend or platform in ("", backends.ENSEMBLE):
        return
    owner = backends.BACKEND_OF_PLATFORM.get(platform)
    if owner == backend or backend not in backends.PLATFORMS:
        return
    message = f"platform '{platform}' does not go with backend '{backend}'"
    yield model.error("TP817", message, "platform", hint="leave platform out")


def backend_is_known(model: Model) -> Iterator[Diagnostic]:
    """TP818: a name that is close to that of a backend and is none; other names may be the user's own."""
    backend = model.config.backend
    if not backend or backend in backends.KNOWN or _is_local(model, backend):
        return
    close = did_you_mean(backend, backends.KNOWN)
    if close:
        message = f"'{backend}' is no backend of Triton"
        yield model.error("TP818", message, "backend", hint=f"did you mean '{close}'?")
    else:
        message = f"the backend '{backend}' is not one that comes with Triton"
        hint = "see that it lies in the server's --backend-directory"
        yield model.warning("TP818", message, "backend", hint=hint)


def runtime_is_there(model: Model) -> Iterator[Diagnostic]:
    """TP818: `runtime` is the file that runs a backend, in its directory or in the model's."""
    runtime, backend = model.config.runtime, model.backend
    if not runtime or model.is_ensemble or runtime in (f"libtriton_{backend}.so", "model.py"):
        return
    places = (".", *(str(version.number) for version in model.loaded))
    if not any(model.path_of(f"{place}/{runtime}").is_file() for place in places):
        report = model.error if backend in backends.KNOWN else model.warning
        message = f"the runtime '{runtime}' of '{model.name}' is no file of the backend '{backend}'"
        yield report("TP818", message, "runtime", hint="leave runtime out")


def _is_local(model: Model, backend: str) -> bool:
    """True if the model brings its backend itself."""
    library = f"libtriton_{backend}.so"
    if model.entries.get(library) is Entry.FILE:
        return True
    return any(model.path_of(f"{version.directory}/{library}").is_file() for version in model.loaded)


def max_batch_size_is_not_negative(model: Model) -> Iterator[Diagnostic]:
    """TP819: 0 is for models without a batch dimension."""
    size = model.config.max_batch_size
    if size < 0:
        message = f"max_batch_size is {size}"
        yield model.error("TP819", message, "max_batch_size", hint="use 0 for a model that does not batch")


def requests_can_be_made(model: Model) -> Iterator[Diagnostic]:
    """TP828: a batching model without inputs has no batch size, a model without outputs no answer."""
    if model.is_ensemble or model.backend != backends.PYTHON or completes_itself(model):
        return
    sequences = model.config.sequence_batching  # its tensors come with the size of the batch
    made = bool(sequences.control_input or sequences.state)
    if not model.config.input and model.config.max_batch_size > 0 and not made:
        size = model.config.max_batch_size
        message = f"'{model.name}' has no input, and max_batch_size {size}: every request fails"
        yield model.error("TP828", message, "max_batch_size", hint="add the input, or set max_batch_size: 0")
    if not model.config.output and model.text.exists:
        message = f"'{model.name}' has no output, so its answers are empty"
        yield model.warning("TP828", message, "name", hint="add the outputs that execute returns")
