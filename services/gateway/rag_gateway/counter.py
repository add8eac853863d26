"""What a public call passes between the door and its work: open collections, tokens, and once is once."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TypeVar

from google.protobuf.message import Message

from rag_common import errors
from rag_common.context import Principal
from rag_gateway.audit import Audit, Deed, Event
from rag_gateway.idempotency import Codec, Idempotency, Key, fingerprint
from rag_gateway.policy import collections_for
from rag_gateway.question import Question, Retrieval
from rag_gateway.quotas import Cost, Quotas, Spent

Reply = TypeVar("Reply", bound=Message)

# An answer's tokens before they are known: a passage has at most about so many, a reply by default.
_PASSAGE_TOKENS = 500
_REPLY_TOKENS = 1024


class Counter:
    """Stands in front of the work of one service, whose full name is `service`.

    `away` names parts without which replies are made at this moment.
    """

    def __init__(
        self,
        service: str,
        audit: Audit,
        quotas: Quotas,
        once: Idempotency,
        away: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.away = away
        self._prefix = f"/{service}/"
        self._audit = audit
        self._quotas = quotas
        self._once = once

    def opened(self, method: str, by: Principal, asked: Sequence[str]) -> tuple[str, ...] | None:
        """The collections that the call is about, None for all. Raises CollectionForbidden."""
        with self._audit.authorising(self._prefix + method, by, ", ".join(asked)):
            return collections_for(by, asked)

    def opened_one(self, method: str, by: Principal, asked: str) -> str:
        """The collection asked for; where none is, the one that is open, or empty for all.

        Raises CollectionForbidden, and InvalidArgument where several are open and not all.
        """
        opened = self.opened(method, by, [asked] if asked else [])
        if not asked and opened is not None and len(opened) > 1:
            raise errors.InvalidArgument.of(
                "collection", "must be named: this credential does not open all"
            )
        return asked or (opened[0] if opened else "")

    def doing(self, event: Event, method: str, target: str) -> AbstractContextManager[Deed]:
        """Put on record that this is done."""
        return self._audit.doing(event, self._prefix + method, target)

    def tokens(self, by: Principal, question: Question) -> AbstractAsyncContextManager[Spent]:
        """Hold as many tokens as the answer may use. Raises TokenBudget."""
        return self._quotas.spend(by, Cost(requests=0, tokens=_most_tokens(question)))

    async def once(
        self,
        method: str,
        by: Principal,
        request: Message,
        work: Callable[[], Awaitable[Reply]],
        reply: type[Reply] | None,
        *parts: bytes,
    ) -> Reply:
        """Do the work once for the `request_id` of the request; a repeat gets the reply of the first.

        Without a type the reply is a secret, which is not kept, and a repeat is refused. `parts`
        belong to the request as well. Raises RequestIdReused.
        """
        request_id: str = request.request_id  # type: ignore[attr-defined]
        if not request_id:
            return await work()
        bare = type(request)()
        bare.CopyFrom(request)
        bare.ClearField("request_id")
        mark = fingerprint(by, bare.SerializeToString(deterministic=True), *parts)
        key = Key(by.tenant, self._prefix + method, request_id)
        return await self._once.once(key, mark, work, _codec(reply) if reply else None)


def _codec(reply: type[Reply]) -> Codec[Reply]:
    return Codec(lambda message: message.SerializeToString(), reply.FromString)


def _most_tokens(question: Question) -> int:
    sources = question.sources
    if isinstance(sources, Retrieval):
        read = sources.top_k * _PASSAGE_TOKENS
    else:
        read = sum(len(passage.text) for passage in sources)
    written = question.how.max_output_tokens or _REPLY_TOKENS
    return len(question.text) + read + written
