"""The start of the embedder: its ports are open while the model is loaded."""

import asyncio
from typing import Any

import pytest

from rag_embedder import app
from rag_embedder.settings import Settings
from rag_local.program import free_port, listens
from tests.support.parts import prepared_models
from tests.support.waiting import until


async def test_the_ports_are_open_before_the_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, seen = free_port(), list[bool]()

    async def load(*_: Any) -> None:
        seen.append(await asyncio.to_thread(listens, port))
        await asyncio.Event().wait()

    monkeypatch.setattr(app, "_load", load)
    settings = Settings.load(
        port=port, health_port=0, http_port=0, models_dir=prepared_models(), drain_delay=0
    )
    async with app.app(settings):
        await until(lambda: seen, "the model is loaded")
    assert seen == [True]
