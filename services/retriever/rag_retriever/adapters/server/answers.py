"""What a Qdrant server answers, as hits and vectors: of each document one version only."""

from collections.abc import Iterable, Sequence

from qdrant_client import models

from rag_retriever.adapters.payload import DOCUMENT, OWNER, SPARSE, VERSION
from rag_retriever.passages import Hit, SparseVector


def latest_versions(points: Iterable[models.ScoredPoint]) -> dict[str, tuple[str, str]]:
    """Of each document the version published last, where the lists hold several."""
    latest: dict[str, tuple[str, str]] = {}
    for point in points:
        owner, age = _version(point)
        latest[owner] = max(age, latest.get(owner, age))
    return latest


def hits_of(
    points: Sequence[models.ScoredPoint], latest: dict[str, tuple[str, str]]
) -> tuple[Hit, ...]:
    hits = [
        Hit(str(point.id), point.score)
        for point in points
        for owner, age in [_version(point)]
        if latest[owner] == age
    ]
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.id)))


def _version(point: models.ScoredPoint) -> tuple[str, tuple[str, str]]:
    payload = point.payload or {}
    return payload[OWNER], (payload[DOCUMENT]["updated"], payload[VERSION])


def sparse_of(record: models.Record) -> SparseVector:
    vectors = record.vector
    vector = vectors.get(SPARSE) if isinstance(vectors, dict) else None
    if not isinstance(vector, models.SparseVector):
        return SparseVector((), ())
    return SparseVector(tuple(vector.indices), tuple(vector.values))
