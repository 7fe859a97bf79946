"""Where the answer is, and what the format forgives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmm_r1.rewards.extract import extract_answer, last_answer
from lmm_r1.rewards.format import think_answer_format

IDEAL = "<think>2 and 3 make 5.</think><answer>5</answer>"

LOOPHOLES = {
    "no thinking block": "<answer>5</answer>",
    "empty thinking": "<think></think><answer>5</answer>",
    "blank thinking": "<think> \n </think><answer>5</answer>",
    "dots for thinking": "<think>...</think><answer>5</answer>",
    "ellipsis for thinking": "<think>…</think><answer>5</answer>",
    "empty answer": "<think>2 + 3</think><answer> </answer>",
    "dots for an answer": "<think>2 + 3</think><answer>...</answer>",
    "thinking twice": "<think>2</think><think>3</think><answer>5</answer>",
    "nested thinking": "<think>2<think>3</think></think><answer>5</answer>",
    "answering twice": "<think>2 + 3</think><answer>5</answer><answer>5</answer>",
    "second answer on a new line": "<think>2 + 3</think><answer>4</answer>\n<answer>5</answer>",
    "closing tag inside thinking": "<think>2 </answer> 3</think><answer>5</answer>",
    "tag with an attribute as a decoy": "<think><answer x=1>4</think><answer>5</answer>",
    "tag with a space as a decoy": "<think>< answer >4</think><answer>5</answer>",
    "text after": "<think>2 + 3</think><answer>5</answer> is right",
    "text before": "Well. <think>2 + 3</think><answer>5</answer>",
    "text between": "<think>2 + 3</think> so <answer>5</answer>",
    "wrong order": "<answer>5</answer><think>2 + 3</think>",
    "crossed tags": "<think>2 + 3<answer>5</think></answer>",
    "the prompt's placeholders": "<think>reasoning process here</think><answer>answer here</answer>",
    "a placeholder for an answer": "<think>2 + 3</think><answer> [Your answer here] </answer>",
    "the prompt's example": ("<think> Since $1+1=2$, so the answer is $2$. </think><answer> $2$ </answer>"),
    "two boxes": r"<think>2 + 3</think><answer>\boxed{4} or \boxed{5}</answer>",
    "a list of every number": f"<think>2 + 3</think><answer>{' '.join(map(str, range(300)))}</answer>",
    "answer left open": "<think>2 + 3</think><answer>5",
}


@pytest.mark.parametrize("response", LOOPHOLES.values(), ids=LOOPHOLES.keys())
def test_no_loophole_keeps_the_format(response: str) -> None:
    assert not think_answer_format(response, truncated=False)


@pytest.mark.parametrize(
    "response",
    [
        IDEAL,
        IDEAL.replace("><", ">\n<"),
        f"\n{IDEAL}\n",
        IDEAL.upper(),
        "<think>\n2 + 3\nis five\n</think>\n\n<answer>\n$5$\n</answer>",
        r"<think>2 < 3, so x > 1</think> <answer>\boxed{5}</answer>",
        "<think>2 und 3</think><answer>红色</answer>",
        r"<think>a limit</think><answer>$\infty$</answer>",
    ],
)
def test_format_forgives_how_people_write(response: str) -> None:
    assert think_answer_format(response, truncated=False)


def test_truncated_responses_fail_whatever_they_look_like() -> None:
    assert not think_answer_format(IDEAL, truncated=True)


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (IDEAL, "5"),
        ("<THINK>x</THINK><Answer> 5 </aNSWER>", "5"),
        ("<answer>5</answer>", "5"),
        (r"<think>\boxed{5}</think><answer>7</answer>", "7"),
        (r"<think>\boxed{5}</think>", None),
        ("the answer is 5", None),
        ("<answer>4</answer><answer>5</answer>", None),
        ("<answer x=1>4</answer><answer>5</answer>", None),
        ("<think><answer>4</think><answer>5</answer>", None),
        ("</answer>5<answer>", None),
        ("<answer>5", None),
        ("<answer>  </answer>", None),
        ("", None),
    ],
)
def test_only_the_single_answer_counts(response: str, answer: str | None) -> None:
    assert extract_answer(response) == answer


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"<think>\boxed{5}</think><answer>7</answer>", "7"),
        (r"first \boxed{4}, then \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        ("The answer is 5.\nThe final answer is: 7", "7"),
        ("so $x=2$ and $y=3$", "x=2, y=3"),
        (r"either \boxed{2} or \boxed{3}", "2, 3"),
        ("<answer>4</answer><answer>5</answer>", None),
    ],
)
def test_last_answer_of_a_response(response: str, answer: str | None) -> None:
    assert last_answer(response) == answer


@given(st.text(), st.booleans())
def test_format_and_extraction_never_raise(text: str, truncated: bool) -> None:
    assert think_answer_format(text, truncated) in (True, False)
    assert extract_answer(text) is None
    last_answer(f"{text}</think>\\boxed{{{text}")


@given(st.text(alphabet="ab3 \n.", min_size=1), st.text(alphabet="ab3 \n.", min_size=1))
def test_what_keeps_the_format_has_an_answer(thinking: str, answer: str) -> None:
    response = f"<think>{thinking}</think><answer>{answer}</answer>"
    if think_answer_format(response, truncated=False):
        assert extract_answer(response) == answer.strip()
