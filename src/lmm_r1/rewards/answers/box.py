"""Where in a picture: boxes, graded by intersection over union."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from lmm_r1.rewards.claim import Claim

_MOST_BOXES = 10
_LONGEST = 2048
_GREATEST = 1e6
_KEYS = ("bbox_2d", "bbox", "box")
_FENCE = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL | re.IGNORECASE)
_FOUR = re.compile(r"\(\s*([^()]*)\s*\)|<\|box_start\|>(.*)<\|box_end\|>")


class Box(NamedTuple):
    """Corners in the gold's pixels; x1 < x2 and y1 < y2."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def area(self) -> float:
        return (self.x2 - self.x1) * (self.y2 - self.y1)


def judge_boxes(claim: Claim) -> str:
    """Whether there are as many boxes as in the gold, and `grade_boxes` reaches `rules.iou_threshold`."""
    golds, boxes = parse_boxes(claim.gold), parse_boxes(claim.answer)
    if golds is None or boxes is None:
        return "unparsable"
    right = len(golds) == len(boxes) and grade_boxes(claim) >= claim.rules.iou_threshold
    return "ok" if right else "wrong"


def grade_boxes(claim: Claim) -> float:
    """Mean intersection over union of the boxes, matched one to one as well as they can be.

    The mean is over the gold's boxes or the answer's, whichever are more, so that a missing and an extra box cost
    alike. Coordinates are those of the gold: nothing is rescaled.
    """
    golds, boxes = parse_boxes(claim.gold), parse_boxes(claim.answer)
    if golds is None or boxes is None:
        return 0.0
    return best_match(golds, boxes) / max(len(golds), len(boxes))


def parse_boxes(text: str) -> tuple[Box, ...] | None:
    """The boxes of `[x1, y1, x2, y2]`, a list of such, or JSON with the key `bbox_2d`, perhaps in a code fence.

    None for anything else: a box that is flipped or empty, coordinates that are no finite numbers, more than ten boxes.
    """
    if len(text) > _LONGEST:
        return None
    text = text.strip().strip("$").strip()
    if (fenced := _FENCE.fullmatch(text)) is not None:
        text = fenced[1]
    if (four := _FOUR.fullmatch(text)) is not None:
        text = f"[{four[1] or four[2].replace('(', '').replace(')', '')}]"
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, Mapping) or _is_box(found):
        found = [found]
    if not isinstance(found, list) or not 0 < len(found) <= _MOST_BOXES:
        return None
    boxes = tuple(_box(item) for item in found)
    return None if None in boxes else boxes


def intersection_over_union(first: Box, second: Box) -> float:
    """Shared area over covered area, from 0 to 1; symmetric."""
    width = min(first.x2, second.x2) - max(first.x1, second.x1)
    height = min(first.y2, second.y2) - max(first.y1, second.y1)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return min(1.0, shared / (first.area + second.area - shared))


def best_match(golds: tuple[Box, ...], boxes: tuple[Box, ...]) -> float:
    """The greatest sum of intersections over union when each box is matched to one other at most.

    Exact, over all subsets: at ten boxes a side they are a thousand.
    """
    if len(golds) > len(boxes):
        golds, boxes = boxes, golds

    @cache
    def best(position: int, taken: int) -> float:
        if position == len(golds):
            return 0.0
        return max(
            intersection_over_union(golds[position], box) + best(position + 1, taken | 1 << number)
            for number, box in enumerate(boxes)
            if not taken & 1 << number
        )

    return best(0, 0)


def _box(item: object) -> Box | None:
    if isinstance(item, Mapping):
        item = next((item[key] for key in _KEYS if key in item), None)
    if not _is_box(item):
        return None
    if any(abs(number) > _GREATEST for number in item):
        return None
    box = Box(*(float(number) for number in item))
    valid = all(map(math.isfinite, box)) and box.x1 < box.x2 and box.y1 < box.y2
    return box if valid else None


def _is_box(item: object) -> bool:
    return (
        isinstance(item, list)
        and len(item) == 4
        and all(isinstance(number, int | float) and not isinstance(number, bool) for number in item)
    )
