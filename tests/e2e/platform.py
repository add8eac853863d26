"""The real services as processes on free ports, with a home, keys and logs of their own."""

import json
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from rag_local import dev_keys
from rag_local.child import release
from rag_local.service_processes import (
    SERVICES,
    ServiceProcess,
    ServiceSpec,
    healthy,
    start,
    targets,
    wait_healthy,
)

READY_SECONDS = 120.0
SCOPES = ("search", "answer", "ingest")


class Platform:
    """A context manager: the services run inside it, and all have ended after it.

    `own` gives a service's settings that no other one may see; it is asked anew at each start.
    """

    def __init__(
        self,
        home: Path,
        environment: Mapping[str, str],
        own: Callable[[str], Mapping[str, str]] = lambda _service: {},
    ) -> None:
        self.home = home
        self._own = own
        self.specs = dict(zip((spec.name for spec in SERVICES), _free_specs(), strict=True))
        self._environment = {
            "RAG_HOME": str(home),
            **targets(list(self.specs.values())),
            **environment,
        }
        self._running: dict[str, ServiceProcess] = {}

    def __enter__(self) -> Self:
        dev_keys.ensure(self.home / "keys")
        (self.home / "logs").mkdir()
        try:
            self.revive()
        except BaseException:
            self._stop_all()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop_all()

    @property
    def target(self) -> str:
        """Where the gateway answers."""
        return self.address("gateway")

    def address(self, name: str) -> str:
        """Where a service answers."""
        return f"127.0.0.1:{self.specs[name].port}"

    def process(self, name: str) -> int:
        """The id of the service's process."""
        return self._running[name].process.pid

    def serving(self, name: str) -> bool:
        """Whether the service says that it serves."""
        return healthy(self.specs[name])

    def begin(self, name: str, **settings: str) -> None:
        """Start a service, with other settings than the rest if wanted."""
        spec, log = self.specs[name], self._log(name)
        reported = {**self._environment, **self._own(spec.name), **settings}
        process = start(spec, reported, log)
        self._running[name] = ServiceProcess(spec, process, log)

    def revive(self) -> None:
        """Start whatever does not run, and return when all of them serve."""
        for name in self.specs:
            if name not in self._running or self._running[name].process.poll() is not None:
                self.begin(name)
        wait_healthy(list(self._running.values()), READY_SECONDS)

    def restart(self, name: str, **settings: str) -> None:
        """End a service and start it again with other settings; return when all of them serve."""
        self.stop(name)
        self.begin(name, **settings)
        wait_healthy(list(self._running.values()), READY_SECONDS)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send the service's process a signal."""
        self._running[name].process.send_signal(number)

    def kill(self, name: str) -> None:
        """End a service without a chance to tidy up."""
        self.signal(name, signal.SIGKILL)
        self.ended(name)

    def stop(self, name: str) -> int:
        """End a service as Kubernetes does; its exit code."""
        if self._running[name].process.poll() is None:
            self.signal(name, signal.SIGTERM)
        return self.ended(name)

    def ended(self, name: str) -> int:
        """Wait for the process to end; its exit code."""
        process = self._running[name].process
        code: int = process.wait(60)
        # Killed, it may have left workers behind.
        release(process)
        return code

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The service's log lines so far."""
        return [json.loads(line) for line in self._log(name).read_text("utf-8").splitlines()]

    def calls(self, name: str, **facts: str) -> list[dict[str, Any]]:
        """The service's lines about calls with these facts."""
        return [
            line
            for line in self.lines(name)
            if line["event"] == "call" and facts.items() <= line.items()
        ]

    def token(
        self, tenant: Any, scopes: Sequence[str] = SCOPES, headers: Any = None, **claims: Any
    ) -> str:
        """A token signed with the platform's own key; a claim of None is left out."""
        now = int(time.time())
        payload = {
            "iss": "rag-dev",
            "aud": "rag",
            "sub": "tester",
            "tenant": tenant,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + 3600,
            **claims,
        }
        kept = {name: value for name, value in payload.items() if value is not None}
        key: Any = load_pem_private_key((self.home / "keys" / "dev.pem").read_bytes(), None)
        return jwt.encode(kept, key, "EdDSA", headers={"kid": self.jwk["kid"], **(headers or {})})

    @cached_property
    def jwk(self) -> dict[str, str]:
        """The public key that tokens are checked with."""
        result: dict[str, str] = json.loads(self.jwks.read_text())["keys"][0]
        return result

    @property
    def jwks(self) -> Path:
        """The file of the public keys."""
        return self.home / "keys" / "jwks.json"

    def _stop_all(self) -> None:
        with ExitStack() as stack:
            for name in self._running:
                stack.callback(self.stop, name)

    def _log(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"


def _free_specs() -> list[ServiceSpec]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3 * len(SERVICES))]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = iter([one.getsockname()[1] for one in sockets])
        return [ServiceSpec(spec.name, next(ports), next(ports), next(ports)) for spec in SERVICES]
