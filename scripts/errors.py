"""Generate docs/errors.md from the error contract; with --check, only say whether it is current."""

import sys
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.any_pb2 import Any as AnyMessage

from rag_common import errors
from rag_common.context import Call, Trace
from rag_common.errors import AppError, FieldViolation
from rag_common.messages import KOREAN
from rag_common.rpc import status

TARGET = Path(__file__).resolve().parent.parent / "docs" / "errors.md"

HEAD = """\
# Errors

Written by `make docs` from `rag_common.errors`; not edited by hand.

Every error of every service carries `google.rpc.ErrorInfo` with the domain `{domain}`, a reason that
programs branch on, and facts as metadata; `RequestInfo` with the request id and the trace id; and
`LocalizedMessage` in Korean where `accept-language` begins with `ko`, else in English. The details named
below come with them. `RetryInfo` is there whenever the service knows when a retry is worth it; of those,
UNAVAILABLE also carries `grpc-retry-pushback-ms`, which gRPC's own retries obey.

| Code | Reason | When | Also carries | Does a retry help? | In Korean |
| --- | --- | --- | --- | --- | --- |
"""

RETRY = {
    errors.MessageTooLarge: "no",
    errors.ResourceExhausted: "after the time of RetryInfo",
    errors.Unavailable: "yes, reads at once, others with their request id",
    errors.ReindexRunning: "once it is done",
    errors.FailedPrecondition: "once the state is another",
    errors.Aborted: "after reading again",
    errors.DeadlineExceeded: "with more time",
    errors.TokenExpired: "with a new token",
}

# What every error carries, said above the table.
COMMON = {"ErrorInfo", "RequestInfo", "LocalizedMessage"}


def main() -> int:
    page = HEAD.format(domain=status.DOMAIN) + "".join(f"{row}\n" for row in rows())
    if "--check" not in sys.argv:
        TARGET.write_text(page)
        return 0
    if TARGET.is_file() and TARGET.read_text() == page:
        return 0
    sys.stderr.write("docs/errors.md is not what the errors give; run `make docs`\n")
    return 1


def rows() -> Iterator[str]:
    """A row for each error, families in the order of the contract."""
    order = list(status.CODES.values())
    for kind in sorted(status.tree(), key=lambda kind: order.index(status.code(kind("")))):
        code, carried = status.code(kind("")).name, ", ".join(carries(kind)) or "–"
        when = " ".join((kind.__doc__ or "").split()).replace("|", "\\|")
        cells = (code, f"`{kind.reason}`", when, carried, retry(kind), KOREAN[kind.reason])
        yield f"| {' | '.join(cells)} |"


def carries(kind: type[AppError]) -> list[str]:
    """The details of such an error besides those that all have."""
    call = Call("r", Trace.new(), deadline=0.0)
    hint = 1.0 if issubclass(kind, errors.Unavailable | errors.ResourceExhausted) else None
    if issubclass(kind, errors.MessageTooLarge):
        hint = None
    error = kind("x", violations=[FieldViolation("a", "b")], retry_after=hint)
    names = [_name(detail) for detail in status.to_status(error, call).details]
    return [name for name in names if name not in COMMON]


def retry(kind: type[AppError]) -> str:
    return next((RETRY[family] for family in kind.__mro__ if family in RETRY), "no")


def _name(detail: AnyMessage) -> str:
    return detail.TypeName().removeprefix("google.rpc.")


if __name__ == "__main__":
    sys.exit(main())
