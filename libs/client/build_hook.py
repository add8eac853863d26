"""What hatchling adds to the wheel of rag-client: packages that lie outside its folder."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NeighbourPackages(BuildHookInterface):
    """Puts the error contract and the generated stubs into the wheel: `packages` of pyproject.toml.

    An editable installation reads them from the `dev-mode-dirs`. The option `force-include` would copy
    them there as well, and the copies would hide later changes of the sources.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the packages to a wheel that is not editable."""
        if version != "editable":
            build_data["force_include"].update(self.config["packages"])
