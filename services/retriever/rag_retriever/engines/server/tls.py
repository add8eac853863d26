"""The files of TLS to a Qdrant server."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: CA certificates that verify the server's certificate, and a client certificate with key.

    `ca_file` None means the system's CA certificates. Certificate and key must be set together.
    """

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
