"""`make run`: the platform on this machine, with its sample documents and three questions."""

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rag_common import logs
from rag_common.errors import AppError
from rag_common.settings import SettingsInvalid
from rag_local.access import Access
from rag_local.observed import Watched
from rag_local.platform import Parts, Platform, platform, rag
from rag_local.processes import ROOT, Running, StartFailed

SAMPLES = ROOT / "samples"

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run until Ctrl-C, or with ONCE=1 until the questions are answered."""
    home = Path(os.environ.setdefault("RAG_HOME", ".rag"))
    # Ended by one of these at once, or deaf to it, it would leave the services running.
    for number in _SIGNALS:
        signal.signal(number, signal.default_int_handler)
    # What goes well is said by the lines of this program.
    logs.configure("local", "warning", "console")
    parts = Parts(_wanted("VAULT"), _wanted("EDGE"), traces=True, observe=_wanted("OBSERVE"))
    try:
        _run(home, parts, once=_wanted("ONCE"))
    except (StartFailed, SettingsInvalid, AppError, OSError) as error:
        sys.stderr.write(f"make run: {error}\n")
        return 1
    except KeyboardInterrupt:
        say("stopped")
    return 0


def say(text: str) -> None:
    """A line for whoever watches."""
    print(text, flush=True)


def _wanted(variable: str) -> bool:
    return os.environ.get(variable, "") not in ("", "0")


def _run(home: Path, parts: Parts, *, once: bool) -> None:
    say(_what_starts(parts))
    with platform(home, parts=parts, tell=say) as running:
        times = _ready_times(running.services)
        say(f"all healthy after {running.ready_seconds:.1f} s ({times})\n")
        _tour(running.access)
        _show_trace(running)
        if running.watched:
            say(_where_to_look(running.watched))
        if once:
            say("\nONCE=1: stopping; each service drains first")
            return
        say(_how_to_go_on(home, parts, running))
        _serve(running.services)


def _what_starts(parts: Parts) -> str:
    names = "embedder, retriever, generator and gateway"
    if parts.vault:
        trust = "Vault and Redis first: secrets, certificates and signatures come from there"
    else:
        trust = (
            "DEVELOPMENT: a signing key in a file, and plaintext between services on loopback "
            "(VAULT=1 has neither)"
        )
    edge = "\nthen Envoy in front of them" if parts.edge else ""
    return f"{trust}\nstarting {names} …{edge}"


def _ready_times(services: Sequence[Running]) -> str:
    return ", ".join(f"{service.spec.name} {service.ready_seconds:.1f}" for service in services)


def _tour(access: Access) -> None:
    """Ingest the samples, which a second time is nothing new, and ask."""
    say(f"ingesting the sample documents in {SAMPLES.relative_to(ROOT)}/")
    rag("ingest", str(SAMPLES / "ko"), str(SAMPLES / "en"), access=access)
    for question in _questions():
        say(f"\n? {question}")
        rag("ask", question, access=access)


def _show_trace(running: Platform) -> None:
    """Where the time of one question went, of those whose spans have come."""
    last = running.traces.last("StreamAnswer") if running.traces.url else ""
    if last:
        say(f"\nwhere the time of one question went: rag trace {last}")
        rag("trace", last, access=running.access)


def _where_to_look(watched: Watched) -> str:
    return f"""
Prometheus   {watched.prometheus}        rules and alarms: {watched.prometheus}/alerts
Alertmanager {watched.alertmanager}        what fires is also told here; its runbook is in docs/runbooks
Live         rag top
Dashboards   deploy/observability (docker compose: Grafana, Tempo, Loki, a collector)"""


def _questions() -> list[str]:
    found = json.loads((SAMPLES / "questions.json").read_text("utf-8"))
    korean = next(q for q in found["answerable"] if q["lang"] == "ko")
    english = next(q for q in found["answerable"] if q["lang"] == "en")
    return [korean["question"], english["question"], found["unanswerable"][0]["question"]]


def _serve(services: Sequence[Running]) -> None:
    """Wait for Ctrl-C or SIGTERM; a service that ends is an error."""
    try:
        while True:
            time.sleep(1.0)
            for service in services:
                if service.process.poll() is not None:
                    raise StartFailed(f"the {service.spec.name} ended; its log is {service.log}")
    except KeyboardInterrupt:
        # Once is enough: an impatient second one would leave what drains running.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        say("\nstopping; each service drains first")


def _how_to_go_on(home: Path, parts: Parts, running: Platform) -> str:
    access = running.access
    tools, here = Path(sys.executable).parent, Path.cwd()
    path = f"$PWD/{tools.relative_to(here)}" if tools.is_relative_to(here) else str(tools)
    told = " ".join(f'{name}="{value}"' for name, value in access.settings.items())
    more = (
        f"""
  curl --cacert {access.settings["RAG_CA_FILE"]} -H "authorization: Bearer $TOKEN" \\
    -d '{{"query": "출장비 정산"}}' {access.page}/v1/search
  curl --cacert {access.settings["RAG_CA_FILE"]} {access.page}/health/ready
"""
        if access.page
        else ""
    )
    keys = (
        f"Vault: https://127.0.0.1:8200 (root token: {home}/vault/operator.json)"
        if parts.vault
        else f"Keys: {home}/keys (for development alone)"
    )
    return f"""
Serving until Ctrl-C. In another terminal, in this folder:

  export PATH="{path}:$PATH" {told}
  rag ask "회사 노트북을 잃어버리면 얼마 안에 신고해야 하나요?"
  rag search "출장비 정산" --explain
  rag ingest FILE_OR_FOLDER
  rag trace TRACE_ID; rag top
  rag whoami; rag quota; rag keys create "nightly job" --scope search
  TOKEN={access.token}
  grpcurl {access.flags} {access.target} list
  grpcurl {access.flags} -H "authorization: Bearer $TOKEN" \\
    -d '{{"query": "출장비 정산서는 언제까지 제출하나요?"}}' {access.target} rag.gateway.v1.AnswerService/Answer
{more}
{keys}. Logs: {home}/logs. Data: {home}/index."""


if __name__ == "__main__":
    sys.exit(main())
