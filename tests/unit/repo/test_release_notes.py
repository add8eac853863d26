"""The section of a version in the changelog."""

import pytest
from tools.release.changelog import release_notes

CHANGELOG = """\
# Changelog

## [Unreleased]

## [0.2.0] - 2026-12-01

### Added

- Regions.

## [0.1.1] - 2026-11-02

## [0.1.0]

- First.
"""


def test_the_notes_are_the_text_of_the_section() -> None:
    assert release_notes(CHANGELOG, "0.2.0") == "### Added\n\n- Regions.\n"


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("0.3.0", r"has no section \[0.3.0\]"),
        ("0.1.1", "names no change"),
        ("0.1.0", "has no date"),
        ("0.2", r"has no section \[0.2\]"),
    ],
)
def test_a_section_that_is_missing_empty_or_without_a_date_is_refused(
    version: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        release_notes(CHANGELOG, version)
