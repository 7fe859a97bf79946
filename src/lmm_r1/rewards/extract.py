"""Where the answer of a response is."""

from __future__ import annotations

import re

from lmm_r1.rewards.answers.choice_statement import choice_statement
from lmm_r1.rewards.answers.statement import final_statement
from lmm_r1.rewards.tags import end_of_thinking, honest_tags

_ANSWER_TAG = re.compile(r"<\s*(?:/\s*)?answer\b[^<>]*>", re.IGNORECASE)
_EXACT_TAGS = ("<answer>", "</answer>")


def extract_answer(text: str) -> str | None:
    """What stands in the single `<answer>…</answer>` of a response, stripped; None where there is no such thing.

    Tags count in any case. Anything else that looks like an answer tag, `<answer x=1>` or a disguised one for example,
    makes the answer ambiguous, and an ambiguous answer is none. A box outside the tags earns nothing, nor does an
    answer inside the thinking, be it closed or cut off.
    """
    tags = honest_tags(text, "answer")
    if tags is None or tuple(tag.group().lower() for tag in tags) != _EXACT_TAGS:
        return None
    start = end_of_thinking(text)
    if start is None or tags[0].start() < start:
        return None
    return text[tags[0].end() : tags[1].start()].strip() or None


def last_answer(text: str, answer_type: str = "math") -> str | None:
    """The final answer of a whole response that may have been written without tags.

    Only what follows the thinking counts, and a response whose thinking is never closed has no answer. The single
    `<answer>` where there are tags; otherwise what `final_statement` finds: the last box, else what follows the last
    "answer is", else the last formula, else the whole text. For a choice, what `choice_statement` finds.
    """
    said = after_thinking(text)
    if _ANSWER_TAG.search(said):
        return extract_answer(said)
    find = choice_statement if answer_type == "choice" else final_statement
    return find(said).strip() or None


def after_thinking(text: str) -> str:
    """What follows the thinking: the whole text where nobody thinks, nothing where the thinking is never closed."""
    start = end_of_thinking(text)
    return "" if start is None else text[start:]
