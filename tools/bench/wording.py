"""Questions and passages made by combination: as many as a run needs, and no two the same."""

import math
from collections.abc import Iterator, Sequence
from itertools import count

_STRIDE = 7919

_KOREAN = (
    ("영업부", "인사팀", "재무팀", "연구소", "생산본부", "구매팀", "법무팀", "고객센터",
     "전산실", "물류센터", "품질팀", "홍보실", "해외사업부", "기획실", "감사실", "시설팀"),
    ("연차 휴가", "출장비", "재택근무", "경조사비", "보안 교육", "장비 대여", "야근 수당",
     "건강검진", "채용 면접", "계약 검토", "재고 실사", "회의실 예약", "법인카드", "퇴직금",
     "육아휴직", "성과 평가", "예산 편성", "서버 점검", "개인정보 파기", "협력사 등록"),
    ("신청 기한", "승인 절차", "담당자", "지급 기준", "제출 서류", "처리 기간", "예외 규정",
     "보관 기간", "취소 방법", "한도 금액", "확인 방법", "벌칙 조항"),
    ("신입 사원", "계약직", "임원", "파견 직원", "수습 직원", "외부 강사", "퇴사자",
     "단시간 근로자"),
    ("알려 주세요", "어떻게 되나요", "궁금합니다", "어디에 적혀 있나요", "설명해 주세요",
     "무엇인가요"),
)  # fmt: skip
_ENGLISH = (
    ("sales", "human resources", "finance", "research", "production", "procurement", "legal",
     "support", "platform", "logistics", "quality", "press", "overseas", "planning", "audit",
     "facilities"),
    ("annual leave", "travel expenses", "remote work", "family events", "security training",
     "equipment loan", "overtime pay", "health checks", "job interviews", "contract review",
     "stock taking", "room booking", "company cards", "severance pay", "parental leave",
     "performance review", "budgeting", "server maintenance", "data erasure", "vendor onboarding"),
    ("deadline", "approval steps", "person in charge", "rate", "required forms", "handling time",
     "exceptions", "retention period", "cancellation", "upper limit", "proof", "penalty"),
    ("new hires", "contractors", "executives", "seconded staff", "trainees", "guest lecturers",
     "leavers", "part-time staff"),
    ("What is the", "Where do I find the", "Who decides on the", "Please explain the",
     "Tell me about the", "How do I look up the"),
)  # fmt: skip


def questions() -> Iterator[str]:
    """Korean and English in turn; 184,320 of each before one comes again."""
    for number in count():
        group, topic, aspect, people, ending = _choose(_KOREAN, number)
        yield f"{group} {people}의 {topic} {aspect}, {ending}"
        group, topic, aspect, people, opening = _choose(_ENGLISH, number)
        yield f"{opening} {aspect} of {topic} for {people} in the {group} department?"


def passages() -> Iterator[str]:
    """Paragraphs of about 300 tokens of a multilingual model, Korean and English in turn."""
    for number in count():
        yield " ".join(_korean_rule(number * 7 + line) for line in range(7))
        yield " ".join(_english_rule(number * 9 + line) for line in range(9))


def _korean_rule(number: int) -> str:
    group, topic, aspect, people, _ = _choose(_KOREAN, number)
    return (
        f"{group}의 {people}에게 적용되는 {topic} {aspect}은 접수일로부터 {number % 90 + 1}일 안에 "
        f"정해지며, 담당자는 결과를 전산 시스템에 기록하고 부서장에게 서면으로 보고한다."
    )


def _english_rule(number: int) -> str:
    group, topic, aspect, people, _ = _choose(_ENGLISH, number)
    return (
        f"In the {group} department the {aspect} of {topic} for {people} is settled within "
        f"{number % 90 + 1} days of the request, entered in the register and reported in writing."
    )


def _choose(words: Sequence[Sequence[str]], number: int) -> list[str]:
    total = math.prod(map(len, words))
    # A stride prime to the total visits every combination once, and neighbours are unlike.
    rest = number * _STRIDE % total
    chosen = []
    for column in words:
        rest, place = divmod(rest, len(column))
        chosen.append(column[place])
    return chosen
