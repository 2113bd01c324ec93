"""Rules about instance groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...diagnostics import Diagnostic
from ..config_pbtxt import messages
from . import backends
from .model import Model
from .scan import Step
from .schema import enum_name


def gpus_are_for_gpu_groups(model: Model) -> Iterator[Diagnostic]:
    """TP855: groups of the kinds CPU and MODEL name no GPUs."""
    kinds = messages().ModelInstanceGroup.Kind
    for index, group in enumerate(model.config.instance_group):
        kind = enum_name(kinds, group.kind)
        if group.gpus and kind in ("KIND_CPU", "KIND_MODEL"):
            message = f"an instance group of '{model.name}' has the kind {kind} and gpus"
            hint = "remove gpus, or use KIND_GPU"
            yield model.error("TP855", message, "instance_group", index, "gpus", hint=hint)


def engines_run_on_gpus(model: Model) -> Iterator[Diagnostic]:
    """TP855: TensorRT has no other instances than those on GPUs."""
    kinds = messages().ModelInstanceGroup.Kind
    for index, group in enumerate(model.config.instance_group if model.backend == backends.TENSORRT else ()):
        kind = enum_name(kinds, group.kind)
        if kind in ("KIND_CPU", "KIND_MODEL"):
            message = (
                f"an instance group of '{model.name}' has the kind {kind}, and TensorRT runs on GPUs only"
            )
            yield model.error("TP855", message, "instance_group", index, "kind", hint="use KIND_GPU")


def profiles_are_for_tensorrt(model: Model) -> Iterator[Diagnostic]:
    """TP856: optimization profiles are indices, and other backends have none."""
    for index, group in enumerate(model.config.instance_group):
        for number, profile in enumerate(group.profile):
            path = ("instance_group", index, "profile", number)
            if model.backend != backends.TENSORRT:
                message = f"an instance group of '{model.name}' names profiles, which only tensorrt has"
                yield model.error("TP856", message, *path, hint="remove profile")
                break
            if not profile.isdecimal():
                message = f"'{profile}' is no optimization profile"
                yield model.error("TP856", message, *path, hint='write an index as a string: "0"')


def accelerators_beside_gpus_are_for_tensorrt(model: Model) -> Iterator[Diagnostic]:
    """TP824: a secondary device is a DLA, which TensorRT alone runs layers on."""
    for index, group in enumerate(model.config.instance_group):
        if group.secondary_devices and model.backend != backends.TENSORRT:
            message = f"secondary_devices of '{model.name}' have no effect: only tensorrt uses them"
            path = ("instance_group", index, "secondary_devices")
            yield model.warning("TP824", message, *path, hint="leave them out")


def some_instance_works(model: Model) -> Iterator[Diagnostic]:
    """TP857: passive instances take no requests; with no other, the first request ends the server."""
    groups = model.config.instance_group
    if groups and all(group.passive for group in groups):
        message = f"all instances of '{model.name}' are passive: the first request ends the server"
        hint = "add an instance group that is not passive"
        yield model.error("TP857", message, "instance_group", 0, "passive", hint=hint)


def counts_are_positive(model: Model) -> Iterator[Diagnostic]:
    """TP858: a count below 1 is taken for the default, without a word."""
    for index, group in enumerate(model.config.instance_group):
        node = model.text.places.find("instance_group", index, "count")
        if group.count < 1 and node is not None:
            message = f"an instance group of '{model.name}' has the count {group.count}; the server starts 1"
            hint = "use 1 or more; to switch a model off, leave it out of the repository"
            yield model.warning("TP858", message, "instance_group", index, "count", hint=hint)


def resources_have_one_scope(model: Model) -> Iterator[Diagnostic]:
    """TP859: a resource is global or of each device, in all models: the server refuses one that is both."""
    own = list(_resources(model))
    models = model.repository.models if own else {}
    scopes = {
        resource.name: (getattr(resource, "global"), name)
        for name, other in models.items()
        if name != model.name and other.is_parsed
        for _, resource in _resources(other)
    }
    for path, resource in own:
        is_global = getattr(resource, "global")
        known, owner = scopes.setdefault(resource.name, (is_global, model.name))
        if known != is_global:
            one, other = ("global", "of each device") if is_global else ("of each device", "global")
            where = "elsewhere in it" if owner == model.name else f"in '{owner}'"
            message = f"the resource '{resource.name}' of '{model.name}' is {one}, and {other} {where}"
            hint = "decide; a server with --rate-limit=execution_count refuses the model"
            yield model.warning("TP859", message, *path, hint=hint)


def _resources(model: Model) -> Iterator[tuple[tuple[Step, ...], Any]]:
    for index, group in enumerate(model.config.instance_group):
        for number, resource in enumerate(group.rate_limiter.resources):
            yield ("instance_group", index, "rate_limiter", "resources", number), resource
