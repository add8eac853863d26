"""Who gets in, and that nobody can say who they are but by their credential."""

import base64
import json
import time
from typing import Any

import grpc
import httpx
import pytest

from rag.gateway.v1 import access_service_pb2 as pb
from rag.gateway.v1.access_service_pb2_grpc import AccessServiceStub
from rag_contract import errors
from rag_contract.status import from_rpc_error
from rag_edge.edge_config import Provider
from tests.component.edge.test_json import ROUTES, reasons
from tests.support.edge.fixtures import Setting, setting
from tests.support.edge.gateway import METHODS, Signer
from tests.support.waiting import until

ASK = pb.GetIdentityRequest()


async def refused(channel: grpc.aio.Channel, *metadata: tuple[str, str]) -> errors.AppError:
    stub: Any = AccessServiceStub(channel)
    try:
        reply = await stub.GetIdentity(ASK, metadata=metadata, timeout=10)
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error)
    raise AssertionError(f"let in: {reply}")


@pytest.mark.parametrize("name", [method.name for method in METHODS])
async def test_without_a_credential_no_method_is_reached(
    placed: Setting, http: httpx.AsyncClient, name: str
) -> None:
    verb, path, body = ROUTES[name]
    reply = await http.request(verb, path, json=body)
    assert reply.status_code == 401
    assert reasons(reply)["ErrorInfo"]["reason"] == "TOKEN_MISSING"
    assert not placed.gateway.heard


async def test_a_refusal_names_the_call_and_its_trace(http: httpx.AsyncClient) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "x-request-id": "order-1"}
    result = reasons(await http.get("/v1/identity", headers=headers))["RequestInfo"]
    assert (result["requestId"], result["servingData"]) == ("order-1", f"trace_id={trace}")


def damaged(token: str) -> str:
    """With another tenant than was signed."""
    head, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged = json.dumps({**claims, "tenant": "other"}).encode()
    return ".".join([head, base64.urlsafe_b64encode(forged).rstrip(b"=").decode(), signature])


def unsigned() -> str:
    parts = [{"alg": "none"}, {"iss": "rag-dev", "aud": "rag", "exp": 4e9, "tenant": "acme"}]
    coded = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in parts]
    return b".".join([*coded, b""]).decode()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda own: own.token(exp=int(time.time()) - 60), "TOKEN_EXPIRED"),
        (lambda own: own.token(exp=None), "TOKEN_INVALID"),
        (lambda own: own.token(aud="others"), "TOKEN_INVALID"),
        (lambda own: own.token(iss="others"), "TOKEN_INVALID"),
        (lambda own: own.token(nbf=int(time.time()) + 600), "TOKEN_INVALID"),
        (lambda _own: Signer().token(), "TOKEN_INVALID"),
        (lambda _own: Signer("two").token(), "TOKEN_INVALID"),
        (lambda own: damaged(own.token()), "TOKEN_INVALID"),
        (lambda _own: unsigned(), "TOKEN_INVALID"),
        (lambda _own: "nonsense", "TOKEN_INVALID"),
    ],
    ids=[
        *("expired", "no expiry", "audience", "issuer", "not yet", "key", "key id"),
        *("changed", "unsigned", "nonsense"),
    ],
)
async def test_a_bad_token_ends_at_the_edge(
    placed: Setting, channel: grpc.aio.Channel, make: Any, reason: str
) -> None:
    token = make(placed.signer)
    result = await refused(channel, ("authorization", f"Bearer {token}"))
    assert isinstance(result, errors.Unauthenticated)
    assert result.reason == reason
    assert not placed.gateway.heard


async def test_a_korean_is_told_in_korean(http: httpx.AsyncClient) -> None:
    for language, locale in (("ko-KR,ko;q=0.9", "ko-KR"), ("kok", "en-US"), ("en", "en-US")):
        reply = await http.get("/v1/identity", headers={"accept-language": language})
        assert reasons(reply)["LocalizedMessage"]["locale"] == locale


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_tokens_and_api_keys_go_on_to_the_gateway_as_they_are(
    placed: Setting, channel: grpc.aio.Channel, scheme: str
) -> None:
    stub: Any = AccessServiceStub(channel)
    for secret in (placed.signer.token(), "rag_k1_s3cr3t"):
        await stub.GetIdentity(ASK, metadata=(("authorization", f"{scheme} {secret}"),))
        assert placed.gateway.heard[-1].metadata["authorization"] == f"{scheme} {secret}"


async def test_clocks_may_differ_a_little(placed: Setting, channel: grpc.aio.Channel) -> None:
    stub: Any = AccessServiceStub(channel)
    await stub.GetIdentity(ASK, metadata=placed.metadata(exp=int(time.time()) - 5))


@pytest.mark.parametrize(
    "credential",
    ["rag_k1", "Bearer  x rag_k1", "Bearer rag_", "Bearer rag_a, Bearer b", "Basic cmFnXw=="],
)
async def test_what_only_looks_like_an_api_key_does_not_pass(
    placed: Setting, channel: grpc.aio.Channel, credential: str
) -> None:
    result = await refused(channel, ("authorization", credential))
    assert isinstance(result, errors.Unauthenticated)
    assert not placed.gateway.heard


async def test_a_token_in_the_query_or_in_a_cookie_does_not_count(
    placed: Setting, http: httpx.AsyncClient
) -> None:
    token = placed.signer.token()
    by_query = await http.get(f"/v1/identity?access_token={token}")
    by_cookie = await http.get("/v1/identity", headers={"cookie": f"access_token={token}"})
    assert (by_query.status_code, by_cookie.status_code) == (401, 401)


SPOOFED = {
    "x-tenant": "other",
    "x-tenant-id": "other",
    "x-user": "root",
    "x-subject": "root",
    "x-roles": "admin",
    "x-scopes": "admin",
    "x-principal": "root",
    "x-jwt-payload": "e30",
    "x-rag-tenant": "other",
    "x-edge-nowhere": "gateway",
    "x-auth-request-user": "root",
    "x-forwarded-client-cert": "URI=spiffe://rag-platform/gateway",
    "x-envoy-original-path": "/v1/search",
    "x-envoy-retry-on": "5xx",
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-envoy-internal": "true",
    "x-real-ip": "10.0.0.1",
    "forwarded": "for=10.0.0.1",
    "x-original-url": "/admin",
    "x-http-method-override": "DELETE",
    "cookie": "session=1",
}


@pytest.mark.parametrize("cased", [str.lower, str.upper], ids=["lower", "upper"])
async def test_headers_that_say_who_one_is_do_not_arrive(
    placed: Setting, http: httpx.AsyncClient, cased: Any
) -> None:
    spoofed = {cased(name): value for name, value in SPOOFED.items()}
    await http.get("/v1/identity", headers={**spoofed, **placed.headers()})
    arrived = placed.gateway.heard[0].metadata
    assert not arrived.keys() & SPOOFED.keys()


async def test_where_a_call_goes_is_not_the_caller_s_to_say(
    placed: Setting, http: httpx.AsyncClient
) -> None:
    headers = {"x-edge-nowhere": "pages", **placed.headers()}
    assert (await http.get("/metrics", headers=headers)).status_code == 404


async def test_the_caller_s_address_is_the_edge_s_to_say(
    placed: Setting, http: httpx.AsyncClient
) -> None:
    spoofed = {"x-forwarded-for": "10.9.8.7", "x-envoy-external-address": "10.9.8.7"}
    await http.get("/v1/identity", headers={**spoofed, **placed.headers()})
    arrived = placed.gateway.heard[0].metadata
    assert arrived["x-envoy-external-address"] == "127.0.0.1"
    assert not arrived["x-forwarded-for"].endswith("10.9.8.7")


async def test_behind_a_trusted_proxy_the_address_is_what_the_proxy_saw(tmp_path: Any) -> None:
    async with setting(tmp_path, trusted_hops=1) as placed, placed.http() as http:
        forged = {"x-forwarded-for": "10.9.8.7, 198.51.100.4"}
        await http.get("/v1/identity", headers={**forged, **placed.headers()})
        assert placed.gateway.heard[0].metadata["x-envoy-external-address"] == "198.51.100.4"


async def test_keys_follow_their_source_and_outlive_its_failure(tmp_path: Any) -> None:
    async with setting(tmp_path) as placed, placed.http() as http:
        newcomer = Signer("two")

        async def status(signer: Signer) -> int:
            headers = {"authorization": f"Bearer {signer.token()}"}
            return (await http.get("/v1/identity", headers=headers)).status_code

        assert await status(newcomer) == 401
        placed.gateway.keys.append(newcomer.jwk)

        async def is_in() -> bool:
            return await status(newcomer) == 200

        async def is_out() -> bool:
            return await status(placed.signer) == 401

        await until(is_in, "the new key is known")
        assert await status(placed.signer) == 200
        placed.gateway.keys.pop(0)
        await until(is_out, "the old key is forgotten")
        placed.gateway.keys_fail = True
        read = placed.gateway.keys_read
        await until(lambda: placed.gateway.keys_read > read + 1, "the edge has looked again")
        assert await status(newcomer) == 200


async def test_before_it_has_any_keys_the_edge_says_so_and_blames_no_token(tmp_path: Any) -> None:
    async with (
        setting(tmp_path, pages=["127.0.0.1:1"], waited=False) as placed,
        placed.channel() as channel,
        placed.http() as http,
    ):
        result = await refused(channel, *placed.metadata())
        assert (type(result), result.retry_after) == (errors.DependencyDown, 2.0)
        reply = await http.get("/v1/identity", headers=placed.headers())
        assert reply.status_code == 503
        assert reasons(reply)["ErrorInfo"]["reason"] == "DEPENDENCY_DOWN"


async def test_tokens_of_several_issuers_are_believed_each_with_its_own_keys(
    tmp_path: Any, placed: Setting
) -> None:
    """The second issuer's keys are another gateway's, which stands for any server of the kind."""
    keys = f"http://127.0.0.1:{placed.gateway.http_port}/.well-known/jwks.json"
    providers = (Provider("platform", "rag-dev", ("rag",)), Provider("corp", "corp", ("x",), keys))
    async with setting(tmp_path, providers=providers) as second, second.http() as http:

        async def status(signer: Signer, **claims: Any) -> int:
            headers = {"authorization": f"Bearer {signer.token(**claims)}"}
            return (await http.get("/v1/identity", headers=headers)).status_code

        assert await status(second.signer) == 200
        assert await status(placed.signer, iss="corp", aud="x") == 200
        assert await status(placed.signer) == 401
        assert await status(second.signer, iss="corp", aud="x") == 401
        assert await status(placed.signer, iss="corp", aud="rag") == 401
        assert (await http.get("/v1/identity")).json()["details"][0]["reason"] == "TOKEN_MISSING"
        late = {"iss": "corp", "aud": "x", "exp": int(time.time()) - 60}
        headers = {"authorization": f"Bearer {placed.signer.token(**late)}"}
        reply = await http.get("/v1/identity", headers=headers)
        assert reasons(reply)["ErrorInfo"]["reason"] == "TOKEN_EXPIRED"
