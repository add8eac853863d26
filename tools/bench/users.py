"""What 1,000 users feel who come through the edge: TLS, tokens of their own, limits, every call traced."""

import math
from collections.abc import Iterator, Sequence

from rag_client.client.sync import Client
from tools.bench.load import COLLECTION, Way, fill, load, new_questions, progress, run_script
from tools.bench.report import Row
from tools.bench.result import Result
from tools.bench.turns import AT_ONCE, PASSAGES

USERS, RATE = 1000, 50
# Seconds of connecting beforehand, of questions, and of connecting while asking.
_BEFORE, _ASKING, _BURST = 30.0, 120.0, 15.0
# Measurements of this length, in seconds, have all the users and the seconds above; shorter ones a share.
_WHOLE = 8.0


def users_rows(issuer: Way, edge: Way, seconds: float) -> Iterator[Row]:
    """First users who have connected before they ask, then users who ask as they connect.

    `issuer` is the way by which their tokens are issued.
    """
    share = min(seconds / _WHOLE, 1)
    callers = math.ceil(USERS * share)
    rounds = max(round(_ASKING * share * RATE / callers), 1)
    fill(edge, math.ceil(PASSAGES * share))
    load("search", edge, AT_ONCE, seconds / 5)
    progress(f"issuing {callers} tokens")
    tokens = tokens_of(issuer, callers)
    yield _row(edge, tokens, f"before, over {_BEFORE * share:.0f} s", _BEFORE * share, rounds)
    yield _row(edge, tokens, f"while asking, over {_BURST * share:.0f} s", _BURST * share, 0)


def ask(way: Way, tokens: Sequence[str], connecting: float, rate: float, rounds: int) -> Result:
    """A user for each token, who connect over so many seconds; then one asks every 1 / `rate` seconds.

    Each asks so many rounds, in turn; if there is none, each asks once, as it connects.
    """
    callers = len(tokens)
    plan = {
        "collection": COLLECTION,
        "callers": callers,
        "connecting": connecting,
        "rate": rate,
        "rounds": 1 + rounds,
        "ask_first": not rounds,
    }
    return run_script("users", way, plan, new_questions(callers * (1 + rounds)), tokens)


def tokens_of(way: Way, number: int) -> list[str]:
    """So many users' tokens, issued by the platform."""
    with Client(channel=way.gateway.open(), token=way.token) as client:
        return [client.issue_token(f"user-{n}", ["search"]).token for n in range(number)]


def _row(way: Way, tokens: Sequence[str], says: str, connecting: float, rounds: int) -> Row:
    """Users who connect over so many seconds, then ask so many rounds; if none, then as they connect."""
    questions = len(tokens) * max(rounds, 1)
    result = ask(way, tokens, connecting, RATE, rounds)
    asking = result.seconds - connecting if rounds else result.seconds
    return {
        "users": len(tokens),
        "connecting": says,
        "questions": questions,
        "questions/s": result.latency.count / asking,
        **{f"{name} ms": getattr(result.latency, name) for name in ("p50", "p95", "p99")},
        "errors": questions - result.latency.count,
    }
