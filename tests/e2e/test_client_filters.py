"""The client's filters against the running platform: what each of them finds."""

import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, TypeAlias

import pytest

from rag_client import AnyOf, AsyncClient, Between, Client, Filter, Is, Within
from rag_client.models.filters import DOCUMENT_ID, Condition
from rag_contract.errors import FilterInvalid
from tests.e2e.platform import Platform

Find: TypeAlias = Callable[[Filter], set[str]]

SEOUL = timezone(timedelta(hours=9))
# Days, months and hours differ, so that a bound read in the wrong time zone finds another set.
DOCUMENTS: dict[str, dict[str, Any]] = {
    "spring": {
        "dept": "인사",
        "year": 2024,
        "rate": 1.5,
        "draft": False,
        "effective": datetime(2024, 4, 1, 9, 0, tzinfo=SEOUL),
    },
    "summer": {
        "dept": "R&D, 'lab'",
        "year": 2025,
        "rate": -0.25,
        "draft": True,
        "effective": datetime(2024, 7, 1),
    },
    "autumn": {
        "dept": ["인사", "legal"],
        "year": [1999, 2030],
        "rate": 10,
        "effective": date(2024, 10, 1),
    },
    "winter": {"dept": "2024", "year": 2**53 - 1, "draft": False, "effective": "2024-12-31T23:30Z"},
    "plain": {},
}
ALL = frozenset(DOCUMENTS)

# What each test means for each kind of value is in tests/component/contracts/test_index_filters.py.
CONDITIONS: list[tuple[Condition, set[str]]] = [
    (AnyOf("dept", ("legal", "R&D, 'lab'")), {"summer", "autumn"}),
    # Decomposed, as macOS writes it: the same text.
    (AnyOf("dept", ["\u110b\u1175\u11ab\u1109\u1161"]), {"spring", "autumn"}),
    (AnyOf("year", [2**53 - 1, -(2**63), 2**63 - 1]), {"winter"}),
    (AnyOf("year", ["2024"]), set()),
    (AnyOf("draft", [0, 1]), set()),
    (AnyOf(DOCUMENT_ID, ["winter", "plain", "nowhere"]), {"winter", "plain"}),
    (Within("rate", -0.25, 1.5), {"spring", "summer"}),
    (Within("rate", minimum=1.5), {"spring", "autumn"}),
    (Within("rate", maximum=0), {"summer"}),
    (Is("draft", True), {"summer"}),
    (Is("draft", False), {"spring", "winter"}),
    (Between("effective", before=datetime(2024, 7, 1, tzinfo=UTC)), {"spring"}),
    # The start is included, the end is not. Without a time zone it is UTC, wherever the client runs.
    (Between("effective", datetime(2024, 4, 1), datetime(2024, 7, 1)), {"spring"}),
    (Between("effective", datetime(2024, 4, 1, 9, 0, 1, tzinfo=SEOUL), date(2024, 7, 1)), set()),
    (Between("effective", date(2024, 10, 1), date(2025, 1, 1)), {"autumn", "winter"}),
    (Between("effective", start=datetime.max.replace(tzinfo=UTC)), set()),
    (Between("effective", start=datetime(1, 1, 1)), ALL - {"plain"}),
]

COMBINED = Filter(
    must=[Between("effective", start=date(2024, 1, 1))],
    should=[AnyOf("dept", ["인사"]), Is("draft", True)],
    must_not=[AnyOf(DOCUMENT_ID, ["autumn"])],
)

# Each would have been sent as something else, or ended in an error that is not the client's.
WRONG_TYPES: list[Any] = [
    AnyOf("dept", ["인사", 1]),
    AnyOf("dept", "인사"),
    AnyOf("draft", [True]),
    AnyOf("year", [2024.5]),
    AnyOf("year", [2**63]),
    AnyOf("dept", ["\ud800"]),
    AnyOf(1, ["x"]),  # type: ignore[arg-type]
    Within("year", "2024"),  # type: ignore[arg-type]
    Within("year", True),
    Within("year", 10**400),
    Is("draft", 1),  # type: ignore[arg-type]
    Is("draft", None),  # type: ignore[arg-type]
    Between("effective", "2024-01-01"),  # type: ignore[arg-type]
    Between("effective", datetime.min.replace(tzinfo=SEOUL)),
    ("draft", True),
    None,
]


@pytest.fixture(scope="module")
def token(platform: Platform) -> str:
    """A tenant that has the documents."""
    token = platform.token(f"filters-{secrets.token_hex(4)}")
    with Client(platform.target, token=token, environ={}) as client:
        for name, metadata in DOCUMENTS.items():
            client.ingest(f"{name}의 연차휴가 규정".encode(), document_id=name, metadata=metadata)
    return token


@pytest.fixture(scope="module")
def find(platform: Platform, token: str) -> Find:
    """The documents that a search with the filter finds."""

    def search(chosen: Filter) -> set[str]:
        with Client(platform.target, token=token, environ={}) as client:
            result = client.search("연차휴가", filter=chosen, mode="dense", top_k=20)
        return {scored.passage.document_id for scored in result.passages}

    return search


def _label(value: object) -> str:
    return "+".join(sorted(value)) if isinstance(value, set | frozenset) else str(value)


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS, ids=_label)
def test_a_condition_finds_and_excludes_what_it_says(
    find: Find, condition: Condition, expected: set[str]
) -> None:
    assert find(Filter(must=[condition])) == expected
    assert find(Filter(must_not=[condition])) == ALL - expected


def test_all_parts_of_a_filter_hold(find: Find) -> None:
    assert find(COMBINED) == {"spring", "summer"}
    assert find(Filter()) == ALL


async def test_an_async_search_takes_the_same_filter(platform: Platform, token: str) -> None:
    async with AsyncClient(platform.target, token=token, environ={}) as client:
        result = await client.search("연차휴가", filter=COMBINED, mode="dense", top_k=20)
    assert {scored.passage.document_id for scored in result.passages} == {"spring", "summer"}


@pytest.mark.parametrize("condition", WRONG_TYPES, ids=ascii)
def test_a_value_of_the_wrong_type_is_refused_with_its_place(
    find: Find, condition: Condition
) -> None:
    with pytest.raises(FilterInvalid) as refused:
        find(Filter(must=[Is("draft", True)], must_not=[Is("draft", True), condition]))
    assert [violation.field for violation in refused.value.violations] == ["filter.must_not[1]"]


def test_every_value_of_the_wrong_type_is_named(find: Find) -> None:
    with pytest.raises(FilterInvalid) as refused:
        find(Filter(must=WRONG_TYPES[:2], should=WRONG_TYPES[2:3]))
    fields = [violation.field for violation in refused.value.violations]
    assert fields == ["filter.must[0]", "filter.must[1]", "filter.should[0]"]


def test_a_condition_in_place_of_a_list_is_refused(find: Find) -> None:
    with pytest.raises(FilterInvalid, match=r"filter\.must: must be a list"):
        find(Filter(must=Is("draft", True)))  # type: ignore[arg-type]


def test_what_the_gateway_refuses_is_named_with_its_path(find: Find) -> None:
    with pytest.raises(FilterInvalid) as refused:
        find(Filter(must=[Is("draft", True), Within("year", 2, 1)]))
    assert [v.field for v in refused.value.violations] == ["retrieval.filter.must[1].number"]


def test_dates_in_metadata_come_back_as_rfc_3339(platform: Platform, token: str) -> None:
    with Client(platform.target, token=token, environ={}) as client:
        dates = [client.get_document(name).metadata.get("effective") for name in DOCUMENTS]
    assert dates == [
        "2024-04-01T09:00:00+09:00",
        "2024-07-01T00:00:00+00:00",
        "2024-10-01",
        "2024-12-31T23:30Z",
        None,
    ]


def test_a_filter_holds_for_answers_too(platform: Platform, token: str) -> None:
    with Client(platform.target, token=token, environ={}) as client:
        answer = client.answer("연차휴가", filter=Filter(must=[Is("draft", True)]))
        events = client.stream_answer("연차휴가", filter=Filter(must=[Is("draft", True)]))
        streamed = [event for event in events if hasattr(event, "references")]
    assert {scored.passage.document_id for scored in answer.references} == {"summer"}
    assert {s.passage.document_id for event in streamed for s in event.references} == {"summer"}
