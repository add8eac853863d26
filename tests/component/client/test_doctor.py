"""`rag doctor`: each thing that can be wrong, made so for real, and what is said to do about it."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import jwt
import pytest
from cryptography import x509

from rag.gateway.v1 import access_service_pb2 as access
from rag.gateway.v1 import answer_service_pb2 as answers
from rag_cli.diagnosis import certificates, machine
from rag_cli.diagnosis.checks import Address, address_of
from rag_client import ClientCertificate
from rag_contract import errors
from tests.support.authority import Authority
from tests.support.client import grants, replies
from tests.support.client.certificates import self_signed
from tests.support.client.fixtures import Rag
from tests.support.client.neighbour import TRACE, Neighbour, PlainRefusal, listening, secured

FINGERPRINT = "e5:int8:1"
API_KEY = "_".join(["rag", "0123456789", "not-to-be-shown"])
CLOSED = "127.0.0.1:1"
REFUSED_BY_A_PROXY = PlainRefusal(grpc.StatusCode.PERMISSION_DENIED)


@dataclass(frozen=True)
class Diagnosis:
    """What the command said: its exit code, and each check by name."""

    exit_code: int
    checks: dict[str, dict[str, str]]
    text: str

    def status(self, name: str) -> str:
        return self.checks[name]["status"]

    def says(self, name: str, *parts: str) -> bool:
        found = self.checks[name]
        return all(part in f"{found['detail']} {found['advice']}" for part in parts)

    @property
    def failed(self) -> set[str]:
        return {name for name, check in self.checks.items() if check["status"] == "failure"}


Doctor = Callable[..., Diagnosis]


@pytest.fixture
def doctor(rag: Rag, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Runs the command, whose result as JSON and as text must say the same."""
    # The pages of whatever else runs on this machine are not this test's.
    monkeypatch.setattr(machine, "service_checks", lambda *_: iter(()))

    def run(*words: str) -> Diagnosis:
        result = rag("doctor", "--timeout", "2", "--json", *words)
        assert result.stderr == ""
        found = json.loads(result.stdout)
        failing = [check for check in found["checks"] if check["status"] == "failure"]
        assert found["ok"] == (not failing) == (result.exit_code == 0)
        # Whatever is not well comes with what to do.
        assert all(
            check["advice"]
            for check in found["checks"]
            if check["status"] in ("warning", "failure")
        )
        assert API_KEY not in result.stdout
        checks = {check["name"]: check for check in found["checks"]}
        return Diagnosis(result.exit_code, checks, result.stdout)

    return run


def _well(
    neighbour: Neighbour,
    *,
    index: str = FINGERPRINT,
    models: tuple[str, ...] = ("extractive",),
    server: str = "",
    scopes: tuple[str, ...] = ("answer", "search"),
    degraded: tuple[str, ...] = (),
) -> None:
    """The neighbour replies as a platform that works, but for what is given."""
    identity = grants.identity()
    del identity.scopes[:]
    identity.scopes.extend(scopes)
    offered = answers.GetCapabilitiesResponse(
        generation_models=models,
        embedding=answers.EmbeddingModel(model="e5", dimensions=384, fingerprint=FINGERPRINT),
        version=server or version("rag-cli"),
    )
    result = replies.search()
    result.provenance.embedding_fingerprint = index
    result.provenance.degraded.extend(degraded)
    neighbour.always("GetIdentity", lambda _: identity)
    neighbour.always("GetCapabilities", lambda _: offered)
    neighbour.always("Search", lambda _: result)


def test_where_all_is_well_every_check_says_so(doctor: Doctor, neighbour: Neighbour) -> None:
    _well(neighbour)
    result = doctor()
    assert result.exit_code == 0
    assert {check["status"] for check in result.checks.values()} <= {"ok", "skipped"}
    assert result.says("identity", "kim of tenant acme", "answer, search", "tier gold")
    assert result.says("versions", f"client {version('rag-cli')}", "rag.gateway.v1")
    assert result.says("models", "e5 (384 dimensions)", "extractive")
    assert result.says("index", FINGERPRINT)
    assert result.says("token", "development key")
    assert result.says("protocol", "plaintext HTTP/2 on both sides")
    assert result.says("clock", "within a second")
    assert result.says("disk", "GiB free")


def test_a_person_gets_a_line_a_check_and_what_to_do_below(rag: Rag, neighbour: Neighbour) -> None:
    _well(neighbour, models=())
    result = rag("doctor", "--timeout", "2")
    lines = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (0, "")
    [at] = [n for n, line in enumerate(lines) if line.startswith("warning") and "models" in line]
    assert "→ start the generator" in lines[at + 1]
    assert any(line.startswith("ok") and "identity" in line for line in lines)


@pytest.mark.parametrize(
    ("target", "failed", "parts"),
    [
        (CLOSED, "address", ("refused", "make run", "--target")),
        ("no-such-host.invalid:50051", "address", ("no-such-host.invalid:50051",)),
        ("localhost", "connection", ("'localhost' is not host:port",)),
        ("localhost:", "connection", ("'localhost:' is not host:port",)),
        ("localhost:http", "connection", ("'localhost:http' is not host:port",)),
        ("localhost:99999", "connection", ("'localhost:99999' is not host:port",)),
    ],
)
def test_a_target_that_cannot_be_reached_ends_it_soon_with_what_to_do(
    doctor: Doctor, target: str, failed: str, parts: tuple[str, ...]
) -> None:
    began = time.monotonic()
    result = doctor("--target", target)
    assert time.monotonic() - began < 10
    assert (result.exit_code, result.failed) == (1, {failed})
    assert result.says(failed, *parts)
    # This machine's disk says nothing about another machine's gateway.
    assert ("disk" in result.checks) == (target == CLOSED)


@contextmanager
def _other_server(reply: bytes) -> Iterator[int]:
    """A port where something else answers; without a reply it accepts connections and is silent."""

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(64)
                    connection.sendall(reply)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        if reply:
            threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("reply", "parts"),
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n", ("HTTP/1", "--target")), (b"", ("unknown protocol",))],
    ids=["HTTP/1", "silent"],
)
def test_something_else_that_listens_is_named_and_holds_nothing_up(
    doctor: Doctor, reply: bytes, parts: tuple[str, ...]
) -> None:
    began = time.monotonic()
    with _other_server(reply) as port:
        result = doctor("--target", f"127.0.0.1:{port}", "--timeout", "0.3")
    assert time.monotonic() - began < 10
    assert result.exit_code == 1
    assert result.says("protocol", *parts)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("localhost:1", Address("localhost", 1)),
        ("[::1]:50051", Address("::1", 50051)),
        ("dns:///rag.example:443", Address("rag.example", 443)),
        ("dns://8.8.8.8/rag.example:443", Address("rag.example", 443)),
        ("ipv4:127.0.0.1:2", Address("127.0.0.1", 2)),
        ("ipv6:[::1]:2", Address("::1", 2)),
        ("unix:/run/rag.sock", None),
        ("xds:///rag", None),
    ],
)
def test_a_target_points_to_an_address(target: str, expected: Address | None) -> None:
    assert address_of(target) == expected


def test_a_proxy_in_between_is_said_so(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", f"http://{CLOSED}")
    result = doctor("--target", "rag.invalid:443", "--timeout", "1")
    assert result.status("address") == "skipped"
    assert result.says("address", "https_proxy")
    assert "identity" in result.failed


@pytest.mark.parametrize(
    ("status", "body", "expected", "said"),
    [
        (200, b"{}", "ok", "ready"),
        (503, b'{"checks": {"index": {"ok": false}, "keys": {"ok": true}}}', "failure", "index"),
        (503, b"no healthy upstream", "failure", "unknown"),
        (404, b"", "skipped", "404"),
    ],
)
def test_an_edge_is_recognized_by_its_health_page(
    authority: Authority,
    ca: Path,
    status: int,
    body: bytes,
    expected: str,
    said: str,
) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    authority.lay(ca.parent, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca.with_name("tls.crt"), ca.with_name("tls.key"))
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.handle_request, daemon=True).start()
        check = machine.edge_check(Address("localhost", server.server_port), ca, 5.0)
    assert (check.status, said in check.detail) == (expected, True), check


# Certificates


def _files(certificate: ClientCertificate) -> tuple[str, ...]:
    return "--cert", str(certificate.chain), "--cert-key", str(certificate.key)


def test_over_tls_certificate_and_trust_are_told(
    doctor: Doctor, neighbour: Neighbour, authority: Authority, ca: Path
) -> None:
    _well(neighbour)
    with secured(neighbour, authority) as port:
        result = doctor("--target", f"localhost:{port}", "--ca", str(ca))
    assert result.exit_code == 0
    assert result.says("protocol", "TLS on both sides")
    assert result.says("gateway's certificate", "for localhost", "left")
    assert result.says("trust", str(ca))
    assert result.says("edge", "gRPC only")


def test_a_gateway_of_another_name_is_trusted_by_the_name_that_is_set(
    doctor: Doctor,
    neighbour: Neighbour,
    authority: Authority,
    ca: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _well(neighbour)
    monkeypatch.setenv("RAG_SERVER_NAME", "localhost")
    with secured(neighbour, authority) as port:
        result = doctor("--target", f"127.0.0.1:{port}", "--ca", str(ca))
    assert result.exit_code == 0
    assert result.says("trust", "localhost", str(ca))


def test_another_authority_is_not_trusted(
    doctor: Doctor, neighbour: Neighbour, authority: Authority, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Authority("another").roots)
    with secured(neighbour, authority) as port:
        result = doctor("--target", f"localhost:{port}", "--ca", str(other))
    assert result.failed == {"trust"}
    assert result.says("trust", "other.pem", "--ca or RAG_CA_FILE")
    assert not neighbour.heard


@pytest.mark.parametrize(
    ("host", "begins", "ends", "life", "trust"),
    [
        ("127.0.0.1", -1, 30, "for localhost", "by a name in its certificate"),
        ("localhost", -9, -2, "expired 2 days ago", "renew the certificate"),
        ("localhost", 2, 9, "valid from", "clock"),
    ],
)
def test_a_certificate_for_another_name_or_out_of_its_time_is_named(
    doctor: Doctor,
    neighbour: Neighbour,
    tmp_path: Path,
    host: str,
    begins: int,
    ends: int,
    life: str,
    trust: str,
) -> None:
    key, certificate = self_signed(timedelta(days=begins), timedelta(days=ends))
    (tmp_path / "ca.pem").write_bytes(certificate)
    with listening(neighbour, grpc.ssl_server_credentials([(key, certificate)])) as port:
        result = doctor("--target", f"{host}:{port}", "--ca", str(tmp_path / "ca.pem"))
    in_time = host == "127.0.0.1"
    assert result.failed == ({"trust"} if in_time else {"gateway's certificate", "trust"})
    assert result.says("gateway's certificate", life)
    assert result.says("trust", trust), result.text
    assert not neighbour.heard


def test_a_gateway_that_wants_a_certificate_says_so(
    doctor: Doctor, neighbour: Neighbour, authority: Authority, ca: Path, mine: ClientCertificate
) -> None:
    _well(neighbour)
    with secured(neighbour, authority, mutual=True) as port:
        words = ("--target", f"localhost:{port}", "--ca", str(ca))
        without = doctor(*words)
        well = doctor(*words, *_files(mine))
        stranger = Authority("another").certificate("client")
        mine.chain.write_bytes(stranger.chain)
        mine.key.write_bytes(stranger.key)
        other = doctor(*words, *_files(mine))
    assert "trust" in without.failed
    assert without.says("trust", "--cert")
    assert "trust" in other.failed
    assert well.exit_code == 0
    assert well.says("own certificate", "client", "left")


@pytest.mark.parametrize(
    ("words", "detail"),
    [
        (("--ca", "nowhere.pem"), "nowhere.pem"),
        (("--ca", "empty"), "empty holds no certificate"),
        (("--cert", "tls.crt"), "must be set together"),
        (("--cert", "empty", "--cert-key", "tls.key"), "not a certificate and its key"),
        (("--cert", "nowhere.crt", "--cert-key", "tls.key"), "nowhere.crt"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_a_finding(
    doctor: Doctor,
    neighbour: Neighbour,
    authority: Authority,
    ca: Path,
    words: tuple[str, ...],
    detail: str,
) -> None:
    ca.with_name("empty").touch()
    with secured(neighbour, authority) as port:
        result = doctor("--target", f"localhost:{port}", *words)
    assert result.exit_code == 1
    assert detail in result.text


def test_tls_on_a_plaintext_port_and_the_reverse(
    doctor: Doctor, neighbour: Neighbour, target: str, authority: Authority, ca: Path
) -> None:
    tls_on_plain = doctor("--target", target, "--ca", str(ca))
    assert tls_on_plain.failed == {"protocol"}
    assert tls_on_plain.says("protocol", "client uses TLS", "plaintext HTTP/2", "remove --ca")
    with secured(neighbour, authority) as port:
        plain_on_tls = doctor("--target", f"127.0.0.1:{port}")
    assert plain_on_tls.failed == {"protocol"}
    assert plain_on_tls.says("protocol", "client uses plaintext", "server TLS", "RAG_CA_FILE")


@pytest.mark.parametrize(
    ("begins", "ends", "status", "said"),
    [
        (-30, 60, "ok", "60 days left"),
        (-300, 10, "warning", "10 days left"),
        (-0.5, 0.02, "warning", "28 min left"),
        (-0.04, 0.04, "ok", "57 min left"),
    ],
)
def test_a_certificate_s_life_is_told(begins: float, ends: float, status: str, said: str) -> None:
    now = datetime.now(UTC)
    certificate: Any = SimpleNamespace(
        not_valid_before_utc=now + timedelta(days=begins),
        not_valid_after_utc=now + timedelta(days=ends),
        issuer=x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "root")]),
        extensions=x509.Extensions([]),
    )
    check = certificates.lifetime_check("certificate", certificate, now)
    assert (check.status, said in check.detail) == (status, True), check


# Who calls


def _jwt(**offsets: int) -> str:
    """A JWT whose claims are so many seconds from now."""
    claims = {name: int(time.time()) + seconds for name, seconds in offsets.items()}
    return jwt.encode({"iss": "rag-dev", "sub": "kim", **claims}, "x" * 32, "HS256")


@pytest.mark.parametrize(
    ("token", "error", "reason", "here"),
    [
        ({"exp": -300}, errors.TokenExpired("the token has expired"), "expired 5 min", True),
        ({"exp": 900, "nbf": 600}, errors.TokenInvalid("not yet"), "valid in", True),
        ({"exp": 900}, errors.TokenInvalid("bad signature"), "TOKEN_INVALID", False),
        ({"exp": 900}, errors.KeyRevoked("the token is revoked"), "KEY_REVOKED", False),
        (API_KEY, errors.KeyRevoked("the key is revoked"), "KEY_REVOKED", False),
        (API_KEY, errors.ScopeMissing("needs the scope"), "SCOPE_MISSING", False),
    ],
)
def test_a_token_that_is_refused_is_told_with_the_way_to_a_new_one(
    doctor: Doctor,
    neighbour: Neighbour,
    token: str | dict[str, int],
    error: errors.AppError,
    reason: str,
    here: bool,
) -> None:
    token = token if isinstance(token, str) else _jwt(**token)
    neighbour.says("GetIdentity", error)
    result = doctor("--token", token)
    assert result.failed == ({"token", "identity"} if here else {"identity"})
    assert result.says("token" if here else "identity", reason)
    assert result.says("identity", TRACE)
    assert result.status("models") == "skipped"
    assert token not in result.text


@pytest.mark.parametrize(
    ("token", "status", "said"),
    [
        ({"exp": 86_400}, "ok", "a JWT of rag-dev (--token); expires in"),
        ({"exp": 30}, "warning", "expires in"),
        ({}, "warning", "never expires"),
        (API_KEY, "ok", "an API key"),
        ("a.b.c", "warning", "neither"),
        ("opaque", "warning", "neither"),
    ],
)
def test_a_token_is_told_by_its_kind_and_its_end(
    doctor: Doctor,
    neighbour: Neighbour,
    token: str | dict[str, int],
    status: str,
    said: str,
) -> None:
    _well(neighbour)
    token = token if isinstance(token, str) else _jwt(**token)
    result = doctor("--token", token)
    assert (result.status("token"), result.says("token", said)) == (status, True), result.text


@pytest.mark.parametrize(
    ("scope", "days", "status", "said"),
    [
        ("admin", 30, "ok", "expires in 30 d"),
        ("admin", 3, "warning", "expires in 3 d"),
        ("admin", None, "skipped", "not among"),
        ("search", None, "skipped", "administrators"),
    ],
)
def test_an_administrator_sees_when_its_key_ends(
    doctor: Doctor, neighbour: Neighbour, scope: str, days: int | None, status: str, said: str
) -> None:
    _well(neighbour, scopes=(scope,))
    # Some minutes more, so that a slow machine says the same.
    ends = int(time.time()) + (days or 0) * 86_400 + 600
    own = grants.api_key("id1", ends=ends) if days else grants.api_key("other")
    page = access.ListApiKeysResponse(api_keys=[grants.api_key("id0")], next_page_token="2")
    neighbour.says("ListApiKeys", page, access.ListApiKeysResponse(api_keys=[own]))
    result = doctor("--token", API_KEY)
    assert result.exit_code == 0
    assert (result.status("key"), result.says("key", said)) == (status, True), result.text


@pytest.mark.parametrize(
    ("variables", "parts"),
    [
        ({}, ("RAG_TOKEN is not set", "RAG_TOKEN_FILE is not set", "dev.pem")),
        ({"RAG_TOKEN": f"Bearer {API_KEY}"}, ("RAG_TOKEN",)),
        ({"RAG_TOKEN_FILE": "nowhere"}, ("nowhere",)),
        ({"RAG_TOKEN_FILE": "empty"}, ("empty",)),
    ],
)
def test_a_token_that_is_missing_or_cannot_be_read_is_a_finding(
    doctor: Doctor,
    neighbour: Neighbour,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    parts: tuple[str, ...],
) -> None:
    (tmp_path / ".rag" / "keys" / "dev.pem").unlink()
    (tmp_path / "empty").touch()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    neighbour.says("GetIdentity", errors.TokenMissing("there is no bearer token"))
    result = doctor()
    assert result.failed == {"token", "identity"}
    assert result.says("token", *parts)


# Clocks


@pytest.mark.parametrize(
    ("ahead", "status", "said"),
    [
        (0.0, "ok", "within a second"),
        (30.0, "warning", "30 s ahead of"),
        (-30.0, "warning", "30 s behind"),
        (3600.0, "failure", "3,600 s ahead of"),
        (-7200.0, "failure", "7,200 s behind"),
    ],
)
@pytest.mark.parametrize("refused", [False, True])
def test_a_clock_that_is_wrong_is_seen_by_the_server_s_date(
    doctor: Doctor, neighbour: Neighbour, ahead: float, status: str, said: str, refused: bool
) -> None:
    neighbour.date = lambda: formatdate(time.time() - ahead, usegmt=True)
    if refused:
        neighbour.says("GetIdentity", errors.TokenExpired("the token has expired"))
    else:
        _well(neighbour)
    result = doctor()
    assert result.status("clock") == status
    # A date has whole seconds.
    nearby = [f"{abs(ahead) + off:,.0f} s" for off in (-1, 0, 1)]
    assert any(said.replace(nearby[1], one) in result.checks["clock"]["detail"] for one in nearby)
    if status != "ok":
        assert result.says("clock", "NTP")


# Versions, models, index


@pytest.mark.parametrize(
    ("how", "name", "status", "said"),
    [
        ({"server": "0.0.9"}, "versions", "warning", "server 0.0.9"),
        ({"models": ()}, "models", "warning", "generator none"),
        ({"index": "other:1"}, "index", "failure", "created by other:1"),
        ({"degraded": ("reranker",)}, "index", "warning", "searched without reranker"),
        ({"scopes": ("ingest",)}, "index", "skipped", "may not search"),
        ({"scopes": ()}, "index", "skipped", ""),
        ({"scopes": ()}, "identity", "warning", ""),
    ],
)
def test_what_does_not_fit_is_told(
    doctor: Doctor, neighbour: Neighbour, how: Any, name: str, status: str, said: str
) -> None:
    _well(neighbour, **how)
    result = doctor()
    assert (result.status(name), result.says(name, said)) == (status, True), result.text


@pytest.mark.parametrize(
    ("method", "error", "name", "said"),
    [
        ("Search", errors.EmbeddingMismatch("another model"), "index", "ingest the documents"),
        ("Search", errors.ModelLoading("not yet", retry_after=1), "index", "loaded its model"),
        ("Search", errors.RateLimited("slowly", retry_after=9), "index", "rag quota"),
        ("GetCapabilities", errors.DependencyDown("away"), "versions", "rag top"),
        ("GetIdentity", errors.Unimplemented("no such"), "identity", "not a gateway of"),
        ("GetIdentity", REFUSED_BY_A_PROXY, "identity", "proxy before the gateway"),
    ],
)
def test_an_error_comes_with_what_to_do(
    doctor: Doctor, neighbour: Neighbour, method: str, error: Any, name: str, said: str
) -> None:
    _well(neighbour)
    neighbour.forget(method)
    neighbour.says(method, error)
    result = doctor()
    assert result.failed == {name}
    assert result.says(name, said), result.text


# This machine


@pytest.mark.parametrize(
    ("free", "status"), [(20 * 2**30, "ok"), (3 * 2**30, "warning"), (2**29, "failure")]
)
def test_a_disk_that_fills_up_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: str
) -> None:
    usage = SimpleNamespace(total=100 * 2**30, used=0, free=free)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage)
    assert machine.disk_check(tmp_path).status == status


def test_identity_is_asked_for_with_all_that_the_development_key_can_give(
    doctor: Doctor, neighbour: Neighbour
) -> None:
    _well(neighbour)
    doctor()
    [requested] = neighbour.calls("GetIdentity")
    assert isinstance(requested.request, access.GetIdentityRequest)
    bearer = requested.metadata["authorization"].removeprefix("Bearer ")
    assert "admin" in jwt.decode(bearer, options={"verify_signature": False})["scope"].split()
