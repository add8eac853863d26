"""No secret shows itself anywhere while all is well, and while everything fails."""

import asyncio
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

import rag_gateway.settings
import rag_generator.settings
from rag.gateway.v1 import access_service_pb2 as access
from rag.gateway.v1 import options_pb2 as options
from rag.gateway.v1.access_service_pb2_grpc import AccessServiceStub
from rag.types.v1.passage_pb2 import Passage
from rag_local.backends.redis import PROGRAMS
from rag_local.child import end
from rag_local.service_processes import ServiceSpec, start
from tests.e2e.callers import Caller, refusal
from tests.e2e.model import served
from tests.e2e.trusted import (
    QUICK,
    SERVICES,
    Model,
    TrustedPlatform,
    trusted_platform,
)
from tests.support.receiver import by_grpc

# What a secret looks like that no test can know, for it was made where it is used.
SHAPES = {
    "a token of Vault's": rb"\b(?:s|b|r|hv[sbr])\.[A-Za-z0-9]{24}",
    "a JSON Web Token": rb"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{40,}",
    "an API key": rb"rag_[A-Za-z0-9]{16}_[A-Za-z0-9]{49}",
    "a private key": rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY",
}
# The files that are there to hold one, below the home: of Vault, of its operator, of each service's
# login, and of a development machine, whose key this platform does not use.
HOLDERS = (
    "vault/operator.json",
    "vault/operator/token",
    "vault/*/role_id",
    "vault/*/secret_id",
    "vault/tls/*.key",
    "operator/tls.key",
    "operator/rag-token",
    "keys/dev.pem",
)
PAGES = ("/metrics", "/health/ready", "/health/live", "/.well-known/jwks.json")
QUESTION = "When does the warehouse open?"


@dataclass
class Seen:
    """The secrets that there were, by name, and all that showed itself, by kind and place."""

    home: Path
    secrets: dict[str, str] = field(default_factory=dict)
    shown: dict[str, dict[str, bytes]] = field(default_factory=dict)
    reasons: set[str] = field(default_factory=set)

    def show(self, kind: str, place: str, content: bytes) -> None:
        self.shown.setdefault(kind, {})[place] = content

    def leaks(self, kind: str) -> set[tuple[str, str]]:
        """Secrets in what showed itself of that kind: where, and which."""
        return found(self.shown[kind], self.secrets)

    async def failing(self, call: Awaitable[Any]) -> None:
        """Await a call that is refused, and keep all that it says."""
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        error = raised.value
        output = repr((error.details(), error.debug_error_string(), *error.trailing_metadata()))
        self.show("errors", f"error {len(self.shown.get('errors', {}))}", output.encode())
        self.reasons.add(refusal(error).reason)


def found(places: Mapping[str, bytes], hidden: Mapping[str, str]) -> set[tuple[str, str]]:
    known = {(p, n) for p, text in places.items() for n, s in hidden.items() if s.encode() in text}
    return known | {
        (place, shape)
        for place, content in places.items()
        for shape, pattern in SHAPES.items()
        if re.search(pattern, content)
    }


def processes() -> dict[str, bytes]:
    """Environment and arguments of every process that this one has started."""
    read: dict[str, bytes] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = re.search(r"^PPid:\s(\d+)", (folder / "status").read_text(), re.MULTILINE)
            if parent and int(parent[1]) == os.getpid():
                name = (folder / "comm").read_text().strip()
                for file in ("environ", "cmdline"):
                    read[f"{name} {folder.name} {file}"] = (folder / file).read_bytes()
        except OSError:
            continue
    return read


def files(home: Path) -> dict[str, bytes]:
    """Every file below the home but those that are there to hold a secret."""
    holders = {path for pattern in HOLDERS for path in home.glob(pattern)}
    every = (path for path in home.rglob("*") if path.is_file() and path not in holders)
    # An index is a few texts between millions of zeros.
    return {str(path.relative_to(home)): path.read_bytes().translate(None, b"\0") for path in every}


def holders(home: Path) -> dict[str, bytes]:
    every = (path for pattern in HOLDERS for path in home.glob(pattern))
    return {str(path.relative_to(home)): path.read_bytes() for path in every}


@pytest_asyncio.fixture(scope="module")
async def model() -> AsyncIterator[Model]:
    async with served(Model()) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def seen(
    tmp_path_factory: pytest.TempPathFactory, models: Path, model: Model
) -> AsyncIterator[Seen]:
    """A whole life of the platform, in which all that can fail does."""
    created = Seen(tmp_path_factory.mktemp("secrets"))
    passwords = {name: f"marked-{name}-{secrets.token_hex(12)}" for name in ("redis", "llm")}
    created.secrets |= passwords
    with by_grpc() as receiver:
        environment = {
            "EMBEDDER_MODELS_DIR": str(models),
            "GENERATOR_OPENAI_URL": model.url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "GATEWAY_AUDIT_FILE": str(created.home / "logs" / "audit.jsonl"),
            # An error of the language model must be seen, not answered without it.
            "GENERATOR_FALLBACK": "false",
            **{f"{service.upper()}_LOG_LEVEL": "debug" for service in SERVICES},
        }
        running = trusted_platform(created.home, environment, passwords=passwords)
        trusted = await asyncio.to_thread(running.__enter__)
        try:
            await live(trusted, model, created)
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)
        for number, request in enumerate(receiver.requests):
            created.show("spans", f"batch {number}", request.SerializeToString())
    created.shown["files"] = files(created.home)
    yield created


async def live(trusted: TrustedPlatform, model: Model, seen: Seen) -> None:
    """Everything goes well, and then nothing does."""
    known(seen)
    async with trusted.channel("gateway", await trusted.identity("operator")) as channel:
        token = await trusted.token("demo", ["admin"])
        seen.secrets["the caller's token"] = token
        caller = Caller(channel, token)
        await all_well(caller, model, seen)
        await strangers(trusted, channel, seen)
        model.refusing = True
        await seen.failing(ask(caller))
        await troubled_stores(trusted, caller, seen)
    await starts_that_fail(trusted, seen)
    seen.shown["processes"] = processes()
    for service in SERVICES:
        for path in PAGES:
            page = await trusted.page(service, path)
            seen.show("pages", f"{service}{path}", page.content + repr(page.headers).encode())


def known(seen: Seen) -> None:
    """What lies in the files that hold secrets."""
    for name, content in holders(seen.home).items():
        if name.endswith(".json"):
            seen.secrets |= {f"{name} {key}": text for key, text in json.loads(content).items()}
        elif name.endswith((".key", ".pem")):
            seen.secrets[name] = content.decode().splitlines()[1]
        else:
            seen.secrets[name] = content.decode().strip()


def ask(caller: Caller) -> Awaitable[Any]:
    """A question that the language model answers."""
    return caller.ask(
        QUESTION,
        passages=[Passage(passage_id="a", text="The warehouse opens at seven.")],
        generation=options.GenerationOptions(model=QUICK),
        grounding=options.GroundingOptions(mode="GROUNDING_MODE_OFF"),
    )


def stub(caller: Caller) -> Any:
    return AccessServiceStub(caller.channel)


def new_key(caller: Caller) -> Any:
    expected = access.CreateApiKeyRequest(display_name="job", scopes=["search"])
    return stub(caller).CreateApiKey(expected, metadata=caller.metadata, timeout=20)


def new_token(caller: Caller) -> Any:
    expected = access.IssueTokenRequest(subject="job", scopes=["search"])
    return stub(caller).IssueToken(expected, metadata=caller.metadata, timeout=20)


async def all_well(caller: Caller, model: Model, seen: Seen) -> None:
    await caller.ingest("doc", "The warehouse opens at seven.")
    await caller.ask(QUESTION)
    await ask(caller)
    assert model.keys[-1] == seen.secrets["llm"]
    created, issued = await new_key(caller), await new_token(caller)
    seen.secrets |= {"an API key": created.key, "an issued token": issued.token}
    for credential in (created.key, issued.token):
        await Caller(caller.channel, credential).search("warehouse")
    ended = access.RevokeApiKeyRequest(api_key_id=created.api_key.api_key_id)
    await stub(caller).RevokeApiKey(ended, metadata=caller.metadata)
    await seen.failing(Caller(caller.channel, created.key).search("warehouse"))


async def strangers(trusted: TrustedPlatform, channel: grpc.aio.Channel, seen: Seen) -> None:
    """Credentials that are refused are somebody's all the same."""
    good = await trusted.token("demo", ["search"])
    refused = {
        "a token without the scope": good,
        "a changed token": good[:-20] + "A" * 20,
        "an ended token": await trusted.token("demo", exp=1_000_000_000),
        "another issuer's token": await trusted.token("demo", iss="evil"),
        "a token of another key": trusted.platform.token("demo"),
        "no token at all": f"marked-{secrets.token_hex(12)}",
        "a key that is not there": f"rag_{'a' * 16}_{secrets.token_hex(25)[:49]}",
    }
    seen.secrets |= refused
    for token in refused.values():
        await seen.failing(Caller(channel, token).ingest("doc", "x"))
    other = Caller(channel, "")
    other.metadata = (("authorization", f"Basic {refused['no token at all']}"),)
    await seen.failing(other.search("x"))


async def troubled_stores(trusted: TrustedPlatform, caller: Caller, seen: Seen) -> None:
    """Redis away, Redis with a password that is not Vault's, and Vault away."""
    async with trusted.without_redis():
        await seen.failing(new_key(caller))
    former, seen.secrets["a new password"] = trusted.redis.password, secrets.token_hex(16)
    trusted.redis.change_password(seen.secrets["a new password"])
    with trusted.redis.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    await seen.failing(new_key(caller))
    trusted.redis.change_password(former)
    async with trusted.without_vault():
        for service in ("gateway", "generator"):
            await trusted.says(service, "degraded")
        await seen.failing(new_token(caller))


async def starts_that_fail(trusted: TrustedPlatform, seen: Seen) -> None:
    """With a login that is used up, refused or well, and with a password where none may be."""
    approle = trusted.vault.root().auth.approle
    plain = approle.generate_secret_id("generator")["data"]["secret_id"]
    wrong, password = (f"marked-{secrets.token_hex(12)}" for _ in range(2))
    seen.secrets |= {"a secret id": plain, "a wrong secret id": wrong, "a URL's password": password}
    settings = trusted.trust.settings("generator")
    unwrap(trusted, settings["GENERATOR_VAULT_SECRET_ID_FILE"])
    url = f"redis://user:{password}@127.0.0.1:1/0"
    starts = {
        "used": ("generator", settings),
        "refused": ("generator", {**settings, **unwrapped(seen.home / "wrong", wrong)}),
        "unfit": (
            "generator",
            {**settings, **unwrapped(seen.home / "plain", plain), "GENERATOR_DEFAULT_MODEL": "x"},
        ),
        "url": ("gateway", {"GATEWAY_REDIS_URL": url, "GATEWAY_SIGNER": "none"}),
    }
    with ExitStack() as stack:
        processes = []
        for name, (service, reported) in starts.items():
            log = seen.home / "logs" / f"start-{name}.log"
            processes.append(start(ServiceSpec(service, 0, 0, 0), reported, log))
            stack.callback(end, processes[-1], 0)
        for process in processes:
            assert await asyncio.to_thread(process.wait, 60) == 2
    for name in ("wrong", "plain"):
        (seen.home / name).unlink()


def unwrapped(file: Path, secret_id: str) -> dict[str, str]:
    """The settings of a login with a secret id that is not wrapped, and a file of it."""
    file.write_text(secret_id)
    return {
        "GENERATOR_VAULT_SECRET_ID_FILE": str(file),
        "GENERATOR_VAULT_SECRET_ID_WRAPPED": "false",
    }


def unwrap(trusted: TrustedPlatform, file: str) -> None:
    """Use up what the file holds, as a thief would."""
    trusted.vault.server.client(Path(file).read_text()).sys.unwrap()


def events(seen: Seen, log: str) -> set[str]:
    """What a service's log tells of."""
    lines = seen.shown["files"][f"logs/{log}.log"].decode().splitlines()
    return {json.loads(line)["event"] for line in lines}


def test_everything_failed_that_was_to_fail(seen: Seen) -> None:
    assert {"vault_degraded", "vault_restored", "quota_store"} <= events(seen, "gateway")
    assert {"vault_degraded", "language_model_failed"} <= events(seen, "generator")
    assert seen.reasons == {
        "KEY_REVOKED",
        "TOKEN_INVALID",
        "TOKEN_EXPIRED",
        "SCOPE_MISSING",
        "DEPENDENCY_DOWN",
        "DEPENDENCY_REFUSED",
    }


@pytest.mark.parametrize(
    ("start", "why"),
    [
        ("used", "was already used or has expired"),
        ("refused", "refuses the login"),
        ("unfit", "GENERATOR_DEFAULT_MODEL x is not among"),
        ("url", "must hold no user, no password"),
    ],
)
def test_each_start_that_was_to_fail_ended_with_its_sentence(
    seen: Seen, start: str, why: str
) -> None:
    assert why in seen.shown["files"][f"logs/start-{start}.log"].decode().splitlines()[-1]


def test_processes_are_told_no_secret(seen: Seen) -> None:
    names = {place.split()[0] for place in seen.shown["processes"]}
    assert {"python", "bao"} <= names
    assert names & set(PROGRAMS)
    assert seen.leaks("processes") == set()


def test_no_page_shows_a_secret(seen: Seen) -> None:
    assert b"rag_rpc_refusals" in seen.shown["pages"]["gateway/metrics"]
    assert seen.leaks("pages") == set()


def test_no_refused_call_is_told_a_secret(seen: Seen) -> None:
    assert len(seen.shown["errors"]) > 10
    assert seen.leaks("errors") == set()


def test_no_span_carries_a_secret(seen: Seen) -> None:
    every = b"".join(seen.shown["spans"].values())
    assert all(f"rag-{service}".encode() in every for service in SERVICES)
    assert seen.leaks("spans") == set()


def test_no_file_holds_a_secret_but_those_that_are_there_for_it(seen: Seen) -> None:
    logs = {f"logs/{name}" for name in (*(f"{service}.log" for service in SERVICES), "audit.jsonl")}
    parts = {"redis/redis.log", "vault/server.log", "vault/audit.log", "vault/data/vault.db"}
    assert logs | parts <= set(seen.shown["files"])
    assert seen.leaks("files") == set()


def test_secrets_are_found_where_they_are_meant_to_be(seen: Seen) -> None:
    places = {place for place, _ in found(holders(seen.home), seen.secrets)}
    assert places == set(holders(seen.home))


def test_the_search_finds_every_secret_and_every_shape_in_a_file(seen: Seen) -> None:
    planted = seen.home / "planted"
    header = "-----BEGIN " + "PRIVATE KEY-----"
    planted.write_text("\n".join([header, *seen.secrets.values()]))
    try:
        assert {name for _, name in found(files(seen.home), seen.secrets)} == {
            *seen.secrets,
            *SHAPES,
        }
    finally:
        planted.unlink()


def test_the_search_finds_a_secret_that_a_process_is_told(seen: Seen) -> None:
    mark = seen.secrets["redis"]
    waiting = [sys.executable, "-c", "input()", mark]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE, env={"MARK": mark}) as process:
        leaks = {place.split()[-1] for place, _ in found(processes(), {"mark": mark})}
        process.communicate(b"\n")
    assert leaks == {"environ", "cmdline"}


@pytest.mark.parametrize(
    ("settings", "secret"),
    [
        (rag_gateway.settings.Settings, "redis_password"),
        (rag_generator.settings.Settings, "openai_api_key"),
    ],
)
def test_settings_do_not_show_their_secrets(settings: Any, secret: str) -> None:
    made = settings(**{secret: "marked-secret"})
    shown = f"{made!r} {made} {made.model_dump()} {made.model_dump_json()}"
    assert secret in shown
    assert "marked-secret" not in shown
