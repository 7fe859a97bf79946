"""Tag count: part of the credit for part of the format."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmm_r1.rewards.judged import Judged

TAGS = ("<think>", "</think>", "<answer>", "</answer>")


def tag_count(judged: Judged) -> float:
    """0.25 for each of the four tags that occurs exactly once, in any case and order: in [0, 1].

    Source: open-r1's `tag_count_reward`, which wants a newline beside each tag; here whitespace does not matter.
    """
    text = judged.completion.text.lower()
    return 0.25 * sum(text.count(tag) == 1 for tag in TAGS)
