"""The images of the services run: unpacked, as their user, on a read-only root, they answer a question."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tools.images import base
from tools.images.archive import Archive
from tools.images.build import WHEELS, records, tar_of, version
from tools.images.roots import ImageRoot, unpacked

from rag_local import dev_keys
from tests.e2e.callers import CREATED, Caller
from tests.e2e.platform import Platform
from tests.support.cluster.image_roots import SERVICES, built
from tests.support.parts import ROOT, missing

pytestmark = pytest.mark.xdist_group("images")
USER = 65532
# Megabytes above the base.
MAX_MEGABYTES = {
    "gateway": 150,
    "generator": 150,
    "retriever": 150,
    "ingestor": 150,
    "embedder": 400,
}
COMPILERS = {"cc", "gcc", "g++", "clang", "ld", "as", "make", "pip", "pip3", "easy_install"}
LEAVE = "# 휴가 규정\n\n## 연차\n\n연차 휴가는 15일입니다.\n"


@pytest.fixture(scope="module")
def images() -> Mapping[str, Archive]:
    return built()


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The volume of all services: keys, models, data; its folders belong to the images' user."""
    home = tmp_path_factory.mktemp("volume")
    dev_keys.ensure(home / "keys")
    for path in (home, *home.rglob("*")):
        os.chown(path, USER, USER)
    for path in home.parents[:2]:
        path.chmod(0o755)
    return home


@pytest.fixture(scope="module")
def roots(
    images: Mapping[str, Archive], volume: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, ImageRoot]]:
    folder = tmp_path_factory.mktemp("roots")
    yield {name: unpacked(image, folder / name, volume) for name, image in images.items()}
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def platform(roots: Mapping[str, ImageRoot], volume: Path) -> Iterator[Platform]:
    """The services of the images; the embedder's model is prepared by the init command."""
    settings = {
        "EMBEDDER_MODELS_DIR": str(volume / "models"),
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    }
    init = roots["embedder"].command("python3", "-m", "rag_embedder.models.prepare_model")
    subprocess.run(init, env=settings, check=True, timeout=300)
    running = Platform(volume, settings)
    for name, spec in running.specs.items():
        running.specs[name] = replace(spec, command=roots[name].command())
    with running:
        yield running


@pytest_asyncio.fixture
async def caller(platform: Platform) -> AsyncIterator[Caller]:
    async with grpc.aio.insecure_channel(platform.target) as channel:
        yield Caller(channel, platform.token("acme"))


async def test_the_processes_of_the_images_answer_a_question(caller: Caller) -> None:
    done = await caller.ingest("leave", LEAVE, filename="leave.md")
    assert done.outcome == CREATED
    reply = await caller.ask("연차 휴가는 며칠인가요?")
    assert "15일" in reply.text
    assert [citation.document_id for citation in reply.citations] == ["leave"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_is_not_root_and_has_a_read_only_root(
    platform: Platform, roots: Mapping[str, ImageRoot], service: str
) -> None:
    status = Path(f"/proc/{platform.process(service)}/status").read_text()
    assert f"\nUid:\t{USER}\t{USER}\t{USER}\t{USER}\n" in status
    refused = roots[service].command("python3", "-c", "open('/opt/rag/new', 'w')")
    done = subprocess.run(refused, capture_output=True, text=True)
    assert "Read-only file system" in done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_has_no_pip_no_compiler_and_no_setuid_file(
    roots: Mapping[str, ImageRoot], service: str
) -> None:
    folder = roots[service].folder
    command = ("find", str(folder), "-xdev", "-printf", "%m %y %P\\n")
    found = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    files = [line.split(" ", 2) for line in found if line.count(" ") >= 2]
    assert len(files) > 1000
    assert not [p for mode, kind, p in files if kind == "f" and int(mode, 8) & 0o6000]
    assert not [p for _, kind, p in files if kind != "d" and Path(p).name in COMPILERS]
    code = "import importlib.util as u; print([u.find_spec(n) for n in ('pip', 'ensurepip')])"
    command = roots[service].command("python3", "-c", code)
    assert subprocess.run(command, capture_output=True, text=True).stdout == "[None, None]\n"


def test_the_gateways_image_renders_the_edge(roots: Mapping[str, ImageRoot], volume: Path) -> None:
    values, folder = volume / "values.toml", volume / "edge"
    shutil.copy(ROOT / "deploy/envoy/production.toml", values)
    values.chmod(0o644)
    render = ("python3", "-m", "rag_edge.render", str(values), str(folder))
    subprocess.run(roots["gateway"].command(*render), check=True)
    assert (folder / "envoy.yaml").is_file()


def test_the_smoke_test_passes_from_the_gateways_image(
    platform: Platform, roots: Mapping[str, ImageRoot]
) -> None:
    variables = {"RAG_TARGET": platform.target, "RAG_TOKEN": platform.token("smoke")}
    command = roots["gateway"].command("python3", "-m", "rag_client.smoke_test")
    environment = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "search after deletion" in done.stdout


@pytest.mark.usefixtures("platform")
def test_nothing_is_mounted_outside_of_the_processes(roots: Mapping[str, ImageRoot]) -> None:
    mounts = Path("/proc/self/mounts").read_text()
    assert not [name for name, root in roots.items() if f" {root.folder}" in mounts]


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_is_small_and_describes_itself(
    images: Mapping[str, Archive], service: str
) -> None:
    record, image = records()[service], images[service]
    assert (record["bytes"] - record["base_bytes"]) / 1e6 < MAX_MEGABYTES[service]
    assert record["digest"] == image.digest
    labels = image.config["config"]["Labels"]
    prefix = "org.opencontainers.image"
    assert labels[f"{prefix}.title"] == f"rag-{service}"
    assert labels[f"{prefix}.version"] == version()
    assert labels[f"{prefix}.base.digest"] == record["base_digest"]
    assert image.config["config"]["User"] == f"{USER}:{USER}"
    assert stat.S_ISREG(tar_of(service).stat().st_mode)


@pytest.mark.parametrize("service", SERVICES)
def test_the_list_of_packages_is_valid_and_whole(
    images: Mapping[str, Archive], service: str
) -> None:
    text = tar_of(service).with_suffix(".cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    names = {component["name"] for component in json.loads(text)["components"]}
    assert {"rag-platform", "rag-client", "grpcio", "libc6"} <= names
    assert images[service].digest in text


@pytest.mark.long
def test_built_again_from_clean_an_image_has_the_same_bytes(images: Mapping[str, Archive]) -> None:
    path = tar_of("gateway")
    before = _sha256(path)
    path.unlink()
    for name in ("gateway", "own", "pip"):
        shutil.rmtree(WHEELS / name)
    again = built(("gateway",))["gateway"]
    assert _sha256(path) == before
    assert again.digest == images["gateway"].digest


@pytest.mark.long
def test_made_again_the_base_has_the_same_bytes(tmp_path: Path) -> None:
    if os.geteuid() or not shutil.which("debootstrap"):
        missing("the base is made by debootstrap, as root")
    first, second = tmp_path / "one/base.tar", tmp_path / "two/base.tar"
    for path in (first, second):
        path.parent.mkdir()
        base.make(path)
    assert _sha256(first) == _sha256(second)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
