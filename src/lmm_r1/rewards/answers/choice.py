"""Multiple choice: a letter or the option's own text."""

from __future__ import annotations

import re
import string
import unicodedata

from lmm_r1.rewards.answers.markup import plain_words

_LETTER = re.compile(r"[(\[]?([A-Za-z])[)\]]?[.:)]?")
_LETTER_AND_TEXT = re.compile(r"[(\[]?([A-Za-z])(?:[)\]][.:]?|[.:])\s*(.+)", re.DOTALL)
_WITHOUT_CHOICES = 10


def judge_choice(gold: str, answer: str, choices: tuple[str, ...] = ()) -> str:
    r"""Whether the answer picks the gold option: `B`, `(B)`, `B.`, `\text{B}`, `B. its text`, or its text alone.

    Letters are limited to the item's options, or to A–J where it lists none. An option's own text wins over a letter
    of the same spelling. A letter with another option's text, two letters, or a sentence pick nothing.
    """
    expected, given = _pick(gold, choices), _pick(answer, choices)
    if expected is None or given is None:
        return "unparsable"
    return "ok" if expected == given else "wrong"


def _pick(answer: str, choices: tuple[str, ...]) -> int | None:
    """The index of the option that the answer names, or None."""
    text = plain_words(answer)
    options = [_normal(option) for option in choices]
    if options.count(_normal(text)) == 1:
        return options.index(_normal(text))
    if (letter := _LETTER.fullmatch(text)) is not None:
        return _index(letter[1], len(choices))
    if (both := _LETTER_AND_TEXT.fullmatch(text)) is not None:
        index = _index(both[1], len(choices))
        if index is not None and options and options[index] == _normal(both[2]):
            return index
    return None


def _index(letter: str, count: int) -> int | None:
    index = string.ascii_uppercase.index(letter.upper())
    return index if index < (count or _WITHOUT_CHOICES) else None


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", plain_words(text)).casefold().split())
