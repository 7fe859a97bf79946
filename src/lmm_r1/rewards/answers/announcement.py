"""The answer without the words that announce it."""

from __future__ import annotations

import re

from lmm_r1.rewards.answers.markup import bare, boxed_contents

_ANNOUNCEMENT = re.compile(
    r"(?:(?:so|thus|therefore|hence),?\s+)?(?:the\s+)?(?:correct\s+|final\s+)?(?:answer|option|choice)\s*(?:is|:)\s*:?\s*",
    re.IGNORECASE,
)


def stated_answer(text: str) -> str | None:
    r"""The answer without the words that announce it: `B` of "The answer is $\boxed{B}$" and of "Answer: B".

    The content of a box where the text has one; None where it has boxes that differ.
    """
    boxes = {bare(box) for box in boxed_contents(text)}
    if len(boxes) > 1:
        return None
    return bare(boxes.pop() if boxes else _ANNOUNCEMENT.sub("", bare(text), count=1) if _announces(text) else text)


def _announces(text: str) -> bool:
    return _ANNOUNCEMENT.match(bare(text)) is not None
