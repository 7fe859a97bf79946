r"""Vectors as people write them: `(1, 2)`, `\langle 1, 2 \rangle`, columns, rows, and sums of the unit vectors i, j, k.

A column and a row are different matrices; otherwise the same elements are the same vector. A matrix of several rows and
columns is no vector, nor is `[1, 2]`, which is an interval, or `\{1, 2\}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from lmm_r1.rewards.answers.brackets import MOST_ELEMENTS, matched
from lmm_r1.rewards.answers.markup import bare

_LAYOUT = re.compile(r"\\(?:left|right|[bB]igg?[lr]?)(?![A-Za-z])|(?<!\\)\\[,;:! ]|\\q?quad(?![A-Za-z])|~")
_SPELLINGS = {"\\langle": "⟨", "\\rangle": "⟩", "〈": "⟨", "〉": "⟩", "\\lt ": "<", "\\gt ": ">"}
_PLAIN_ANGLES = re.compile(r"<([^<>=]*,[^<>=]*)>")
_BOLD = r"\\(?:vec|mathbf|overrightarrow|bm|boldsymbol|overline|hat|widehat)"
_NAME = re.compile(rf"^(?:{_BOLD}\s*\{{?\s*)?[A-Za-z]{{1,2}}\}}?(?:_\w)?\s*=\s*(?!=)")
_T = r"(?:T|\\top|\\intercal|\\(?:mathsf|mathrm|text)\s*\{T\})"
_TRANSPOSED = re.compile(rf"\s*\^\s*(?:{_T}|\{{\s*{_T}\s*\}})$")
_MATRIX = re.compile(
    r"(?P<outer>[(\[])?\s*\\begin\s*\{(?P<kind>[pbB]?matrix|smallmatrix|array)\}(?:\s*\{[clr|]*\})?(?P<body>.*)"
    r"\\end\s*\{(?P=kind)\}\s*(?(outer)[)\]])",
    re.DOTALL,
)
_FACTOR = re.compile(r"(?P<factor>[^,<>=]*?)\s*(?:\\cdot|\*)?\s*(?P<vector>(?:⟨|[(\[]?\\begin).*)", re.DOTALL)
_LETTER = r"(?:\\(?P<dotless>[ij])math|(?P<letter>[ijk]))"
_MARKED_UNIT = re.compile(
    rf"(?P<factor>.*?)\s*(?:\\cdot|\*)?\s*{_BOLD}\s*\{{?\s*(?:{_BOLD}\s*\{{?\s*)?{_LETTER}\s*\}}{{0,2}}\s*", re.DOTALL
)
_PLAIN_UNIT = re.compile(r"(?P<factor>(?:[0-9./{}]|\\[dt]?frac|\\sqrt)*)\s*(?P<dotless>(?!))?(?P<letter>[ijk])\s*")
_OPENING, _CLOSING = "([{⟨", ")]}⟩"


class Vector(NamedTuple):
    """The elements of a vector, and how it was written: as a tuple, angle, column, row, transposed, unit or
    plain unit."""

    elements: tuple[str, ...]
    kind: str


def judge_vectors(expected: str, given: str, same: Callable[[str, str], bool]) -> str | None:
    """The verdict on two vectors, or two lists of vectors, of which one is written in a way that needs it.

    None for all else: tuples alone and columns alone are compared as what they are.
    """
    golds, answers = _vectors(expected), _vectors(given)
    if not golds or not answers:
        return None
    kinds = {vector.kind for vector in (*golds, *answers)}
    if (len(kinds) == 1 and not kinds & {"angle", "unit"}) or kinds in ({"column", "row"}, {"plain unit", "tuple"}):
        return None
    return "ok" if matched(golds, answers, lambda gold, answer: same_vector(gold, answer, same)) else "wrong"


def same_vector(expected: Vector, given: Vector, same: Callable[[str, str], bool]) -> bool:
    """Whether two vectors have the same elements; one of i and j alone may lie in the plane or in space."""
    if {expected.kind, given.kind} in ({"column", "row"}, {"transposed", "row"}, {"plain unit", "tuple"}):
        return False
    first, second = _in_dimensions(expected, len(given.elements)), _in_dimensions(given, len(expected.elements))
    return len(first) == len(second) and all(map(same, first, second))


def parse_vector(text: str) -> Vector | None:
    """The vector that a text is; None where it is none."""
    text = _NAME.sub("", text.strip())
    transposed = _TRANSPOSED.search(text)
    if transposed:
        text = text[: transposed.start()].strip()
    found = _matrix(text) or _listed(text, transposed is not None) or _scaled(text) or _units(text)
    if found is None or not 2 <= len(found.elements) <= MOST_ELEMENTS or not all(found.elements):
        return None
    if transposed:
        return found._replace(
            kind={"row": "column", "tuple": "transposed", "column": "row"}.get(found.kind, found.kind)
        )
    return found


def prepared(text: str) -> str:
    """The text with one kind of angle brackets, and no layout."""
    text = _LAYOUT.sub(" ", bare(text))
    for spelling, symbol in _SPELLINGS.items():
        text = text.replace(spelling, symbol)
    return _PLAIN_ANGLES.sub(r"⟨\1⟩", text)


def _vectors(text: str) -> list[Vector] | None:
    """The vectors of a list; None where something else is in it."""
    text = prepared(text)
    if (one := parse_vector(text)) is not None:
        return [one]
    found = [parse_vector(part) for part in _parts(text, ",;")]
    return found if len(found) > 1 and None not in found else None


def _in_dimensions(vector: Vector, dimensions: int) -> tuple[str, ...]:
    in_plane = vector.kind.endswith("unit") and dimensions == 2 and vector.elements[2] == "0"
    return vector.elements[:2] if in_plane else vector.elements


def _matrix(text: str) -> Vector | None:
    matrix = _MATRIX.fullmatch(text)
    if matrix is None or "\\begin" in matrix["body"]:
        return None
    rows = [row.strip() for row in matrix["body"].strip().removesuffix("\\\\").split("\\\\")]
    if len(rows) == 1:
        return Vector(tuple(element.strip() for element in rows[0].split("&")), "row")
    return None if any("&" in row for row in rows) else Vector(tuple(rows), "column")


def _listed(text: str, transposed: bool) -> Vector | None:
    pairs = {"(": (")", "tuple"), "⟨": ("⟩", "angle")} | ({"[": ("]", "tuple")} if transposed else {})
    closing, kind = pairs.get(text[:1], ("", ""))
    if not closing or not text.endswith(closing) or not _is_enclosed(text):
        return None
    return Vector(tuple(part.strip() for part in _parts(text[1:-1], ",;")), kind)


def _scaled(text: str) -> Vector | None:
    r"""`2 \langle 1, 2 \rangle`."""
    scaled = _FACTOR.fullmatch(text)
    if scaled is None or not scaled["factor"].strip():
        return None
    vector = _matrix(scaled["vector"]) or _listed(scaled["vector"], transposed=False)
    factor = scaled["factor"].strip()
    factor = {"-": "-1", "+": "1"}.get(factor, factor)
    return vector and vector._replace(elements=tuple(rf"({factor})\cdot({element})" for element in vector.elements))


def _units(text: str) -> Vector | None:
    """A sum of unit vectors; with no mark on them only where i and j both occur, for i alone is a complex number."""
    terms = _terms(text)
    for kind, pattern in (("unit", _MARKED_UNIT), ("plain unit", _PLAIN_UNIT)):
        found = [(sign, pattern.fullmatch(term)) for sign, term in terms]
        if not found or any(unit is None for _, unit in found):
            continue
        places = ["ijk".index(unit["dotless"] or unit["letter"]) for _, unit in found]
        if len(set(places)) < len(places) or (kind == "plain unit" and not {0, 1} <= set(places)):
            return None
        elements = ["0", "0", "0"]
        for place, (sign, unit) in zip(places, found, strict=True):
            elements[place] = sign + (unit["factor"].strip() or "1")
        return Vector(tuple(elements), kind)
    return None


def _terms(text: str) -> list[tuple[str, str]]:
    """The summands outside all brackets, each with its sign."""
    pieces = _parts(re.sub(r"\s*([+-])\s*", r"\1", text.strip()), "+-", keep=True)
    if pieces and not pieces[0]:
        pieces = pieces[1:]
    return [("-" if piece[0] == "-" else "", piece.lstrip("+-").strip()) for piece in pieces if piece.strip("+- ")]


def _is_enclosed(text: str) -> bool:
    """Whether the first bracket is closed by the last character."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character in _OPENING) - (character in _CLOSING)
        if depth == 0:
            return place == len(text) - 1
    return False


def _parts(text: str, separators: str, keep: bool = False) -> list[str]:
    """The parts between separators outside all brackets and environments; `keep` leaves each at its part's start."""
    parts, depth, start = [], 0, 0
    for place, character in enumerate(text):
        if character in _OPENING or text.startswith("\\begin", place):
            depth += 1
        elif character in _CLOSING or text.startswith("\\end", place):
            depth -= 1
        elif character in separators and depth == 0:
            parts.append(text[start:place])
            start = place if keep else place + 1
    return [*parts, text[start:]]
