"""Tokens and API keys that change while a client lives, and where a command finds them."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rag_client import AsyncRenewedToken, IssuedToken, RenewedToken, TokenFile
from tests.support.client import replies
from tests.support.client.fixtures import Rag
from tests.support.client.neighbour import Neighbour


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("rag_first\n")
    return path


def _replace(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.rename(path)


def _until(seconds: float, token: str) -> IssuedToken:
    return IssuedToken(token, "id", datetime.fromtimestamp(seconds, UTC))


def _sent(neighbour: Neighbour) -> list[str]:
    return [heard.metadata["authorization"] for heard in neighbour.heard]


def test_a_link_that_points_elsewhere_is_another_token(tmp_path: Path, path: Path) -> None:
    # So Kubernetes renews the files of a secret.
    link, other = tmp_path / "link", tmp_path / "other"
    other.write_text("rag_other")
    link.symlink_to(path)
    token = TokenFile(link)
    assert token() == "rag_first"
    link.unlink()
    link.symlink_to(other)
    assert token() == "rag_other"


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("")])
def test_a_file_in_the_middle_of_being_replaced_leaves_the_token(
    path: Path, spoil: Callable[[Path], object]
) -> None:
    token = TokenFile(path)
    spoil(path)
    assert token() == "rag_first"
    _replace(path, "rag_second")
    assert token() == "rag_second"


@pytest.mark.parametrize("text", ["", "  \n", "two words", "토큰"])
def test_a_file_that_holds_no_token_is_an_error_at_once(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(ValueError, match="does not hold exactly one token"):
        TokenFile(path)


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    ("life", "renewal"), [(600, 540), (60, 30)], ids=["a minute before its end", "half way"]
)
def test_an_issued_token_is_renewed_before_it_ends(kind: str, life: float, renewal: float) -> None:
    moments = iter([1000.0, 999.0 + renewal, 1000.0 + renewal])
    issued = iter([_until(1000.0 + life, "first"), _until(2200.0, "second")])
    token = _asked(kind, lambda: next(issued), lambda: next(moments))
    assert [token(), token(), token()] == ["first", "first", "second"]


def _asked(
    kind: str, issue: Callable[[], IssuedToken], clock: Callable[[], float]
) -> Callable[[], str]:
    if kind == "sync":
        return RenewedToken(issue, clock)

    async def awaited() -> IssuedToken:
        return issue()

    renewed = AsyncRenewedToken(awaited, clock)
    return lambda: asyncio.run(renewed())


def test_of_many_threads_one_issues_and_all_get_the_token() -> None:
    gate, second, count = threading.Barrier(8), threading.Barrier(2), iter(range(8))

    def issue() -> IssuedToken:
        number = next(count)
        with suppress(threading.BrokenBarrierError):
            second.wait(0.2)
        return _until(4e9, str(number))

    token = RenewedToken(issue)

    def ask(_number: int) -> str:
        gate.wait(10)
        return token()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"0"}


async def test_of_many_tasks_one_issues_and_all_get_the_token() -> None:
    count = iter(range(8))

    async def issue() -> IssuedToken:
        number = next(count)
        await asyncio.sleep(0)
        return _until(4e9, str(number))

    token = AsyncRenewedToken(issue)
    assert set(await asyncio.gather(*(token() for _ in range(8)))) == {"0"}


def test_a_token_that_could_not_be_issued_is_asked_for_again() -> None:
    outcomes: Iterator[IssuedToken | OSError] = iter([OSError("away"), _until(4e9, "good")])

    def issue() -> IssuedToken:
        outcome = next(outcomes)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    token = RenewedToken(issue)
    with pytest.raises(OSError, match="away"):
        token()
    assert token() == "good"


@pytest.mark.parametrize(
    ("words", "environment", "expected"),
    [
        (("--token-file", "token"), {}, "rag_first"),
        ((), {"RAG_TOKEN_FILE": "token"}, "rag_first"),
        ((), {"RAG_TOKEN_FILE": "token", "RAG_TOKEN": "given"}, "given"),
        (("--token", "said"), {"RAG_TOKEN_FILE": "token"}, "said"),
        (("--token-file", "token"), {"RAG_TOKEN": "given"}, "rag_first"),
    ],
)
def test_a_command_takes_the_nearest_token(
    rag: Rag,
    neighbour: Neighbour,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    environment: dict[str, str],
    expected: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    neighbour.says("Search", replies.search())
    rag("search", "연차", *words)
    assert _sent(neighbour) == [f"Bearer {expected}"]


def test_a_token_file_that_is_not_there_is_said_so(rag: Rag, neighbour: Neighbour) -> None:
    result = rag("search", "연차", "--token-file", "nowhere")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "No such file or directory: 'nowhere'" in result.stderr
    assert not neighbour.heard
