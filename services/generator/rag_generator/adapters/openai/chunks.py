"""What one chunk of a server's stream says."""

from dataclasses import replace
from typing import Any

from openai.types.chat import ChatCompletionChunk

from rag_generator.core import Finish
from rag_generator.prompted import Piece

_FINISH = {
    "stop": Finish.STOP,
    "length": Finish.LENGTH,
    "content_filter": Finish.CONTENT_FILTER,
}


def text(chunk: ChatCompletionChunk) -> str:
    """Its words, often none."""
    return getattr(getattr(_choice(chunk), "delta", None), "content", None) or ""


def ending(last: Piece, chunk: ChatCompletionChunk) -> Piece:
    """What the last piece says, with what this chunk adds to it."""
    if reason := getattr(_choice(chunk), "finish_reason", None):
        last = replace(last, finish=_FINISH.get(reason, Finish.STOP))
    if usage := getattr(chunk, "usage", None):
        last = replace(
            last,
            input_tokens=usage.prompt_tokens or 0,
            output_tokens=usage.completion_tokens or 0,
        )
    return last


def _choice(chunk: ChatCompletionChunk) -> Any:
    """The only choice. The SDK does not check what a server sends: any field may be missing."""
    choices = getattr(chunk, "choices", None)
    return choices[0] if choices else None
