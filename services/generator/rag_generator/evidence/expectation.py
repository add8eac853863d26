"""The kind of answer that a question asks for, and whether a text contains one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expectation:
    """The kind of answer expected: `name`, "" if any text may answer, and the pattern of its texts.

    `question_numbers` are the numbers in the question itself: repeating them is no answer.
    """

    name: str = ""
    pattern: re.Pattern[str] | None = None
    question_numbers: frozenset[str] = frozenset()

    def met(self, text: str) -> bool | None:
        """Whether `text` contains an answer of the kind; None if any text may answer."""
        if self.pattern is None:
            return None
        if not self.pattern.search(text):
            return False
        numbers = _NUMBER.findall(text) if self.name in _NUMERIC else []
        return not numbers or not self.question_numbers.issuperset(numbers)


def expectation(question: str) -> Expectation:
    """The kind of answer that `question`, in Korean or English, asks for."""
    lower = question.lower().rstrip(" ?？.!")
    focus = _focus(lower)
    question_numbers = frozenset(_NUMBER.findall(question))
    counter = _COUNTER.search(lower, focus)
    if counter:
        counted = _ALIKE.get(counter[1], counter[1])
        pattern = rf"(?:\d|{_WORDS}|[{_DIGITS}])\s?(?:[{_DIGITS}]+\s?)?여?\s?{counted}"
        return Expectation("count", re.compile(pattern))
    for name, question_pattern, answer_pattern in _KINDS:
        if question_pattern.search(lower, focus):
            return Expectation(name, answer_pattern, question_numbers)
    return Expectation()


def _focus(question: str) -> int:
    """The start of the part that names the kind of answer; 0 for an English question.

    In Korean that part follows the last other question word (누구, 어디), or is the end of a question
    that ends with a topic (…의 이름은).
    """
    if not _HANGUL.search(question):
        return 0
    others = [match.end() for match in _OTHER_FOCUS.finditer(question)]
    what = [max(0, match.start() - _TOPIC) for match in _WHAT.finditer(question)]
    start = max([*others, *what], default=0)
    return max(start, len(question) - _TOPIC) if _ENDS_IN_TOPIC.search(question) else start


_HANGUL = re.compile(r"[가-힣]")
_OTHER_FOCUS = re.compile(r"누구|누가|어느|어떤|왜|몇몇")
_WHAT = re.compile(r"어디|무엇|뭐|뭔|어떻게")
_ENDS_IN_TOPIC = re.compile(r"[가-힣](?<![인하되]는)[은는]$")
# Maximum characters of a topic: 점검 주기는, 팩스 번호는.
_TOPIC = 8
_NUMBER = re.compile(r"\d+")
_NUMERIC = frozenset({"time of day", "date or period", "amount of money", "number"})

# Counters: 몇 층, 몇 명, 몇 석; times and money have rules of their own below.
_COUNTER = re.compile(
    r"몇\s?([층석권장대명회쪽칸호점잔자살세개종위]|가지|사람|퍼센트)(?![가-힣]{0,8}의\s)"
)
_PEOPLE, _THINGS = "(?:사람|명|분|인)", "(?:개|가지|곳|종|대|점)"
_ALIKE = {
    "살": "[살세]", "세": "[살세]", "사람": _PEOPLE, "명": _PEOPLE, "개": _THINGS, "가지": _THINGS,
    "종": _THINGS, "퍼센트": "(?:퍼센트|%|프로)", "대": "[대량]",
}  # fmt: skip

_WORDS = "(?:한|두|세|네|다섯|여섯|일곱|여덟|아홉|열|열한|열두|스무)"
_DIGITS = "일이삼사오육칠팔구십백천만억"
_ENGLISH = (
    "(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|hundred)"
)
_UNITS = (
    r"(?:business\s|working\s)?(?:years?|months?|weeks?|days?|hours?|minutes?|seconds?|nights?)"
)

_TIME_OF_DAY = (
    rf"\d\s?시|{_WORDS}\s?시(?![가-힣]{0, 8}[간작])|정오|자정|24시간|오전|오후|\d{{1,2}}:\d\d",
    r"\d\s?[ap]\.?m\b|noon|midnight|o'clock|24 hours",
    rf"\b{_ENGLISH}\s(?:in the|at night)|\bat {_ENGLISH}\b",
)
_PERIOD = (
    r"\d\s?(?:년|월|일|세기|개월|주|시간|분|초|달|영업일|박)|\b[12]\d{3}\b",
    rf"{_WORDS}\s?(?:달|해|주|시간|차례)|하루|이틀|사흘|나흘|닷새|엿새|이레|여드레|아흐레|열흘|보름|그믐",
    r"반나절|[월화수목금토일]요일|평일|주말|매[일주월년달]|해마다|달마다|날마다|분기|당일|전날|다음\s?날",
    r"즉시|바로|정월|연말|연초|월말|시대|학년|[초중말후]기|\d\s?[천만억]+\s?년",
    rf"\d[\s-]?{_UNITS}|\b{_ENGLISH}[\s-]{_UNITS}",
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|weekdays?|weekends?|daily|weekly|monthly",
    r"yearly|annually|quarter|immediately|at once|same day|next day|every|overnight|tomorrow",
    r"\b(?:january|february|march|april|june|july|august|september|october|november|december)\b",
)
_MONEY = (
    rf"\d\s?(?:[천만억조]?\s?(?:원|달러|유로|엔|위안|파운드)|[천만억]|%|퍼센트)|[{_DIGITS}]\s?원",
    r"무료|공짜|전액|[$€£¥₩]\s?\d|\d{1,3},\d{3}|free\b|\bin full\b|no charge",
    r"\d\s?(?:won|dollars?|euros?|yen|pounds?|cents?|usd|krw|eur|percent|us)\b",
)
_COLOUR = (
    "빨[간강]|파[란랑]|노[란랑]|초록|녹색|[가-힣]색|하얀|하양|검정|검은",
    r"\b(?:red|blue|green|yellow|black|white|gr[ea]y|orange|purple|pink|brown|silver|gold|beige)\b",
)

# Kind, patterns of questions that ask for it, patterns of answers; the first match counts.
_RULES = (
    (
        "telephone number",
        (
            r"(?:전화|팩스|내선|연락처)\s?(?:번호)?[은는가를이]?\s?(?:몇|무엇|뭐|$)",
            r"\b(?:phone|telephone|fax|extension)\b",
        ),
        (
            r"\d{2,4}[-.)]\s?\d{3,4}|(?<!\d)\d{3,4}번",
            r"(?:내선|extension|ext\.?)\s?(?:번호\s?)?:?\s?\d+",
        ),
    ),
    (
        "person or group",
        (r"^who\b|\bwho (?:is|are|does|do|pays|approves|can|must|should)\b|^(?:by |to )?whom\b",),
        (
            r"\b(?-i:[A-Z])[a-z]+ (?-i:[A-Z])[a-z]+\b|\b(?:dr|mr|ms|mrs|prof)\b",
            r"\b(?:manager|leader|parent|guardian|customer|employe[er]|traveller|member|owner|director"
            r"|primary|secondary|president|teacher|supervisor|visitor|engineer|officer|person)s?\b",
            r"\b(?:team|desk|staff|nurse|doctor|head|executives?|department|office|everyone|company|we|board)\b",
        ),
    ),
    (
        "place",
        (r"어디(?:에서?|로|서|인가|입니까|예요|에요|$)|[가-힣] 곳은$",),
        (
            r"[가-힣)\d](?:에서?|으로|로)(?=[\s은는도의,.)]|$)|\d\s?층|: |내선|[A-Za-z]",
            r"[가-힣](?:관|실|동|소|점|센터|시|군|구|도|역|항|서버|국|나라|섬|산|강|성|주)",
        ),
    ),
    ("e-mail address", (r"메일\s?주소|e-?mail address",), ("@",)),
    ("colour", (r"무슨 색|색[은깔상]|\bcolou?rs?\b",), _COLOUR),
    (
        "weight",
        (r"무게[는가]?\s?(?:얼마|몇|$)|몇\s?(?:kg|킬로)|\bweigh|how heavy",),
        (r"\d\s?(?:[km]?g\b|킬로|그램|톤|근)|\b(?:kilos?|(?:kilo)?grams?|pounds|tons?|ounces?)\b",),
    ),
    (
        "temperature",
        (r"온도[는가]?\s?(?:얼마|몇|$)|몇\s?도|temperature|how (?:hot|cold)",),
        (r"\d\s?(?:도|℃|°)|degrees",),
    ),
    ("time of day", (r"몇\s?시(?!간)|what time|at what hour",), _TIME_OF_DAY),
    (
        "date or period",
        (
            r"언제|연도|년도|날짜|시기|날[은는]|해는\b|며칠|몇\s?(?:일|년|월|주|달|개월|시간|분|초|박|요일)",
            r"얼마\s?동안|얼마나\s?(?:오래|자주|걸)|(?:기한|기간|납기|마감|주기)은|주기는|납기는|무슨 요일",
            # “When may I …” asks for a condition.
            r"^(?:(?:since|until|by|from) )?when (?!may|can|should|could)|by when|what.{0,200}\bdeadline",
            r"\bwhen (?:is|are|was|were|do|does|did|will|must)\b|until when",
            r"what (?:year|date|day|month)|which (?:day|month|year)s?",
            r"how (?:soon|quickly|fast|often|long)",
            r"how many (?:business |working |calendar )?(?:days|weeks|months|years|hours|minutes)",
        ),
        (*_TIME_OF_DAY, *_PERIOD),
    ),
    (
        "amount of money",
        (
            r"(?:요금|비용|가격|금액|값|수수료|보증금|단가|식대|[가-힣]비|[가-힣]료)[은는이가]?\s*"
            r"(?:한\s?\S+에\s)?(?:얼마|몇)|얼마를 (?:내|받)|몇\s?원|how expensive",
            r"how much (?:does|do|is|are|will) .{0,200}(?:cost|pay|charge|fee|price|reimburs)",
            r"how much .{0,200}\b(?:fee|price|allowance|deposit|fine|cap)",
            r"\bwhat (?:does|do|is|are|will|would)\b.{0,200}\b(?:costs?|prices?|fees?|fare|charged?|rent)\b",
        ),
        _MONEY,
    ),
    (
        "number",
        (
            r"번호|몇|얼마|숫자|[개횟인][수원]\b|[\s석명권대장개층원]수는?$|비율|\bnumber\b",
            r"how (?:many|much|old|far|tall|big|large|high)",
        ),
        (
            rf"\d|\b(?:{_ENGLISH}|once|twice|no|none)\b|{_WORDS}\s?[가-힣]",
            rf"[{_DIGITS}]\s?[명개번대층회권장부호]|하나|없[다음습]",
        ),
    ),
)


def _compiled() -> Iterator[tuple[str, re.Pattern[str], re.Pattern[str]]]:
    for name, questions, answers in _RULES:
        yield name, re.compile("|".join(questions)), re.compile("|".join(answers), re.IGNORECASE)


_KINDS = tuple(_compiled())
