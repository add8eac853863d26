"""A development key pair and its JWKS, created once. In production keys come from Vault."""

import json
import os
from pathlib import Path

from rag_common.jose import SigningKey


def ensure(folder: Path) -> Path:
    """Create the key pair if it is missing; return the private key's file. `jwks.json` is beside it."""
    private, public = folder / "dev.pem", folder / "jwks.json"
    if not (private.is_file() and public.is_file()):
        folder.mkdir(parents=True, exist_ok=True)
        key = SigningKey.generate()
        _write_private(private, key)
        public.write_text(json.dumps({"keys": [key.public_jwk()]}, indent=2) + "\n")
    return private


def _write_private(path: Path, key: SigningKey) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.pem())
