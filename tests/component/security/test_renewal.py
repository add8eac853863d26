"""Certificates that are renewed faster than connections are made."""

import asyncio
from typing import Any

from rag_common.grpc.channel import Channel
from rag_common.security.certificates import Certificate
from tests.support.waiting import until


class Line:
    """A channel that connects when it is let."""

    def __init__(self, name: bytes, connects: asyncio.Event) -> None:
        self.name = name
        self.closed = False
        self._connects = connects

    async def channel_ready(self) -> None:
        await self._connects.wait()

    async def close(self) -> None:
        self.closed = True


class Lines:
    """All channels that were opened, by the key of their certificate."""

    def __init__(self) -> None:
        self.made: dict[bytes, Line] = {}
        self.connects: dict[bytes, asyncio.Event] = {}

    def open(self, certificate: Certificate | None) -> Any:
        name = certificate.key if certificate else b""
        event = self.connects.setdefault(name, asyncio.Event())
        self.made[name] = Line(name, event)
        return self.made[name]


def certificate(key: bytes) -> Certificate:
    return Certificate(b"", key, b"", 0.0)


async def test_the_certificate_that_came_last_is_shown_though_the_one_before_connects_later() -> (
    None
):
    lines = Lines()
    channel = Channel(lines.open, None, grace=0.0)
    channel.renew(certificate(b"second"))
    channel.renew(certificate(b"third"))
    await until(lambda: b"third" in lines.made, "both are opened")
    lines.connects[b"third"].set()
    await until(lambda: lines.made[b""].closed, "the first is replaced")
    lines.connects[b"second"].set()
    await until(lambda: any(lines.made[n].closed for n in (b"second", b"third")), "one is let go")
    assert not lines.made[b"third"].closed
    await channel.close()


async def test_a_connection_that_is_being_made_is_closed_with_the_channel() -> None:
    lines = Lines()
    channel = Channel(lines.open, None, grace=0.0)
    channel.renew(certificate(b"second"))
    await until(lambda: b"second" in lines.made, "it is being made")
    await channel.close()
    assert lines.made[b"second"].closed
