"""The language of a text: Korean or English."""

import re

_HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")
_LATIN = re.compile(r"[A-Za-z]")


def language(text: str, requested: str = "") -> str:
    """ "ko" or "en": by the `requested` BCP 47 tag unless it is empty, else by the text.

    One Hangul syllable to five Latin letters is enough for Korean, as Korean texts contain many names
    in Latin script.
    """
    if requested:
        return "ko" if requested.lower().startswith("ko") else "en"
    hangul, latin = len(_HANGUL.findall(text)), len(_LATIN.findall(text))
    return "ko" if hangul * 5 > latin else "en"
