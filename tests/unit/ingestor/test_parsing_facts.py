"""What is read of files of every format: the facts of tools/eval/parsing, and the page that states them."""

import pytest
from tools.eval.parsing.__main__ import HEAD, PAGE, missed, section
from tools.eval.parsing.corpus import Sample, samples

SAMPLES = samples()


def test_there_are_files_of_every_format() -> None:
    assert len(SAMPLES) >= 40
    assert len({sample.kind for sample in SAMPLES}) == 14


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])
def test_all_facts_of_a_file_are_found(sample: Sample) -> None:
    assert missed(sample) == []


def test_the_page_states_what_is_found() -> None:
    assert section(SAMPLES) in PAGE.read_text("utf-8"), (
        f"run: python -m tools.eval.parsing ({HEAD})"
    )
