"""The section of a version in CHANGELOG.md."""

import re

_HEADING = re.compile(r"^## \[(?P<version>[^\]]+)\](?P<rest>.*)$", re.MULTILINE)
_DATE = re.compile(r" - \d{4}-\d{2}-\d{2}")


def release_notes(changelog: str, version: str) -> str:
    """The text of the version's section, without its heading.

    Raises `ValueError` if there is no such section, or if it has no date or no text.
    """
    headings = list(_HEADING.finditer(changelog))
    for position, heading in enumerate(headings):
        if heading["version"] == version:
            following = headings[position + 1 : position + 2]
            end = following[0].start() if following else len(changelog)
            return _checked(heading["rest"], changelog[heading.end() : end].strip(), version)
    raise ValueError(f"CHANGELOG.md has no section [{version}]")


def _checked(rest: str, text: str, version: str) -> str:
    if not _DATE.fullmatch(rest):
        raise ValueError(
            f"the section [{version}] of CHANGELOG.md has no date: ## [{version}] - YYYY-MM-DD"
        )
    if not re.search(r"^- ", text, re.MULTILINE):
        raise ValueError(f"the section [{version}] of CHANGELOG.md names no change")
    return f"{text}\n"
