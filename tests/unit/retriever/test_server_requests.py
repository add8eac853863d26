"""What the server engine makes of its requests and responses, without a server."""

from collections.abc import Iterable
from uuid import UUID

import numpy as np
import pytest
from qdrant_client import grpc as pb

from rag_retriever.engines.payload import OWNER, VERSION
from rag_retriever.engines.server.requests import dense, latest_only, to_hits
from rag_retriever.engines.server.revisions import REVISION
from rag_retriever.engines.server.values import from_values, set_values


def point(name: str, owner: str, version: str, revision: int, score: float = 1.0) -> pb.ScoredPoint:
    found = pb.ScoredPoint(id=pb.PointId(uuid=str(UUID(int=ord(name)))), score=score)
    set_values(found.payload, {OWNER: owner, VERSION: version, REVISION: revision})
    return found


def names(points: Iterable[pb.ScoredPoint]) -> list[str]:
    return [_name(one.id.uuid) for one in points]


def _name(passage_id: str) -> str:
    return chr(UUID(passage_id).int)


@pytest.mark.parametrize(
    "payload",
    [
        {"text": "가", "empty": "", "yes": True, "no": False, "none": None},
        {"integer": 3, "zero": 0, "large": 2**53, "number": 3.0, "small": -0.25},
        {"list": ["a", 1, None, []], "nothing": [], "map": {"b": {"c": [1.5]}, "d": {}}},
    ],
)
def test_a_payload_is_read_as_it_was_written(payload: dict[str, object]) -> None:
    written = pb.PointStruct()
    set_values(written.payload, payload)
    read = from_values(pb.PointStruct.FromString(written.SerializeToString()).payload)
    assert read == payload
    assert {key: type(one) for key, one in read.items()} == {
        key: type(one) for key, one in payload.items()
    }


def test_a_value_that_json_lacks_is_refused() -> None:
    with pytest.raises(TypeError, match="bytes"):
        set_values(pb.PointStruct().payload, {"a": b"b"})


@pytest.mark.parametrize("size", [1, 31, 32, 384, 5000])
def test_a_vector_has_all_of_its_numbers(size: int) -> None:
    values = np.random.default_rng(size).standard_normal(size).astype("<f4")
    message = dense(values.tobytes())
    assert message == pb.DenseVector(data=values.tolist())


def test_of_two_versions_only_the_one_published_last_is_kept_in_every_list() -> None:
    old, new = point("a", "doc", "z", 1), point("b", "doc", "a", 2)
    other = point("c", "other", "z", 1)
    dense_points, sparse_points = latest_only([old, other], [new])
    assert (names(dense_points), names(sparse_points)) == (["c"], ["b"])


def test_chunks_of_one_version_are_kept_whatever_their_revisions() -> None:
    points = [point("a", "doc", "v", 1), point("b", "doc", "v", 2), point("c", "doc", "u", 1)]
    assert names(latest_only(points)[0]) == ["a", "b"]


def test_hits_are_ordered_by_score_and_then_by_id() -> None:
    points = [point(name, name, "v", 1, score) for name, score in (("b", 1), ("c", 2), ("a", 1))]
    assert [_name(hit.passage_id) for hit in to_hits(points)] == ["c", "a", "b"]
