"""TLS to the gateway: whom the client trusts, whom it says it is, and what it says if that fails."""

from pathlib import Path

import grpc
import pytest

from rag_client import Client, ClientCertificate
from rag_client.transport.channel import Gateway
from rag_contract import errors
from tests.support.authority import Authority
from tests.support.client import grants
from tests.support.client.certificates import self_signed
from tests.support.client.fixtures import Rag
from tests.support.client.neighbour import Neighbour, listening, secured


@pytest.mark.parametrize(
    ("trusted", "match"),
    [(False, "no secure connection"), (True, "must be valid for this host name")],
    ids=["another authority", "another name"],
)
def test_a_certificate_that_is_not_trusted_is_refused_with_the_reason(
    neighbour: Neighbour, tmp_path: Path, trusted: bool, match: str
) -> None:
    key, certificate = self_signed()
    ca = tmp_path / "ca.pem"
    ca.write_bytes(certificate if trusted else Authority("another").roots)
    with (
        listening(neighbour, grpc.ssl_server_credentials([(key, certificate)])) as port,
        Client(f"127.0.0.1:{port}", tls=ca) as client,
        pytest.raises(errors.Unavailable, match=match),
    ):
        client.identity(timeout=10.0)
    assert not neighbour.heard


def test_a_key_of_another_certificate_is_an_error_at_once(
    authority: Authority, mine: ClientCertificate
) -> None:
    mine.key.write_bytes(authority.certificate("other").key)
    with pytest.raises(ValueError, match="not a certificate and its key"):
        Gateway("localhost:1", certificate=mine).open()


def test_a_certificate_is_never_for_plaintext(mine: ClientCertificate) -> None:
    with pytest.raises(ValueError, match="needs TLS"):
        Gateway("localhost:1", tls=False, certificate=mine).open()


def test_a_command_takes_a_certificate_from_its_option_and_the_rest_from_the_environment(
    rag: Rag,
    neighbour: Neighbour,
    authority: Authority,
    mine: ClientCertificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAG_CA_FILE", "ca.crt")
    monkeypatch.setenv("RAG_KEY_FILE", "tls.key")
    neighbour.says("GetIdentity", grants.identity())
    with secured(neighbour, authority, mutual=True) as port:
        monkeypatch.setenv("RAG_TARGET", f"localhost:{port}")
        assert rag("whoami", "--cert", "tls.crt").exit_code == 0
        without = rag("whoami")
    assert without.exit_code == 2
    assert "must be set together" in without.stderr
