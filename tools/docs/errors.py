"""Write docs/errors.md from the tree of errors; --check only says whether it is stale."""

import sys
from collections.abc import Iterator

from rag_contract import errors
from rag_contract.error_messages import KOREAN
from rag_contract.status import CODES, DOMAIN, family, tree
from tools import ROOT
from tools.generated import write_or_check

PAGE = ROOT / "docs" / "errors.md"

DETAILS = {
    errors.InvalidArgument: "BadRequest: each invalid field and what is allowed",
    errors.ResourceExhausted: "QuotaFailure",
    errors.FailedPrecondition: "PreconditionFailure",
}
# Where a retry can help at all; RetryInfo says when.
RETRY = {errors.ResourceExhausted: "after RetryInfo", errors.Unavailable: "after RetryInfo"}
NO_RETRY = (
    errors.MessageTooLarge,
    errors.ApiKeyLimit,
    errors.RevokedTokenLimit,
    errors.DependencyRefused,
    errors.ConnectionInsecure,
    errors.IndexUnusable,
)


def main() -> int:
    return write_or_check({PAGE: "\n".join(page()) + "\n"}, "make settings")


def page() -> Iterator[str]:
    yield "# Errors"
    yield ""
    yield (
        "The errors of all services, generated from the code by `make settings`. Branch on the reason in "
        f"`google.rpc.ErrorInfo` (domain `{DOMAIN}`); the message is for people and may change. Every "
        "error also has `RequestInfo` (the request id, and the trace id as `serving_data`) and "
        "`LocalizedMessage`, in Korean if the call's `accept-language` prefers it. UNAVAILABLE "
        "with a retry delay also sets `grpc-retry-pushback-ms`, which gRPC's built-in retries respect. "
        "“No answer” is not an error: see `skipped_reason`."
    )
    yield ""
    yield "| code | reason | meaning | details | retry | Korean |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for kind in tree():
        base = family(kind)
        cells = [
            CODES[base].name,
            kind.reason,
            " ".join((kind.__doc__ or "").split()),
            DETAILS.get(base, ""),
            "no" if kind in NO_RETRY else RETRY.get(base, "no"),
            KOREAN[kind.reason],
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield (
        "A foreign peer, or gRPC itself, returns a status without these details: UNAVAILABLE "
        "becomes DEPENDENCY_DOWN, DEADLINE_EXCEEDED becomes BUDGET_EXHAUSTED, RESOURCE_EXHAUSTED becomes "
        "MESSAGE_TOO_LARGE (gRPC's own size limit), any other code of the table gets the reason "
        "UNSPECIFIED, and a code that is not in the table is INTERNAL."
    )


if __name__ == "__main__":
    sys.exit(main())
