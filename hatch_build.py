"""Build hook: wheels carry templates, image files and the runtime; editable installs read the checkout's."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_DATA = {
    "templates": "tpgen/_templates",
    "docker": "tpgen/_docker",
    "python_backends/tpgen_runtime": "tpgen/_python_backends/tpgen_runtime",
}


class WheelData(BuildHookInterface):
    """Adds what lies outside the package."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before each build; `version` is "editable" or "standard"."""
        if version == "standard":
            build_data["force_include"].update(_DATA)
