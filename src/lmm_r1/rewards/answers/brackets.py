r"""Lists in brackets: where they begin and end, and what stands between their commas."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from lmm_r1.rewards.answers.markup import bare

MOST_ELEMENTS = 32
"""A longer list is not compared: each pair of elements may need algebra."""

_SPACING = re.compile(r"\\left(?![a-z])|\\right(?![a-z])|\\bigl?(?![a-z])|\\bigr(?![a-z])|\\[,;:!]")
_NAME = re.compile(r"^\\?[A-Za-z]+\s*(?:=|\\in(?![a-z])|∈)\s*(?=[(\[{\\])")
_OPENING, _CLOSING = "([{", ")]}"


def cleaned(text: str) -> str:
    r"""The text without markup, spacing, `\left` and `\right`, and a name in front: `S = \left\{1, 2\right\}`."""
    text = _SPACING.sub("", bare(text)).replace("\\lbrace", "\\{").replace("\\rbrace", "\\}")
    text = text.replace("\\langle", "(").replace("\\rangle", ")").strip()
    return bare(_NAME.sub("", text))


def enclosed(text: str, opening: str, closing: str) -> str | None:
    r"""What one pair of brackets around the whole text holds; `\{` is `{`. None where it has no such pair."""
    text = text.replace("\\{", "{").replace("\\}", "}") if opening == "{" else text
    if not (text.startswith(opening) and text.endswith(closing)) or len(text) < 2:
        return None
    depth = 0
    for position, character in enumerate(text):
        depth += (character in _OPENING) - (character in _CLOSING)
        if depth == 0 and position < len(text) - 1:
            return None
    return text[1:-1]


def elements(text: str) -> list[str]:
    """What stands between the commas and semicolons outside all brackets; an empty text has no element."""
    if not text.strip():
        return []
    parts, depth = [""], 0
    for character in text:
        depth += (character in _OPENING) - (character in _CLOSING)
        if character in ",;" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def matched(first: Sequence, second: Sequence, same: Callable[[object, object], bool]) -> bool:
    """Whether the two can be paired off, each item with one that is the same (Kuhn's augmenting paths)."""
    if len(first) != len(second):
        return False
    partner: dict[int, int] = {}
    alike = [[number for number, right in enumerate(second) if same(left, right)] for left in first]

    def find(left: int, seen: set[int]) -> bool:
        for right in alike[left]:
            if right not in seen:
                seen.add(right)
                if right not in partner or find(partner[right], seen):
                    partner[right] = left
                    return True
        return False

    return all(find(left, set()) for left in range(len(first)))
