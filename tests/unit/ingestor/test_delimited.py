"""Which lines of a plain text are a table, and that all others are stored as they are."""

import pytest

from rag_ingestor.parsing.parse import parse

PROSE = {
    "letter": "Dear Anna, Bob, Carl\nthanks for coming, all of you, today\nsee you soon, friends, bye",
    "letter with hours": "Dear Anna, Bob, Carl\nat 5, all of you, be there\nat 7, my friends, we eat",
    "enumeration": "red, green, blue\nsmall, large, huge\nnorth, south, east",
    "long enumeration": "\n".join(["oak, ash, elm", "fir, yew, box", "rye, oat, tef"] * 2),
    "poem": "O wind, O rain, O snow\ncome down, come soft, come slow\nmy heart, my hand, my home",
    "questions": "Who, what, where\nhere, there, nowhere\nyou, me, us\nnow, then, never",
    "address": "Anna Smith, Acme Ltd, Leeds\n12 Mill Lane, Otley, LS21 1AA\nEngland, Europe, Earth",
    "addresses": "Mill House, Otley, Leeds, UK\nFlat 3, High Street, York, UK",
    "dialogue": '"Yes", she said, smiling\n"No", he said, "never"\n"Well", she said, "go"',
    "semicolons": "we came; we saw; we left\nit rained; it poured; it stopped\nall wet; all cold; all glad",
    "menu with bars": "Home | About | Contact\nNews | Blog | Shop\nHelp | Terms | Privacy",
    "fields with tabs": "From:\tAnna\nTo:\tBob\nAbout:\tlunch",
    "Korean letter": "여러분, 동료들, 친구들\n오늘도, 내일도, 모레도\n건강하게, 즐겁게, 뜨겁게",
    "Korean letter with hours": "여러분, 동료들, 친구들\n3시에, 모두, 로비로\n5시까지, 다시, 강당으로",
    "Korean enumeration": "빨강, 초록, 파랑\n작음, 보통, 큼\n북쪽, 남쪽, 동쪽",
    "Korean enumeration, no spaces": "빨강,초록,파랑\n작음,보통,큼\n북쪽,남쪽,동쪽",
    "Korean address": "김하늘, 총무팀, 본관\n서울시 중구 세종대로 110, 3층, 우편함\n대한민국, 아시아, 지구",
    "Korean poem": "산에는 꽃 피네, 꽃이 피네\n갈 봄 여름, 없이\n산에 산에, 피는 꽃",
    "prose": "We sell apples, pears, plums\nand, in winter, nuts\nbut never, ever, figs",
}


@pytest.mark.parametrize("above", ["", "Notes\n"], ids=["alone", "below a line"])
@pytest.mark.parametrize("text", PROSE.values(), ids=PROSE)
def test_prose_with_delimiters_is_stored_as_it_is(text: str, above: str) -> None:
    assert parse((above + text).encode(), "a.txt").text == above + text


TABLES = {
    "numbers": (
        "이름,부서,내선\n김하늘,총무팀,3300\n박바다,인사팀,3310",
        "이름: 김하늘 · 부서: 총무팀 · 내선: 3300",
    ),
    "one row": ("이름,부서,내선\n김하늘,총무팀,3300", "이름: 김하늘 · 부서: 총무팀 · 내선: 3300"),
    "amounts": (
        "Region, Cap, Meals\nEurope, 190 euros, 45 euros\nAsia, 160 dollars, 50 dollars",
        "Region: Europe · Cap: 190 euros · Meals: 45 euros",
    ),
    "dates": (
        "Gate, Opens, Since\nNorth, daily, 2031-01-15\nSouth, daily, 5 May 2030",
        "Gate: North · Opens: daily · Since: 2031-01-15",
    ),
    "identifiers": (
        "Part;Shelf;Keeper\nABX-1204;upper;Anna\nQT/55-K;lower;Bob",
        "Part: ABX-1204 · Shelf: upper · Keeper: Anna",
    ),
    "usual names": (
        "이름,부서,담당\n김하늘,총무팀,문서\n박바다,인사팀,채용",
        "이름: 김하늘 · 부서: 총무팀 · 담당: 문서",
    ),
    "quoted": (
        'Guest,Team,Room\n"Kim, Haneul",Sales,Oak\n"Park, Bada",Legal,Elm',
        "Guest: Kim, Haneul · Team: Sales · Room: Oak",
    ),
    "many rows": (
        "Guest,Team,Room\n" + "Anna,Sales,Oak\nBob,Legal,Elm\n" * 3,
        "Guest: Anna · Team: Sales · Room: Oak",
    ),
    "two columns": ("부서,내선\n총무팀,3300\n인사팀,3310", "부서: 총무팀 · 내선: 3300"),
    "tabs": ("Guest\tTeam\tRoom\nAnna\tSales\tOak", "Guest: Anna · Team: Sales · Room: Oak"),
    "bars": (
        "Guest | Team | Desk\nAnna | Sales | 12\nBob | Legal | 14",
        "Guest: Anna · Team: Sales · Desk: 12",
    ),
}


@pytest.mark.parametrize(("text", "row"), TABLES.values(), ids=TABLES)
def test_lines_that_show_that_they_are_a_table_are_written_row_by_row(text: str, row: str) -> None:
    assert row in parse(text.encode(), "a.txt").text.splitlines()


@pytest.mark.parametrize(
    ("name", "declared"), [("a.csv", ""), ("A.CSV", "text/plain"), ("", "text/csv; charset=utf-8")]
)
def test_a_declared_table_needs_no_other_evidence(name: str, declared: str) -> None:
    text = "Guest,Team,Room\nAnna,Sales,Oak\nBob,Legal,Elm"
    assert parse(text.encode(), "a.txt").text == text
    assert parse(text.encode(), name, declared).text.splitlines() == [
        "Guest: Anna · Team: Sales · Room: Oak",
        "Guest: Bob · Team: Legal · Room: Elm",
    ]
