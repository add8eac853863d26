"""The client and the command `rag`, installed by pip from their wheels into empty environments."""

import json
import os
import secrets
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.platform import Platform
from tests.support.parts import missing

# `rag doctor` looks at the ports of `make run`, which another worker must not be using.
pytestmark = pytest.mark.xdist_group("fixed ports")

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = "대리의 출장비 한도는 하루 80,000원이다."
QUESTION = "대리의 출장비 한도는 하루 얼마인가?"
ANSWER = "80,000"
SECONDS = 300
PIP = (sys.executable, "-m", "pip")

# Imports every module of the packages that are named, and prints the packages that were loaded.
IMPORT_ALL = """
import importlib, json, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for exported in getattr(package, "__all__", ()):
        getattr(package, exported)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""

ASK = """
import asyncio, json, sys
from rag_client import AsyncClient, Client
document, question = sys.argv[1:]

with Client() as rag:
    ingested = rag.ingest(document.encode(), document_id="travel", media_type="text/plain")
    answer = rag.answer(question)
    events = [type(event).__name__ for event in rag.stream_answer(question)]

async def search():
    async with AsyncClient() as rag:
        return [scored.passage.text for scored in (await rag.search(question)).passages]

print(json.dumps({
    "outcome": ingested.outcome, "answer": answer.text, "events": [events[0], events[-1]],
    "passages": asyncio.run(search()),
}))
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment without pip: the pip of this one installs into it."""

    folder: Path

    def install(self, *arguments: str | Path, **variables: str) -> None:
        """Install distributions, with their dependencies from pip's configured index."""
        self._pip("install", "--quiet", "--no-compile", *arguments, **variables)

    def distributions(self) -> set[str]:
        """The names of all that is installed."""
        return {item["name"] for item in json.loads(self._pip("list", "--format=json"))}

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def _pip(self, *arguments: str | Path, **variables: str) -> str:
        return _run(*PIP, "--python", self.python, *arguments, **variables)


def _run(*command: str | Path, **variables: str) -> str:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RAG_", "PYTHON")) and name != "VIRTUAL_ENV"
    }
    ended = subprocess.run(
        command, env={**inherited, **variables}, cwd="/", capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="module")
def builders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what packs our distributions, from the package index."""
    folder = tmp_path_factory.mktemp("builders")
    locked = ("--no-deps", "--require-hashes", "-r", ROOT / "requirements" / "build.txt")
    installed = subprocess.run(
        [*PIP, "install", "--quiet", "--target", folder, *locked],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    if installed.returncode:
        last = (installed.stderr.strip().splitlines() or ["no message"])[-1]
        missing(f"pip can reach no package index, so nothing can be installed from one: {last}")
    return folder


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory, builders: Path) -> Path:
    """A folder with the wheels of the client and of the command."""
    folder = tmp_path_factory.mktemp("wheels")
    sources = (ROOT / "libs" / "client", ROOT / "libs" / "cli")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder)
    _run(*PIP, "wheel", *options, *sources, PYTHONPATH=str(builders))
    return folder


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Environment:
    """An environment with the client alone."""
    environment = _environment(tmp_path_factory.mktemp("client"))
    environment.install(*wheels.glob("rag_client-*.whl"))
    return environment


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Environment:
    """An environment with the command, which brings the client."""
    environment = _environment(tmp_path_factory.mktemp("command"))
    environment.install("--find-links", wheels, *wheels.glob("rag_cli-*.whl"))
    return environment


def _environment(folder: Path) -> Environment:
    _run(sys.executable, "-m", "venv", "--without-pip", folder)
    environment = Environment(folder)
    assert environment.distributions() == set()
    return environment


@pytest.fixture
def connection(platform: Platform) -> dict[str, str]:
    """The variables that name the running gateway and a token for a tenant of the test's own."""
    token = platform.token(f"t-{secrets.token_hex(6)}")
    return {"RAG_TARGET": platform.target, "RAG_TOKEN": token}


def test_the_client_brings_grpc_and_protobuf_and_nothing_else(client: Environment) -> None:
    needed = {"rag-client", "grpcio", "protobuf", "googleapis-common-protos"}
    assert needed <= client.distributions() <= needed | {"typing_extensions"}


def test_importing_the_client_loads_no_package_of_a_server(client: Environment) -> None:
    loaded = set(json.loads(_run(client.python, "-c", IMPORT_ALL, "rag_client", "rag_contract")))
    packages = {name for name in loaded if name.startswith("rag")}
    assert packages == {"rag", "rag_client", "rag_contract"}
    assert loaded.isdisjoint({"pydantic", "structlog", "opentelemetry", "aiohttp", "redis"})


def test_the_client_alone_ingests_and_asks(client: Environment, connection: dict[str, str]) -> None:
    printed = _run(client.python, "-c", ASK, DOCUMENT, QUESTION, **connection)
    result = json.loads(printed)
    assert result["outcome"] == "created"
    assert ANSWER in result["answer"]
    assert result["events"] == ["Started", "Completed"]
    assert any(ANSWER in text for text in result["passages"])


def test_every_module_of_the_command_finds_what_it_imports(command: Environment) -> None:
    assert "rag-platform" not in command.distributions()
    loaded = set(json.loads(_run(command.python, "-c", IMPORT_ALL, "rag_cli")))
    packages = {name for name in loaded if name.startswith("rag")}
    assert packages == {"rag", "rag_cli", "rag_client", "rag_contract"}


def test_the_command_alone_states_its_version_ingests_and_asks(
    command: Environment, connection: dict[str, str], tmp_path: Path
) -> None:
    rag = command.folder / "bin" / "rag"
    assert _run(rag, "--version").startswith("rag 0.1.0 ")
    document = tmp_path / "travel.txt"
    document.write_text(DOCUMENT, encoding="utf-8")
    ingested = json.loads(_run(rag, "ingest", document, "--json", **connection))
    assert [item["outcome"] for item in ingested["documents"]] == ["created"]
    assert ANSWER in _run(rag, "ask", QUESTION, **connection)
    checks = json.loads(_run(rag, "doctor", "--json", **connection))["checks"]
    assert {"connection", "token", "identity", "versions"} <= {check["name"] for check in checks}


def test_an_editable_client_reads_the_contract_from_the_sources(
    tmp_path: Path, builders: Path
) -> None:
    """Copies of it in the environment would hide every later change of the sources."""
    environment = _environment(tmp_path)
    options = ("--no-deps", "--no-build-isolation", "--editable")
    environment.install(*options, ROOT / "libs" / "client", PYTHONPATH=str(builders))
    paths = {"base": str(tmp_path), "platbase": str(tmp_path)}
    packages = Path(sysconfig.get_path("purelib", "venv", paths))
    assert {path.name for path in packages.iterdir()} == {
        "_rag_client.pth",
        *(path.name for path in packages.glob("rag_client-*.dist-info")),
    }
    lines = set((packages / "_rag_client.pth").read_text().split())
    assert lines == {str(ROOT / "libs" / name) for name in ("client", "contract", "protos")}
