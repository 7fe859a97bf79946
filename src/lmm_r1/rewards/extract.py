"""Where the answer of a response is."""

from __future__ import annotations

import re

from lmm_r1.rewards.answers.markup import boxed_contents

_ANSWER_TAG = re.compile(r"<\s*(?:/\s*)?answer\b[^<>]*>", re.IGNORECASE)
_EXACT_TAGS = ("<answer>", "</answer>")
_ANNOUNCED = re.compile(r"\b(?:final\s+)?answer\s*(?:is|:)\s*(?::\s*)?([^\n]+)", re.IGNORECASE)
_DOLLARS = re.compile(r"\$([^$\n]+)\$")


def extract_answer(text: str) -> str | None:
    """What stands in the single `<answer>…</answer>` of a response, stripped; None where there is no such thing.

    Tags count in any case. Anything else that looks like an answer tag, `<answer x=1>` for one, makes the answer
    ambiguous, and an ambiguous answer is none. A box outside the tags earns nothing.
    """
    tags = list(_ANSWER_TAG.finditer(text))
    if tuple(tag.group().lower() for tag in tags) != _EXACT_TAGS:
        return None
    return text[tags[0].end() : tags[1].start()].strip() or None


def last_answer(text: str) -> str | None:
    """The final answer of a whole response that may have been written without tags.

    The single `<answer>` where there are tags; otherwise the last box, else what follows the last "answer is", else
    the last `$…$`, else the whole text.
    """
    if _ANSWER_TAG.search(text):
        return extract_answer(text)
    boxes = boxed_contents(text)
    announced = _ANNOUNCED.findall(text)
    formulas = _DOLLARS.findall(text)
    if boxes:
        answer = boxes[-1]
    elif announced:
        answer = announced[-1]
    elif formulas:
        answer = formulas[-1]
    else:
        answer = text
    return answer.strip() or None
