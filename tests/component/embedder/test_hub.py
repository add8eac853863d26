"""A model that cannot be loaded is refused at once, in one sentence: by the command and by the service."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from rag_common.settings import SettingsInvalid
from rag_embedder.models.hub import _TIMEOUT, cached_only
from rag_embedder.models.prepare_model import require_models
from rag_local.program import free_port
from tests.support.embedder.small import bi_encoder

NAME = "nobody/no-such-model"


class Answering(BaseHTTPRequestHandler):
    """A hub that answers every question with one status."""

    status = 404
    reason = ""

    def do_GET(self) -> None:
        """Answer a question for a model."""
        body = json.dumps({"error": "as the test wants it"}).encode()
        self.send_response(self.status)
        if self.reason:
            self.send_header("X-Error-Code", self.reason)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@contextmanager
def hub(status: int, reason: str = "") -> Iterator[str]:
    """A hub's address; it answers with the status, and with the hub's own code for it."""
    handler = type("Handler", (Answering,), {"status": status, "reason": reason})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "reason", "sentence"),
    [
        (401, "RepoNotFound", "neither a folder nor a model on"),
        (404, "RepoNotFound", "neither a folder nor a model on"),
        (403, "GatedRepo", "access to it is restricted"),
        (503, "", "it answers 503"),
        (429, "", "it answers 429"),
    ],
)
def test_what_the_hub_refuses_is_refused_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, reason: str, sentence: str
) -> None:
    with hub(status, reason) as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        with pytest.raises(SettingsInvalid, match=f"^EMBEDDER_MODEL {NAME}.*{sentence}") as refused:
            cached_only(NAME, "EMBEDDER_MODEL")
    assert address in str(refused.value)


@pytest.mark.parametrize("problem", ["refused", "timed out"])
def test_a_hub_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        if problem == "refused":
            silent.close()
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        assert _TIMEOUT <= 5
        monkeypatch.setattr("rag_embedder.models.hub._TIMEOUT", 0.3)
        with pytest.raises(SettingsInvalid, match=f"is not in the cache .*{problem}"):
            cached_only(NAME, "EMBEDDER_MODEL")


def test_the_command_refuses_in_one_line_and_offline_by_choice(tmp_path: Path) -> None:
    ended = _run(tmp_path, _PREPARE, {"HF_HUB_OFFLINE": "1"})
    assert ended.returncode == 2
    assert "HF_HUB_OFFLINE is set" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr


@pytest.mark.parametrize("model", ["./models/mine", "/nowhere/at/all", "a/b/c", "two words"])
def test_what_is_no_name_is_taken_for_a_folder_that_is_not_there(model: str) -> None:
    with pytest.raises(SettingsInvalid, match="is neither a folder nor a valid model name"):
        cached_only(model, "EMBEDDER_MODEL")


@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        ({"EMBEDDER_RUNTIME": "torch", "EMBEDDER_MODEL": NAME}, "EMBEDDER_MODEL"),
        ({"EMBEDDER_RUNTIME": "torch", "EMBEDDER_RERANKER": NAME}, "EMBEDDER_RERANKER"),
    ],
    ids=["torch", "reranker"],
)
def test_the_service_ends_with_the_same_sentence(
    tmp_path: Path, settings: dict[str, str], setting: str
) -> None:
    with hub(404, "RepoNotFound") as address:
        ports = {"EMBEDDER_PORT": "0", "EMBEDDER_HEALTH_PORT": "0", "EMBEDDER_HTTP_PORT": "0"}
        ended = _run(
            tmp_path, ["-m", "rag_embedder"], {"HF_ENDPOINT": address, **ports, **settings}
        )
    assert ended.returncode != 0
    last = ended.stderr.strip().splitlines()[-1] if ended.stderr.strip() else ended.stdout
    assert f"{setting} {NAME} is neither a folder nor a model on" in last


def test_a_cached_model_is_prepared_though_the_hub_is_not_there(tmp_path: Path) -> None:
    commit = "0" * 40
    cached = tmp_path / "hub" / f"models--{NAME.replace('/', '--')}"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(commit)
    (cached / "snapshots").mkdir()
    bi_encoder(tmp_path / "small", pooling="mean").rename(cached / "snapshots" / commit)
    address = f"http://127.0.0.1:{free_port()}"
    ended = _run(tmp_path, _PREPARE, {"HF_ENDPOINT": address})
    assert ended.returncode == 0, ended.stderr
    assert "Retrying" not in ended.stderr
    target = tmp_path / "models" / f"{NAME.replace('/', '--')}-int8"
    assert json.loads((target / "manifest.json").read_text())["name"] == NAME


@pytest.mark.parametrize(
    ("hidden", "named"),
    [
        (["torch"], "needs torch, not installed"),
        (
            ["sentence_transformers", "transformers"],
            "needs sentence-transformers and transformers,",
        ),
        (
            ["torch", "sentence_transformers", "transformers"],
            "needs torch and sentence-transformers",
        ),
    ],
    ids=["torch", "libraries", "all"],
)
def test_packages_that_are_missing_are_named(
    monkeypatch: pytest.MonkeyPatch, hidden: list[str], named: str
) -> None:
    for module in hidden:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SettingsInvalid, match=f"EMBEDDER_MODEL {NAME} {named}.*make models"):
        require_models(f"EMBEDDER_MODEL {NAME}")


@pytest.mark.parametrize(
    ("module", "settings", "sentence"),
    [
        ("rag_embedder", {"EMBEDDER_MODEL": NAME}, f"EMBEDDER_MODEL {NAME} needs torch"),
        (
            "rag_embedder",
            {"EMBEDDER_RUNTIME": "torch"},
            "EMBEDDER_MODEL multilingual-e5-small needs torch",
        ),
        ("rag_embedder", {"EMBEDDER_RERANKER": NAME}, f"EMBEDDER_RERANKER {NAME} needs torch"),
        (
            "rag_embedder.models.prepare_model",
            {"EMBEDDER_MODEL": NAME},
            f"EMBEDDER_MODEL {NAME} needs torch",
        ),
        (
            "rag_generator",
            {"GENERATOR_LLAMA_MODEL": __file__},
            "GENERATOR_LLAMA_MODEL needs xllamacpp",
        ),
    ],
    ids=["model", "runtime", "reranker", "command", "llama"],
)
def test_a_setting_that_needs_more_packages_says_so_at_start(
    tmp_path: Path, module: str, settings: dict[str, str], sentence: str
) -> None:
    prepared = tmp_path / "models" / "multilingual-e5-small-int8"
    prepared.mkdir(parents=True)
    program = (
        "import runpy, sys; "
        "sys.modules |= dict.fromkeys(['torch', 'sentence_transformers', 'transformers', 'xllamacpp']); "
        f"sys.argv = ['-']; runpy.run_module({module!r}, run_name='__main__')"
    )
    ended = _run(tmp_path, ["-c", program], settings)
    assert ended.returncode != 0
    assert sentence in f"{ended.stdout}{ended.stderr}"
    assert "Traceback" not in ended.stderr


_PREPARE = ["-m", "rag_embedder.models.prepare_model", "--model", NAME]


def _run(
    folder: Path, arguments: list[str], environment: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HF_", "EMBEDDER_"))
    }
    paths = {
        "HF_HOME": str(folder),
        "EMBEDDER_MODELS_DIR": str(folder / "models"),
        "NO_PROXY": "127.0.0.1",
    }
    return subprocess.run(
        [sys.executable, *arguments],
        env={**clean, **paths, **environment}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
