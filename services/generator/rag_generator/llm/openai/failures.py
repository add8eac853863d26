"""Maps a server's failures to the platform's errors, and decides which are retried."""

from collections.abc import Iterator
from contextlib import contextmanager

import openai
import structlog

from rag_common.backoff import exponential, jittered
from rag_contract import errors
from rag_generator.llm.openai.chat import ChatCall

log = structlog.get_logger()

_PEER = {"peer": "llm"}
# Seconds before the first retry, doubled for each further one; and the maximum, which limits
# Retry-After too.
_FIRST_WAIT, _MAX_WAIT = 0.25, 5.0
# Retry delay in seconds for the caller if the server gives none.
_RETRY_AFTER = 1.0


@contextmanager
def translate_errors(model: str, chat: ChatCall) -> Iterator[None]:
    """Raise the SDK's errors as the platform's, without any text of the server."""
    try:
        yield
    except TimeoutError as error:
        raise _timeout_error(chat) from error
    except openai.APIStatusError as error:
        _log(error, status=error.status_code)
        raise _status_error(error, model) from error
    # A ValueError is invalid JSON or UTF-8.
    except (openai.APIError, ValueError) as error:
        _log(error)
        raise unavailable("the language model's server does not answer") from error


def wait_before_retry(error: openai.APIError, attempt: int) -> float | None:
    """Seconds until the next attempt, with jitter; None if it is pointless or too late."""
    if isinstance(error, openai.APITimeoutError):
        # The next attempt would probably wait as long for nothing.
        return None
    if isinstance(error, openai.APIStatusError) and not _is_transient(error.status_code):
        return None
    requested = _retry_after(error) or 0.0
    if requested > _MAX_WAIT:
        return None
    return max(requested, jittered(exponential(attempt + 1, _FIRST_WAIT, _MAX_WAIT), 0.5, 1.0))


def unavailable(message: str, retry_after: float = _RETRY_AFTER) -> errors.Unavailable:
    """The error of a server that is unavailable or incomplete for now."""
    return errors.DependencyDown(message, metadata=_PEER, retry_after=retry_after)


def _log(error: Exception, **fields: int) -> None:
    log.warning("language_model_failed", error=type(error).__name__, **fields)


def _timeout_error(chat: ChatCall) -> errors.AppError:
    """DeadlineExceeded after the first text, Unavailable before it."""
    if chat.has_text:
        return errors.DeadlineExceeded(
            "the language model stopped sending", metadata={**_PEER, "stage": "generate"}
        )
    return unavailable("the language model did not start to answer in time")


def _status_error(error: openai.APIStatusError, model: str) -> errors.AppError:
    match error.status_code:
        case 429:
            return errors.QueueFull(
                "the language model's server is overloaded",
                metadata=_PEER,
                retry_after=_retry_after(error) or _RETRY_AFTER,
            )
        case 401 | 403:
            return errors.DependencyRefused(
                "the language model's server rejects the platform's key", metadata=_PEER
            )
        case 404:
            return errors.ModelNotFound(
                f"the language model's server has no model {model}",
                metadata={**_PEER, "model": model},
            )
        case 400 | 413 | 422:
            return _bad_request(error)
    return unavailable(
        "the language model's server does not answer", _retry_after(error) or _RETRY_AFTER
    )


def _bad_request(error: openai.APIStatusError) -> errors.InputTooLong | errors.ModelRefused:
    """InputTooLong or ModelRefused; some servers say only in the text that a prompt is too long."""
    description = f"{error.code} {error.type} {error.message}".lower()
    if error.status_code == 413 or "context" in description:
        return errors.InputTooLong(
            "the question and its passages exceed the model's context", metadata=_PEER
        )
    return errors.ModelRefused("the language model's server rejects the request", metadata=_PEER)


def _is_transient(status: int) -> bool:
    return status == 429 or status >= 500


def _retry_after(error: openai.APIError) -> float | None:
    if not isinstance(error, openai.APIStatusError):
        return None
    seconds: str = error.response.headers.get("retry-after", "")
    return float(seconds) if seconds.isdecimal() else None
