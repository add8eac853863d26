"""Writes the configuration of the global entry: `python -m rag_edge.global_entry CONFIG.toml FOLDER`."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from rag_common.settings import SettingsInvalid, read_toml
from rag_edge.render import CONFIGURATION, environment, parse_address

# For `read_toml`: unknown keys are invalid.
_NO_EXTRA = ConfigDict(extra="forbid")
_Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]


@dataclass(frozen=True, slots=True)
class Region:
    """A region and the addresses of its edges, or of the load balancer before them."""

    __pydantic_config__: ClassVar[ConfigDict] = _NO_EXTRA

    name: _Name
    edges: Annotated[Sequence[str], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class EntryConfig:
    """The settings of the global entry; deploy/global/README.md explains them.

    `regions` is in order of preference; `nearest`, if not empty, names the one that comes first.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _NO_EXTRA

    regions: Annotated[Sequence[Region], Field(min_length=1)]
    server_name: Annotated[str, Field(min_length=1)]
    nearest: str = ""
    host: str = "0.0.0.0"  # noqa: S104  # nosec B104
    port: int = 443
    node: str = "global"
    roots: str = "/etc/ssl/certs/ca-certificates.crt"
    admin: str = "/run/envoy/admin.sock"
    access_log: str = "/dev/stdout"
    connections: int = 10_000
    connect_timeout: str = "1s"
    idle_timeout: str = "3600s"
    health_interval: str = "1s"
    health_timeout: str = "1s"
    unhealthy_threshold: int = 2
    healthy_threshold: int = 3

    def __post_init__(self) -> None:
        """Raise ValueError if regions have the same name, or `nearest` is none of them."""
        names = [region.name for region in self.regions]
        if len(set(names)) < len(names):
            raise ValueError("the names of the regions must differ")
        if self.nearest and self.nearest not in names:
            raise ValueError(f"nearest is {self.nearest}, which is none of the regions")

    @property
    def by_priority(self) -> list[Region]:
        """The regions, the nearest first and the others in their order."""
        return sorted(self.regions, key=lambda region: region.name != self.nearest)

    @classmethod
    def load(cls, path: Path) -> "EntryConfig":
        """Read a TOML file. Raises SettingsInvalid."""
        return read_toml(path, cls)


def main() -> int:
    """Write the file; write an error of the configuration to stderr. Returns the exit code."""
    config, folder = (Path(argument) for argument in sys.argv[1:3])
    try:
        write(folder, EntryConfig.load(config))
    except (OSError, SettingsInvalid) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def write(folder: Path, config: EntryConfig) -> Path:
    """Write the configuration into the folder; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CONFIGURATION
    path.write_text(render(config), "utf-8")
    return path


def render(config: EntryConfig) -> str:
    """The configuration's text."""
    context = {one.name: getattr(config, one.name) for one in fields(config)}
    return (
        environment()
        .get_template("global.yaml.j2")
        .render(
            context,
            edges=list(_edges(config)),
            everywhere=[address for _, _, address in _edges(config)],
        )
    )


def _edges(config: EntryConfig) -> Iterator[tuple[int, str, Any]]:
    """Priority, region and address of each edge."""
    for priority, region in enumerate(config.by_priority):
        for edge in region.edges:
            yield priority, region.name, parse_address(edge)


if __name__ == "__main__":
    sys.exit(main())
