"""hvac on threads of its own: every request with a timeout, every failure by a name of ours."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, TypeVar

import hvac
import requests

from rag_common.dependency import Dependency
from rag_common.vault.concealed import Concealed
from rag_common.vault.failures import (
    Denied,
    Failing,
    Missing,
    Refused,
    Sealed,
    Unreachable,
)
from rag_common.vault.options import VaultOptions

T = TypeVar("T")

# hvac has no types.
Client = Any

_THREADS = 4
_MOST_WORDS = 200


class Connection:
    """Asks Vault, whoever the token belongs to, without ever holding up the event loop."""

    def __init__(self, options: VaultOptions, dependency: Dependency | None = None) -> None:
        self._options = options
        self._dependency = dependency
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="vault")
        self._http = requests.Session()
        # Neither a proxy, nor other roots, nor a .netrc comes in by the environment.
        self._http.trust_env = False
        self._http.verify = str(options.ca_file) if options.ca_file else True

    async def ask(
        self, operation: str, use: Callable[[Client], T], token: Concealed | None = None
    ) -> T:
        """What `use` makes of a client with that token, on another thread.

        `operation` says what that is, for metrics and spans. Raises Unreachable, Sealed, Failing,
        Refused, Denied, Missing.
        """
        with self._dependency.call(operation) if self._dependency else nullcontext():
            return await self._bounded(use, token)

    def close(self) -> None:
        """Let go of the connections; a request still under way ends at its own timeout."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    async def _bounded(self, use: Callable[[Client], T], token: Concealed | None) -> T:
        loop = asyncio.get_running_loop()
        try:
            # requests bounds connecting and each read; this bounds the whole, and a queue.
            async with asyncio.timeout(2 * self._options.timeout):
                return await loop.run_in_executor(self._pool, self._ask, use, token)
        except TimeoutError as error:
            raise Unreachable(f"{self._name} does not answer in time") from error

    @property
    def _name(self) -> str:
        return f"Vault at {self._options.address}"

    def _ask(self, use: Callable[[Client], T], token: Concealed | None) -> T:
        try:
            return use(self._client(token))
        except (hvac.exceptions.VaultError, OSError) as error:
            raise self._failure(error) from error
        # What hvac hands out when the body is no JSON, or JSON of another kind.
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Unreachable(f"{self._name} does not answer as Vault does") from error

    def _client(self, token: Concealed | None) -> Client:
        # An empty token, or hvac looks for one in the environment and in the home folder.
        return hvac.Client(
            url=self._options.address,
            token=token.reveal() if token else "",
            namespace=self._options.namespace or None,
            timeout=self._options.timeout,
            session=self._http,
            # A redirect would carry the token along.
            allow_redirects=False,
            # GET with list=true: proxies do not know the verb LIST.
            strict_http=True,
        )

    def _failure(self, error: Exception) -> Exception:
        match error:
            case hvac.exceptions.Forbidden() | hvac.exceptions.Unauthorized():
                return Denied(f"{self._name} does not allow this")
            case hvac.exceptions.InvalidPath():
                return Missing(f"{self._name} has no such path")
            case hvac.exceptions.InvalidRequest():
                return Refused(f"{self._name} refuses: {_words(error)}")
            case hvac.exceptions.VaultDown() if "sealed" in _words(error):
                return Sealed(f"{self._name} is sealed: an operator has to unseal it")
            case requests.exceptions.SSLError():
                return Unreachable(f"{self._name} shows a certificate that is not of our roots")
            case requests.exceptions.Timeout():
                return Unreachable(f"{self._name} does not answer in time")
            case hvac.exceptions.VaultError():
                return Failing(f"{self._name} cannot answer now ({type(error).__name__})")
        return Unreachable(f"{self._name} is not reachable")


def _words(error: Any) -> str:
    """Vault's own words, on one line; it does not repeat tokens or secret ids in them."""
    return " ".join(" ".join(error.errors or ["no reason given"]).split())[:_MOST_WORDS]
