"""The words that announce an answer, and the answer without them."""

from __future__ import annotations

import re

from lmm_r1.rewards.answers.markup import bare, boxed_contents

_JUDGED = r"(?!\s*(?:not|wrong|incorrect|right|correct|consistent|reasonable|plausible|valid|clear|obvious)\b)"
_IS = r"(?:is|are|=|(?:must|should|would|has\s+to)\s+be)(?![^\W_])"
ANNOUNCEMENT = re.compile(
    rf"(?<!wrong )(?<!incorrect )(?:\b(?P<final>final)\s+)?\banswer\b[^.\n:]{{0,60}}?(?:\s{_IS}{_JUDGED}|[:：=])\s*:?"
    rf"|\b(?:correct|right|best|final|my)\s+(?:option|choice|letter)\s*(?:{_IS}{_JUDGED}|[:：=])"
    r"|(?<!不)(?:正确|正確)的?(?:选项|選項)\s*(?:是|为|為)?\s*[:：]?"
    r"|(?<!错误)(?<!錯誤)(?:答案|正解|答え|정답)\s*(?:应该|應該|应|應)?(?:是|为|為|选|選|は|은|는)?\s*[:：]?"
    r"|\b(?:réponse|respuesta|resposta|risposta|antwort|ответ)\b[^.\n:]{0,40}?(?:\s(?:est|es|é|è|ist)\b|[:—])\s*:?",
    re.IGNORECASE,
)
"""The words in front of an answer, in several languages; none that judge it: "the answer is right"."""

_PREFIX = re.compile(
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
    return bare(boxes.pop() if boxes else _PREFIX.sub("", bare(text), count=1) if _announces(text) else text)


def _announces(text: str) -> bool:
    return _PREFIX.match(bare(text)) is not None
