"""A neighbour for each test, and the client in both its flavours."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner, Result

from rag_cli.main import app
from rag_client import ClientCertificate
from rag_client.client.aio import AsyncClient
from rag_client.client.sync import Client
from rag_client.transport.calls import Retries
from tests.support.authority import Authority
from tests.support.client.neighbour import Neighbour, listening

Rag = Callable[..., Result]
AT_ONCE = Retries(first_wait=0.0)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps what the developer's shell says of a gateway out of the tests."""
    for name in list(os.environ):
        if name.startswith("RAG_"):
            monkeypatch.delenv(name)


@pytest.fixture
def neighbour() -> Neighbour:
    return Neighbour()


@pytest.fixture
def target(neighbour: Neighbour) -> Iterator[str]:
    with listening(neighbour) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def ca(authority: Authority, tmp_path: Path) -> Path:
    """The file with the authority's roots."""
    authority.lay(tmp_path, "client")
    return tmp_path / "ca.crt"


@pytest.fixture
def mine(ca: Path) -> ClientCertificate:
    """A certificate of the authority's, for the client."""
    return ClientCertificate(ca.with_name("tls.crt"), ca.with_name("tls.key"))


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, target: str) -> Callable[..., Any]:
    """Calls a method of the client by name, in either flavour; a stream comes back as a list."""
    return _call_sync(target) if request.param == "sync" else _call_async(target)


def _call_sync(target: str) -> Callable[..., Any]:
    def run(method: str, *arguments: Any, **options: Any) -> Any:
        with Client(target, token="the-token", retries=AT_ONCE) as client:
            result = getattr(client, method)(*arguments, **options)
            return list(result) if isinstance(result, Iterator) else result

    return run


def _call_async(target: str) -> Callable[..., Any]:
    def run(method: str, *arguments: Any, **options: Any) -> Any:
        return asyncio.run(_awaited(target, method, *arguments, **options))

    return run


async def _awaited(target: str, method: str, *arguments: Any, **options: Any) -> Any:
    async with AsyncClient(target, token="the-token", retries=AT_ONCE) as client:
        result = getattr(client, method)(*arguments, **options)
        if isinstance(result, AsyncIterator):
            return [item async for item in result]
        return await result


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def rag(
    target: str, tmp_path: Path, key: Ed25519PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> Rag:
    """Runs `rag` in a folder that holds a development key."""
    keys = tmp_path / ".rag" / "keys"
    keys.mkdir(parents=True)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (keys / "dev.pem").write_bytes(pem)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_TARGET", target)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(app, words)


def start_rag(*words: str, **options: Any) -> "subprocess.Popen[str]":
    """Starts `rag` as a process of its own, which an interrupt ends."""
    # Started in the background of a script, Python would have been told to ignore the interrupt.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heed}; from rag_cli.main import main; main()"
    own = {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200", "TERM": "xterm"}
    options = {"stderr": subprocess.PIPE, "text": True, "env": {**os.environ, **own}, **options}
    return subprocess.Popen([sys.executable, "-c", code, *words], **options)
