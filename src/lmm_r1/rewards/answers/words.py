"""Yes or no, and text that must be exact."""

from __future__ import annotations

import re
import unicodedata

from lmm_r1.rewards.answers.markup import plain_words
from lmm_r1.rewards.claim import Claim

_POLARITY = {"yes": True, "true": True, "no": False, "false": False}
_FIRST_WORD = re.compile(r"(\w+)(?:[!.,;:](?:\s|$)|$)")
_HEDGE = re.compile(r"\b(?:yes|no|true|false|maybe|perhaps|or|but|unless|possibly|probably|unsure|unclear|cannot)\b")


def judge_yes_no(claim: Claim) -> str:
    """Whether both say yes or both say no; `true` and `false` are the same words.

    The answer is the word itself, perhaps followed by a sentence that takes nothing of it back: "Yes, it is." "No
    idea", "yes and no" and "Yes, but" are nothing.
    """
    expected, given = _polarity(claim.gold), _polarity(claim.answer)
    if expected is None or given is None:
        return "unparsable"
    return "ok" if expected == given else "wrong"


def judge_text(claim: Claim) -> str:
    """Whether both are the same text, apart from case, spacing and Unicode's compatibility forms (NFKC)."""
    expected = normal_text(claim.gold)
    if not expected:
        return "unparsable"
    return "ok" if expected == normal_text(claim.answer) else "wrong"


def normal_text(text: str) -> str:
    """The words alone: no markup, one space, lower case, Unicode's compatibility forms, nothing invisible.

    A power, an index or a fraction behind a digit stays apart from it: 5² is not 52, while H₂O is H2O.
    """
    text = plain_words(text)
    if not text.isascii():
        text = re.sub(r"(?<=[0-9])[^\x00-\x7f]", _apart, text)
    text = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(letter for letter in text if unicodedata.category(letter) != "Cf").split())


def _apart(character: re.Match[str]) -> str:
    kind = unicodedata.decomposition(character[0]).partition(" ")[0]
    return {"<super>": "^", "<sub>": "_", "<fraction>": " "}.get(kind, "") + character[0]


def _polarity(text: str) -> bool | None:
    text = normal_text(text)
    first = _FIRST_WORD.match(text)
    if first is None or _HEDGE.search(text, first.end(1)):
        return None
    return _POLARITY.get(first[1])
