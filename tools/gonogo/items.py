"""The kinds of items that a checklist may contain; each knows how its evidence is read."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from tools.gonogo.context import TIMED_OUT, Context, Ran, now
from tools.gonogo.finding import Finding, State, judged, not_verified
from tools.gonogo.limits import Limit
from tools.gonogo.records import judge_figures, judge_issues, judge_junit, judge_release

_NOT_EXECUTABLE, _NOT_FOUND = 126, 127
# How the tools of this repository and pytest begin the line that says what is wrong.
_PROBLEM = re.compile(r"^(?:FAIL|FAILED|ERROR)\b.*", re.MULTILINE)


class Item(BaseModel):
    """One line of the checklist."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    command: str = ""
    timeout_s: int = 900

    def check(self, context: Context) -> Finding:
        """The state of this item in a checkout."""
        raise NotImplementedError


class CommandItem(Item):
    """Go if the command exits with 0 and shows a figure.

    A command that is not there or takes too long, or whose output matches `unverified` or has
    nothing that matches `figure`, has verified nothing. The figure is shown as evidence.
    """

    reads: Literal["command"]
    command: str
    figure: str
    unverified: str | None = None

    def check(self, context: Context) -> Finding:
        """Run the command and judge how it ended."""
        ran = context.run(self.command, self.timeout_s)
        if ran.code == TIMED_OUT:
            return not_verified(f"no result within {self.timeout_s} s", now())
        if ran.code in (_NOT_EXECUTABLE, _NOT_FOUND):
            return not_verified(ran.last_line, now())
        if ran.code:
            return Finding(State.NO_GO, f"exit code {ran.code}: {_problems(ran)}", now())
        return self._succeeded(ran.output)

    def _succeeded(self, output: str) -> Finding:
        if self.unverified and (found := _first(self.unverified, output)):
            return not_verified(found, now())
        if figure := _first(self.figure, output):
            return Finding(State.GO, figure, now())
        return not_verified(f"the output has nothing like “{self.figure}”", now())


class RecordItem(Item):
    """Read from a file that a command leaves; a file of another commit verifies nothing.

    `file` may be a pattern, of which the newest file counts. `missing` says why there is no file,
    if that is to be expected.
    """

    file: str
    missing: str = ""

    def check(self, context: Context) -> Finding:
        """Judge the file, after running the command if everything is to run."""
        if context.run_all and self.command:
            for path in context.root.glob(self.file):
                path.unlink()
            context.run(self.command, self.timeout_s)
        files = sorted(context.root.glob(self.file), key=_modified)
        if not files:
            return not_verified(self.missing or self._how())
        return self.judge(files[-1], context)

    def _how(self) -> str:
        return f"no {self.file}" + (f": run `{self.command}`" if self.command else "")

    def judge(self, path: Path, context: Context) -> Finding:
        """The state that the file shows."""
        raise NotImplementedError


class JunitItem(RecordItem):
    """Go if a JUnit file of this commit has `min_tests` tests, none failed, and few were skipped."""

    reads: Literal["junit"]
    min_tests: int = 1
    max_skipped: int = 0

    def judge(self, path: Path, context: Context) -> Finding:
        """Judge the counts of the file."""
        return judge_junit(path, context, self.min_tests, self.max_skipped)


class FiguresItem(RecordItem):
    """Go if every figure in a JSON file of this commit is within its limit."""

    reads: Literal["figures"]
    limits: list[Limit]

    def judge(self, path: Path, context: Context) -> Finding:
        """Compare the figures with their limits."""
        return judge_figures(path, context, self.limits)


class ReleaseItem(RecordItem):
    """Go if a release folder was built from this commit and its files have their stated hashes."""

    reads: Literal["release"]

    def judge(self, path: Path, context: Context) -> Finding:
        """Compare the provenance with the commit, and the files with their hashes."""
        return judge_release(path, context)


class IssuesItem(RecordItem):
    """Go if the table of known issues has no critical one that is open."""

    reads: Literal["issues"]

    def judge(self, path: Path, context: Context) -> Finding:
        """Look for open critical issues."""
        return judge_issues(path)


class HeadingsItem(RecordItem):
    """Go if a page has these headings, with text below each."""

    reads: Literal["headings"]
    headings: list[str]

    def judge(self, path: Path, context: Context) -> Finding:
        """Look for the headings."""
        text = path.read_text("utf-8")
        absent = [one for one in self.headings if not _has_section(text, one)]
        problems = [f"no section “{one}”" for one in absent]
        count = len(self.headings) - len(absent)
        return judged(problems, f"{count} of {len(self.headings)} sections in {self.file}")


class PersonItem(Item):
    """A question that no command answers, and the role that answers it."""

    reads: Literal["person"]
    role: str
    question: str

    def check(self, context: Context) -> Finding:
        """The question, for the person to answer."""
        return Finding(State.FOR_A_PERSON, f"{self.role}: {self.question}")


AnyItem = Annotated[
    CommandItem | JunitItem | FiguresItem | ReleaseItem | IssuesItem | HeadingsItem | PersonItem,
    Field(discriminator="reads"),
]


def load(path: Path) -> list[AnyItem]:
    """The items of a checklist. Raises `ValidationError` if an item is incomplete or misspelt."""
    return TypeAdapter(list[AnyItem]).validate_python(
        tomllib.loads(path.read_text("utf-8"))["item"]
    )


def _first(pattern: str, output: str) -> str:
    found = re.search(pattern, output, re.MULTILINE)
    return found.group().strip() if found else ""


def _problems(ran: Ran) -> str:
    return "; ".join(_PROBLEM.findall(ran.output)[:3]) or ran.last_line


def _modified(path: Path) -> float:
    return path.stat().st_mtime


def _has_section(text: str, heading: str) -> bool:
    pattern = rf"^#{{1,6}} {re.escape(heading)}[ \t]*\n\s*[^#\s]"
    return re.search(pattern, text, re.MULTILINE) is not None
