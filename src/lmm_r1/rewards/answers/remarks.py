r"""Remarks behind an answer that say what its letters are: `3k \text{ for integers } k`, "where C is a constant".

What such a remark leaves as it is may be left out; what it restricts, "for odd k", may not.
"""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from math import isclose
from typing import NamedTuple

from lmm_r1.rewards.answers.arithmetic import Value, arithmetic_value
from lmm_r1.rewards.answers.condition_words import means_a_set

_WINDOW = 160
"""Characters at the end in which a remark is looked for."""

_FLAT = re.compile(
    r"\\mathbb\s*\{?\s*(?P<field>[ZNRCQ])\s*\}?|\\(?P<relation>in|geq?)(?![A-Za-z])|(?P<symbol>[ℤℕℝℂℚ∈≥])"
    r"|\\(?:text|mathrm|textrm|textit|mbox)\s*\{|[{}$~]|\\[,;:! ()\[\]]|\\q?quad(?![A-Za-z])|\s+"
)
_FIELDS = {"Z": "ℤ", "N": "ℕ", "R": "ℝ", "C": "ℂ", "Q": "ℚ"}
_NAME = r"(?:\\[a-z]+|[A-Za-z])(?: ?_ ?\w)?(?![A-Za-z])"
_NAMES = rf"(?P<names>{_NAME}(?: ?(?:,|and) ?{_NAME}){{0,3}})"
_ADJECTIVE = (
    "an?|any|all|every|each|some|the|arbitrary|fixed|positive|negative|non-?negative|non-?zero|odd|even|real|complex|"
    "rational|irrational|prime|composite|whole|natural"
)
_SELECTING = "odd|even|prime|positive|negative|non-?negative|non-?zero|rational|irrational|composite"
_NOUN = "(?:integer|number|natural|real|constant|value|parameter)s?"
_KIND = rf"(?P<kind>(?:(?:{_ADJECTIVE}) )*(?:{_NOUN}|{_SELECTING}))(?![a-z])"
_FIELD = r"(?P<field>[ℤℕℝℂℚ](?: ?[\^_] ?(?:\+|\*|-|> ?0|≥ ?0))?)"
_FOR = r"(?:for|where|with|when|if|given(?: that)?|such that|provided(?: that)?|assuming(?: that)?|and|here)"
_REMARKS = [
    re.compile(rf"(?P<start>[ ,;.(]*)\b{pattern}[ .)]*")
    for pattern in (
        rf"{_FOR} {_KIND} {_NAMES}",
        rf"(?:{_FOR} )?{_NAMES} ?(?:is|are|being|denotes?|=)? ?{_KIND}",
        rf"(?:{_FOR} (?:(?:all|any|every|some) )?)?{_NAMES} ?∈ ?{_FIELD}",
        rf"{_FOR} (?:all|any|every|each) {_NAMES}",
    )
] + [
    re.compile(rf"(?P<start>[ ,;.(，（]*)(?:其中 ?)?{_NAMES} ?(?:为|是|∈|取) ?(?P<chinese>任意)?{kind}[ .)。）]*")
    for kind in (r"(?P<kind>正整数|非负整数|自然数|整数|实数|常数|奇数|偶数)", _FIELD)
]
_HINT = re.compile(
    rf"\\in(?![A-Za-z])|[∈数]|\b(?:integer|number|natural|real|constant|value|parameter|all|any|every|each|{_SELECTING})"
)
_CHINESE = {
    "正整数": "positive integer",
    "非负整数": "nonnegative integer",
    "自然数": "natural",
    "整数": "integer",
    "实数": "real",
    "常数": "constant",
    "奇数": "odd",
    "偶数": "even",
}
_SYMBOLS = {"ℤ": "integer", "ℕ": "natural", "ℝ": "real", "ℂ": "complex", "ℚ": "rational"}
_FREE = {"any", "real", "complex", "constant"}
_PLAIN = {*_FREE, "integer", "natural", "whole", "positive integer", "nonnegative integer"}
"""What may be left out: it does not select among the values that anybody would think of."""


class Remark(NamedTuple):
    """Which letters a remark is about, and what they are: `integer`, `positive integer`, `odd`, `real`, …"""

    names: tuple[str, ...]
    kind: str

    @property
    def is_free(self) -> bool:
        """Whether it says nothing: any number will do."""
        return self.kind in _FREE

    @property
    def words(self) -> str:
        """The remark in the words that `split_remark` reads."""
        return (
            f"for {self.kind} {' and '.join(self.names)}"
            if self.kind != "any"
            else f"for all {' and '.join(self.names)}"
        )


def split_remark(text: str) -> tuple[str, Remark | None]:
    """The answer without the remark on its letters, and the remark."""
    text = text.strip()
    place = max(0, len(text) - _WINDOW)
    if _HINT.search(text, place) is None:
        return text, None
    flat, origin = _flattened(text, place)
    for pattern in _REMARKS:
        found = pattern.search(flat)
        while found is not None:
            head = text[: origin[found.start()]]
            if found.end() == len(flat) and head.strip(" $*\\([{") and (found["start"] or head[-1:] in " $}"):
                return _balanced(head), Remark(_names(found["names"]), _kind(found.groupdict()))
            found = pattern.search(flat, found.start() + 1)
    return text, None


def judge_remarks(gold: tuple[str, Remark | None], answer: tuple[str, Remark | None]) -> str | None:
    """`"wrong"` where the two restrict their letters differently, else None: the answers themselves decide."""
    (body, expected), (_, given) = gold, answer
    if expected is None or given is None:
        remark = expected or given
        return None if remark is None or _may_be_left_out(remark, body, answer[0]) else "wrong"
    kinds = {expected.kind, given.kind}
    return None if len(kinds) == 1 or kinds <= _FREE or (kinds <= _PLAIN and "any" in kinds) else "wrong"


def renamed(text: str, given: Remark | None, expected: Remark | None) -> str:
    """An answer with the gold's letter in place of its own, where each says what the only letter it has is."""
    if given is None or expected is None or len(given.names) != 1 or len(expected.names) != 1:
        return text
    (old,), (new,) = given.names, expected.names
    return text if old == new or _letter(new).search(text) else _letter(old).sub(lambda _: f"{new} ", text)


def same_multiples(expected: str, given: str, name: str) -> bool:
    r"""Whether two linear expressions take the same values as a letter runs through the integers: `3k` and `3k - 6`."""
    lines = [_line(text, name) for text in (expected, given)]
    if None in lines:
        return False
    (step, start), (other_step, other_start) = lines
    if not _equal(abs(step), abs(other_step)):
        return False
    shift = (other_start - start) / step
    return shift.denominator == 1 if isinstance(shift, Fraction) else abs(shift - round(shift)) < 1e-9


def _line(text: str, name: str) -> tuple[Value, Value] | None:
    """Step and start of an expression that is linear in the letter; None where it is not, or has other letters."""
    *_, side = text.rpartition("=")
    values = [arithmetic_value(_letter(name).sub(f"({place})", side)) for place in range(-3, 6)]
    if None in values:
        return None
    step = values[4] - values[3]
    steps_alike = all(_equal(right - left, step) for left, right in pairwise(values))
    return (step, values[3]) if step and steps_alike else None


def _equal(one: Value, other: Value) -> bool:
    exact = isinstance(one, Fraction) and isinstance(other, Fraction)
    return one == other if exact else isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)


def _may_be_left_out(remark: Remark, *bodies: str) -> bool:
    """Whether a remark changes nothing. Integers change much where they are the set that is asked for."""
    return remark.is_free or (remark.kind in _PLAIN and not any(map(means_a_set, bodies)))


def _kind(found: dict[str, str | None]) -> str:
    kind, field = found.get("kind"), found.get("field")
    if field:
        sign = {"+": "positive ", "*": "positive ", ">": "positive ", "≥": "nonnegative ", "-": "negative "}
        mark = next((sign[character] for character in field if character in sign), "")
        name = _SYMBOLS[field[0]]
        return mark + ("integer" if name == "natural" and mark else name)
    if kind is None:
        return "any"
    if kind in _CHINESE:
        return _CHINESE[kind]
    words = [word.removesuffix("s") for word in kind.lower().replace("-", "").split()]
    meaning = [w for w in words if w not in {"a", "an", "any", "all", "every", "each", "some", "the", "fixed"}]
    meaning = [word for word in meaning if word not in {"arbitrary", "number", "value", "parameter"}]
    if "odd" in meaning or "even" in meaning:
        meaning = [word for word in meaning if word != "integer"]
    return " ".join(sorted(meaning, key=lambda word: (word == "integer", word))) or "any"


def _names(text: str) -> tuple[str, ...]:
    return tuple(sorted(name.replace(" ", "") for name in re.split(r" ?(?:,|\band\b) ?", text)))


def _letter(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z\\]){re.escape(name)}(?![A-Za-z_])")


def _flattened(text: str, place: int) -> tuple[str, list[int]]:
    """The text from there on without layout, in single spaces, and where each of its characters comes from."""
    flat: list[str] = []
    origin: list[int] = []
    while place < len(text):
        layout = _FLAT.match(text, place)
        if layout is None:
            piece, end = text[place], place + 1
        else:
            relation = {"in": "∈", "ge": "≥", "geq": "≥"}.get(layout["relation"] or "", "")
            piece = _FIELDS.get(layout["field"] or "", "") or relation or layout["symbol"] or " "
            end = layout.end()
        if piece != " " or (flat and flat[-1] != " "):
            flat.append(piece)
            origin.append(place)
        place = end
    return "".join(flat), [*origin, len(text)]


def _balanced(head: str) -> str:
    """The head of a text that was cut, with what its end closed."""
    head = head.rstrip(" ,;")
    if head.replace("\\$", "").count("$") % 2:
        head += "$"
    if head.count("\\(") > head.count("\\)"):
        head += "\\)"
    return head + "}" * (head.count("{") - head.count("}"))
