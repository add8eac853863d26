"""Reads a model's text chunk by chunk: checks markers, buffers, and stops at the deadline."""

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic

from rag_contract import errors
from rag_generator.answering.citations import MarkerFilter
from rag_generator.llm.model import Finish, ModelChunk


class Draft:
    """The text that a model is writing; `text` is the part that `next_text` has returned.

    Text is buffered for `interval` seconds; the first text is returned at once. `deadline` is a time
    of the event loop. `on_chunk` is called for each chunk that arrives.
    """

    def __init__(
        self,
        chunks: AsyncIterator[ModelChunk],
        markers: MarkerFilter,
        *,
        interval: float,
        deadline: float,
        on_chunk: Callable[[], None],
    ) -> None:
        self.text = ""
        self.finish = Finish.STOP
        self.input_tokens = 0
        self.output_tokens = 0
        self._chunks = chunks
        self._markers = markers
        self._interval = interval
        self._deadline = deadline
        self._on_chunk = on_chunk
        self._unsent: list[str] = []
        self._sent_at = monotonic()

    async def next_text(self) -> str:
        """The next text to send; "" at the end, and if the deadline passes after the first text.

        Raises DeadlineExceeded if it passes before, and what the model raises.
        """
        while chunk := await self._next_chunk():
            self._on_chunk()
            self._add(chunk)
            if (self._is_due() or not self.text) and (text := self._flush()):
                return text
        return self._flush()

    async def _next_chunk(self) -> ModelChunk | None:
        try:
            async with asyncio.timeout_at(self._deadline):
                return await anext(self._chunks, None)
        except TimeoutError as error:
            if not self.text:
                raise errors.DeadlineExceeded(
                    "the language model wrote nothing before the deadline",
                    metadata={"stage": "generate"},
                ) from error
            self.finish = Finish.DEADLINE
            return None

    def _add(self, chunk: ModelChunk) -> None:
        self._unsent.append(self._markers.feed(chunk.text))
        if chunk.finish:
            self.finish = chunk.finish
            self.input_tokens, self.output_tokens = chunk.input_tokens, chunk.output_tokens

    def _is_due(self) -> bool:
        return monotonic() - self._sent_at >= self._interval

    def _flush(self) -> str:
        text = "".join(self._unsent)
        self._unsent.clear()
        self.text += text
        self._sent_at = monotonic()
        return text
