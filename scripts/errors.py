"""Write docs/errors.md from the tree of errors; --check only says whether it is stale."""

import sys
from collections.abc import Iterator
from pathlib import Path

from rag_common import errors
from rag_common.messages import KOREAN
from rag_common.rpc.status import CODES, DOMAIN, tree

PAGE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"

DETAILS = {
    errors.InvalidArgument: "BadRequest: each field and what would be right",
    errors.ResourceExhausted: "QuotaFailure",
    errors.FailedPrecondition: "PreconditionFailure",
}
# Where a retry can help at all; RetryInfo says when.
RETRY = {errors.ResourceExhausted: "after RetryInfo", errors.Unavailable: "after RetryInfo"}
NO_RETRY = (errors.MessageTooLarge,)


def main() -> int:
    text = "\n".join(page()) + "\n"
    if "--check" in sys.argv:
        if PAGE.is_file() and PAGE.read_text("utf-8") == text:
            return 0
        sys.stderr.write("docs/errors.md is not what the code says; run `make settings`\n")
        return 1
    PAGE.write_text(text, "utf-8")
    return 0


def page() -> Iterator[str]:
    yield "# Errors"
    yield ""
    yield (
        "One table for all services, made from the code by `make settings`. Branch on the reason in "
        f"`google.rpc.ErrorInfo` (domain `{DOMAIN}`); the message is for people and may change. Every "
        "error also carries `RequestInfo` (the request id, and the trace id as `serving_data`) and "
        "`LocalizedMessage`, in Korean where the call's `accept-language` prefers it. UNAVAILABLE "
        "with a time to come back also sets `grpc-retry-pushback-ms`, which gRPC's own retries obey. "
        "“No answer” is not an error: see `skipped_reason`."
    )
    yield ""
    yield "| code | reason | meaning | details | retry | Korean |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for kind in tree():
        family = next(base for base in kind.__mro__ if base in CODES)
        cells = [
            CODES[family].name,
            kind.reason,
            " ".join((kind.__doc__ or "").split()),
            DETAILS.get(family, ""),
            RETRY.get(family, "no") if kind not in NO_RETRY else "no",
            KOREAN[kind.reason],
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield (
        "A peer that is not ours, or gRPC itself, gives a status without these details: UNAVAILABLE "
        "becomes DEPENDENCY_DOWN, DEADLINE_EXCEEDED becomes BUDGET_EXHAUSTED, RESOURCE_EXHAUSTED becomes "
        "MESSAGE_TOO_LARGE (gRPC's own size limit), any other code of the table becomes the first of its "
        "rows, and what is not in the table is INTERNAL."
    )


if __name__ == "__main__":
    sys.exit(main())
