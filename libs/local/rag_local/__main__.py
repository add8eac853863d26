"""`make run`: the platform on this machine, with its sample documents and three questions."""

import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from rag_local.platform import ROOT, platform, rag
from rag_local.processes import Running, StartFailed

SAMPLES = ROOT / "samples"


def main() -> int:
    """Run until Ctrl-C, or with ONCE=1 until the questions are answered."""
    home = Path(os.environ.setdefault("RAG_HOME", ".rag"))
    # Ended by one of these at once, or deaf to it, it would leave the services running.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        _run(home, once=os.environ.get("ONCE", "") not in ("", "0"))
    except (StartFailed, OSError) as error:
        sys.stderr.write(f"make run: {error}\n")
        return 1
    except KeyboardInterrupt:
        say("stopped")
    return 0


def say(text: str) -> None:
    """A line for whoever watches."""
    print(text, flush=True)


def _run(home: Path, *, once: bool) -> None:
    say("starting embedder, retriever, generator and gateway …")
    with platform(home) as (services, seconds):
        say(f"all healthy after {seconds:.1f} s ({_ready_times(services)})\n")
        _tour(home)
        if once:
            say("\nONCE=1: stopping; each service drains first")
            return
        say(_how_to_go_on(home))
        _serve(services)


def _ready_times(services: Sequence[Running]) -> str:
    return ", ".join(f"{service.spec.name} {service.ready_seconds:.1f}" for service in services)


def _tour(home: Path) -> None:
    """Ingest the samples, which a second time is nothing new, and ask."""
    say(f"ingesting the sample documents in {SAMPLES.relative_to(ROOT)}/")
    rag("ingest", str(SAMPLES / "ko"), str(SAMPLES / "en"), home=home)
    for question in _questions():
        say(f"\n? {question}")
        rag("ask", question, home=home)


def _questions() -> list[str]:
    found = json.loads((SAMPLES / "questions.json").read_text("utf-8"))
    korean = next(q for q in found["answerable"] if q["lang"] == "ko")
    english = next(q for q in found["answerable"] if q["lang"] == "en")
    return [korean["question"], english["question"], found["unanswerable"][0]["question"]]


def _serve(services: Sequence[Running]) -> None:
    """Wait for Ctrl-C or SIGTERM; a service that ends is an error."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    while not stop.wait(1.0):
        for service in services:
            if service.process.poll() is not None:
                raise StartFailed(f"the {service.spec.name} ended; its log is {service.log}")
    say("\nstopping; each service drains first")


def _how_to_go_on(home: Path) -> str:
    tools, here = Path(sys.executable).parent, Path.cwd()
    path = f"$PWD/{tools.relative_to(here)}" if tools.is_relative_to(here) else str(tools)
    return f"""
Serving until Ctrl-C. In another terminal, in this folder:

  export PATH="{path}:$PATH" RAG_HOME="{home.resolve()}"
  rag ask "회사 노트북을 잃어버리면 얼마 안에 신고해야 하나요?"
  rag search "출장비 정산" --explain
  rag ingest FILE_OR_FOLDER
  TOKEN=$(rag token)
  grpcurl -plaintext 127.0.0.1:50051 list
  grpcurl -plaintext -H "authorization: Bearer $TOKEN" \\
    -d '{{"query": "출장비 정산서는 언제까지 제출하나요?"}}' 127.0.0.1:50051 rag.gateway.v1.AnswerService/Answer

Keys: {home}/keys (for development alone). Logs: {home}/logs. Data: {home}/index."""


if __name__ == "__main__":
    sys.exit(main())
