"""Checks quickly whether a model exists: as a folder, in the local cache, or on the hub.

The libraries that load models try an unreachable hub six times for each of several files, which
takes more than a minute until they report an error. This sends one request, with a time limit.
"""

from collections.abc import Callable
from pathlib import Path
from threading import Thread

import httpx2
from huggingface_hub import HfApi, constants, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from rag_common.settings import SettingsInvalid

# Seconds for connecting or a response, and for all: resolving the name has no timeout of its own.
_TIMEOUT, _TOTAL_TIMEOUT = 5.0, 10.0
# A model has one of these at its root: sentence-transformers the first, transformers the second.
_FILES = ("modules.json", "config.json")


def cached_only(model: str, setting: str) -> bool:
    """Whether `model`, a hub name or a folder, is to be loaded without a request to the hub.

    True for a folder, and for a cached model if the hub is unreachable; False for a model on the
    hub. Raises SettingsInvalid, whose message begins with `setting`, for everything else.
    """
    if Path(model).is_dir():
        return True
    subject = f"{setting} {model}"
    try:
        validate_repo_id(model)
    except HFValidationError as error:
        raise SettingsInvalid(f"{subject} is neither a folder nor a valid model name") from error
    problem = "HF_HUB_OFFLINE is set" if constants.is_offline_mode() else _lookup(model, subject)
    if problem and not _cached(model):
        raise SettingsInvalid(
            f"{subject} is not a folder, is not in the cache {constants.HF_HUB_CACHE}, and cannot be "
            f"looked up on {constants.ENDPOINT}: {problem}"
        )
    return bool(problem)


def _cached(model: str) -> bool:
    return any(isinstance(try_to_load_from_cache(model, file), str) for file in _FILES)


def _lookup(model: str, subject: str) -> str:
    """Why the hub could not be used; "" if it has the model. Raises SettingsInvalid if it does not."""
    try:
        _run_with_timeout(lambda: HfApi().model_info(model, timeout=_TIMEOUT))
    except GatedRepoError as error:
        if _cached(model):
            return "access to it is restricted"
        raise SettingsInvalid(
            f"{subject}: access to it is restricted on {constants.ENDPOINT}; set HF_TOKEN to a "
            f"token that may read it"
        ) from error
    except RepositoryNotFoundError as error:
        if _cached(model):
            return "it does not exist there"
        raise SettingsInvalid(
            f"{subject} is neither a folder nor a model on {constants.ENDPOINT} (a private one needs "
            f"HF_TOKEN)"
        ) from error
    except HfHubHTTPError as error:
        return f"it answers {error.response.status_code}"
    except (httpx2.HTTPError, OSError, ValueError) as error:
        return str(error) or type(error).__name__
    return ""


def _run_with_timeout(call: Callable[[], object]) -> None:
    """Run `call` and raise what it raises, or TimeoutError after `_TOTAL_TIMEOUT` seconds.

    It runs in a daemon thread, which does not delay the end of the process: resolving a name has no
    timeout of its own.
    """
    outcome: list[Exception | None] = []

    def run() -> None:
        try:
            call()
        except Exception as error:
            outcome.append(error)
        else:
            outcome.append(None)

    thread = Thread(target=run, name="hub", daemon=True)
    thread.start()
    thread.join(_TOTAL_TIMEOUT)
    if not outcome:
        raise TimeoutError(f"no answer within {_TOTAL_TIMEOUT:.0f} s")
    if outcome[0]:
        raise outcome[0]
