"""Conditions on real numbers in one spelling: words, layout and ways to write a set put into a few symbols."""

from __future__ import annotations

import re

from lmm_r1.rewards.answers.markup import bare
from lmm_r1.rewards.answers.notation import in_latex

OPENING, CLOSING = "⦃", "⦄"
"""The braces around a set; those of LaTeX's arguments are `{` and `}`."""

_TEXT = re.compile(r"\\(?:text|mathrm|textrm|textit|textbf|mbox|operatorname)\s*\{([^{}]*)\}")
_LAYOUT = re.compile(
    r"\\(?:left|right|middle|[bB]igg?[lrm]?)(?![A-Za-z])\.?|\\(?:q?quad|displaystyle)(?![A-Za-z])|\\[,;:! ()]|[~$]"
)
_PREAMBLE = re.compile(
    r"(?:(?:so|thus|therefore|hence),?\s+)?(?:the\s+)?(?:solution(?:\s+set)?|domain|range|set|answer|interval|it|there)"
    r"(?:\s+of\s+[^\s]{1,30})?\s+(?:is|are)\s*:?\s+",
    re.IGNORECASE,
)
_R = r"(?:\\mathbb\s*\{?\s*R\s*\}?|\\R(?![A-Za-z]))"
_NUMBERS = r"\s+(?:reals?(?:\s+numbers?)?|numbers?)\b"
_GREAT, _SMALL = r"(?:greater|larger|bigger|more)\s+than", r"(?:less|smaller)\s+than"
_SPELLINGS = {
    r"\\(?:lbrace(?![A-Za-z])|\{)": OPENING,
    r"\\(?:rbrace(?![A-Za-z])|\})": CLOSING,
    # relations
    rf"\b{_GREAT}\s+or\s+equal\s+to\b|\bat\s+least\b|\bnot?\s+{_SMALL}\b": r"\\ge ",
    rf"\b{_SMALL}\s+or\s+equal\s+to\b|\bat\s+most\b|\bnot?\s+{_GREAT}\b": r"\\le ",
    r"\bnot\s+equal\s+to\b|\\not\s*=|!=|\\neq(?![A-Za-z])": r"\\ne ",
    rf"\b{_GREAT}\b": " > ",
    rf"\b{_SMALL}\b": " < ",
    r"\\not\s*\\in(?![A-Za-z])|∉": r"\\notin ",
    rf"\\(?:backslash|smallsetminus)(?![A-Za-z])|∖|\\(?=\s*{OPENING})": r"\\setminus ",
    r"\\(?:lor|vee)(?![A-Za-z])|或者?": " or ",
    r"\\(?:land|wedge)(?![A-Za-z])|[并並]?且|和|与": " and ",
    # sets with a name
    r"\b(?:the\s+)?empty\s+set\b|\b(?:there\s+(?:is|are)\s+)?no\s+(?:real\s+)?(?:solutions?|values?)\b": "empty",
    rf"\\(?:emptyset|varnothing)(?![A-Za-z])|空集|[无無](?:实数|實數)?解|{OPENING}\s*{CLOSING}": "empty",
    rf"\b(?:all\s+)?(?<!non)(?<!non-)positive{_NUMBERS}|{_R}\s*[\^_]\s*\{{?\s*\+\s*\}}?": r"(0, \\infty)",
    rf"\b(?:all\s+)?(?<!non)(?<!non-)negative{_NUMBERS}|{_R}\s*[\^_]\s*\{{?\s*-\s*\}}?": r"(-\\infty, 0)",
    rf"{_R}\s*_\s*\{{\s*>\s*0\s*\}}": r"(0, \\infty)",
    rf"{_R}\s*_\s*\{{\s*<\s*0\s*\}}": r"(-\\infty, 0)",
    rf"\b(?:all\s+)?non-?negative{_NUMBERS}|{_R}\s*_\s*\{{\s*\\geq?\s*0\s*\}}": r"[0, \\infty)",
    rf"\b(?:all\s+)?non-?zero{_NUMBERS}|{_R}\s*\^\s*\{{?\s*(?:\*|\\ast)\s*\}}?": r"(-\\infty, 0) \\cup (0, \\infty)",
    r"\b(?:all|any|every)\s+(?:the\s+)?(?:real\s+)?(?:numbers?|values?)\b": " real ",
    r"\b(?:all\s+)?reals?(?:\s+numbers?)?\b|(?:全体|全體|所有|任意|一切)?(?:实数|實數)": " real ",
    rf"{_R}|\\mathbf\s*\{{\s*R\s*\}}|\\Reals?(?![A-Za-z])|(?<![A-Za-z\\])R(?=\s*\\setminus)": " real ",
    # words between
    r"\b(?:except(?:\s+for)?|excluding|other\s+than|but(?:\s+not)?)\b": " but ",
    r"\b(?:such\s+that|for\s+which|with|where|that\s+(?:is|are))\b": " suchthat ",
    r"\b(?:is|are|(?:can|may|must)\s+be)\b(?=\s*(?:an?\b|real\b|\\[lg]e|[<>]|\\ne))\s*(?:an?\b)?": " ",
    # braces that mean a set although no backslash says so
    rf"(?<= real )\s*-\s*(?={OPENING})": r"\\setminus ",
    r"(\\(?:setminus|notin|cup|in)\s*)\{([^{}]*)\}": rf"\1{OPENING}\2{CLOSING}",
}
_PATTERNS = [(re.compile(pattern, re.IGNORECASE), symbol) for pattern, symbol in _SPELLINGS.items()]
_MARK = re.compile(
    r"^[\s$]*\]|\[[\s$]*$|[<>≤≥≠∪∞∅ℝ∉∖]|\\mathbb\s*\{?\s*R|real|[实實][数數]|[无無]解|空集|than|at (?:least|most)"
    r"|\\(?:leqslant|geqslant|leqq|geqq|leq?|geq?|lt|gt|neq?|notin|cup|setminus|backslash|infty|emptyset|varnothing|not)"
    r"(?![A-Za-z])|no (?:solution|value)|empty",
    re.IGNORECASE,
)
_FRENCH = re.compile(r"([\[\]])([^\[\]();]*[;,][^\[\]();]*)([\[\]])")


def in_symbols(text: str) -> str:
    r"""The condition with ` real ` for all real numbers, `empty` for the empty set, `but`, `suchthat`, `and`, `or`, and
    LaTeX's relations for the rest.
    """
    text = _LAYOUT.sub(" ", _TEXT.sub(r" \1 ", in_latex(bare(text))))
    text = _PREAMBLE.sub("", text.strip(), count=1)
    for pattern, symbol in _PATTERNS:
        text = pattern.sub(symbol, text)
    text = " ".join(text.split()).rstrip(".")
    if text.startswith("{") and text.endswith("}"):
        text = OPENING + text[1:-1] + CLOSING
    return _with_usual_brackets(text)


def means_a_set(text: str) -> bool:
    """Whether there is something in the text that only sets of real numbers have: unlike `(1, 2)`, or `x = 5`."""
    return _MARK.search(text) is not None


def _with_usual_brackets(text: str) -> str:
    """`(0, 1)` for `]0, 1[`, as some countries write it."""
    if not (text.startswith("]") or text.endswith("[")):
        return text
    return _FRENCH.sub(lambda m: "(["[m[1] == "["] + m[2] + ")]"[m[3] == "]"], text)
