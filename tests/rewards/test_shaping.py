"""Each shaping term's formula, on values worked out by hand, and its bounds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmm_r1.errors import UserError
from lmm_r1.rewards.judged import Judged
from lmm_r1.rewards.shaping.cosine import cosine
from lmm_r1.rewards.shaping.group_length import group_length
from lmm_r1.rewards.shaping.language_consistency import language_consistency
from lmm_r1.rewards.shaping.repetition import repetition
from lmm_r1.rewards.shaping.soft_overlong import soft_overlong
from lmm_r1.rewards.shaping.tag_count import tag_count
from lmm_r1.rewards.verify import Verdict
from lmm_r1.types import Completion, Problem

PROBLEM = Problem(id="1", question="2 + 3 = ?", answer="5")
LENGTHS = st.integers(0, 5000)


def completion(length: int = 1, text: str = "") -> Completion:
    return Completion((1,) * length, (0.0,) * length, text, "stop", 0)


def judged(length: int = 1, *, correct: bool = True, text: str = "", group: tuple[int, ...] | None = None) -> Judged:
    """A completion of `length` tokens in a group of these lengths."""
    verdict = Verdict(correct, "ok" if correct else "wrong", 0.0)
    lengths = (length,) if group is None else group
    return Judged(PROBLEM, completion(length, text), verdict, [completion(other) for other in lengths])


@pytest.mark.parametrize(
    ("length", "value"),
    [(0, 0.0), (16384, 0.0), (17408, -0.25), (18432, -0.5), (20480, -1.0), (20481, -1.0), (40960, -1.0)],
)
def test_the_soft_overlong_punishment_is_daposs_at_daposs_lengths(length, value):
    assert soft_overlong(judged(length), max_tokens=20480) == pytest.approx(value)


@given(LENGTHS, LENGTHS, st.integers(1, 4000), st.floats(0.01, 1.0))
def test_the_soft_overlong_punishment_never_rises_with_length_and_stays_between_minus_one_and_zero(
    one, other, max_tokens, share
):
    shorter, longer = (
        soft_overlong(judged(length), max_tokens=max_tokens, cache_share=share) for length in sorted((one, other))
    )
    assert -1.0 <= longer <= shorter <= 0.0


@pytest.mark.parametrize(
    ("length", "correct", "value"),
    [
        (0, True, 1.0),
        (25, True, 0.5 + 0.25 * (1 + math.sqrt(0.5))),
        (50, True, 0.75),
        (100, True, 0.5),
        (0, False, -1.0),
        (50, False, -0.75),
        (100, False, -0.5),
    ],
)
def test_the_cosine_falls_with_length_where_right_and_rises_where_wrong(length, correct, value):
    assert cosine(judged(length, correct=correct), max_tokens=100) == pytest.approx(value)


@given(LENGTHS, LENGTHS, st.booleans())
def test_the_cosine_goes_one_way_and_stays_between_its_ends(one, other, correct):
    shorter, longer = (cosine(judged(length, correct=correct), max_tokens=1000) for length in sorted((one, other)))
    if correct:
        assert 0.5 <= longer <= shorter <= 1.0
    else:
        assert -1.0 <= shorter <= longer <= -0.5


@pytest.mark.parametrize("correct", [True, False])
@pytest.mark.parametrize("length", [1001, 1500, 2000, 3000])
def test_the_cosine_does_not_come_back_beyond_the_limit(length, correct):
    at_limit = cosine(judged(1000, correct=correct), max_tokens=1000)
    assert cosine(judged(length, correct=correct), max_tokens=1000) == at_limit


@pytest.mark.parametrize(
    ("length", "group", "right", "wrong"),
    [
        (10, (10, 20, 50), 0.5, 0.0),
        (20, (10, 20, 50), 0.25, 0.0),
        (40, (10, 40, 50), -0.25, -0.25),
        (50, (10, 20, 50), -0.5, -0.5),
        (20, (20, 20, 20), 0.0, 0.0),
        (20, (20,), 0.0, 0.0),
    ],
)
def test_length_counts_within_the_group_and_wrong_answers_gain_nothing_by_it(length, group, right, wrong):
    assert group_length(judged(length, correct=True, group=group)) == pytest.approx(right)
    assert group_length(judged(length, correct=False, group=group)) == pytest.approx(wrong)


@given(st.lists(LENGTHS, min_size=1, max_size=8), st.booleans())
def test_length_within_the_group_stays_within_half_a_point(lengths, correct):
    for length in lengths:
        value = group_length(judged(length, correct=correct, group=tuple(lengths)))
        assert -0.5 <= value <= (0.5 if correct else 0.0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0.0),
        ("so so", 0.0),
        ("a b c d", 0.0),
        ("a a a a", 1 / 2 - 1),
        ("a a a a a", 1 / 3 - 1),
        ("A b c a B c", 3 / 4 - 1),
        ("一二三四", 0.0),
        ("好好好好", 1 / 2 - 1),
        ("ABC好好好 ABC好好好", 4 / 6 - 1),
        ("ดีดีดี", 2 / 4 - 1),
    ],
)
def test_repetition_is_the_share_of_ngrams_seen_before(text, value):
    assert repetition(judged(text=text)) == pytest.approx(value)


def test_repetition_looks_at_ngrams_of_the_length_it_is_told():
    assert repetition(judged(text="a b a b"), ngram=1) == pytest.approx(-0.5)
    assert repetition(judged(text="a b a b"), ngram=4) == 0.0


@given(st.text(alphabet="ab 好\n", max_size=60), st.integers(1, 5))
def test_repetition_lies_above_minus_one_and_text_said_twice_costs_more(text, ngram):
    once, twice = (repetition(judged(text=said), ngram=ngram) for said in (text, f"{text} {text}"))
    assert -1.0 < twice <= 0.0
    if len(text.split()) >= ngram:
        assert twice < 0.0
    assert -1.0 < once <= 0.0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<think>so</think><answer>5</answer>", 1.0),
        ("<THINK>so</think>\n\n<answer>\n5 </answer>", 1.0),
        ("<think>so</think><answer>5", 0.75),
        ("<answer>5</answer>", 0.5),
        ("<think><think>so</think>", 0.25),
        ("<answer>5</answer><answer>5</answer>", 0.0),
        ("5", 0.0),
    ],
)
def test_each_tag_that_occurs_once_counts_a_quarter(text, value):
    assert tag_count(judged(text=text)) == value


@pytest.mark.parametrize(
    ("text", "scripts", "value"),
    [
        ("<think>We add both.</think><answer>五</answer>", ["Latin"], 1.0),
        ("<think>我们 add</think><answer>5</answer>", ["Latin"], 3 / 5),
        ("<think>我们 add</think><answer>5</answer>", ["Han"], 2 / 5),
        ("<think>設x为5，π</think>", ["Han"], 1.0),
        (r"<think>由此 $\text{area} = ab$ 得 \[ \mathrm{sum} \] 好", ["Han"], 1.0),
        ("<think>好 `print(total)` 好\n```python\ntotal = 3\n```\n", ["Han"], 1.0),
        (r"好 \begin{align} foo &= bar \end{align} 好", ["Han"], 1.0),
        ("これは学校です", ["Han", "Hiragana", "Katakana"], 1.0),
        ("<think>3 + 4 - 2 = 5</think>", ["Latin"], 0.0),
        ("", ["Latin"], 0.0),
        # what is never closed is not taken for code or mathematics
        (r"We \[ 我们我们", ["Latin"], 2 / 6),
    ],
)
def test_language_consistency_is_the_share_of_letters_in_the_scripts(text, scripts, value):
    assert language_consistency(judged(text=text), scripts=scripts) == pytest.approx(value)


@given(st.text(max_size=80))
def test_language_consistency_is_a_share_and_a_function_of_the_text(text):
    value = language_consistency(judged(text=text))
    assert 0.0 <= value <= 1.0
    assert language_consistency(judged(text=text)) == value


def test_an_unknown_script_is_named():
    with pytest.raises(UserError, match="English"):
        language_consistency(judged(text="so it is"), scripts=["English"])
