"""The worker process: splits documents, and draws pages, one at a time, under limits on memory and CPU time.

Started as `python -m rag_ingestor.sandbox.worker BYTES SECONDS`; reads frames from its standard
input until that closes, and writes responses to its standard output. It holds no secrets and no
connections, and can open neither files nor sockets, so a document that exploits a parser gains nothing.
"""

import codecs
import encodings
import os
import pkgutil
import resource
import sys
from contextlib import suppress
from importlib import import_module
from time import monotonic
from typing import BinaryIO

from rag_contract.errors import InvalidArgument
from rag_ingestor.chunking.chunks import split
from rag_ingestor.parsing import reasons
from rag_ingestor.parsing.charset import CODECS
from rag_ingestor.parsing.parse import READERS, render
from rag_ingestor.parsing.parsed import content_error
from rag_ingestor.sandbox.ipc import (
    SIZES,
    decode_request,
    encode_frame,
    encode_refusal,
    encode_response,
    page_to_render,
    with_seconds,
)

_NAMES_OF_ARCHIVES = "cp437"


def main(memory: int, cpu_seconds: int) -> None:
    """Signal readiness by an empty frame, then handle requests in order.

    Ends after the response to a request that ran out of memory. Is killed if it exceeds its CPU time.
    """
    source, target = _pipes()
    _load_parsers()
    _apply_limits(memory)
    _send(target, encode_frame({}))
    while sizes := source.read(SIZES.size):
        started = monotonic()
        response, reusable = _handle(source, sizes, cpu_seconds)
        _send(target, with_seconds(response, monotonic() - started))
        if not reusable:
            return


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """The input and output pipes; output that a parser prints goes to stderr instead of the frames."""
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, target


def _load_parsers() -> None:
    """Import everything that a document may need, since no file can be opened later."""
    for name in sorted({*READERS.values(), "image"}):
        import_module(f"rag_ingestor.parsing.{name}")
    # Mail and RTF may name any of them.
    own = (module.name for module in pkgutil.iter_modules(encodings.__path__))
    for name in {*CODECS, _NAMES_OF_ARCHIVES, *own}:
        with suppress(LookupError):
            codecs.lookup(name)


def _apply_limits(memory: int) -> None:
    """Limit the memory in bytes, and forbid files, sockets, processes and core dumps, irrevocably."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    for limit in (
        resource.RLIMIT_NOFILE,
        resource.RLIMIT_FSIZE,
        resource.RLIMIT_NPROC,
        resource.RLIMIT_CORE,
    ):
        resource.setrlimit(limit, (0, 0))


def _send(target: BinaryIO, data: bytes) -> None:
    target.write(data)
    target.flush()


def _handle(source: BinaryIO, sizes: bytes, cpu_seconds: int) -> tuple[bytes, bool]:
    try:
        return _split(source, sizes, cpu_seconds), True
    except InvalidArgument as error:
        return encode_refusal(error), True
    except MemoryError:
        return encode_refusal(content_error(reasons.OVER_LIMITS)), False


def _split(source: BinaryIO, sizes: bytes, cpu_seconds: int) -> bytes:
    head_size, body_size, _ = SIZES.unpack(sizes)
    head, body = source.read(head_size), source.read(body_size)
    used = resource.getrusage(resource.RUSAGE_SELF)
    deadline = int(used.ru_utime + used.ru_stime) + 1 + cpu_seconds
    resource.setrlimit(resource.RLIMIT_CPU, (deadline, resource.RLIM_INFINITY))
    page = page_to_render(head)
    if page:
        return encode_frame({}, render(body, page))
    return encode_response(split(*decode_request(head, body)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
