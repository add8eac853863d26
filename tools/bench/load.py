"""Load by k6: callers in a closed loop, each with its next call as soon as its last has ended, or users.

k6 shares the cores with what it measures. Without decoding replies it uses 8% of the CPU that a search
costs the servers (measured: 1.9 ms beside 23 ms), and the same on both sides of a ratio; so there is no
second load generator for the ratios, and k6 is neither pinned nor niced, which would add the wait for
a core to every latency.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from rag_cli.dev_tokens import Claims, fresh_token, load_key
from rag_client.transport.channel import Gateway
from rag_edge.render import DESCRIPTORS
from rag_local.child import end, spawn
from rag_local.program import StartFailed, free_port, program
from tools.bench.result import Percentiles, Result
from tools.bench.wording import passages, questions

COLLECTION = "bench"
SCRIPTS = Path(__file__).with_name("k6")
_PASSAGES_A_DOCUMENT = 8
_WRITERS = 8
# More questions than this machine answers in a second.
_MAX_RATE = 600
_QUESTIONS = questions()
# What k6 accepts.
_SHORTEST, _LONGEST = 1.0, 3600.0
# Not 127.0.0.1: for a minute after a run its connections' ports would not be free for a platform there.
_CALLERS_ADDRESS = "127.0.0.2"
# The exit code of k6 after SIGINT; its summary is complete.
_INTERRUPTED = 105

Token = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to a gateway, and the processes behind it by name; `token` gives a valid bearer token."""

    name: str
    gateway: Gateway
    token: Token
    pids: Mapping[str, int]
    descriptors: Path = DESCRIPTORS


def dev_token(home: Path, tenant: str) -> Token:
    """Tokens of a tenant, signed with the development key of `home`."""
    return fresh_token(load_key(home / "keys" / "dev.pem"), Claims(tenant))


def fill(way: Way, passages_count: int, collection: str = COLLECTION) -> Result:
    """Ingest about that many passages of 300 tokens each. Raises StartFailed if one was not accepted."""
    texts = passages()
    documents = [
        "\n\n".join(islice(texts, _PASSAGES_A_DOCUMENT))
        for _ in range(-(-passages_count // _PASSAGES_A_DOCUMENT))
    ]
    plan = {
        "collection": collection,
        "callers": min(_WRITERS, len(documents)),
        "iterations": len(documents),
    }
    found = run_script("ingest", way, plan, documents)
    if found.latency.count < len(documents):
        raise StartFailed(f"{way.name}: {len(documents) - found.latency.count} documents refused")
    return found


def load(script: str, way: Way, callers: int, seconds: float) -> Result:
    """Calls of one kind for some seconds; those begun by then are waited for and counted."""
    plan = {"collection": COLLECTION, "callers": callers, "seconds": max(seconds, _SHORTEST)}
    return run_script(script, way, plan, new_questions(int(seconds * _MAX_RATE) + 1000))


def run_script(
    script: str,
    way: Way,
    plan: Mapping[str, object],
    texts: Sequence[str],
    tokens: Sequence[str] = (),
) -> Result:
    """One of SCRIPTS from start to end. Raises StartFailed if k6 fails.

    `plan` is what it reads besides the texts; `tokens` are its callers', in turn, the way's own if empty.
    """
    with _running(way, script, plan, texts, tokens=tokens) as process:
        return _result(process)


@contextmanager
def background(script: str, way: Way, callers: int, nice: int) -> Iterator[Callable[[], Result]]:
    """Calls that go on inside the block, from its beginning; the function given stops them."""
    plan = {"collection": COLLECTION, "callers": callers, "seconds": _LONGEST}
    texts = new_questions(60 * _MAX_RATE)
    with _running(way, script, plan, texts, nice) as process:

        def stop() -> Result:
            process.send_signal(signal.SIGINT)
            return _result(process)

        yield stop


def new_questions(number: int) -> list[str]:
    """Questions that nobody has asked before in this process."""
    return list(islice(_QUESTIONS, number))


def progress(step: str) -> None:
    """Print a step of a part to stderr."""
    sys.stderr.write(f"  {step}\n")


@contextmanager
def _running(
    way: Way,
    script: str,
    plan: Mapping[str, object],
    texts: Sequence[str],
    nice: int = 0,
    tokens: Sequence[str] = (),
) -> Iterator["subprocess.Popen[str]"]:
    """k6, from its first call on; its callers take some milliseconds each to be created before that."""
    k6 = program("k6", "make test installs it")
    progress(f"{way.name}: {script}, {plan['callers']} at once")
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        lists = {"texts": list(texts), "tokens": list(tokens) or [way.token()]}
        for kind, values in lists.items():
            (folder / f"{kind}.json").write_text(json.dumps(values, ensure_ascii=False), "utf-8")
        where = {"target": way.gateway.target, "connect": _connect(way.gateway)}
        paths = {kind: str(folder / f"{kind}.json") for kind in lists}
        complete = {**plan, **where, **paths, "descriptors": str(way.descriptors)}
        (folder / "plan.json").write_text(json.dumps(complete))
        started = folder / "started"
        options = [
            *("--quiet", "--no-usage-report", "--local-ips", _CALLERS_ADDRESS),
            # Of its own interface, of which nothing is asked: two that run at once need two.
            *("--address", f"127.0.0.1:{free_port()}"),
            *("-e", f"PLAN={folder / 'plan.json'}", f"--console-output={started}"),
        ]
        process = spawn(
            ["nice", "-n", str(nice), k6, "run", *options, str(SCRIPTS / f"{script}.js")],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            while process.poll() is None and not (started.exists() and started.stat().st_size):
                time.sleep(0.02)
            yield process
        finally:
            end(process, 0)


def _connect(gateway: Gateway) -> Mapping[str, object]:
    if not gateway.secured:
        return {"plaintext": True}
    tls = {"cacerts": gateway.authorities.read_text()} if gateway.authorities else {}
    if gateway.certificate:
        tls |= {"cert": gateway.certificate.chain.read_text()}
        tls |= {"key": gateway.certificate.key.read_text()}
    return {"tls": tls}


def _result(process: "subprocess.Popen[str]") -> Result:
    """What k6 printed. Raises StartFailed if it failed."""
    output, _ = process.communicate()
    if process.returncode not in (0, _INTERRUPTED):
        raise StartFailed("k6 failed; what is above says why")
    result = json.loads(output)
    trends = {name: Percentiles(*values) for name, values in result["trends"].items()}
    return Result(result["seconds"], result["counts"], trends)
