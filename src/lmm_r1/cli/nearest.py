"""The nearest valid word to a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest_option(word: str, options: Iterable[str]) -> str | None:
    """The option that looks most like `word`, or None."""
    return next(iter(difflib.get_close_matches(word, list(options), n=1, cutoff=0.5)), None)


def nearest_key(key: str, keys: Iterable[str]) -> str | None:
    """The dotted key meant by `key`: one that ends in it, one that looks like it, or one whose last part does.

    >>> nearest_key("kl_coef", ["algorithm.kl_coef", "algorithm.kl"])
    'algorithm.kl_coef'
    >>> nearest_key("algorithm.learnin_rate", ["algorithm.learning_rate"])
    'algorithm.learning_rate'
    """
    keys = list(keys)
    ending = [candidate for candidate in keys if candidate.endswith(f".{key}")]
    if ending:
        return min(ending, key=len)
    close = difflib.get_close_matches(key, keys, n=1, cutoff=0.7)
    if close:
        return close[0]
    by_last_part = {candidate.rsplit(".", 1)[-1]: candidate for candidate in reversed(keys)}
    last = nearest_option(key.rsplit(".", 1)[-1], by_last_part)
    return None if last is None else by_last_part[last]


def did_you_mean(word: str | None) -> str:
    """A clause for an error message, empty without a suggestion."""
    return f"; did you mean {word}?" if word else ""
