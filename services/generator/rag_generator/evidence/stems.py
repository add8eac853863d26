"""Content words of Korean and English text and their stems, by tables of endings, without a dictionary.

In doubt an ending is stripped: stems are matched at the start of words and in compounds, so a stem
that is too short still matches, and one that is too long does not.
"""

import re
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ContentWord:
    """The stem of a word; `predicate` if its ending shows that it is a verb or an adjective.

    Verbs often have synonyms in a text (내다, 제출하다), names hardly ever. A `generic` word names the
    kind of the answer (요금, number), which a text may contain without the word.
    """

    stem: str
    predicate: bool = False
    generic: bool = False


def plain(text: str) -> str:
    """NFKC in lower case, 1,000 as 1000."""
    return _THOUSANDS.sub("", unicodedata.normalize("NFKC", text).lower())


def content_words(text: str) -> list[ContentWord]:
    """The content words of `text`, each stem once, in order.

    Question words, requests (알려줘), particles and units after a number are left out.
    """
    lower = plain(text)
    words: dict[str, ContentWord] = {}
    for match in _WORD.finditer(lower):
        word = _content_word(match[0], lower[: match.start()][-1:])
        if word.stem:
            stem = word.stem[:_MAX_STEM]
            generic = _GENERIC.fullmatch(stem) is not None
            words.setdefault(stem, ContentWord(stem, word.predicate, generic))
    return list(words.values())


_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")
_WORD = re.compile(r"[가-힣]+|[a-zà-öø-ÿ]+(?:'s)?|\d+(?:\.\d+)*|[぀-ヿ㐀-鿿]+")
_PARTICLE = (
    r"들?(?:에게서?|에서(?:부터|의|는|도)?|으?로(?:부터|서|써|의|는|도)?|께서는?|한테|까지[의는]?"
    r"|부터[의는]?|보다는?|처럼|만큼|[과와][의는]?|에[는도만]?|[은는이가을를의도만]|이?라[고는며]"
    r"|이?란|이?나|이[며면고다])|들"
)
_COPULA = (
    r"(?:이[었였]?|였)(?:는가|나요?|던|다|고|며|냐|습니까|을까)|인(?:가요?|지)?|일까요?|입니[까다]|이?에요"
    r"|예요"
)
_HADA = r"[하해했한할함합되돼됐된될됨됩][가-힣]{0,4}|(?:당|시)[하한했할켰킨켜킬키][가-힣]{0,3}"
_VERB = r"[았었]?(?:는가|나요?|던|다|고|으?며|으?면서?|습니[까다]|을까요?|을|은|는)|[서지게기]"
_ENDING = re.compile(rf"(?:{_PARTICLE}|{_COPULA}|{_HADA}|{_VERB}|[아어여]야)$")
# Endings of verbs only, which identify even a verb of one syllable: 여나요, 내야, 받으면.
_ONLY_VERB = re.compile(
    r"(?:[았었]?(?:나요?|는가요?|습니까)|[을할]까요?|[아어여]?야(?=$)|으?려[면고]|으?면|어요|아요|죠)$"
)
_IS = re.compile(r"(?:인가요?|인지요?|입니까|이에요|예요|일까요?|이죠)$")
_GENERIC = re.compile(
    r"(?:전화\s?|연락처|팩스\s?)?번호|전화|연락처|요금|비용|가격|금액|단가|값|수수료|시간|시각|기간|기한|날짜|일자|주기|위치|주소"
    r"|장소|종류|방법|이유|층|개수|횟수|길이|크기|무게|높이|온도|나이|일주일|하루|한달|일년"
    r"|number|phone|telephone|cost|price|fee|amount|money|time|date|day|hour|period|deadline|address"
    r"|place|location|kind|type|way|reason|size|weight|length|height|age|name|week|month|year"
)
# Particles that are stripped even if one syllable is left.
_ON_ONE = re.compile(r"[은는을를이가의에]|까지|부터|에서|에게|으로|보다|처럼|마다")
_STEM = 2
# Matching takes quadratic time in a stem's length, and text without spaces may be one long word.
_MAX_STEM = 32
_KOREAN_STOP = re.compile(
    r"누구.*|누가|언제.*|어디.*|어느|어떤|어떻게|어떠한|무엇.*|무슨|뭐.*|뭔.*|왜|얼마.*|며칠.*|몇.*"
    r"|[있없되하]나요?|[있없되하]는.*|있[다던어고]|[되된한하]다|인[가지]|될까요?|할까요?|됩니까|합니까"
    r"|해야.*|하려면|하면|경우|알려.*|가르쳐.*|설명해.*|주세요|해줘|궁금.*|이름|사람|인물|[연년]도|날"
    r"|날짜|명칭|인원수|[개갯횟]수|숫자|[적쓰]으?시오|곳|장소|것|때|수|번|회|명|개|년|월"
    r"|등|및|그|이|저|또|또는|그리고|위해|대해|대한|통해|위한|의해|따라|관한|관해|가능.*|해|당시|후|전|중"
    r"|가장|(?:일주일|하루|한달|일년)에"
)
_ENGLISH_STOP = re.compile(
    r"the|an?|of|to|[io]n|at|by|for|from|with|and|or|if|as|into|than|then|about|is|are|was|were|be"
    r"|been|am|do|does|did|has|have|had|can|could|will|would|should|what|which|who|whom|whose|when"
    r"|where|why|how|much|many|it|its|this|that|these|those|there|they|their|he|she|his|her|you"
    r"|your|i|my|me|we|our|not|please|tell|must|may|shall|might|soon|often|quickly|long|any|some"
    r"|there|here|get|got|let|us|need|needs|possible|which|happens?|so"
)
# Verbs of questions for which a text may use another verb.
_ENGLISH_VERB = re.compile(
    r"(?:use|take|make|give|go|come|keep|pay|find|open|close|start|begin|end|finish|last|work|apply"
    r"|ask|send|submit|hand|report|request|receive|book|claim|cost|run|hold|store|call|contact"
    r"|bring|leave|return|wear|borrow|reserve|happen|expire|require|handle|approve|cover|change"
    r"|lose|provide|offer|allow)(?:s|es|d|ed|ing)?|lost|taken|made|given|paid|kept|held|sent|done|left"
)


def _content_word(word: str, before: str) -> ContentWord:
    if "가" <= word[0] <= "힣":
        return _korean_word(word, glued=before.isalnum())
    if word[0].isdigit() or word[0] > "\u024f":
        return ContentWord(word)
    if _ENGLISH_STOP.fullmatch(word):
        return ContentWord("")
    return ContentWord(_english_stem(word), bool(_ENGLISH_VERB.fullmatch(word)))


def _korean_word(word: str, glued: bool) -> ContentWord:
    """The content word; directly after a number or Latin name (`glued`), short words are left out."""
    if _KOREAN_STOP.fullmatch(word):
        return ContentWord("")
    verb = _ONLY_VERB.search(word, 1)
    word = _IS.sub("", word) or word
    ending = _ON_ONE.fullmatch(word, 1) or _ENDING.search(word, 0 if glued else _STEM) or verb
    rest = word[: ending.start()] if ending else word
    if _KOREAN_STOP.fullmatch(rest) or (glued and len(rest) < _STEM):
        return ContentWord("")
    if len(rest) < _STEM and len(word) == _STEM and not verb:
        return ContentWord(word)
    return ContentWord(rest, verb is not None)


def _english_stem(word: str) -> str:
    word = word.removesuffix("'s")
    for ending, put in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and word[-2:] != "ss":
            return word.removesuffix(ending) + put
    return word
