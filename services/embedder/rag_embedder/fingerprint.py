"""The name of a vector space: vectors may be compared when their fingerprints are equal."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from rag_embedder.manifest import Manifest

_DIGITS = 12


def fingerprint(manifest: Manifest) -> str:
    """For example "multilingual-e5-small-onnx-int8-3f2a9c01be77": readable, then a hash.

    The hash covers everything that vectors depend on. The versions of the exporter are left out, so
    that exporting again with a newer one does not ask for a new index.
    """
    facts = asdict(manifest)
    del facts["exporter"]
    stable = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(stable.encode()).hexdigest()[:_DIGITS]
    short = manifest.name.rsplit("/", 1)[-1].lower()
    return f"{short}-{manifest.runtime}-{manifest.precision}-{digest}"
