"""Whether a response keeps the format: strict where gaming happens, tolerant where people write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lmm_r1.rewards.answers.markup import boxed_contents
from lmm_r1.rewards.tags import honest_tags, normalized, visible

if TYPE_CHECKING:
    from lmm_r1.rewards.judged import Judged

LONGEST_ANSWER = 512
"""Characters an answer may have; a longer one is an essay, or an attempt to hit by listing."""

_FORM = re.compile(r"\s*<think>(?P<think>.*)</think>\s*<answer>(?P<answer>.*)</answer>\s*", re.DOTALL | re.IGNORECASE)
_TAGS_IN_ORDER = ["<think>", "</think>", "<answer>", "</answer>"]
_EMPTY_COMMAND = re.compile(
    r"\\[hv]space\s*\*?\{[^{}]*\}|\\[hv]?phantom\s*\{[^{}]*\}|\\(?:q?quad|[lcdv]?dots|ldots|displaystyle|textstyle|hfill|"
    r"newline|linebreak|left|right|text|textbf|mathrm|mathbf|f?box|boxed|begin|end|item|par|smallskip|medskip|bigskip|"
    r"null|strut|rule|hline|limits|[bB]igg?)(?![A-Za-z])|&(?:nbsp|[a-z]*sp|zwn?j|shy);|</?\w+\s*/?>"
)
_WORD = re.compile(r"[^\W_]+")
_PLACEHOLDERS = frozenset(
    {
        "answer",
        "answer here",
        "answer goes here",
        "answer in latex",
        "boxed answer",
        "final answer",
        "final answer here",
        "insert answer here",
        "insert reasoning here",
        "insert your answer here",
        "placeholder",
        "put your answer here",
        "put your final answer here",
        "reasoning",
        "reasoning goes here",
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
        "your answer goes here",
        "your answer here",
        "your final answer",
        "your final answer here",
        "your reasoning",
        "your reasoning here",
        "your reasoning goes here",
        "your reasoning process",
        "your reasoning process here",
        "your step by step reasoning here",
        "your thinking",
        "your thinking process",
        "your thinking process here",
        "your thinking here",
        "your thoughts here",
    }
)


def think_answer_format(text: str, truncated: bool) -> bool:
    """Whether `text` is `<think>…</think><answer>…</answer>` and nothing more.

    Each of the four tags occurs exactly once, in order, in any case; tags with attributes or inner spaces, and tags in
    disguise, count as extra tags. Only whitespace may stand between or around the blocks. Neither block may be empty,
    bare punctuation, LaTeX that prints nothing, invisible characters, or the prompt's own placeholder, and thinking is
    more than one word over and over. The answer has at most `LONGEST_ANSWER` characters and at most one box.
    A truncated response fails, whatever it looks like.
    """
    tags = None if truncated else honest_tags(text, "think", "answer")
    if tags is None or [tag.group().lower() for tag in tags] != _TAGS_IN_ORDER:
        return False
    form = _FORM.fullmatch(text)
    if form is None:
        return False
    answer = form["answer"].strip()
    if len(answer) > LONGEST_ANSWER or len(boxed_contents(answer)) > 1:
        return False
    return _reasons(_words(form["think"])) and _says_something(_words(answer))


def format_reward(judged: Judged) -> float:
    """1.0 where the completion keeps the format, else 0.0."""
    return float(think_answer_format(judged.completion.text, judged.completion.truncated))


def _words(block: str) -> list[str]:
    """What a reader sees of a block, in words: no invisible characters, no markup that prints nothing."""
    text = normalized(block).casefold()
    return _WORD.findall(visible(_EMPTY_COMMAND.sub(" ", text)))


def _says_something(words: list[str]) -> bool:
    return bool(words) and " ".join(words) not in _PLACEHOLDERS


def _reasons(words: list[str]) -> bool:
    """More than one word or letter over and over."""
    return _says_something(words) and len(set("".join(words))) > 1 and (len(words) == 1 or len(set(words)) > 1)
