"""The tags of a response, as they are written and as they are disguised."""

from __future__ import annotations

import html
import re
import sys
import unicodedata
from functools import lru_cache

THINKING = ("think", "thinking", "thought", "thoughts", "reason", "reasoning", "analysis", "reflection", "scratchpad")
"""Tags that models put around their thinking."""

_NAME = rf"(?:\w+:)?(?P<name>answer|{'|'.join(THINKING)})"
_WRITTEN = re.compile(rf"<\s*(?P<slash>/\s*)?{_NAME}\b[^<>]*>", re.IGNORECASE)
_SQUEEZED = re.compile(rf"</?{_NAME}>", re.IGNORECASE)
_TOKEN = re.compile(r"\[(?P<slash>/)?THINK\]|◁(?P<kimi>/)?think▷|<\|(?:begin|(?P<end>end))_of_thought\|>")
_SPACE_OR_BACKSLASH = re.compile(r"[\s\\]+")
_BLANK_LETTERS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
_INVISIBLE = re.compile(
    "["
    + re.escape(_BLANK_LETTERS)
    + "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufe00-\ufe0f\U000e0100-\U000e01ef"
    + "".join(re.escape(chr(code)) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Cf")
    + "]+"
)


_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""What is invisible in ASCII; this is much faster than `_INVISIBLE`."""
_MARK = "".join(re.escape(chr(code)) for code in range(sys.maxunicode + 1) if unicodedata.combining(chr(code)))
_LONG_RUN_OF_MARKS = re.compile(f"([{_MARK}]{{30}})[{_MARK}]+")


def normalized(text: str) -> str:
    """The text as a reader sees it: character entities resolved, compatibility forms replaced (NFKC).

    Of a run of combining marks thirty are kept (Unicode Standard Annex 15, Stream-Safe Text Format): putting them in
    order takes time quadratic in their number.
    """
    return unicodedata.normalize("NFKC", _LONG_RUN_OF_MARKS.sub(r"\1", html.unescape(text)))


def visible(text: str) -> str:
    """The text without characters that nobody sees: formatting, control, variation selectors, blank letters."""
    return _INVISIBLE.sub("", text)


def honest_tags(text: str, *names: str) -> list[re.Match[str]] | None:
    """What looks like a tag of one of these names, as it stands in the text, e.g. `<Answer x=1>`.

    None where a look behind character entities, full-width forms, invisible characters, backslashes and line breaks
    shows tags that are not there as written: whoever hides a tag means two readers to see two answers.
    """
    written = _named(_WRITTEN, text, names)
    plain, squeezed = _looked_through(text)
    if plain is not text and len(_named(_WRITTEN, plain, names)) != len(written):
        return None
    exact = [tag for tag in written if _SQUEEZED.fullmatch(_SPACE_OR_BACKSLASH.sub("", tag.group()))]
    return written if len(_named(_SQUEEZED, squeezed, names)) <= len(exact) else None


@lru_cache(maxsize=1)  # a response is looked through for its thinking and for its answer, one after the other
def _looked_through(text: str) -> tuple[str, str]:
    """The text without its disguises, and that without space and backslashes as well."""
    plain = text if text.isascii() and "&" not in text and not _CONTROL.search(text) else visible(normalized(text))
    return plain, _SPACE_OR_BACKSLASH.sub("", plain) if "<" in plain else ""


def end_of_thinking(text: str) -> int | None:
    """Where what counts begins: behind the last tag that closes a thinking, at 0 where nobody thinks.

    None where a thinking is never closed, and where its tags are disguised. A closing tag needs no opening one: a
    prompt may have written that. Names are not compared, so `<think>…</reasoning>` is closed.
    """
    tags = honest_tags(text, *THINKING)
    if tags is None:
        return None
    tokens = list(_TOKEN.finditer(text)) if "THINK]" in text or "think▷" in text or "_of_thought|>" in text else []
    depth = end = 0
    for tag in sorted([*tags, *tokens], key=re.Match.start):
        if any(tag.group(name) for name in tag.re.groupindex if name != "name"):
            depth, end = max(depth - 1, 0), tag.end()
        elif not tag.group().endswith("/>"):
            depth += 1
        elif not depth:
            end = tag.end()
    return None if depth else end


def _named(pattern: re.Pattern[str], text: str, names: tuple[str, ...]) -> list[re.Match[str]]:
    return [tag for tag in pattern.finditer(text) if tag["name"].lower() in names]
