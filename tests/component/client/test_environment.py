"""What the environment says of the gateway and the caller, to the library as to `rag`."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rag_client import AsyncClient, Client, ClientCertificate
from rag_contract import errors
from tests.support.authority import Authority
from tests.support.client import grants
from tests.support.client.fixtures import Rag
from tests.support.client.neighbour import TRACE, Neighbour, secured

# Makes a client with the given arguments, and asks it who the caller is.
WhoAmI = Callable[..., Any]


@pytest.fixture(params=["sync", "sync from_env", "async", "async from_env"])
def whoami(request: pytest.FixtureRequest) -> WhoAmI:
    flavour, _, method = request.param.partition(" ")
    kind: Any = Client if flavour == "sync" else AsyncClient
    make: Callable[..., Any] = getattr(kind, method) if method else kind

    def ask(**options: Any) -> Any:
        with make(**options) as client:
            return client.identity(timeout=10.0)

    async def ask_async(**options: Any) -> Any:
        async with make(**options) as client:
            return await client.identity(timeout=10.0)

    return ask if flavour == "sync" else lambda **options: asyncio.run(ask_async(**options))


@pytest.fixture
def secure(neighbour: Neighbour, authority: Authority) -> Iterator[str]:
    """The address of a gateway that wants a certificate of the authority's."""
    with secured(neighbour, authority, mutual=True) as port:
        yield f"localhost:{port}"


def _files(folder: Path, authority: Authority) -> dict[str, str]:
    """The variables that name an authority, and a certificate that it signed."""
    authority.lay(folder, "client")
    names = {"CA": "ca.crt", "CERT": "tls.crt", "KEY": "tls.key"}
    return {f"RAG_{variable}_FILE": str(folder / name) for variable, name in names.items()}


def _set(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def _authorization(neighbour: Neighbour) -> str | None:
    return neighbour.heard[-1].metadata.get("authorization")


def test_target_and_token_come_from_the_environment(
    whoami: WhoAmI, neighbour: Neighbour, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, {"RAG_TARGET": target, "RAG_TOKEN": "  from-variable\n"})
    neighbour.says("GetIdentity", grants.identity())
    assert whoami().tenant == "acme"
    assert _authorization(neighbour) == "Bearer from-variable"


@pytest.mark.parametrize(
    ("variables", "given", "expected"),
    [
        ({"RAG_TOKEN_FILE": "token"}, None, "Bearer from-file"),
        ({"RAG_TOKEN": "", "RAG_TOKEN_FILE": "token"}, None, "Bearer from-file"),
        ({"RAG_TOKEN": "variable", "RAG_TOKEN_FILE": "token"}, None, "Bearer variable"),
        ({"RAG_TOKEN": "variable"}, "argument", "Bearer argument"),
        ({"RAG_TOKEN_FILE": "nowhere"}, "argument", "Bearer argument"),
        ({"RAG_TOKEN": "variable"}, lambda: "function", "Bearer function"),
        ({"RAG_TOKEN": "variable"}, "", None),
    ],
)
def test_an_argument_counts_more_than_a_variable_and_a_token_more_than_a_file(
    whoami: WhoAmI,
    neighbour: Neighbour,
    target: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    given: Any,
    expected: str | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text("from-file\n")
    _set(monkeypatch, {"RAG_TARGET": "127.0.0.1:1", **variables})
    neighbour.says("GetIdentity", grants.identity())
    whoami(target=target, token=given)
    assert _authorization(neighbour) == expected


def test_a_token_file_of_the_environment_is_read_again_when_it_changes(
    neighbour: Neighbour, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    _set(monkeypatch, {"RAG_TARGET": target, "RAG_TOKEN_FILE": str(path)})
    neighbour.says("GetIdentity", grants.identity(), grants.identity())
    with Client() as client:
        client.identity()
        path.write_text("second")
        client.identity()
    assert _authorization(neighbour) == "Bearer second"


@pytest.mark.parametrize("name", ["RAG_CA_FILE", "RAG_CA"])
def test_authority_and_certificate_come_from_the_environment(
    whoami: WhoAmI,
    neighbour: Neighbour,
    authority: Authority,
    secure: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    variables = _files(tmp_path / "tls", authority)
    variables[name] = variables.pop("RAG_CA_FILE")
    _set(monkeypatch, {"RAG_TARGET": secure, "RAG_TOKEN": "t", **variables})
    neighbour.says("GetIdentity", grants.identity())
    assert whoami().tenant == "acme"


def test_authority_and_certificate_of_the_arguments_count_more(
    whoami: WhoAmI,
    neighbour: Neighbour,
    authority: Authority,
    secure: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _set(monkeypatch, _files(tmp_path / "other", Authority("another")))
    right = _files(tmp_path / "right", authority)
    neighbour.says("GetIdentity", grants.identity())
    certificate = ClientCertificate(Path(right["RAG_CERT_FILE"]), Path(right["RAG_KEY_FILE"]))
    # A path may be a text as well.
    ca = right["RAG_CA_FILE"]
    assert whoami(target=secure, token="t", tls=ca, certificate=certificate).tenant == "acme"


def test_plaintext_that_is_asked_for_leaves_the_certificates_of_the_environment_out(
    whoami: WhoAmI,
    neighbour: Neighbour,
    target: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _set(monkeypatch, {"RAG_TARGET": target, **_files(tmp_path / "tls", Authority())})
    neighbour.says("GetIdentity", grants.identity())
    assert whoami(token="t", tls=False).tenant == "acme"


def test_an_environment_that_is_given_takes_the_place_of_the_process_s(
    whoami: WhoAmI, neighbour: Neighbour, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, {"RAG_TARGET": "127.0.0.1:1", "RAG_TOKEN": "x", "RAG_CA_FILE": "nowhere"})
    neighbour.says("GetIdentity", grants.identity(), grants.identity())
    whoami(environ={"RAG_TARGET": target, "RAG_TOKEN": "given"})
    assert _authorization(neighbour) == "Bearer given"
    whoami(target=target, environ={})
    assert _authorization(neighbour) is None


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"RAG_TOKEN": "Bearer abc"}, "RAG_TOKEN does not hold exactly one token"),
        ({"RAG_TOKEN": "토큰"}, "RAG_TOKEN does not hold exactly one token"),
        ({"RAG_TOKEN_FILE": "nowhere"}, "nowhere"),
        ({"RAG_TOKEN_FILE": "empty"}, "empty does not hold exactly one token"),
        ({"RAG_CA_FILE": "nowhere"}, "nowhere"),
        ({"RAG_CA_FILE": "empty"}, "empty holds no certificate"),
        ({"RAG_CERT_FILE": "empty"}, "must be set together"),
        ({"RAG_KEY_FILE": "empty"}, "must be set together"),
    ],
)
def test_a_variable_that_does_not_hold_what_it_should_is_an_error_that_names_it(
    whoami: WhoAmI,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").touch()
    _set(monkeypatch, variables)
    with pytest.raises((OSError, ValueError), match=expected):
        whoami()


@pytest.mark.parametrize(
    ("variables", "given", "reason"),
    [
        ({}, None, "RAG_TOKEN is not set and RAG_TOKEN_FILE is not set"),
        ({"RAG_TOKEN": ""}, None, "RAG_TOKEN is empty and RAG_TOKEN_FILE is not set"),
        ({"RAG_TOKEN": "x"}, "", "the argument `token` is empty"),
    ],
)
def test_without_a_token_the_error_says_where_one_was_looked_for(
    whoami: WhoAmI,
    neighbour: Neighbour,
    target: str,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    given: str | None,
    reason: str,
) -> None:
    _set(monkeypatch, variables)
    neighbour.says("GetIdentity", errors.TokenMissing("there is no bearer token"))
    with pytest.raises(errors.TokenMissing) as refused:
        whoami(target=target, token=given)
    assert "no token was found" in refused.value.message
    assert reason in refused.value.message
    assert refused.value.trace_id == TRACE


def test_without_a_token_a_stream_and_an_upload_say_so_too(
    neighbour: Neighbour, target: str
) -> None:
    missing = errors.TokenMissing("there is no bearer token")
    neighbour.says("StreamAnswer", missing)
    neighbour.says("UploadDocument", missing)
    with Client(target) as client:
        with pytest.raises(errors.TokenMissing, match="no token was found"):
            list(client.stream_answer("연차"))
        with pytest.raises(errors.TokenMissing, match="no token was found"):
            client.ingest(b"x" * (2 * 2**20))


def test_a_token_that_was_sent_and_got_lost_is_not_called_missing_here(
    neighbour: Neighbour, target: str
) -> None:
    neighbour.says("GetIdentity", errors.TokenMissing("there is no bearer token"))
    with Client(target, token="sent") as client, pytest.raises(errors.TokenMissing) as refused:
        client.identity()
    assert refused.value.message == "there is no bearer token"


def test_a_command_without_a_token_says_where_one_was_looked_for(
    rag: Rag, neighbour: Neighbour, tmp_path: Path
) -> None:
    (tmp_path / ".rag" / "keys" / "dev.pem").unlink()
    neighbour.says("Search", errors.TokenMissing("there is no bearer token"))
    result = rag("search", "연차")
    assert (result.exit_code, result.stdout) == (1, "")
    for place in ("--token", "--token-file", "RAG_TOKEN", "RAG_TOKEN_FILE", "dev.pem", TRACE):
        assert place in result.stderr
