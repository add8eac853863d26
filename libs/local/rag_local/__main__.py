"""`make run`: runs the platform on this machine, with sample documents and three questions."""

import json
import os
import shutil
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from rag_common.observability import logging
from rag_common.settings import SettingsInvalid
from rag_contract.errors import AppError
from rag_local.child import start_mark
from rag_local.connection_info import ConnectionInfo
from rag_local.monitoring import Monitoring
from rag_local.platform import Components, Platform, platform, rag
from rag_local.program import StartFailed
from rag_local.service_processes import ROOT, ServiceProcess
from rag_local.signals import Stopped, ignore_signals, stopped_by_signals
from rag_local.supervisor import Supervisor, supervised

SAMPLES = ROOT / "samples"

# How long a service that ended during the tour may take to be healthy again.
_RECOVERY_SECONDS = 120.0


def main() -> int:
    """Run until Ctrl-C, or with ONCE=1 until the questions are answered; return the exit code.

    It is 0 if a signal ends the serving, and 128 plus the signal's number if one comes before that.
    """
    home = Path(os.environ.setdefault("RAG_HOME", ".rag"))
    # Progress is reported by this program's own output.
    logging.configure("local", "warning", "console")
    parts = Components(_is_set("VAULT"), _is_set("EDGE"), traces=True, observe=_is_set("OBSERVE"))
    try:
        with stopped_by_signals():
            _run(home, parts, once=_is_set("ONCE"))
    except (StartFailed, SettingsInvalid, AppError, OSError) as error:
        sys.stderr.write(f"make run: {error}\n")
        return 1
    except Stopped as stopped:
        say(f"stopped by {stopped} before the platform was ready")
        return stopped.code
    return 0


def say(text: str) -> None:
    """Print a line of progress."""
    print(text, flush=True)


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "") not in ("", "0")


def _run(home: Path, parts: Components, *, once: bool) -> None:
    say(_start_message(parts))
    since = start_mark()
    with (
        platform(home, parts=parts, on_alert=say) as running,
        supervised(
            running.services, say, [running.edge] if running.edge else [], since=since
        ) as supervisor,
    ):
        times = _ready_times(running.services)
        say(f"all healthy after {running.ready_seconds:.1f} s ({times})\n")
        _tour(running.access, supervisor)
        _show_trace(running)
        if running.monitoring:
            say(_monitoring_links(running.monitoring))
        if once:
            ignore_signals()
            say("\nONCE=1: stopping; each service drains first")
            return
        _serve(_usage(home, parts, running))


def _start_message(parts: Components) -> str:
    names = "embedder, retriever, generator, ingestor and gateway"
    if parts.vault:
        trust = "Vault and Redis first: they provide secrets, certificates and signatures"
    else:
        trust = (
            "DEVELOPMENT: a signing key in a file, and plaintext between services on loopback "
            "(not with VAULT=1)"
        )
    edge = "\nthen Envoy in front of them" if parts.edge else ""
    return f"{trust}\nstarting {names} …{edge}"


def _ready_times(services: Sequence[ServiceProcess]) -> str:
    return ", ".join(f"{service.spec.name} {service.ready_seconds:.1f}" for service in services)


def _tour(access: ConnectionInfo, supervisor: Supervisor) -> None:
    """Ingest the samples, which is idempotent, and ask the questions."""
    say(f"ingesting the sample documents in {SAMPLES.relative_to(ROOT)}/")
    _rag(supervisor, access, "ingest", str(SAMPLES / "ko"), str(SAMPLES / "en"))
    for question in _questions():
        say(f"\n? {question}")
        _rag(supervisor, access, "ask", question)


def _rag(supervisor: Supervisor, access: ConnectionInfo, *arguments: str) -> None:
    """Run the command `rag`, a second time if a service ended during it. Raises StartFailed if it fails."""
    deaths = supervisor.deaths
    try:
        rag(*arguments, access=access)
    except StartFailed:
        if not supervisor.wait_for_death(deaths) or not supervisor.wait_all_up(_RECOVERY_SECONDS):
            raise
        rag(*arguments, access=access)


def _show_trace(running: Platform) -> None:
    """Print the trace of one question, if its spans have arrived."""
    last = running.traces.last("StreamAnswer") if running.traces.url else ""
    if last:
        say(f"\nwhere the time of one question went: rag trace {last}")
        rag("trace", last, access=running.access)


def _monitoring_links(monitoring: Monitoring) -> str:
    return f"""
Prometheus   {monitoring.prometheus}        rules and alerts: {monitoring.prometheus}/alerts
Alertmanager {monitoring.alertmanager}        firing alerts are printed here too; runbooks are in docs/runbooks
Live         rag top
Dashboards   deploy/observability (docker compose: Grafana, Tempo, Loki, a collector)"""


def _questions() -> list[str]:
    questions = json.loads((SAMPLES / "questions.json").read_text("utf-8"))
    korean = next(q for q in questions["answerable"] if q["lang"] == "ko")
    english = next(q for q in questions["answerable"] if q["lang"] == "en")
    return [korean["question"], english["question"], questions["unanswerable"][0]["question"]]


def _serve(instructions: str) -> None:
    """Print the instructions, and wait for Ctrl-C or SIGTERM."""
    try:
        say(instructions)
        threading.Event().wait()
    except KeyboardInterrupt:
        ignore_signals()
        say("\nstopping; each service drains first")


def _usage(home: Path, parts: Components, running: Platform) -> str:
    access = running.access
    tools, here = Path(sys.executable).parent, Path.cwd()
    path = f"$PWD/{tools.relative_to(here)}" if tools.is_relative_to(here) else str(tools)
    variables = " ".join(f'{name}="{value}"' for name, value in access.settings.items())
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
        else f"Keys: {home}/keys (for development only)"
    )
    return f"""
Serving until Ctrl-C. In another terminal, in this folder:

  export PATH="{path}:$PATH" {variables}
  rag ask "회사 노트북을 잃어버리면 얼마 안에 신고해야 하나요?"
  rag search "출장비 정산" --explain
  rag ingest FILE_OR_FOLDER
  rag trace TRACE_ID; rag top
  rag whoami; rag quota; rag keys create "nightly job" --scope search
  TOKEN={access.token}
{_grpcurl(access)}
{more}
{keys}. Logs: {home}/logs. Data: {home}/index."""


def _grpcurl(access: ConnectionInfo) -> str:
    """Two calls with grpcurl, or how to install it."""
    if not (Path(sys.executable).with_name("grpcurl").is_file() or shutil.which("grpcurl")):
        return "  (grpcurl, which `make test` installs, can call it too: README.md)"
    method = "rag.gateway.v1.AnswerService/Answer"
    return f"""  grpcurl {access.flags} {access.target} list
  grpcurl {access.flags} -H "authorization: Bearer $TOKEN" \\
    -d '{{"query": "출장비 정산서는 언제까지 제출하나요?"}}' {access.target} {method}"""


if __name__ == "__main__":
    sys.exit(main())
