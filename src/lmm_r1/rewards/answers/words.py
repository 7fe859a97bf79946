"""Yes or no, and short text."""

from __future__ import annotations

import unicodedata

from lmm_r1.rewards.answers.markup import plain_words

_POLARITY = {"yes": True, "true": True, "no": False, "false": False}


def judge_yes_no(gold: str, answer: str, choices: tuple[str, ...] = ()) -> str:
    """Whether both say yes or both say no.

    The answer must be the word itself: "no idea" and "yes and no" are nothing.
    """
    expected, given = (_POLARITY.get(_normal(text).rstrip("!")) for text in (gold, answer))
    if expected is None or given is None:
        return "unparsable"
    return "ok" if expected == given else "wrong"


def judge_text(gold: str, answer: str, choices: tuple[str, ...] = ()) -> str:
    """Whether both are the same text, apart from case, spacing and Unicode's compatibility forms (NFKC)."""
    expected = _normal(gold)
    if not expected:
        return "unparsable"
    return "ok" if expected == _normal(answer) else "wrong"


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", plain_words(text)).casefold().split())
