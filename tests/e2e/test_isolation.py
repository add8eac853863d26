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
from tests.e2e.reflected import Method, policy

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
    created = Secret(f"owner-{mark}", mark, caller)
    await caller.ingest(
        created.document_id,
        created.text,
        collection=f"c{mark}",
        title=f"제목 {mark}",
        uri=f"https://{mark}/",
        metadata={"fact": mark},
    )
    return created


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each public method that the contract has."""
    if "path" in metafunc.fixturenames:
        metafunc.parametrize("path", sorted(policy().methods))


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


async def test_a_stranger_who_knows_nothing_learns_nothing(
    public: dict[str, Method], caller: Caller, secret: Secret, path: str
) -> None:
    output = await outcome(
        public[path], caller, requests(public[path], document_id="unknown", collection="default")
    )
    assert secret.mark not in str(output)
    assert secret.tenant not in str(output)


async def test_a_stranger_who_knows_the_ids_is_told_what_of_ids_that_never_were(
    public: dict[str, Method], caller: Caller, secret: Secret, path: str
) -> None:
    method = public[path]
    never = "zq000000000000"
    reported = [
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
        anonymous(str(one), mark) for one, mark in zip(reported, (secret.mark, never), strict=True)
    )
    if isinstance(reported[0], Refusal):
        assert isinstance(reported[1], Refusal)
        assert (reported[0].code, reported[0].reason) == (reported[1].code, reported[1].reason)
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
    output = str(await outcome(public[path], claimed, sent))
    assert secret.text not in output
    assert f"제목 {secret.mark}" not in output


async def test_a_tenant_in_the_token_s_other_claims_is_ignored(
    platform: Platform, channel: grpc.aio.Channel, tenant: str, secret: Secret
) -> None:
    claims = {"tid": secret.tenant, "tenant_id": secret.tenant, "org": secret.tenant}
    token = platform.token(tenant, **claims, sub=secret.tenant, headers={"tenant": secret.tenant})
    assert not (await Caller(channel, token).search(QUERY)).passages


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
