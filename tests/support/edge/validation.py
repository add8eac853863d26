"""The edge's configuration as Envoy itself judges it."""

import asyncio
import dataclasses
from pathlib import Path

from rag_edge.edge_config import EdgeConfig
from rag_edge.render import DESCRIPTORS, write
from rag_local.backends.envoy import binary
from rag_local.certificate_authority import Authority


async def validate(folder: Path, values: EdgeConfig) -> tuple[int, str]:
    """Envoy's exit code and what it says of a configuration, with certificates that are there."""
    Authority(folder / "authority").issue(folder / "certificates", ["localhost"])
    placed = dataclasses.replace(
        values,
        certificates=str(folder / "certificates"),
        identity=str(folder / "certificates"),
        secrets=str(folder),
        descriptors=str(DESCRIPTORS),
        admin=str(folder / "admin"),
        public_roots=str(folder / "certificates" / "ca.crt"),
    )
    process = await asyncio.create_subprocess_exec(
        *(binary(), "--mode", "validate", "--log-level", "warning"),
        *("--config-path", str(write(folder, placed))),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode()
