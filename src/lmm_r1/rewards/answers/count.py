"""How many: one whole number, in digits or in words."""

from __future__ import annotations

import re
import unicodedata

from lmm_r1.rewards.answers.markup import plain_words
from lmm_r1.rewards.answers.number import without_separators
from lmm_r1.rewards.claim import Claim

_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {word: number for number, word in enumerate(_UNITS)} | {"none": 0}
_WORDS |= {ten: 10 * (place + 2) for place, ten in enumerate(_TENS)}
_WORDS |= {
    f"{ten}{joint}{unit}": 10 * (place + 2) + number
    for place, ten in enumerate(_TENS)
    for number, unit in enumerate(_UNITS[:10])
    if number
    for joint in ("-", " ")
}
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})\b(?!-)", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]+(?:\.0+)?")
_WHOLE_TOKEN = re.compile(r"[^\s,;:?()\"'$。，]+")  # 5! is no count
_SENTENCE = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|[\s.,;:!?()\"'$。，]")
_CHANGES_THE_COUNT = re.compile(
    r"\b(?:about|almost|approximately|approx|around|roughly|nearly|circa|some|several|at|more|less|fewer|greater|over|"
    r"under|between|to|or|and|not|never|minus|negative|plus|times|half|quarter|third|dozens?|couple|pairs?|hundreds?|"
    r"thousands?|millions?|billions?|trillions?|bn|lakhs?|crores?|percent|point|maybe|perhaps|possibly|either|neither|no|isn't|aren't)\b",
    re.IGNORECASE,
)


def judge_count(claim: Claim) -> str:
    """Whether both are the same whole number; `7`, `seven`, `7.0` and "There are 7 apples" are.

    "About 7", "7 or 8", "not 7" and 7.5 are no count, and two different numbers are none either.
    """
    expected, given = _count(claim.gold), _count(claim.answer)
    if expected is None or given is None:
        return "unparsable"
    return "ok" if expected == given else "wrong"


def _count(text: str) -> int | None:
    text = without_separators(plain_words(text))
    if _CHANGES_THE_COUNT.search(text):
        return None
    counts = set()
    for token in _WHOLE_TOKEN.findall(text):
        token = token.rstrip(".")
        if _DIGITS.fullmatch(token):
            counts.add(int(token.partition(".")[0]))
        elif any(character.isdigit() or unicodedata.category(character) in ("No", "Nl") for character in token):
            return None
    counts.update(_WORDS[word.casefold()] for word in _NUMBER_WORD.findall(text))
    words = _DIGITS.sub(" ", text)
    if _SENTENCE.sub("", words):
        return None
    return counts.pop() if len(counts) == 1 else None
