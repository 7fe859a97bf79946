"""Which problems of a data set an engine can be asked: found before the first one is, and again as each is read."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmm_r1.disk_cache import DiskCache
from lmm_r1.errors import BadRowError
from lmm_r1.models import prompts as chat
from lmm_r1.models.loading import load_processor
from lmm_r1.progress import ProgressLine
from lmm_r1.rollout import prompts
from lmm_r1.rollout.outlines import Outlined, location_of, order_keys_of, outline_of, read_or_fault
from lmm_r1.rollout.prompts import check_length, visual_tokens
from lmm_r1.types import Outline, Problem

if TYPE_CHECKING:
    from transformers import ProcessorMixin

AT_A_TIME = 1024
"""Problems whose prompts are tokenised together."""
READERS = 16
"""Threads that wait for the headers of pictures."""


@dataclass(frozen=True)
class PromptCheck:
    """What a model and an engine ask of a prompt."""

    processor: ProcessorMixin
    """Of this check alone: a tokenizer serves one thread at a time."""
    system_prompt: str | None
    max_new_tokens: int
    max_model_len: int | None
    """None where the engine sets no bound."""
    max_images: int | None

    def faults(self, outlines: Sequence[Outline]) -> list[BadRowError | None]:
        """For each problem why it cannot be asked, or None."""
        rendered = [self._rendered(outline) for outline in outlines]
        doubtful = [text for text, visual in rendered if isinstance(text, str) and not self._surely_fits(text, visual)]
        lengths = iter([len(ids) for ids in self.processor.tokenizer(doubtful)["input_ids"]] if doubtful else ())
        found: list[BadRowError | None] = []
        for (text, visual), outline in zip(rendered, outlines, strict=True):
            if isinstance(text, BadRowError):
                found.append(text)
            elif self._surely_fits(text, visual):
                found.append(None)
            else:
                found.append(self._length_fault(outline.problem, next(lengths) + visual))
        return found

    def fingerprint(self) -> str:
        """SHA-256 over all that decides what `faults` finds."""
        tokenizer, image_processor = self.processor.tokenizer, self.processor.image_processor
        bounds = (self.system_prompt, self.max_new_tokens, self.max_model_len, self.max_images)
        parts = [
            tokenizer.backend_tokenizer.to_str(),
            str(self.processor.chat_template),
            image_processor.to_json_string(),
            repr(bounds),
            importlib.metadata.version("transformers"),
            *(Path(module.__file__).read_text(encoding="utf-8") for module in (chat, prompts)),
            Path(__file__).read_text(encoding="utf-8"),
        ]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _rendered(self, outline: Outline) -> tuple[str | BadRowError, int]:
        """The chat text, and how many tokens longer the prompt is once its images are expanded."""
        problem, images = outline.problem, len(outline.image_sizes)
        try:
            if self.max_images is not None and images > self.max_images:
                raise BadRowError(
                    "more pictures than the engine takes",
                    f"problem {problem.id} has {images} images, more than rollout.engine.max_images="
                    f"{self.max_images}; raise it",
                )
            text = chat.render_chat(self.processor, problem.question, images, self.system_prompt)
            return text, visual_tokens(self.processor, problem, outline.image_sizes) - images
        except BadRowError as error:
            return error, 0

    def _surely_fits(self, text: str, visual: int) -> bool:
        """Whether even a token for each byte would fit, which spares the tokenizer most prompts."""
        return self.max_model_len is None or most_tokens(text) + visual + self.max_new_tokens <= self.max_model_len

    def _length_fault(self, problem: Problem, length: int) -> BadRowError | None:
        try:
            check_length(problem, length, self.max_new_tokens, self.max_model_len)
        except BadRowError as error:
            return error
        return None


def most_tokens(text: str) -> int:
    """A bound on what a byte-level tokenizer, such as Qwen's, makes of a text: each token has a byte at least.

    It composes characters first (NFC), by which a text in UTF-8 becomes three times as long at the most (Unicode's
    normalization FAQ, "maximum expansion factors").
    """
    return len(text.encode()) * (1 if text.isascii() else 3)


def prompt_check(model_path: str, engine: Mapping[str, Any], max_new_tokens: int) -> PromptCheck:
    """The check for a model and the options of an engine, those that the engine has."""
    processor = load_processor(model_path, engine.get("min_pixels"), engine.get("max_pixels"))
    return PromptCheck(
        processor,
        engine.get("system_prompt"),
        max_new_tokens,
        engine.get("max_model_len"),
        engine.get("max_images"),
    )


class AskableProblems:
    """The problems of a data set, each in its place; one that cannot be asked raises `BadRowError` when it is read.

    Args:
        bad: what is known already, by place.
    """

    def __init__(self, data: Sequence[Problem], check: PromptCheck, bad: Mapping[int, BadRowError]) -> None:
        self.data, self.check, self.bad = data, check, bad

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, place: int) -> Problem:
        if place in self.bad:
            raise self.bad[place].afresh()
        problem = self.data[place]
        (fault,) = self.check.faults([outline_of(problem)])
        if fault is not None:
            raise fault.afresh()
        return problem

    def location(self, place: int) -> tuple[str, int]:
        """See `lmm_r1.rollout.outlines`."""
        return location_of(self.data, place)

    def order_keys(self) -> list[str]:
        """See `lmm_r1.rollout.outlines`."""
        return order_keys_of(self.data)


def unaskable(data: Outlined, check: PromptCheck, cache: DiskCache, *, first: bool) -> dict[int, BadRowError]:
    """The problems that cannot be asked, as far as it shows without decoding pictures; by place, in order.

    Those that an earlier run found are looked at once more: somebody may have mended a picture.

    Args:
        first: whether this is the process that looks, where there are several.
    """

    def look(places: Sequence[int]) -> dict[int, BadRowError]:
        return bad_places(data, check, places, ProgressLine("checking prompts and pictures", len(places)))

    def look_everywhere() -> list[int]:
        now.update(look(range(len(data))))
        return list(now)

    now: dict[int, BadRowError] = {}
    key = hashlib.sha256(f"{data.fingerprint()} {check.fingerprint()}".encode()).hexdigest()
    known = cache.result("unaskable", key, look_everywhere, makes=first)
    return now or look(known)


def bad_places(
    data: Outlined, check: PromptCheck, places: Sequence[int], done: Callable[[int], object]
) -> dict[int, BadRowError]:
    """Those of `places` whose problem cannot be asked; `done` is told how many have been looked at."""
    bad: dict[int, BadRowError] = {}
    with ThreadPoolExecutor(READERS, thread_name_prefix="headers") as threads:
        for start in range(0, len(places), AT_A_TIME):
            part = places[start : start + AT_A_TIME]
            outlines = dict(zip(part, threads.map(partial(read_or_fault, data.outline), part), strict=True))
            faults = {place: fault for place, fault in outlines.items() if isinstance(fault, BadRowError)}
            readable = [place for place in part if place not in faults]
            found = check.faults([outlines[place] for place in readable])
            faults |= {place: fault.afresh() for place, fault in zip(readable, found, strict=True) if fault}
            bad |= {place: faults[place] for place in part if place in faults}
            done(start + len(part))
    return bad
