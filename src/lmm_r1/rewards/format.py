"""Whether a response keeps the format: strict where gaming happens, tolerant where people write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lmm_r1.rewards.answers.markup import boxed_contents

if TYPE_CHECKING:
    from lmm_r1.types import Completion, Problem

LONGEST_ANSWER = 512
"""Characters an answer may have; a longer one is an essay, or an attempt to hit by listing."""

_TAG_LIKE = re.compile(r"<\s*(?:/\s*)?(?:think|answer)\b[^<>]*>", re.IGNORECASE)
_FORM = re.compile(r"\s*<think>(?P<think>.*)</think>\s*<answer>(?P<answer>.*)</answer>\s*", re.DOTALL | re.IGNORECASE)
_TAGS_IN_ORDER = ["<think>", "</think>", "<answer>", "</answer>"]
_HAS_CONTENT = re.compile(r"[^\W_]")
_PLACEHOLDERS = frozenset(
    {
        "answer",
        "answer here",
        "answer goes here",
        "final answer",
        "final answer here",
        "reasoning",
        "reasoning here",
        "reasoning process",
        "reasoning process here",
        "since 1 1 2 so the answer is 2",  # the worked example in LMM-R1's system prompt
        "the answer",
        "the answer is boxed",
        "the final answer",
        "the reasoning process",
        "think",
        "thinking",
        "thinking process",
        "thinking process here",
        "thoughts",
        "your answer",
        "your answer here",
        "your final answer",
        "your final answer here",
        "your reasoning",
        "your reasoning here",
        "your reasoning process",
        "your thinking here",
        "your thoughts here",
    }
)


def think_answer_format(text: str, truncated: bool) -> bool:
    """Whether `text` is `<think>…</think><answer>…</answer>` and nothing more.

    Each of the four tags occurs exactly once, in order, in any case; tags with attributes or inner spaces count as
    extra tags. Only whitespace may stand between or around the blocks. Neither block may be empty, bare punctuation,
    or the prompt's own placeholder. The answer has at most `LONGEST_ANSWER` characters and at most one box.
    A truncated response fails, whatever it looks like.
    """
    if truncated or [tag.lower() for tag in _TAG_LIKE.findall(text)] != _TAGS_IN_ORDER:
        return False
    form = _FORM.fullmatch(text)
    if form is None:
        return False
    answer = form["answer"].strip()
    if len(answer) > LONGEST_ANSWER or len(boxed_contents(answer)) > 1:
        return False
    return _says_something(form["think"]) and _says_something(answer)


def format_reward(completion: Completion, problem: Problem) -> float:
    """1.0 where the completion keeps the format, else 0.0."""
    return float(think_answer_format(completion.text, completion.truncated))


def _says_something(block: str) -> bool:
    if not _HAS_CONTENT.search(block) and "\\" not in block:
        return False
    return " ".join(re.findall(r"[^\W_]+", block.casefold())) not in _PLACEHOLDERS
