"""Multiple choice: a letter or the option's own text."""

from __future__ import annotations

import re
import string

from lmm_r1.rewards.answers.markup import plain_words
from lmm_r1.rewards.answers.words import normal_text
from lmm_r1.rewards.claim import Claim

_LETTER = re.compile(r"(?:(?:option|choice)\s+)?[(\[]?([A-Za-z])[)\]]?[.:)]?", re.IGNORECASE)
_LETTER_AND_TEXT = re.compile(r"[(\[]?([A-Za-z])(?:[)\]][.:]?|[.:])\s*(.+)", re.DOTALL)
_WITHOUT_CHOICES = 10


def judge_choice(claim: Claim) -> str:
    r"""Whether the answer picks the gold option: `B`, `(B)`, `B.`, `\text{B}`, `Option B`, `B. its text`, or its text.

    Letters are limited to the item's options, or to A–J where it lists none. An option's own text wins over a letter
    of the same spelling. A letter with another option's text, two letters, or a sentence pick nothing.
    """
    expected, given = _pick(claim.gold, claim.choices), _pick(claim.answer, claim.choices)
    if expected is None or given is None:
        return "unparsable"
    return "ok" if expected == given else "wrong"


def _pick(answer: str, choices: tuple[str, ...]) -> int | None:
    """The index of the option that the answer names, or None; the first one where options are written the same."""
    text = plain_words(answer)
    options = [plain_words(option) for option in choices]
    if text in options:
        return options.index(text)
    # Case may be what tells options apart: bb, Bb and BB.
    alike = [number for number, option in enumerate(options) if normal_text(option) == normal_text(text)]
    if len(alike) == 1:
        return alike[0]
    index = None
    if (letter := _LETTER.fullmatch(text)) is not None:
        index = _index(letter[1], len(choices))
    elif (both := _LETTER_AND_TEXT.fullmatch(text)) is not None:
        index = _index(both[1], len(choices))
        if index is not None and not (options and normal_text(options[index]) == normal_text(both[2])):
            index = None
    if index is None or not options or not options[index]:
        return index
    return options.index(options[index])


def _index(letter: str, count: int) -> int | None:
    index = string.ascii_uppercase.index(letter.upper())
    return index if index < (count or _WITHOUT_CHOICES) else None
