"""A text to be checked that would take hours: refused, and no thread is left working on it."""

import subprocess
import sys

SECONDS = 60

# In a process of its own, for a thread that computes cannot be ended.
CHECK = """
import asyncio
from rag_contract import errors
from rag_generator.evidence.sentences import Passage
from rag_generator.answering.service import Generator

passages = [Passage(str(i), "가나 " * 6_600) for i in range(50)]
generator = Generator.__new__(Generator)

async def main():
    try:
        await generator.check("가. " * 6_600, passages)
    except errors.AppError as error:
        print(error.reason)

asyncio.run(main())
"""


def test_what_would_take_hours_to_check_is_refused() -> None:
    command = ["timeout", "--signal=KILL", "20", sys.executable, "-c", CHECK]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (ended.returncode, ended.stdout.strip()) == (0, "INPUT_TOO_LONG")
