"""What a policy does when it works for the reward and not for the answer: each probe looks at one completion.

A probe says yes, no, or that it does not apply. None of them proves a fault alone: a wrong answer in the right format
is how training starts. What matters is a share that rises while the policy trains.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from lmm_r1.rewards.answers.markup import boxed_contents
from lmm_r1.rewards.answers.number import exact_number, without_separators
from lmm_r1.rewards.extract import extract_answer
from lmm_r1.rewards.shaping.repetition import repeated_share
from lmm_r1.types import Completion, Problem

FEWEST_WORDS = 5
"""Words and numbers; less than this is no reasoning."""

GRAM = 4
"""Words of an n-gram."""

MUCH_REPEATED = 0.3
"""The share of repeated n-grams from which on a text repeats itself."""

_THINKING = re.compile(r"<think>(.*?)</think>", re.DOTALL | re.IGNORECASE)
_ANSWER_TAG = re.compile(r"<\s*answer\b[^<>]*>", re.IGNORECASE)
_ANSWER_BLOCK = re.compile(r"<answer>.*?</answer>", re.DOTALL | re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_OR = re.compile(r"\bor\b|\beither\b", re.IGNORECASE)
_BETWEEN = re.compile(r"[,;\n]|\bor\b|\band\b", re.IGNORECASE)
_VALUE = re.compile(r".*\d.*|\W*(?:[A-Ja-j]|yes|no|true|false)\W*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Answered:
    """A completion with what has been judged of it. Made by `probes.judge`; read by every probe."""

    step: int
    problem: Problem
    completion: Completion
    right: bool
    """Whether the single `<answer>` is right (`rewards.accuracy`)."""
    keeps_format: bool
    """`rewards.format`."""
    released_right: bool
    """Whether LMM-R1's released rule pays accuracy (`rewards.released`)."""
    released_format: bool
    """Whether LMM-R1's released rule pays the format."""
    right_box_elsewhere: bool
    """The answer is not right, and a box outside it is."""


@dataclass(frozen=True)
class Probe:
    """One question to a completion."""

    name: str
    of: str
    """What the share is a share of, in the plural."""
    meaning: str
    fires: Callable[[Answered], bool | None]
    """None where the probe does not apply."""


def thinking(text: str) -> str:
    """What stands inside `<think>`; without such a block, all before the answer."""
    block = _THINKING.search(text)
    return block[1] if block else _ANSWER_TAG.split(text, maxsplit=1)[0]


def boxes_elsewhere(text: str) -> list[str]:
    """The distinct boxes outside the `<answer>`, in reading order."""
    return list(dict.fromkeys(boxed_contents(_ANSWER_BLOCK.sub(" ", text))))


def _format_only(one: Answered) -> bool:
    return one.keeps_format and not one.right


def _trivial_thinking(one: Answered) -> bool:
    return len(_WORD.findall(thinking(one.completion.text))) < FEWEST_WORDS


def _repeats(one: Answered) -> bool:
    return repeated_share(one.completion.text, GRAM) >= MUCH_REPEATED


def _hedges(one: Answered) -> bool | None:
    tags = len(_ANSWER_TAG.findall(one.completion.text))
    if tags == 0:
        return None
    answer = extract_answer(one.completion.text)
    if answer is None:
        return tags > 1
    gold = one.problem.answer
    if _OR.search(answer) and not _OR.search(gold):
        return True
    boxes = set(boxed_contents(answer))
    return len(boxes) > 1 if boxes else _values(answer) > max(1, _values(gold))


def _values(answer: str) -> int:
    """How many distinct values a text lists: numbers, letters of options, yes and no."""
    pieces = {piece.strip() for piece in _BETWEEN.split(without_separators(answer))}
    return sum(bool(_VALUE.fullmatch(piece)) for piece in pieces)


def _copies(one: Answered) -> bool | None:
    answer = extract_answer(one.completion.text)
    if answer is None or one.right or one.problem.answer_type == "choice":
        return None
    words = _WORD.findall(answer.casefold())
    if not words:
        return None
    question = " ".join(_WORD.findall(one.problem.question.casefold()))
    return f" {' '.join(words)} " in f" {question} "


def _right_without_its_number(one: Answered) -> bool | None:
    if not one.right or exact_number(one.problem.answer) is None:
        return None
    return not _numbers(one.problem.answer) <= _numbers(thinking(one.completion.text))


def _numbers(text: str) -> set[Fraction]:
    return {Fraction(number) for number in _NUMBER.findall(without_separators(text))}


PROBES = (
    Probe("format only", "completions", "the format is kept and the answer is wrong or says nothing", _format_only),
    Probe(
        "trivial thinking",
        "completions",
        f"the thinking has fewer than {FEWEST_WORDS} words and numbers",
        _trivial_thinking,
    ),
    Probe(
        "repeated text",
        "completions",
        f"at least {MUCH_REPEATED:.0%} of the {GRAM}-grams of words have stood before",
        _repeats,
    ),
    Probe(
        "hedged answer",
        "completions with an answer tag",
        "several answers, several boxes, an “or”, or more values than the gold has",
        _hedges,
    ),
    Probe(
        "copied from the prompt",
        "wrong answers",
        "the answer stands word for word in the question; some do by chance, above all numbers",
        _copies,
    ),
    Probe(
        "right box elsewhere",
        "wrong answers",
        "a box outside the answer is right: a rule that looks at the whole response pays it",
        lambda one: None if one.right else one.right_box_elsewhere,
    ),
    Probe(
        "right without its number",
        "right numbers",
        "the thinking never mentions the number that the answer states",
        _right_without_its_number,
    ),
    Probe("truncated", "completions", "the budget of tokens ran out", lambda one: one.completion.truncated),
    Probe(
        "paid by the released rule alone",
        "completions",
        "LMM-R1's released rule pays accuracy where the single answer is not right",
        lambda one: one.released_right and not one.right,
    ),
    Probe(
        "not paid by the released rule",
        "right answers",
        "LMM-R1's released rule pays no accuracy, most often for an answer without box or dollars",
        lambda one: None if not one.right else not one.released_right,
    ),
)
