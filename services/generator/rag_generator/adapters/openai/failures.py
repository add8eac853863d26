"""What a server's failures mean to a caller, and which of them may pass."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import openai
import structlog

from rag_common import errors
from rag_generator.adapters.openai.chat import Chat

log = structlog.get_logger()

_PEER = {"peer": "llm"}
# Seconds before the first retry, doubled for each more; and the longest that a server may ask for.
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 5.0
# Seconds after which a caller may try again where the server names none.
_RETRY_AFTER = 1.0


@contextmanager
def translated(model: str, chat: Chat) -> Iterator[None]:
    """Turns the SDK's errors into ours, without a word of the server's."""
    try:
        yield
    except TimeoutError as error:
        raise _silence(chat) from error
    except openai.APIStatusError as error:
        _log(error, status=error.status_code)
        raise _refusal(error, model) from error
    # A ValueError is JSON or UTF-8 that is none.
    except (openai.APIError, ValueError) as error:
        _log(error)
        raise unavailable("the language model's server does not answer") from error


def wait_before_retry(error: openai.APIError, attempt: int) -> float | None:
    """Seconds until the next try, with jitter; None where that is pointless or takes too long."""
    if isinstance(error, openai.APITimeoutError):
        # Nobody refused: the next try would wait as long for the same silence.
        return None
    if isinstance(error, openai.APIStatusError) and not _passing(error.status_code):
        return None
    asked = _retry_after(error) or 0.0
    if asked > _LONGEST_WAIT:
        return None
    jitter = random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, keeps no secret
    return max(asked, min(_FIRST_WAIT * 2.0**attempt, _LONGEST_WAIT) * jitter)


def unavailable(message: str, retry_after: float = _RETRY_AFTER) -> errors.Unavailable:
    """The error of a server that is not there, or not whole, for now."""
    return errors.Unavailable(message, metadata=_PEER, retry_after=retry_after)


def _log(error: Exception, **facts: int) -> None:
    log.warning("language_model_failed", error=type(error).__name__, **facts)


def _silence(chat: Chat) -> errors.AppError:
    """A server that has not said a word is as good as none; one that has is only late."""
    if chat.worded:
        return errors.DeadlineExceeded(
            "the language model fell silent", metadata={**_PEER, "stage": "generate"}
        )
    return unavailable("the language model does not begin to write")


def _refusal(error: openai.APIStatusError, model: str) -> errors.AppError:
    match error.status_code:
        case 429:
            return errors.ResourceExhausted(
                "the language model's server has too much to do",
                metadata=_PEER,
                retry_after=_retry_after(error) or _RETRY_AFTER,
            )
        case 401 | 403:
            return errors.Unavailable("the language model's server refuses our key", metadata=_PEER)
        case 404:
            return errors.ModelNotFound(
                f"the language model's server has no model {model}",
                metadata={**_PEER, "model": model},
            )
        case 400 | 413 | 422:
            return _unfit(error)
    return unavailable(
        "the language model's server does not answer", _retry_after(error) or _RETRY_AFTER
    )


def _unfit(error: openai.APIStatusError) -> errors.InvalidArgument:
    """Servers have a code, a type or only words for a prompt that is too long."""
    said = f"{error.code} {error.type} {error.message}".lower()
    if error.status_code == 413 or "context" in said:
        return errors.InputTooLong(
            "the question and its passages are longer than the model can read", metadata=_PEER
        )
    return errors.InvalidArgument("the language model's server refuses the request", metadata=_PEER)


def _passing(status: int) -> bool:
    return status == 429 or status >= 500


def _retry_after(error: openai.APIError) -> float | None:
    if not isinstance(error, openai.APIStatusError):
        return None
    seconds: str = error.response.headers.get("retry-after", "")
    return float(seconds) if seconds.isdecimal() else None
