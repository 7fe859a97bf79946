"""What people put around an answer: boxes, dollars, bold, a full stop."""

from __future__ import annotations

import re

from lmm_r1.rewards.answers.characters import with_ascii

_BOX = re.compile(r"\\f?box(?:ed)?\s*\{")
_WRAPPERS = (
    re.compile(r"\$\$(?P<body>(?:[^$\\]|\\.)*)\$\$", re.DOTALL),
    re.compile(r"\$(?![ \t]*\n)(?P<body>(?:[^$\\]|\\.)*)(?<!\n)\$", re.DOTALL),
    re.compile(r"\$(?P<body>[^$\\\n]*)\\\$"),
    re.compile(r"\\\((?![ \t]*\n)(?P<body>(?:(?!\\\)).)*)\\\)", re.DOTALL),
    re.compile(r"\\\[(?P<body>(?:(?!\\\]).)*)\\\]", re.DOTALL),
    re.compile(r"\*\*(?P<body>[^*]*)\*\*"),
)
_MOST_WRAPPERS = 16
_TEXT = re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf|mbox)\s*\{(?P<body>[^{}]*)\}")


def boxed_contents(text: str) -> list[str]:
    r"""The contents of each `\boxed{…}` or `\fbox{…}` in reading order; braces nest; a box never closed is none."""
    return [body for _, _, body in boxed_spans(text)]


def boxed_spans(text: str) -> list[tuple[int, int, str]]:
    """Where each box begins and ends, and its content."""
    spans = []
    position = 0
    while (opening := _BOX.search(text, position)) is not None:
        end = _closing_brace(text, opening.end())
        if end is None:
            break
        spans.append((opening.start(), end + 1, text[opening.end() : end]))
        position = end + 1
    return spans


def bare(text: str) -> str:
    """The answer without what is wrapped around the whole of it, in the ASCII characters that `with_ascii` knows.

    The innermost text is reached by unwrapping until nothing changes. A box inside other text is left alone, and so is
    a text wrapped so often that unwrapping it would take time quadratic in its length.
    """
    text = inner = with_ascii(text).strip()
    for _ in range(_MOST_WRAPPERS):
        unwrapped = _unwrap_once(inner)
        if unwrapped == inner:
            return inner
        inner = unwrapped
    return text


def plain_words(text: str) -> str:
    r"""`bare`, also out of a `\text{…}` around the whole."""
    text = bare(text)
    while (wrapped := _TEXT.fullmatch(text)) is not None:
        text = bare(wrapped["body"])
    return text


def _unwrap_once(text: str) -> str:
    for wrapper in _WRAPPERS:
        if (wrapped := wrapper.fullmatch(text)) is not None:
            return wrapped["body"].strip()
    opening = _BOX.match(text)
    if opening is not None and _closing_brace(text, opening.end()) == len(text) - 1:
        return text[opening.end() : -1].strip()
    if text.endswith((".", "。")) and not text.endswith(".."):
        return text[:-1].rstrip()
    return text


def _closing_brace(text: str, start: int) -> int | None:
    """The index of the brace that closes the one before `start`."""
    depth = 1
    for brace in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        if brace.group() == "{":
            depth += 1
        elif brace.group() == "}":
            depth -= 1
            if depth == 0:
                return brace.start()
    return None
