"""Multiple choice: a letter or the option's own text."""

from __future__ import annotations

import re
import string

from lmm_r1.rewards.answers.choice_statement import WRAPPED_LETTER, picked
from lmm_r1.rewards.answers.markup import plain_words
from lmm_r1.rewards.answers.words import normal_text
from lmm_r1.rewards.claim import Claim

_LETTER = re.compile(WRAPPED_LETTER)
_ALONE = re.compile(r"\s*(?:[.:)。,，!！;；、]|です。?|입니다\.?)?[\s$*_`\"'“”)\]}）】」]*")
_LABELS = re.compile(r"\s*(?:[.:．：、)]|[-–—,，]\s|\s)\s*(?P<text>\S.*)", re.DOTALL)
_REASON = re.compile(
    r"[.,。，;；]?\s*(?:because|since|as|for|due\s+to)\b|[.,。，;；]?\s*(?:因为|因為|由于|由於)", re.IGNORECASE
)
_HEDGE = re.compile(r"[\s,.;:，。、(]*(?:or|and|not|nor|maybe|perhaps|possibly|也|或|和|与|與)(?![a-z])", re.IGNORECASE)
_NEXT_SENTENCE = re.compile(r"[.。!！]\s+\S")
_DOTTED = re.compile(r"\)?(?:(?<=\))|[.:)])(?:\s|(?=[^\x00-\x7f]))|、")
_SENTENCE = re.compile(r".*?(?:[^\s.][.。!;](?=\s|$)|$)", re.DOTALL)
_LONE_CAPITAL = re.compile(r"(?<![A-Za-z])[A-Z](?![A-Za-z])")
_GOLD = re.compile(r"[(\[]?([A-Z])[)\]]?[.:)]?")
_WITHOUT_CHOICES = 10


def judge_choice(claim: Claim) -> str:
    r"""Whether the answer picks the gold option: `B`, `(B)`, `B.`, `\text{B}`, `Option B`, `B. its text`, or its text.

    Out of a sentence it is read where that announces it: "The answer is B, because". Letters are limited to the item's
    options, or to A–J where it lists none. An option's own text wins over a letter of the same spelling. A letter with
    another option's text, two letters, or a sentence that announces nothing pick nothing.
    """
    expected, given = _pick(claim.gold, claim.choices), _pick(claim.answer, claim.choices)
    if expected is None or given is None:
        return "unparsable"
    return "ok" if expected == given else "wrong"


def stated_letter(answer: str) -> str | None:
    """The letter that an answer to a question without listed options picks: `(A)`, `A. 12 cm`, "the answer is A"."""
    index = _index(answer, (), len(string.ascii_uppercase))
    return None if index is None else string.ascii_uppercase[index]


def choice_letter(gold: str) -> str | None:
    """The capital letter that a gold of any type is, as one of several choices."""
    letter = _GOLD.fullmatch(plain_words(gold))
    return letter[1] if letter else None


def _pick(answer: str, choices: tuple[str, ...]) -> int | None:
    """The index of the option that the answer names, or None; the first one where options are written the same."""
    index = _index(answer, choices, len(choices) or _WITHOUT_CHOICES)
    options = [plain_words(option) for option in choices]
    if index is None or not options or not options[index]:
        return index
    return options.index(options[index])


def _index(answer: str, choices: tuple[str, ...], count: int) -> int | None:
    options = [plain_words(option) for option in choices]
    for text in dict.fromkeys((plain_words(answer), plain_words(picked(answer).said))):
        if text in options:
            return options.index(text)
        # Case may be what tells options apart: bb, Bb and BB.
        alike = [number for number, option in enumerate(options) if normal_text(option) == normal_text(text)]
        if len(alike) == 1:
            return alike[0]
    _, _, said, announced = picked(answer)
    return _labelled(plain_words(said), options, count, announced)


def _labelled(said: str, options: list[str], count: int, announced: bool) -> int | None:
    """The index of the letter that the words are or begin with, where what follows takes nothing of it back."""
    letter = _LETTER.match(said)
    if letter is None:
        return None
    index = string.ascii_uppercase.index(letter["letter"].upper())
    behind = said[letter.end() :]
    if index >= count:
        return None
    if _ALONE.fullmatch(behind):
        return index
    if _HEDGE.match(behind):
        return None
    if _REASON.match(behind) and letter["letter"].isupper():
        return index
    label = _LABELS.fullmatch(letter["closed"][-1:] + behind if letter["closed"].endswith(")") else behind)
    if label is None:
        return None
    # The option's text may end a sentence, and another one follow.
    texts = {normal_text(label["text"]), normal_text(_SENTENCE.match(label["text"]).group())}
    named = [number for number, option in enumerate(options) if normal_text(option) in texts]
    if named:
        return index if index in named else None
    if not letter["letter"].isupper():
        return None
    if announced and _NEXT_SENTENCE.match(behind):
        return index
    dotted = _DOTTED.match(letter["closed"][-1:] + behind)
    return index if not options and dotted and not _LONE_CAPITAL.search(label["text"]) else None
