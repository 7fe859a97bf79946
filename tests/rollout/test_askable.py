"""What cannot be asked is found without decoding pictures, and again when a problem is read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lmm_r1.data.local import LocalDataset
from lmm_r1.disk_cache import DiskCache
from lmm_r1.errors import BadRowError
from lmm_r1.rollout.askable import AskableProblems, PromptCheck, bad_places, most_tokens, prompt_check, unaskable
from lmm_r1.rollout.outlines import location_of, outlined
from lmm_r1.types import Problem

ROWS = [
    {"question": "What is 3 + 4?", "answer": "7"},
    {"question": "What is it? " * 60, "answer": "7"},
    {"question": "What is <|image_pad|>?", "answer": "7"},
    {"question": "What is <|vision_start|><|video_pad|>?", "answer": "7"},
    {"question": "What is it?", "answer": "A", "image": "good.png"},
    {"question": "What is it?", "answer": "A", "image": "wide.png"},
    {"question": "What are they?", "answer": "A", "image": ["good.png", "good.png", "good.png"]},
    {"question": "What is it?", "answer": "A", "image": "empty.png"},
    {"question": "What is it?", "answer": "A", "image": "cut.png"},
]
FOUND = {
    1: "prompt that is too long",
    2: "text that holds a token of vision",
    3: "text that holds a token of vision",
    5: "picture of a shape that the model cannot take",
    6: "more pictures than the engine takes",
    7: "picture that cannot be read",
}
"""By place in `ROWS`. The last row's picture is cut, which only decoding shows."""


@pytest.fixture
def data(tmp_path: Path) -> LocalDataset:
    Image.effect_noise((60, 40), 50).convert("RGB").save(tmp_path / "good.png")
    Image.new("RGB", (603, 3)).save(tmp_path / "wide.png")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:2000])
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return LocalDataset(tmp_path / "rows.jsonl")


@pytest.fixture
def check(processor) -> PromptCheck:
    return PromptCheck(processor, None, max_new_tokens=28, max_model_len=228, max_images=2)


def test_what_cannot_be_asked_is_found_without_decoding(data, check):
    bad = unaskable(data, check, DiskCache(data.path.parent / "cache"), first=True)
    assert {place: fault.reason for place, fault in bad.items()} == FOUND
    assert "rollout.engine.max_model_len=228" in str(bad[1]) and "603 × 3" in str(bad[5])
    assert all(fault.__traceback__ is None for fault in bad.values())


def test_it_is_found_again_when_it_is_read_and_so_is_what_only_decoding_shows(data, check):
    problems = AskableProblems(data, check, {})
    assert problems[0] == data[0] and problems[4].images[0].size == (60, 40)
    for place in (*FOUND, 8):
        with pytest.raises(BadRowError) as raised:
            problems[place]
        assert raised.value.reason == FOUND.get(place, "picture that cannot be read")
    with pytest.raises(BadRowError, match="as it was found"):
        AskableProblems(data, check, {0: BadRowError("bad", "as it was found")})[0]


def test_a_prompt_may_be_as_long_as_the_engine_allows_and_no_longer(data, processor):
    content = [{"type": "image"}, {"type": "text", "text": "What is it?"}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    whole = processor(text=[text], images=list(data[4].images), return_tensors="pt")["input_ids"].shape[1]
    for length, fits in ((whole + 8, True), (whole + 7, False)):
        (fault,) = PromptCheck(processor, None, 8, length, 1).faults([data.outline(4)])
        assert (fault is None) == fits


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_no_text_has_more_tokens_than_is_reckoned_with(processor, text):
    for each in (text, "\u0958\ufb2c\U0001d160" + text):
        assert len(processor.tokenizer(each)["input_ids"]) <= most_tokens(each)


def test_a_data_set_of_ones_own_is_read_for_what_it_asks(check):
    class Own:
        def __len__(self):
            return 3

        def __getitem__(self, place):
            if place == 1:
                raise BadRowError("no such number", "one is missing")
            picture = (Image.new("RGB", (603 if place == 2 else 60, 3)),)
            return Problem(str(place), "<image>?", "1", images=picture)

    data = outlined(Own())
    bad = bad_places(data, check, range(3), int)
    assert {place: fault.reason for place, fault in bad.items()} == {
        1: "no such number",
        2: "picture of a shape that the model cannot take",
    }
    assert location_of(data, 1) == (f"{__name__}.{Own.__qualname__}", 2)
    assert data.fingerprint() == outlined(Own()).fingerprint()


def test_what_was_found_is_kept_and_only_that_is_looked_at_once_more(data, check):
    class Watched(LocalDataset):
        def outline(self, index):
            looked.append(index)
            return super().outline(index)

    cache, folder = DiskCache(data.path.parent / "cache"), data.path.parent
    looked: list[int] = []
    unaskable(Watched(data.path), check, cache, first=True)
    assert sorted(looked) == list(range(len(ROWS)))
    looked.clear()
    assert list(unaskable(Watched(data.path), check, cache, first=True)) == list(FOUND)
    assert sorted(looked) == sorted(FOUND)
    # A picture that was mended, by chance to the same length.
    length = (folder / "wide.png").stat().st_size
    Image.new("RGB", (60, 3)).save(folder / "wide.png")
    mended = (folder / "wide.png").read_bytes()
    (folder / "wide.png").write_bytes(mended + bytes(length - len(mended)))
    assert set(unaskable(data, check, cache, first=True)) == set(FOUND) - {5}


def test_another_bound_is_another_question(data, check):
    cache = DiskCache(data.path.parent / "cache")
    unaskable(data, check, cache, first=True)
    longer = replace(check, max_model_len=2048, max_images=3)
    assert set(unaskable(data, longer, cache, first=True)) == set(FOUND) - {1, 6}


def test_an_engine_without_bounds_sets_none(tiny_folder, data):
    check = prompt_check(str(tiny_folder), {}, 8)
    assert (check.max_model_len, check.max_images, check.system_prompt) == (None, None, None)
    assert set(bad_places(data, check, range(len(data)), int)) == set(FOUND) - {1, 6}
