"""How fast documents are embedded and stored here, and whether one fits into the time that is left."""

import time
from collections.abc import Callable

from rag_common.context import CALL
from rag_contract.errors import FieldViolation, InputTooLong

# Passages a second before any document was measured: one core embeds about 28.
_FIRST = 20.0
# Documents of fewer passages are never too long.
_MIN_PASSAGES = 500
# Documents of fewer passages say little about the pace.
_TELLING_PASSAGES = 100
_KEPT_SECONDS = 600.0
_NEWEST_WEIGHT = 0.5
# A document may take a little longer than the last one did.
_SLACK = 1.25


class EmbeddingPace:
    """The passages a second of recent documents, beside what else was embedded at the time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rate = _FIRST
        self._measured_at = clock()

    def measured(self, passages: int, seconds: float) -> None:
        """Take a document into account that was embedded and stored in so many seconds."""
        if passages >= _TELLING_PASSAGES and seconds > 0:
            self._measured_at = self._clock()
            self._rate += _NEWEST_WEIGHT * (passages / seconds - self._rate)

    def require_time(self, passages: int) -> None:
        """Raise InputTooLong if so many passages cannot be stored before the call's deadline."""
        call = CALL.get()
        if call is None or passages < _MIN_PASSAGES:
            return
        if self._clock() - self._measured_at > _KEPT_SECONDS:
            # What was slow may be over: a refusal would never show it.
            self._rate = max(self._rate, _FIRST)
        most = int(max(call.remaining, 0.0) * self._rate * _SLACK)
        if passages > most:
            limit = max(most, _MIN_PASSAGES)
            english = (
                f"has {passages} passages, and about {limit} can be stored before the deadline; "
                "split the document, or set a later deadline"
            )
            korean = (
                f"구절이 {passages}개인데 제한 시간 안에 약 {limit}개까지 저장할 수 있습니다. "
                "문서를 나누거나 제한 시간을 늘려 주세요."
            )
            raise InputTooLong.among(
                [FieldViolation("content", english, "CONTENT_TOO_LONG", korean)]
            )
