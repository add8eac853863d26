"""Tesseract as a program: the text of one page's image."""

import asyncio
import csv
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import structlog

log = structlog.get_logger()

_PROGRAM = "tesseract"
# One page keeps one core busy; other pages have the others.
_THREADS = {"OMP_THREAD_LIMIT": "1"}
_INHERITED = ("PATH", "TESSDATA_PREFIX")
_LIST_SECONDS = 10.0
# Its own analysis of the page, which finds nothing on pages of a few lines; then lines of one column.
_LAYOUTS = ("3", "4")
# Mean confidence in percent from which a page is not read with more languages. Pages of one language are
# read better, and in half of the time, with that language alone.
_SURE = 88.0
_WORD = "5"


@dataclass(frozen=True, slots=True)
class _Reading:
    """The text of a page, and the mean confidence of its words in percent."""

    text: str = ""
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class Tesseract:
    """The program, the languages that it reads, joined by +, and the most seconds for a page.

    The first language is that of most pages: the others are added only where it reads badly.
    """

    program: str
    languages: str
    seconds: float

    @classmethod
    def find(cls, languages: str, seconds: float) -> Self | None:
        """The installed program; None, and a line in the log, if it or one of its languages is missing."""
        program = shutil.which(_PROGRAM)
        if program is None:
            log.info("ocr_not_installed", install="apt-get install tesseract-ocr tesseract-ocr-kor")
            return None
        done = subprocess.run(  # noqa: S603
            [program, "--list-langs"], capture_output=True, text=True, timeout=_LIST_SECONDS
        )
        missing = set(languages.split("+")) - set(done.stdout.split())
        if missing:
            packages = [f"tesseract-ocr-{name}" for name in sorted(missing)]
            log.warning("ocr_language_missing", install=f"apt-get install {' '.join(packages)}")
            return None
        return cls(program, languages, seconds)

    async def recognise(self, image: bytes) -> str:
        """The text on an image in PGM, empty if there is none, or if it takes too long.

        Cancelling the call ends the program.
        """
        best = _Reading()
        try:
            async with asyncio.timeout(self.seconds):
                for languages in dict.fromkeys((self.languages.partition("+")[0], self.languages)):
                    for layout in _LAYOUTS:
                        reading = await self._read(image, languages, layout)
                        if reading.text:
                            break
                    best = max(best, reading, key=lambda one: one.confidence)
                    if best.confidence >= _SURE:
                        break
        except TimeoutError:
            log.warning("ocr_timed_out", seconds=self.seconds)
        return best.text

    async def _read(self, image: bytes, languages: str, layout: str) -> _Reading:
        with TemporaryDirectory(prefix="ocr-") as folder:
            output = Path(folder) / "page"
            options = ("-l", languages, "--dpi", "300", "--psm", layout, "txt", "tsv")
            process = _started([self.program, "stdin", str(output), *options])
            try:
                await asyncio.shield(asyncio.to_thread(process.communicate, image))
            finally:
                process.kill()
                process.wait()
            if process.returncode:
                log.warning("ocr_failed", returncode=process.returncode)
                return _Reading()
            return _reading(output)


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    """Popen uses vfork, which runs no fork handlers: gRPC's would stop its threads."""
    return subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in _INHERITED if name in os.environ} | _THREADS,
    )


def _reading(output: Path) -> _Reading:
    text = output.with_suffix(".txt").read_text("utf-8", "replace").replace("\f", "").strip()
    confidences = list(_confidences(output.with_suffix(".tsv")))
    return _Reading(text, sum(confidences) / len(confidences)) if confidences else _Reading()


def _confidences(table: Path) -> Iterator[float]:
    with table.open(encoding="utf-8", errors="replace", newline="") as rows:
        for row in csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["level"] == _WORD and (row["text"] or "").strip():
                yield float(row["conf"])
