"""hvac on its own threads: every request has a timeout, every failure an exception of `failures`."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, NoReturn, TypeVar, final

import hvac
import requests
from pydantic import SecretStr

from rag_common.observability.dependency import Dependency
from rag_common.vault.failures import (
    Denied,
    Failing,
    Missing,
    Refused,
    Sealed,
    Unreachable,
)
from rag_common.vault.settings import VaultOptions

T = TypeVar("T")

# hvac has no types.
Client = Any

_THREADS = 4
_MAX_ERROR_CHARACTERS = 200


@final
class SecretText(SecretStr):
    """pydantic's SecretStr, which alone can be pickled in plain text, and dumped by `vars`."""

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is neither pickled nor copied")

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        """Raises TypeError, as in `json.dumps(..., default=vars)`."""
        raise TypeError("a secret does not list its attributes")


class Connection:
    """Sends requests to Vault, with any token, without blocking the event loop."""

    def __init__(self, options: VaultOptions, dependency: Dependency | None = None) -> None:
        self._options = options
        self._dependency = dependency
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="vault")
        self._http = requests.Session()
        # Proxies, root certificates and .netrc from the environment are ignored.
        self._http.trust_env = False
        self._http.verify = str(options.ca_file) if options.ca_file else True

    async def call(
        self, operation: str, use: Callable[[Client], T], token: SecretText | None = None
    ) -> T:
        """Return the result of `use` with a client with that token, run on another thread.

        `operation` names the request in metrics and spans. Raises Unreachable, Sealed, Failing,
        Refused, Denied, Missing.
        """
        with self._dependency.call(operation) if self._dependency else nullcontext():
            return await self._bounded(use, token)

    def close(self) -> None:
        """Close the connections; a running request ends at its own timeout."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    async def _bounded(self, use: Callable[[Client], T], token: SecretText | None) -> T:
        loop = asyncio.get_running_loop()
        try:
            # requests bounds connecting and each read; this bounds the total, including queueing.
            async with asyncio.timeout(2 * self._options.timeout):
                return await loop.run_in_executor(self._pool, self._call, use, token)
        except TimeoutError as error:
            raise Unreachable(f"{self._name} does not answer in time") from error

    @property
    def _name(self) -> str:
        return f"Vault at {self._options.address}"

    def _call(self, use: Callable[[Client], T], token: SecretText | None) -> T:
        try:
            return use(self._client(token))
        except (hvac.exceptions.VaultError, OSError) as error:
            raise self._failure(error) from error
        # hvac's errors for a body that is not JSON, or JSON of another shape.
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Unreachable(f"{self._name} sent an invalid response") from error

    def _client(self, token: SecretText | None) -> Client:
        # Without a token hvac would look for one in the environment and in the home folder.
        return hvac.Client(
            url=self._options.address,
            token=token.get_secret_value() if token else "",
            namespace=self._options.namespace or None,
            timeout=self._options.timeout,
            session=self._http,
            # A redirect would forward the token.
            allow_redirects=False,
            # GET with list=true, as proxies may not support the verb LIST.
            strict_http=True,
        )

    def _failure(self, error: Exception) -> Exception:
        match error:
            case hvac.exceptions.Forbidden() | hvac.exceptions.Unauthorized():
                return Denied(f"{self._name} denies permission")
            case hvac.exceptions.InvalidPath():
                return Missing(f"{self._name} has no such path")
            case hvac.exceptions.InvalidRequest():
                return Refused(f"{self._name} refuses: {_error_text(error)}")
            case hvac.exceptions.VaultDown() if "sealed" in _error_text(error):
                return Sealed(f"{self._name} is sealed: an operator has to unseal it")
            case requests.exceptions.SSLError():
                return Unreachable(f"{self._name} presents a certificate that is not trusted")
            case requests.exceptions.Timeout():
                return Unreachable(f"{self._name} does not answer in time")
            case hvac.exceptions.VaultError():
                return Failing(f"{self._name} cannot answer now ({type(error).__name__})")
        return Unreachable(f"{self._name} is not reachable")


def _error_text(error: Any) -> str:
    """Vault's error messages on one line; they do not contain tokens or secret ids."""
    return " ".join(" ".join(error.errors or ["no reason given"]).split())[:_MAX_ERROR_CHARACTERS]
