"""Language consistency: reasoning that stays in the script of its language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import regex

from lmm_r1.errors import UserError

if TYPE_CHECKING:
    from lmm_r1.rewards.judged import Judged

_END_OF_REASONING = re.compile(r"</think>|<answer>", re.IGNORECASE)
# What is opened and not closed within a page stays: a bound on the work, and no place to hide another language in.
_NOT_LANGUAGE = re.compile(
    r"```.{0,1000}?```|`[^`\n]*`"  # code
    r"|\\begin\{(\w+\*?)\}.{0,1000}?\\end\{\1\}|\\\[.{0,1000}?\\\]|\\\(.{0,1000}?\\\)"  # mathematics
    r"|\$\$.{0,1000}?\$\$|\$[^$\n]*\$"
    r"|\\[a-zA-Z]+|</?\w+>",  # a stray command, a tag
    re.DOTALL,
)
_VARIABLE = regex.compile(r"(?<![\p{Latin}\p{Greek}])[\p{Latin}\p{Greek}](?![\p{Latin}\p{Greek}])")
_LETTER = regex.compile(r"\p{L}")


def language_consistency(judged: Judged, *, scripts: Sequence[str] = ("Latin",)) -> float:
    """The share of the reasoning's letters that belong to `scripts`: in [0, 1], 0 where there are no letters.

    Source: DeepSeek-R1 (arXiv 2501.12948), section 2.3.2: the proportion of words in the target language, added to
    accuracy. Scripts stand for languages, so that no model has to judge: two languages of one script are the same
    here. `scripts` are Unicode script names: `[Latin]` for English, `[Han]` for Chinese, `[Han, Hiragana, Katakana]`
    for Japanese. The reasoning is what precedes `</think>` or `<answer>`, without code, LaTeX, and Latin or Greek
    letters that stand alone, which are variables. No letters earn nothing, or saying nothing would be the safest way
    to the full value.

    Raises UserError for a script that Unicode does not know.
    """
    reasoning = _END_OF_REASONING.split(judged.completion.text, maxsplit=1)[0]
    words = _VARIABLE.sub(" ", _NOT_LANGUAGE.sub(" ", reasoning))
    letters = _LETTER.findall(words)
    target = _letters_of(tuple(scripts))
    return sum(bool(target.match(letter)) for letter in letters) / len(letters) if letters else 0.0


@cache
def _letters_of(scripts: tuple[str, ...]) -> regex.Pattern:
    try:
        return regex.compile("|".join(rf"\p{{Script={script}}}" for script in scripts))
    except regex.error as error:
        raise UserError(f"scripts={list(scripts)}: must be names of Unicode scripts, such as Latin or Han") from error
