"""The worker process: splits one document after another, under limits of memory and CPU time.

Started as `python -m rag_retriever.adapters.worker BYTES SECONDS`; reads frames from its standard
input until that closes, and answers on its standard output. It holds no secret and no connection,
and can open neither file nor socket: a document that takes a parser over gains nothing by it.
"""

import codecs
import os
import resource
import sys
from importlib import import_module
from time import monotonic
from typing import BinaryIO

from rag_common.errors import InvalidArgument
from rag_retriever.adapters.frames import SIZES, frame, read_request, refusal, reply, timed
from rag_retriever.formats import reasons
from rag_retriever.formats.charset import CODECS
from rag_retriever.formats.parsed import refused
from rag_retriever.splitting import split

_NAMES_OF_ARCHIVES = "cp437"


def main(memory: int, cpu_seconds: int) -> None:
    """Says that it is ready with an empty frame, then answers requests in order.

    After a request that ran out of memory it answers and ends. Out of CPU time it is killed.
    """
    source, target = _pipes()
    _load_parsers()
    _close_in(memory)
    _send(target, frame({}))
    while sizes := source.read(SIZES.size):
        began = monotonic()
        answer, fit = _answer(source, sizes, cpu_seconds)
        _send(target, timed(answer, monotonic() - began))
        if not fit:
            return


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """The two pipes; what a parser prints goes nowhere instead of between the frames."""
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, target


def _load_parsers() -> None:
    """All that a document may need: nothing can be opened later."""
    for name in ("plain", "markdown", "html", "pdf", "docx"):
        import_module(f"rag_retriever.formats.{name}")
    for name in (*CODECS, _NAMES_OF_ARCHIVES):
        codecs.lookup(name)


def _close_in(memory: int) -> None:
    """For good: so much memory; no file written, none opened, no socket, no process, no core."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    for what in (
        resource.RLIMIT_NOFILE,
        resource.RLIMIT_FSIZE,
        resource.RLIMIT_NPROC,
        resource.RLIMIT_CORE,
    ):
        resource.setrlimit(what, (0, 0))


def _send(target: BinaryIO, data: bytes) -> None:
    target.write(data)
    target.flush()


def _answer(source: BinaryIO, sizes: bytes, cpu_seconds: int) -> tuple[bytes, bool]:
    try:
        return _split(source, sizes, cpu_seconds), True
    except InvalidArgument as error:
        return refusal(error), True
    except MemoryError:
        return refusal(refused(reasons.OVER_LIMITS)), False


def _split(source: BinaryIO, sizes: bytes, cpu_seconds: int) -> bytes:
    head_size, body_size, _ = SIZES.unpack(sizes)
    head, body = source.read(head_size), source.read(body_size)
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + 1 + cpu_seconds
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))
    return reply(split(*read_request(head, body)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
