"""Repetition penalty: the share of n-grams that were there before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmm_r1.rewards.judged import Judged

# Han with its extensions, kana, Thai, Lao, Myanmar, Khmer: scripts that put no spaces between words.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")


def repetition(judged: Judged, *, ngram: int = 3) -> float:
    """0 - `repeated_share`: 0 where no n-gram occurs twice, towards -1 the more do.

    Source: open-r1's `get_repetition_penalty_reward` (n 3, maximum penalty -1; the weight scales it here).
    """
    return 0.0 - repeated_share(judged.completion.text, ngram)


def repeated_share(text: str, n: int) -> float:
    """1 - different n-grams / n-grams of the words; 0 for a text of fewer than n words (arXiv 2502.03373, C.2).

    Words are what whitespace separates, in lower case; in scripts that are written without spaces (Han, kana, Thai,
    Lao, Myanmar, Khmer) each character is a word.
    """
    words = _WORD.findall(text.lower())
    ngrams = list(zip(*(words[start:] for start in range(n)), strict=False))
    return 1 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0
