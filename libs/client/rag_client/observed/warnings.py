"""What makes a trace less than the whole truth, in sentences."""

from collections.abc import Iterator

from rag_client.observed.axis import length
from rag_client.observed.summaries import Summary
from rag_client.observed.words import clean, short

_MOST = 10


def warnings(facts: Summary) -> Iterator[str]:
    """What is missing, and clocks that do not agree."""
    if facts.partial:
        yield f"not the whole trace: {clean(facts.partial)}"
    if facts.caller:
        yield (
            f"it begins below span {facts.caller}, which never arrived: a caller's own, not exported, "
            "or lost on the way"
        )
    for orphan in facts.orphans[:_MOST]:
        yield (
            f"orphan: the parent {orphan.parent_id} of {clean(orphan.service)} {short(orphan.name)} "
            "never arrived: lost, or not exported"
        )
    if len(facts.orphans) > _MOST:
        yield f"and {len(facts.orphans) - _MOST} more orphans"
    for skew in facts.skews:
        way = "ahead of" if skew.nanoseconds > 0 else "behind"
        yield (
            f"clocks: {clean(skew.process)} is {length(abs(skew.nanoseconds))} or more {way} "
            f"{clean(skew.against)}; times are shown as they were recorded"
        )
