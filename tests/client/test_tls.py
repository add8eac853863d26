"""TLS to the gateway: whom the client trusts, whom it says it is, and what it says when that fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from typer.testing import CliRunner, Result

from rag_client import Client, ClientCertificate
from rag_client.channel import Gateway
from rag_client.command import app
from rag_common import errors
from tests.authority import Authority
from tests.client import grants, replies
from tests.client.certificates import self_signed
from tests.client.neighbour import Neighbour, listening


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority()
    (tmp_path / "ca.pem").write_bytes(authority.roots)
    return authority


@pytest.fixture
def mine(authority: Authority, tmp_path: Path) -> ClientCertificate:
    """A certificate of the authority's, for the client."""
    made = authority.certificate("client")
    own = ClientCertificate(tmp_path / "client.pem", tmp_path / "client.key")
    own.chain.write_bytes(made.chain)
    own.key.write_bytes(made.key)
    return own


@contextmanager
def _serving(neighbour: Neighbour, authority: Authority, *, mutual: bool = False) -> Iterator[int]:
    leaf = authority.certificate("localhost")
    roots = authority.roots if mutual else None
    credentials = grpc.ssl_server_credentials([(leaf.key, leaf.chain)], roots, mutual)
    with listening(neighbour, credentials) as port:
        yield port


def test_a_given_authority_is_trusted_for_localhost(neighbour: Neighbour, tmp_path: Path) -> None:
    key, certificate = self_signed()
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(certificate)
    credentials = grpc.ssl_server_credentials([(key, certificate)])
    neighbour.says("Search", replies.search())
    with (
        listening(neighbour, credentials) as port,
        Client(f"localhost:{port}", tls=trusted) as client,
    ):
        client.search("연차")
    assert len(neighbour.heard) == 1


async def test_a_client_of_an_event_loop_shows_its_certificate(
    neighbour: Neighbour, authority: Authority, mine: ClientCertificate, tmp_path: Path
) -> None:
    from rag_client import AsyncClient

    neighbour.says("GetIdentity", grants.identity())
    with _serving(neighbour, authority, mutual=True) as port:
        target = f"localhost:{port}"
        async with AsyncClient(target, tls=tmp_path / "ca.pem", certificate=mine) as client:
            assert (await client.identity()).subject == "kim"


def test_a_gateway_that_wants_a_certificate_answers_nobody_without_one(
    neighbour: Neighbour, authority: Authority, tmp_path: Path
) -> None:
    with (
        _serving(neighbour, authority, mutual=True) as port,
        Client(f"localhost:{port}", tls=tmp_path / "ca.pem") as client,
        pytest.raises(errors.Unavailable),
    ):
        client.identity(timeout=10.0)
    assert not neighbour.heard


def test_a_certificate_of_another_authority_is_refused_and_said_so(
    neighbour: Neighbour, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other.pem").write_bytes(Authority("another").roots)
    with (
        _serving(neighbour, authority) as port,
        Client(f"127.0.0.1:{port}", tls=tmp_path / "other.pem") as client,
        pytest.raises(errors.Unavailable, match="no secure connection"),
    ):
        client.identity(timeout=10.0)
    assert not neighbour.heard


def test_a_certificate_for_another_name_is_refused_and_said_so(
    neighbour: Neighbour, tmp_path: Path
) -> None:
    key, certificate = self_signed()
    (tmp_path / "ca.pem").write_bytes(certificate)
    credentials = grpc.ssl_server_credentials([(key, certificate)])
    with (
        listening(neighbour, credentials) as port,
        Client(f"127.0.0.1:{port}", tls=tmp_path / "ca.pem") as client,
        pytest.raises(errors.Unavailable, match="must be for this name"),
    ):
        client.identity(timeout=10.0)
    assert not neighbour.heard


def test_an_authority_that_is_not_there_is_an_error_at_once() -> None:
    with pytest.raises(FileNotFoundError):
        Gateway("localhost:1", Path("/nowhere/ca.pem")).open()


def test_a_file_without_authorities_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ValueError, match="holds no certificate"):
        Gateway("localhost:1", tmp_path / "ca.pem").open()


def test_a_key_of_another_certificate_is_an_error_at_once(
    authority: Authority, mine: ClientCertificate
) -> None:
    mine.key.write_bytes(authority.certificate("other").key)
    with pytest.raises(ValueError, match="no certificate and its key"):
        Gateway("localhost:1", certificate=mine).open()


def test_a_certificate_is_never_for_plaintext(mine: ClientCertificate) -> None:
    with pytest.raises(ValueError, match="needs TLS"):
        Gateway("localhost:1", tls=False, certificate=mine).open()


Secure = Callable[..., Result]


@pytest.fixture
def secure(
    neighbour: Neighbour,
    authority: Authority,
    mine: ClientCertificate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Secure]:
    """Runs `rag` against a gateway that wants a certificate, and is told all by the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_TOKEN", "given")
    monkeypatch.setenv("RAG_CA_FILE", "ca.pem")
    monkeypatch.setenv("RAG_CERT_FILE", mine.chain.name)
    monkeypatch.setenv("RAG_KEY_FILE", mine.key.name)
    with _serving(neighbour, authority, mutual=True) as port:
        monkeypatch.setenv("RAG_TARGET", f"localhost:{port}")
        yield lambda *words: CliRunner().invoke(app, words)


def test_a_command_finds_authority_and_certificate_in_the_environment(
    secure: Secure, neighbour: Neighbour
) -> None:
    neighbour.says("GetIdentity", grants.identity())
    result = secure("whoami")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "acme" in result.stdout


def test_a_certificate_without_its_key_is_wrong_usage(
    secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAG_KEY_FILE")
    result = secure("whoami")
    assert result.exit_code == 2
    assert "go together" in result.stderr
