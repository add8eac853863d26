"""What Vault's audit device wrote down."""

import json
from pathlib import Path
from typing import Any


def requests(file: Path, path: str, role: str) -> list[dict[str, Any]]:
    """The answered requests for a path, by a role's tokens or, at a login, for that role."""
    return [
        entry
        for entry in entries(file)
        if entry["type"] == "response"
        and entry["request"].get("path") == path
        and entry.get("auth", {}).get("metadata", {}).get("role_name") == role
    ]


def entries(file: Path) -> list[dict[str, Any]]:
    """All that is written to its end; the last line may be half written."""
    result = []
    for line in file.read_text("utf-8").splitlines():
        try:
            result.append(json.loads(line))
        except ValueError:
            continue
    return result
