"""Content words of Korean and English text and their stems, by tables of endings, no dictionary.

Stripping errs on the side of too much: stems are sought at the start of words and in compounds,
so a lost syllable loosens a match where a left one would prevent it.
"""

import re
import unicodedata


def plain(text: str) -> str:
    """NFKC in lower case, 1,000 as 1000."""
    return _THOUSANDS.sub("", unicodedata.normalize("NFKC", text).lower())


def stems(text: str) -> list[str]:
    """The stems of the content words of `text`, each once, in order.

    Question words, requests (알려줘), particles and units after a number are not among them.
    """
    lower = plain(text)
    found = (_stem(word[0], lower[: word.start()][-1:]) for word in _WORD.finditer(lower))
    return [stem[:_LONGEST] for stem in dict.fromkeys(found) if stem]


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
_ENDING = re.compile(rf"(?:{_PARTICLE}|{_COPULA}|{_HADA}|{_VERB})$")
# What may be taken from a word of one syllable; alone, a short particle is told by what is left.
_ON_ONE = re.compile(r"[은는을를이가의]|까지|부터|에서|에게|으로|보다|처럼|마다")
_STEM = 2
# Text without spaces may be one word; matching takes the square of a stem's length.
_LONGEST = 32
_KOREAN_STOP = re.compile(
    r"누구.*|누가|언제.*|어디.*|어느|어떤|어떻게|어떠한|무엇.*|무슨|뭐.*|뭔.*|왜|얼마.*|며칠.*|몇.*"
    r"|[있없되하]나요?|[있없되하]는.*|있[다던어고]|[되된한하]다|인[가지]|될까요?|할까요?|됩니까|합니까"
    r"|해야.*|하려면|하면|경우|알려.*|가르쳐.*|설명해.*|주세요|해줘|궁금.*|이름|사람|인물|[연년]도|날"
    r"|날짜|명칭|인원수|[개갯횟]수|숫자|[적쓰]으?시오|곳|장소|것|때|수|번|회|명|개|년|월"
    r"|등|및|그|이|저|또|또는|그리고|위해|대해|대한|통해|위한|의해|따라|관한|관해|가능.*|해|당시|후|전|중"
    r"|가장"
)
_ENGLISH_STOP = re.compile(
    r"the|an?|of|to|[io]n|at|by|for|from|with|and|or|if|as|into|than|then|about|is|are|was|were|be"
    r"|been|am|do|does|did|has|have|had|can|could|will|would|should|what|which|who|whom|whose|when"
    r"|where|why|how|much|many|it|its|this|that|these|those|there|they|their|he|she|his|her|you"
    r"|your|i|my|me|we|our|not|please|tell"
)


def _stem(word: str, before: str) -> str:
    if "가" <= word[0] <= "힣":
        return _korean_stem(word, glued=before.isalnum())
    if word[0].isdigit() or word[0] > "\u024f":
        return word
    return "" if _ENGLISH_STOP.fullmatch(word) else _english_stem(word)


def _korean_stem(word: str, glued: bool) -> str:
    """`glued` to a number or a Latin name, the word is a unit or a particle if it is short."""
    if _KOREAN_STOP.fullmatch(word):
        return ""
    found = _ON_ONE.fullmatch(word, 1) or _ENDING.search(word, 0 if glued else _STEM)
    rest = word[: found.start()] if found else word
    if _KOREAN_STOP.fullmatch(rest) or (glued and len(rest) < _STEM):
        return ""
    return word if len(rest) < _STEM and len(word) == _STEM else rest


def _english_stem(word: str) -> str:
    word = word.removesuffix("'s")
    for ending, put in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and word[-2:] != "ss":
            return word.removesuffix(ending) + put
    return word
