"""The nearest valid word to a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest_option(word: str, options: Iterable[str]) -> str | None:
    """The option that looks most like `word`, or None."""
    return next(iter(difflib.get_close_matches(word, list(options), n=1, cutoff=0.5)), None)


def nearest_key(key: str, keys: Iterable[str]) -> str | None:
    """The dotted key meant by `key`: one that ends in it, one that it abbreviates, or one that looks like it.

    >>> nearest_key("kl_coef", ["algorithm.kl", "algorithm.kl_coef"])
    'algorithm.kl_coef'
    >>> nearest_key("algorithm.lr", ["algorithm.kl", "algorithm.learning_rate"])
    'algorithm.learning_rate'
    >>> nearest_key("trainer.stepps", ["trainer.steps", "sft.steps"])
    'trainer.steps'
    """
    keys = [candidate for candidate in sorted(keys) if not _last(candidate).startswith("_")]
    group, _, word = key.rpartition(".")
    ending = [candidate for candidate in keys if candidate.endswith(f".{key}")]
    abbreviated = [
        candidate for candidate in keys if candidate.startswith(group) and _initials(_last(candidate)) == word
    ]
    if ending or abbreviated:
        return min(ending or abbreviated, key=len)
    close = difflib.get_close_matches(key, keys, n=1, cutoff=0.7)
    if close:
        return close[0]
    by_last_part = {_last(candidate): candidate for candidate in reversed(keys)}
    last = nearest_option(word, by_last_part)
    return None if last is None else by_last_part[last]


def did_you_mean(word: str | None) -> str:
    """A clause for an error message, empty without a suggestion."""
    return f"; did you mean {word}?" if word else ""


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _initials(words: str) -> str:
    return "".join(word[:1] for word in words.split("_"))
