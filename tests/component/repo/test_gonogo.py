"""The checklist before a release: what makes an item go, no-go or not verified, and how the result reads."""

import json
import os
import re
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest
from pydantic import ValidationError
from tools.gonogo.__main__ import CHECKLIST, main
from tools.gonogo.context import Context, head
from tools.gonogo.finding import Finding, State
from tools.gonogo.items import CommandItem, load
from tools.gonogo.report import Line, verdict

ROOT = Path(__file__).resolve().parents[3]
ISSUES = "| id | severity | state | issue |\n| --- | --- | --- | --- |\n"
NAMED = {"SIGNED_IMAGES": "r/a@1"}
LIMITS = 'reads = "figures"\nfile = "build/load.json"\nlimits = ["p95_ms < 200", "errors <= 0"]'
JUNIT = 'reads = "junit"\nfile = "build/junit.xml"\nmin_tests = 3'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "checkout"
    (folder / "build").mkdir(parents=True)
    (folder / ".gitignore").write_text("build/\n")
    for command in (
        "git init --quiet",
        "git add --all",
        "git -c user.name=T -c user.email=t@example.com commit --quiet --message first",
    ):
        subprocess.run(command.split(), cwd=folder, check=True)
    return folder


def finding(checkout: Path, body: str, *, run_all: bool = False) -> Finding:
    """What the check of one item of the checklist finds."""
    path = checkout / "build" / "checklist.toml"
    path.write_text(f'[[item]]\nname = "it"\n{body}\n')
    (item,) = load(path)
    return item.check(Context(checkout, head(checkout), run_all))


@pytest.mark.parametrize(
    ("body", "state", "evidence"),
    [
        ("command = 'echo a; echo 12 passed; echo b'", State.GO, "12 passed"),
        ("command = 'echo it broke; exit 3'", State.NO_GO, "exit code 3: it broke"),
        ("command = 'echo FAILED one; echo 3 passed; exit 1'", State.NO_GO, "exit code 1: FAILED one"),
        ("command = 'echo 7 passed, 2 skipped'\nunverified = '\\d+ skipped'", State.NOT_VERIFIED, "2 skipped"),
        ("command = 'true'", State.NOT_VERIFIED, "the output has nothing like"),
        ("command = 'no-such-program --now'", State.NOT_VERIFIED, "no-such-program: command not found"),
        ("command = 'sleep 20'\ntimeout_s = 1", State.NOT_VERIFIED, "no result within 1 s"),
    ],
)  # fmt: skip
def test_a_command_is_judged_by_how_it_ends(
    checkout: Path, body: str, state: State, evidence: str
) -> None:
    result = finding(checkout, f"reads = 'command'\nfigure = '\\d+ passed'\n{body}")
    assert (result.state, evidence in result.evidence) == (state, True), result
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", result.measured)


@pytest.mark.parametrize(
    ("record", "state", "evidence"),
    [
        ({"p95_ms": 85.2, "errors": 0}, State.GO, "p95_ms 85.2 (limit p95_ms < 200)"),
        ({"p95_ms": 200, "errors": 0}, State.NO_GO, "p95_ms < 200 is not met"),
        ({"p95_ms": 85, "errors": 1}, State.NO_GO, "errors <= 0 is not met"),
        ({"p95_ms": 85}, State.NOT_VERIFIED, "no figure for errors"),
        ({"p95_ms": float("nan"), "errors": 0}, State.NOT_VERIFIED, "no figure for p95_ms"),
        ({"p95_ms": "fast", "errors": 0}, State.NOT_VERIFIED, "no figure for p95_ms"),
        ({"p95_ms": 85, "errors": 0, "commit": "0" * 40}, State.NOT_VERIFIED, "is of commit 000"),
        ({"p95_ms": 85, "errors": 0, "commit": ""}, State.NOT_VERIFIED, "(none stated)"),
    ],
)
def test_measurements_count_if_they_are_of_this_commit_and_complete(
    checkout: Path, record: dict[str, object], state: State, evidence: str
) -> None:
    stated = {"commit": head(checkout), "date": "2026-01-02T03:04:05Z", **record}
    (checkout / "build" / "load.json").write_text(json.dumps(stated))
    result = finding(checkout, LIMITS)
    assert (result.state, evidence in result.evidence) == (state, True), result
    assert result.measured == "2026-01-02T03:04:05Z"


def test_a_figure_may_be_within_another(checkout: Path) -> None:
    record = {"commit": head(checkout), "month": {"availability": 0.9995}}
    (checkout / "build" / "faults.json").write_text(json.dumps(record))
    body = 'reads = "figures"\nfile = "build/faults.json"\nlimits = ["month.availability >= 0.999"]'
    assert finding(checkout, body).state is State.GO
    assert finding(checkout, body.replace("0.999", "0.9999")).state is State.NO_GO
    assert finding(checkout, body.replace("month.", "year.")).state is State.NOT_VERIFIED


@pytest.mark.parametrize(
    ("content", "missing", "evidence"),
    [
        (None, "", "no build/load.json: run `make load`"),
        (None, "there is no drill yet", "there is no drill yet"),
        ("[1]", "", "load.json is not a JSON object"),
        ("{", "", "load.json is not a JSON object"),
    ],
)
def test_without_a_readable_file_nothing_is_verified(
    checkout: Path, content: str | None, missing: str, evidence: str
) -> None:
    if content is not None:
        (checkout / "build" / "load.json").write_text(content)
    body = f'{LIMITS}\ncommand = "make load"\nmissing = "{missing}"'
    assert finding(checkout, body) == Finding(State.NOT_VERIFIED, evidence)


def test_with_all_the_command_makes_the_file_and_an_older_one_does_not_count(
    checkout: Path,
) -> None:
    good = json.dumps({"commit": head(checkout), "p95_ms": 1, "errors": 0})
    (checkout / "build" / "load.json").write_text(good)
    failing = f'{LIMITS}\ncommand = "exit 1"'
    assert finding(checkout, failing).state is State.GO
    assert finding(checkout, failing, run_all=True).state is State.NOT_VERIFIED
    writing = f"{LIMITS}\ncommand = '''echo '{good}' > build/load.json'''"
    assert finding(checkout, writing, run_all=True).state is State.GO


@pytest.mark.parametrize(
    ("tests", "state", "evidence"),
    [
        ("assert True", State.GO, "3 tests, 0 failed, 0 errors, 0 skipped"),
        ("assert value < 2", State.NO_GO, "3 tests, 1 failed"),
        ("if value == 2: pytest.skip('missing')", State.NOT_VERIFIED, "1 skipped"),
    ],
)
def test_the_results_of_pytest_are_read(
    checkout: Path, tests: str, state: State, evidence: str
) -> None:
    run_pytest(checkout, tests, head(checkout))
    result = finding(checkout, JUNIT)
    assert (result.state, evidence in result.evidence) == (state, True), result


@pytest.mark.parametrize("name", ["pytest", "0" * 40, "{head}-dirty"])
def test_the_results_of_another_commit_or_of_changed_files_verify_nothing(
    checkout: Path, name: str
) -> None:
    run_pytest(checkout, "assert True", name.format(head=head(checkout)))
    result = finding(checkout, JUNIT)
    assert result.state is State.NOT_VERIFIED
    assert "not of this one" in result.evidence


@pytest.mark.parametrize("minimum", [4, 3000])
def test_a_run_of_some_tests_verifies_nothing(checkout: Path, minimum: int) -> None:
    run_pytest(checkout, "assert True", head(checkout))
    result = finding(checkout, JUNIT.replace("3", str(minimum)))
    assert result.state is State.NOT_VERIFIED


def run_pytest(checkout: Path, body: str, name: str) -> None:
    """Run three tests as `make test` does, which names the suite by the commit."""
    folder = checkout / "build" / "tests"
    folder.mkdir(exist_ok=True)
    (folder / "test_it.py").write_text(
        "import pytest\n@pytest.mark.parametrize('value', range(3))\n"
        f"def test_it(value):\n    {body}\n"
    )
    subprocess.run(
        [
            *("pytest", "-q", "-c", "/dev/null", "-p", "no:cacheprovider", "-n", "2", folder),
            *(f"--junitxml={checkout}/build/junit.xml", "-o", f"junit_suite_name={name}"),
        ],
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("rows", "state", "evidence"),
    [
        ("", State.GO, "0 known issues, 0 open"),
        ("| 1 | critical | fixed | a |\n| 2 | major | open | b |", State.GO, "2 known issues, 1 open"),
        ("| 1 | critical | open | a |", State.NO_GO, "1 is critical and open"),
        ("| 1 | severe | open | a |", State.NOT_VERIFIED, "1: severe, open"),
        ("| 1 | critical | later | a |", State.NOT_VERIFIED, "1: critical, later"),
        ("| 1 | critical | open |", State.NOT_VERIFIED, "no table"),
    ],
)  # fmt: skip
def test_a_critical_issue_that_is_open_is_a_no_go(
    checkout: Path, rows: str, state: State, evidence: str
) -> None:
    (checkout / "issues.md").write_text(f"# Issues\n\n{ISSUES}{rows}\n")
    result = finding(checkout, 'reads = "issues"\nfile = "issues.md"')
    assert (result.state, evidence in result.evidence) == (state, True), result


@pytest.mark.parametrize(
    ("page", "state"),
    [
        ("# Guide\n\n## Roll back\n\nFirst, stop.\n", State.GO),
        ("# Guide\n\n## Roll back\n\n## Next\n\nText.\n", State.NO_GO),
        ("# Guide\n\nRoll back\n", State.NO_GO),
    ],
)
def test_a_section_needs_its_heading_and_text(checkout: Path, page: str, state: State) -> None:
    (checkout / "guide.md").write_text(page)
    body = 'reads = "headings"\nfile = "guide.md"\nheadings = ["Roll back"]'
    assert finding(checkout, body).state is state


def test_a_question_is_for_a_person(checkout: Path) -> None:
    result = finding(checkout, 'reads = "person"\nrole = "Counsel"\nquestion = "May we?"')
    assert result == Finding(State.FOR_A_PERSON, "Counsel: May we?")


@pytest.mark.parametrize(
    "body",
    [
        'reads = "tea leaves"',
        'reads = "command"',
        'reads = "command"\ncommand = "true"',
        'reads = "command"\ncommand = "true"\nfigure = "x"\nunit = "s"',
        'reads = "figures"\nfile = "x"\nlimits = ["p95 about 200"]',
        'reads = "person"\nrole = "Counsel"',
    ],
)
def test_a_misspelt_or_incomplete_item_is_refused(checkout: Path, body: str) -> None:
    with pytest.raises(ValidationError):
        finding(checkout, body)


CHECKS = """
    [[item]]
    name = "Scan"
    reads = "command"
    command = "echo nothing found | tee scan.log"
    figure = "nothing.*"
    [[item]]
    name = "Load test"
    reads = "figures"
    file = "build/load.json"
    command = "make load"
    limits = ["p95_ms < 200"]
    [[item]]
    name = "On call"
    reads = "person"
    role = "Operations lead"
    question = "Who is on call?"
"""


def run(checkout: Path, extra: str = "") -> int:
    path = checkout / "build" / "checklist.toml"
    path.write_text(dedent(CHECKS) + dedent(extra))
    return main(["--root", str(checkout), "--checklist", str(path)])


def test_the_table_reads_well(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(checkout) == 0
    assert capsys.readouterr().out == dedent("""\
        Scan       go            nothing found
        Load test  not verified  no build/load.json: run `make load`
        On call    for a person  Operations lead: Who is on call?

        UNDECIDED: no item is a no-go, and not verified: Load test.
        """)


def test_the_files_have_the_evidence_with_command_and_time(checkout: Path) -> None:
    run(checkout)
    page = (checkout / "build" / "go-nogo.md").read_text("utf-8")
    assert page.startswith(f"# Go or no-go, commit {head(checkout)}\n\nUNDECIDED")
    assert (
        "| Load test | not verified | no build/load.json: run `make load` | `make load` |  |"
        in page
    )
    assert r"| `echo nothing found \| tee scan.log` | 20" in page
    report = json.loads((checkout / "build" / "go-nogo.json").read_text("utf-8"))
    assert [(one["item"], one["state"]) for one in report["items"]] == [
        ("Scan", "go"),
        ("Load test", "not verified"),
        ("On call", "for a person"),
    ]


def test_one_no_go_fails_the_whole(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failing = '[[item]]\nname = "Tests"\nreads = "command"\ncommand = "exit 1"\nfigure = "x"\n'
    assert run(checkout, failing) == 1
    assert capsys.readouterr().out.endswith("\nNO-GO: Tests.\n")


def test_it_is_a_go_only_if_every_command_verified_its_item() -> None:
    lines = [
        Line("a", "", Finding(State.GO, "")),
        Line("b", "", Finding(State.FOR_A_PERSON, "")),
    ]
    assert verdict(lines).startswith("GO")
    assert not verdict([*lines, Line("c", "", Finding(State.NOT_VERIFIED, ""))]).startswith("GO")


def test_the_shipped_checklist_names_targets_and_pages_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    items = load(CHECKLIST)
    commands = "\n".join(item.command for item in items)
    assert set(re.findall(r"\bmake (?:--[\w-]+ )*([a-z-]+)", commands)) - targets == set()
    assert [
        path for path in re.findall(r"tests/[\w/.]+", commands) if not (ROOT / path).exists()
    ] == []
    files = {getattr(item, "file", "") for item in items} - {""}
    pages = [file for file in files if not file.startswith("build/")]
    assert [page for page in pages if not (ROOT / page).is_file()] == []


def test_an_audit_that_looked_at_nothing_is_not_verified(checkout: Path) -> None:
    (item,) = [one for one in load(CHECKLIST) if one.name == "Security scan"]
    assert isinstance(item, CommandItem)
    context = Context(checkout, head(checkout))
    audits = {
        "NONE  dependencies: NOT AUDITED, 0 of 9 packages; no database": State.NOT_VERIFIED,
        "ok    dependencies: pip-audit, 9 of 9 packages, 0 vulnerabilities": State.GO,
    }
    for line, state in audits.items():
        said = item.model_copy(update={"command": f"echo 'ok    code: bandit'; echo '{line}'"})
        assert said.check(context).state is state
        assert "of 9 packages" in said.check(context).evidence


@pytest.mark.parametrize(
    ("variables", "state", "evidence"),
    [
        ({}, State.NOT_VERIFIED, "SIGNED_IMAGES names no images"),
        (NAMED, State.NOT_VERIFIED, "SIGNER names no repository"),
        ({**NAMED, "SIGNER": "https://h/o/r"}, State.NOT_VERIFIED, "cosign is not installed"),
        ({**NAMED, "SIGNER": "https://h/o/r", "RESULT": "0"}, State.GO, "claims were validated"),
        ({**NAMED, "SIGNER": "https://h/o/r", "RESULT": "1"}, State.NO_GO, "exit code 1"),
    ],
)  # fmt: skip
def test_a_signature_is_verified_only_by_cosign(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variables: dict[str, str],
    state: State,
    evidence: str,
) -> None:
    for name in ("SIGNED_IMAGES", "SIGNER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if "RESULT" in variables:
        program = tmp_path / "cosign"
        program.write_text("#!/bin/sh\necho The cosign claims were validated\nexit $RESULT\n")
        program.chmod(0o700)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (item,) = [one for one in load(CHECKLIST) if one.name == "Images are signed"]
    result = item.check(Context(ROOT, head(ROOT)))
    assert (result.state, evidence in result.evidence) == (state, True), result
