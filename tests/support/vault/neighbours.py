"""Neighbours for Vault's tests: an API server, a server that is silent, and a listener in between."""

import asyncio
import ssl
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web


class _Server:
    """Something that listens on a free port of loopback."""

    address = ""

    def __init__(self) -> None:
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        raise NotImplementedError


class Silence(_Server):
    """Takes requests and never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.set()
        await asyncio.Event().wait()
        return web.Response()


class Nonsense(_Server):
    """Answers everything with a page."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>welcome</html>", content_type="text/html")


class Elsewhere(_Server):
    """Sends everybody somewhere else."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = target

    async def answer(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"location": f"{self._target}{request.path}"})


class Kubernetes(_Server):
    """Reviews tokens as an API server does: of the ones it knows, it says whose they are."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts: dict[str, str] = {}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        review = await request.json()
        account = self.accounts.get(review["spec"]["token"])
        status: dict[str, Any] = {"authenticated": False}
        if account:
            status = {
                "authenticated": True,
                "user": {"username": f"system:serviceaccount:rag:{account}", "uid": f"u-{account}"},
            }
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "status": status,
        }
        return web.json_response(body, status=201)


class Recorder(_Server):
    """Passes everything on to Vault, and keeps what it passed."""

    def __init__(self, target: str, ca_file: Path) -> None:
        super().__init__()
        self._target = target
        self._tls = ssl.create_default_context(cafile=str(ca_file))
        self.sent: dict[str, list[bytes]] = {}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.sent.setdefault(request.path, []).append(body)
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower().startswith("x-vault") or name.lower() == "content-type"
        }
        async with (
            aiohttp.ClientSession() as client,
            client.request(
                request.method,
                f"{self._target}{request.path_qs}",
                data=body,
                headers=headers,
                ssl=self._tls,
            ) as reply,
        ):
            return web.Response(
                body=await reply.read(), status=reply.status, content_type=reply.content_type
            )
