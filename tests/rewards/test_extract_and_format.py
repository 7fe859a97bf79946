"""Where the answer is, and what the format forgives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmm_r1.rewards.extract import extract_answer, last_answer
from lmm_r1.rewards.format import think_answer_format

IDEAL = "<think>2 and 3 make 5.</think><answer>5</answer>"

REMARK = " This agrees with what the picture shows, and every step was looked at again."

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
    "right box in thinking, answer a decoy tag": r"<think>\boxed{5} <answer>7</think><answer>5</answer>",
    "nested answer": "<think>2 + 3</think><answer><answer>5</answer></answer>",
    "think inside the answer": "<think>2 + 3</think><answer><think>so</think>5</answer>",
    "thinking closed twice": "<think>2 + 3</think></think><answer>5</answer>",
    "other case as a decoy": "<think>2 <ANSWER>4</ANSWER> 3</think><answer>5</answer>",
    "self-closing tag": "<think>2 + 3 <answer/></think><answer>5</answer>",
    "self-closing tag with a space": "<think>2 + 3 <answer /></think><answer>5</answer>",
    "attribute on the only tag": '<think>2 + 3</think><answer type="number">5</answer>',
    "attribute on the thinking": "<think deep=true>2 + 3</think><answer>5</answer>",
    "space inside the closing tag": "<think>2 + 3</think><answer>5</ answer>",
    "zero-width space inside a tag": "<think>2 <ans\u200bwer>4</ans\u200bwer></think><answer>5</answer>",
    "soft hyphen inside a tag": "<think>2 <an\u00adswer>4</answer\u00ad></think><answer>5</answer>",
    "zero-width joiner before a tag's name": "<think>2 <\u200danswer>4</think><answer>5</answer>",
    "character entities": "<think>2 &lt;answer&gt;4&lt;/answer&gt;</think><answer>5</answer>",
    "numeric entities": "<think>2 &#60;answer&#62;4</think><answer>5</answer>",
    "entities hidden twice over": "<think>2 &lt;ans\u200bwer&gt;4</think><answer>5</answer>",
    "full-width brackets": "<think>2 ＜answer＞4＜/answer＞</think><answer>5</answer>",
    "full-width letters": "<think>2 <ａｎｓｗｅｒ>4</ａｎｓｗｅｒ></think><answer>5</answer>",
    "tag split by a newline": "<think>2 <ans\nwer>4</ans\nwer></think><answer>5</answer>",
    "newline after a tag's name": "<think>2 <answer\n>4</answer\n></think><answer>5</answer>",
    "backslashes before the brackets": r"<think>2 \<answer\>4</think><answer>5</answer>",
    "all in a code fence": "```\n<think>2 + 3</think><answer>5</answer>\n```",
    "a first try in a code fence": "<think>```<answer>4</answer>```</think><answer>5</answer>",
    "the question repeated before": "What is 2 + 3? <think>2 + 3</think><answer>5</answer>",
    "the pattern of the prompt repeated before": (
        "<think> </think><answer> </answer><think>2 + 3</think><answer>5</answer>"
    ),
    "an end token as text": "<think>2 + 3</think><answer>5</answer><|im_end|>",
    "invisible text after": "<think>2 + 3</think><answer>5</answer>\u200b",
    "placeholder in brackets": "<think>2 + 3</think><answer>[answer]</answer>",
    "placeholder in angle brackets": "<think>2 + 3</think><answer><your answer></answer>",
    "placeholder in braces": "<think>2 + 3</think><answer>{final_answer}</answer>",
    "placeholder in a box": r"<think>2 + 3</think><answer>\boxed{your answer}</answer>",
    "placeholder in capitals": "<think>2 + 3</think><answer>ANSWER HERE</answer>",
    "placeholder for thinking": "<think>[reasoning process]</think><answer>5</answer>",
    "an empty box": r"<think>2 + 3</think><answer>$\boxed{}$</answer>",
    "a question mark": "<think>2 + 3</think><answer>?</answer>",
    "underscores": "<think>___</think><answer>5</answer>",
    "LaTeX spaces for thinking": r"<think>\quad \qquad \, \; \! \ </think><answer>5</answer>",
    "measured LaTeX space for thinking": r"<think>\hspace{3cm}\phantom{2 + 3}</think><answer>5</answer>",
    "LaTeX dots for thinking": r"<think>\ldots \cdots \dots</think><answer>5</answer>",
    "LaTeX dots for an answer": r"<think>2 + 3</think><answer>$\ldots$</answer>",
    "line breaks of HTML for thinking": "<think><br/><br></think><answer>5</answer>",
    "spaces of HTML for thinking": "<think>&nbsp;&nbsp;&#8203;</think><answer>5</answer>",
    "repeated punctuation": "<think>!!!!!!! ??????? -------</think><answer>5</answer>",
    "one letter": "<think>a</think><answer>5</answer>",
    "one letter over and over": "<think>aaaaaaaaaaaaaaaaaaaa</think><answer>5</answer>",
    "one word over and over": "<think>think think think think</think><answer>5</answer>",
    "one word in two cases": "<think>Hmm hmm, HMM</think><answer>5</answer>",
    "NUL characters": "<think>\x00\x00\x00</think><answer>5</answer>",
    "zero-width characters": "<think>\u200b\u200c\u2060\ufeff</think><answer>5</answer>",
    "invisible letters": "<think>\u3164\u115f\uffa0\u2800</think><answer>5</answer>",
    "language tags": "<think>\U000e0061\U000e0062</think><answer>5</answer>",
    "an invisible answer": "<think>2 + 3</think><answer>\u200b\u3164</answer>",
    "two boxes that agree": r"<think>2 + 3</think><answer>\boxed{5} \boxed{5}</answer>",
}
"""The tables of what policies have found, and what they may find next."""


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
        "<think>At a glance.</think><answer>5</answer>",
        "<think>二加三等于五</think><answer>五</answer>",
        "<think>2 &lt; 3 &amp; 4</think><answer>5</answer>",
        "<think>２ + ３ = ５</think><answer>５</answer>",
        "<think>2 < answer < 6, so the answer is 5</think><answer>5</answer>",
        "<think>the <b>sum</b> is what is asked: 2 + 3</think><answer>5</answer>",
        "<think>\n\n2 + 3\r\n</think>\r\n\t<answer>5</answer>\r\n",
        "<Think>2 + 3</Think><Answer>5</Answer>",
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
        ("<answer/>5</answer>", None),
        ("<think>&lt;answer&gt;4&lt;/answer&gt;</think><answer>5</answer>", None),
        ("<think>＜answer＞4</think><answer>5</answer>", None),
        ("<think>＜answer x=1＞4</think><answer>5</answer>", None),
        ("<think><ans\u200bwer>4</think><answer>5</answer>", None),
        ("<think>```<answer>4</answer>```</think><answer>5</answer>", None),
        ("<think>2 &lt; 3</think><answer>5</answer>", "5"),
        ("<answer><answer>5</answer></answer>", None),
        ("<answer>  </answer>", None),
        ("<think>maybe <answer>5</answer>", None),
        ("<think>maybe <answer>5</answer> or not</think>", None),
        ("maybe <answer>5</answer> or not</think>", None),
        ("<answer>5</answer><think>or not", None),
        ("<reasoning>2 + 3</reasoning><answer>5</answer>", "5"),
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
        (r"<think>\boxed{5}", None),
        (r"<think>\boxed{5}</think>", None),
        (r"\boxed{5}</think>7", "7"),
        ("<think>2 + 3</think>5<think/>7", "7"),
        (f"So there are 42 of them.\n{REMARK * 60}", "So there are 42 of them."),
        (f"2 + 40 = 42\n#### 42\n{REMARK * 60}", "42"),
        (f"#### 41\n{REMARK * 60}\n#### 42 apples\n{REMARK * 60}", "42 apples"),
        (f"The answer is red.{REMARK * 60}", "red"),
        ("2 + 3\n#### red", "red"),
        (f"#### Conclusion\n{REMARK}", f"#### Conclusion\n{REMARK}"),
        (f"The answer is red. This answer is based on the picture.{REMARK}", "red"),
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


def test_looking_for_tags_takes_linear_time() -> None:
    for text in (
        "<" * 50_000,
        "< " * 50_000,
        "<answer " * 20_000,
        "&lt;" * 50_000,
        "</" + " " * 100_000,
        "\\" * 100_000,
        "<think>" * 20_000,
        "<" + "a" * 100_000,
    ):
        assert extract_answer(text) is None
        last_answer(text)
        assert not think_answer_format(text, truncated=False)
