"""Two tenants: nothing of the one ever comes out to the other, whatever is asked, and of whom."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
import pytest
from google.protobuf.message import Message

from rag.gateway.v1 import options_pb2 as options
from tests.e2e.callers import CREATED, Caller, Refusal, refusal
from tests.e2e.platform import Platform
from tests.e2e.reflected import Method, methods, policy

QUERY = "비밀 계약의 금액은 얼마인가요?"


@dataclass(frozen=True)
class Secret:
    """A document of one tenant, every part of which would be known again anywhere."""

    tenant: str
    mark: str
    caller: Caller

    @property
    def document_id(self) -> str:
        return f"id-{self.mark}"

    @property
    def text(self) -> str:
        return f"비밀 계약 {self.mark}의 금액은 {self.mark} 원입니다."


@pytest.fixture
async def secret(platform: Platform, channel: grpc.aio.Channel) -> Secret:
    mark = f"zq{secrets.token_hex(6)}"
    caller = Caller(channel, platform.token(f"owner-{mark}"))
    made = Secret(f"owner-{mark}", mark, caller)
    await caller.ingest(
        made.document_id,
        made.text,
        collection=f"c{mark}",
        title=f"제목 {mark}",
        uri=f"https://{mark}/",
        metadata={"fact": mark},
    )
    return made


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each public method that the contract has."""
    if "path" in metafunc.fixturenames:
        metafunc.parametrize("path", sorted(policy().methods))


@pytest.fixture(scope="session")
def public(platform: Platform) -> dict[str, Method]:
    return {method.path: method for method in methods(platform.target)}


async def outcome(method: Method, caller: Caller, requests: Sequence[Message]) -> str | Refusal:
    """Everything that a call gives away: the replies' text, or what the refusal says."""
    try:
        replies = await method(caller.channel, caller.metadata, *requests)
    except grpc.aio.AioRpcError as error:
        return refusal(error)
    return "".join(map(str, replies))


def requests(method: Method, **values: object) -> list[Message]:
    """A sensible request of any method; uploads are a header and a piece."""
    common = {"query": QUERY, "text": "비밀 계약의 금액", "title": "내 문서", **values}
    if not method.description.client_streaming:
        return [method.request(content=b"\xea\xb8\x88\xec\x95\xa1", **common)]
    header = method.request(**common)
    piece = type(header)(content="금액".encode())
    return [header, piece]


def test_the_reflected_methods_are_those_that_have_a_policy(
    public: dict[str, Method],
) -> None:
    assert set(public) == set(policy().methods)


async def test_a_stranger_who_knows_nothing_learns_nothing(
    public: dict[str, Method], caller: Caller, secret: Secret, path: str
) -> None:
    said = await outcome(
        public[path], caller, requests(public[path], document_id="unknown", collection="default")
    )
    assert secret.mark not in str(said)
    assert secret.tenant not in str(said)


async def test_a_stranger_who_knows_the_ids_is_told_what_of_ids_that_never_were(
    public: dict[str, Method], caller: Caller, secret: Secret, path: str
) -> None:
    method = public[path]
    never = "zq000000000000"
    told = [
        await outcome(
            method,
            caller,
            requests(
                method,
                document_id=f"id-{mark}",
                collection=f"c{mark}",
                collections=f"c{mark}",
                passage_id=f"id-{mark}",
            ),
        )
        for mark in (secret.mark, never)
    ]
    known, unknown = (
        anonymous(str(one), mark) for one, mark in zip(told, (secret.mark, never), strict=True)
    )
    if isinstance(told[0], Refusal):
        assert isinstance(told[1], Refusal)
        assert (told[0].code, told[0].reason) == (told[1].code, told[1].reason)
    assert ("제목" in known) == ("제목" in unknown)
    assert secret.text not in known
    passages = await secret.caller.passages(secret.document_id, collection=f"c{secret.mark}")
    assert [passage.text for passage in passages] == [secret.text]


def anonymous(said: str, mark: str) -> str:
    """What was said but for the ids, which the asker has named itself."""
    return said.replace(f"id-{mark}", "id").replace(f"c{mark}", "c")


async def test_a_tenant_named_anywhere_but_in_the_token_is_ignored(
    platform: Platform,
    caller: Caller,
    tenant: str,
    secret: Secret,
    public: dict[str, Method],
    path: str,
) -> None:
    names = ("tenant", "x-tenant", "x-tenant-id", "tenant_id", "x-forwarded-tenant", "rag-tenant")
    claimed = Caller(
        caller.channel,
        platform.token(tenant),
        extra=[(name, secret.tenant) for name in names],
    )
    sent = requests(
        public[path],
        document_id=secret.document_id,
        collection=f"c{secret.mark}",
        request_id=secret.tenant,
    )
    said = str(await outcome(public[path], claimed, sent))
    assert secret.text not in said
    assert f"제목 {secret.mark}" not in said


async def test_a_tenant_in_the_token_s_other_claims_is_ignored(
    platform: Platform, channel: grpc.aio.Channel, tenant: str, secret: Secret
) -> None:
    claims = {"tid": secret.tenant, "tenant_id": secret.tenant, "org": secret.tenant}
    token = platform.token(tenant, **claims, sub=secret.tenant, headers={"tenant": secret.tenant})
    assert not (await Caller(channel, token).search(QUERY)).passages


@pytest.mark.parametrize(
    "named",
    [None, "", "*", "default/", "a b", "A", "x" * 65, "../x", "owner\n", ["owner"], 7, {"a": 1}],
)
async def test_a_token_whose_tenant_cannot_be_is_refused(
    platform: Platform, channel: grpc.aio.Channel, named: object
) -> None:
    token = platform.token(named)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await Caller(channel, token).search(QUERY)
    assert refusal(raised.value).reason == "TOKEN_INVALID"


async def test_one_id_in_two_tenants_is_two_documents(
    platform: Platform, channel: grpc.aio.Channel, caller: Caller, secret: Secret
) -> None:
    same = {"document_id": secret.document_id, "collection": f"c{secret.mark}"}
    mine = await caller.ingest(content="내 계약의 금액은 십 원입니다.", **same)
    assert mine.outcome == CREATED
    [own] = await caller.passages(**same)
    [other] = await secret.caller.passages(**same)
    assert (own.text, other.text) == ("내 계약의 금액은 십 원입니다.", secret.text)
    assert own.passage_id != other.passage_id
    assert await caller.delete(**same) == 1
    assert [passage.text for passage in await secret.caller.passages(**same)] == [secret.text]


async def test_one_content_without_an_id_in_two_tenants_is_two_documents(
    caller: Caller, secret: Secret
) -> None:
    text = "두 회사가 함께 쓰는 양식입니다."
    first, second = await secret.caller.ingest("", text), await caller.ingest("", text)
    assert (first.outcome, second.outcome) == (CREATED, CREATED)
    await secret.caller.delete(first.document.document_id)
    assert (await caller.get(second.document.document_id)).passage_count == 1


async def test_pages_and_counts_are_of_the_tenant_alone(caller: Caller, secret: Secret) -> None:
    for number in range(3):
        await caller.ingest(f"mine-{number}", f"내 문서 {number}의 금액")
        await secret.caller.ingest(f"theirs-{number}", f"남의 문서 {number}의 금액")
    found = await caller.every_document(page_size=1)
    assert sorted(found) == ["mine-0", "mine-1", "mine-2"]


async def test_a_page_token_of_another_tenant_shows_nothing_of_theirs(
    caller: Caller, secret: Secret
) -> None:
    for number in range(3):
        await secret.caller.ingest(f"theirs-{number}", f"남의 문서 {number}")
    token = (await secret.caller.documents(page_size=1)).next_page_token
    assert token
    assert not (await caller.documents(page_token=token)).documents


async def test_a_filter_for_anothers_document_finds_nothing(caller: Caller, secret: Secret) -> None:
    await caller.ingest("mine", "내 계약의 금액은 십 원입니다.")
    for key in ("document_id", "owner", "scope", "tenant", "fact"):
        values = [secret.document_id, secret.tenant, secret.mark]
        condition = {"key": key, "any_of": {"values": values}}
        how = options.RetrievalOptions(filter={"must": [condition]})
        assert not (await caller.search(QUERY, retrieval=how)).passages


async def test_what_one_tenant_writes_changes_nothing_in_the_others_replies(
    caller: Caller, secret: Secret
) -> None:
    """Scores too: how rare a term is counts in the tenant's own passages alone."""
    await caller.ingest("mine", "내 계약의 금액은 십 원입니다.")
    before = await caller.search(QUERY, explain=True)
    for number in range(5):
        await secret.caller.ingest(f"theirs-{number}", f"비밀 계약의 금액은 {number} 원입니다.")
    after = await caller.search(QUERY, explain=True)
    assert list(after.passages) == list(before.passages)


async def test_the_index_version_does_not_count_what_others_write(
    caller: Caller, secret: Secret
) -> None:
    """It may tell that something changed, for caches, and never how often."""
    await caller.ingest("mine", "내 계약의 금액은 십 원입니다.")
    version = (await caller.search(QUERY)).provenance.index_version
    assert len(version) == 16
    assert set(version) <= set("0123456789abcdef")
