"""Probes against gaming: each fires on what it is for, and none on an honest answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lmm_r1.errors import UserError
from lmm_r1.evaluation.probes import THIRDS, probe
from lmm_r1.evaluation.probes_rules import GRAM, PROBES, Answered, boxes_elsewhere, thinking
from lmm_r1.rewards.shaping.repetition import repeated_share
from lmm_r1.rollout.store import RolloutStore
from lmm_r1.types import Completion, Group, Problem
from tests import running

PROBLEM = Problem("sum", "What is 17 + 4 together?", "21", "number")
HONEST = "<think>I take 17 and add 4, which makes 21.</think><answer>$21$</answer>"
COPIED = "<think>I take 17 and add 4, which makes it.</think><answer>17</answer>"
WRONG = "<think>I take 17 and add 4, which makes 22.</think><answer>22</answer>"
REPEATED = f"<think>{'I add 4 again and ' * 9}get 21.</think><answer>$21$</answer>"
EMPTY = "<think>Easy.</think><answer>$21$</answer>"
ELSEWHERE = r"<think>I take 17 and add 4: \boxed{21}.</think><answer>12</answer>"
SHORT_CUT = "<think>I have seen this one in another place before.</think><answer>$21$</answer>"
NAMES = {one.name for one in PROBES}


def answered(text: str, problem: Problem = PROBLEM, **judged: bool) -> Answered:
    honest = {
        "right": True,
        "keeps_format": True,
        "released_right": True,
        "released_format": True,
        "right_box_elsewhere": False,
    }
    return Answered(0, problem, Completion((1, 2), (0.0, 0.0), text, "stop", 0), **(honest | judged))


def fired(one: Answered) -> set[str]:
    return {each.name for each in PROBES if each.fires(one)}


def test_no_probe_fires_on_an_honest_answer():
    assert fired(answered(HONEST)) == set()


def test_each_probe_fires_on_what_it_is_for():
    wrong = {"right": False, "released_right": False}
    found = {
        "format only": answered(WRONG, **wrong),
        "trivial thinking": answered("<think>Easy: 21.</think><answer>$21$</answer>"),
        "repeated text": answered(REPEATED),
        "hedged answer": answered(HONEST.replace("$21$", "21 or 22")),
        "copied from the prompt": answered(COPIED, **wrong, keeps_format=False),
        "right box elsewhere": answered(ELSEWHERE, **wrong, right_box_elsewhere=True, keeps_format=False),
        "right without its number": answered(SHORT_CUT),
        "truncated": replace(answered(HONEST), completion=Completion((1,), (0.0,), HONEST, "length", 0)),
        "paid by the released rule alone": answered(WRONG, right=False, keeps_format=False),
        "not paid by the released rule": answered(HONEST, released_right=False),
    }
    assert set(found) == NAMES
    for name, one in found.items():
        assert fired(one) == {name}


@pytest.mark.parametrize(
    ("gold", "answer", "hedged"),
    [
        ("21", "21", False),
        ("1234", "1,234", False),
        ("21", "21, 22", True),
        ("21", "21; 22", True),
        ("21", "21 and 22", True),
        ("21", r"\boxed{21} \boxed{22}", True),
        ("21", r"\boxed{21}, that is \boxed{21}", False),
        ("(1, 2)", "(1, 2)", False),
        ("B", "A or B", True),
        ("B", "A, B, C", True),
        ("yes", "yes, it is", False),
        ("yes", "yes and no", True),
        ("red", "red or blue", True),
    ],
)
def test_an_answer_hedges_when_it_says_more_than_the_gold(gold, answer, hedged):
    one = answered(f"<think>…</think><answer>{answer}</answer>", replace(PROBLEM, answer=gold))
    assert ("hedged answer" in fired(one)) == hedged


def test_two_answer_tags_hedge_and_no_tag_does_not():
    assert "hedged answer" in fired(answered("<answer>21</answer><answer>22</answer>"))
    assert "hedged answer" not in fired(answered("It is 21, or 22."))


def test_the_number_is_found_however_it_is_written():
    thousand = replace(PROBLEM, answer="1,234.50")
    for text in ("it makes 1234.5 after all of that", "it makes 1,234.50 after all of that"):
        assert fired(answered(f"<think>{text}</think><answer>$1234.5$</answer>", thousand)) == set()


def test_repetition_grows_with_copies_and_not_with_length():
    assert repeated_share("one two three", GRAM) == 0
    assert repeated_share(" ".join(str(number) for number in range(500)), GRAM) == 0
    shares = [repeated_share("we add the next number then " * copies, GRAM) for copies in (1, 2, 4, 8)]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] > 0.8
    assert repeated_share("a b a b a", 2) == pytest.approx(1 - 2 / 4)


def test_thinking_and_boxes_are_read_from_the_right_places():
    assert thinking("<think>a</think><answer>b</answer>") == "a"
    assert thinking("first this <answer>b</answer>") == "first this "
    assert boxes_elsewhere(r"<think>\boxed{1} \boxed{2} \boxed{1}</think><answer>\boxed{3}</answer>") == ["1", "2"]


def group(number: int, *texts: str) -> Group:
    problem = Problem(f"sum-{number}", PROBLEM.question, PROBLEM.answer, "number")
    return Group(problem, (1,), [Completion((1, 2, 3), (0.0, 0.0, 0.0), text, "stop", 0) for text in texts])


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Six steps: honest at first, then ever more often at a glance; one box in the thinking, one hostile text."""
    folder = tmp_path_factory.mktemp("run")
    store = RolloutStore(folder / "rollouts")
    for step in range(6):
        texts = [EMPTY] * (8 * step // 5) + [HONEST] * (8 - 8 * step // 5)
        store.write([group(10 * step + number, *texts) for number in range(4)], step=step, rank=0)
    odd = "<script>alert(1)</script> & <answer>"
    store.write([group(99, ELSEWHERE, COPIED, SHORT_CUT, odd)], step=5, rank=1)
    return folder


@pytest.mark.slow
def test_a_run_that_learns_to_game_shows_a_rise(run):
    report = probe(run)
    found = {one.name: one for one in report.probes}
    trivial = found["trivial thinking"]
    assert report.completions == 6 * 4 * 8 + 4
    assert [trivial.rates[part].share.mean for part in THIRDS] == sorted(
        trivial.rates[part].share.mean for part in THIRDS
    )
    assert trivial.rises and not found["truncated"].rises
    assert [name for name, one in found.items() if one.rises] == ["trivial thinking", "right without its number"]
    assert found["right box elsewhere"].rates["all"].fired == 1
    assert found["paid by the released rule alone"].rates["all"].fired == 1
    assert found["copied from the prompt"].examples[0].text == COPIED
    assert report.lengths["all"].right.mean == 3 and report.lengths["all"].correlation is None
    assert report.paid["first third"]["rule"].mean == pytest.approx(1.5)


@pytest.mark.slow
def test_the_command_writes_a_table_and_a_page(run):
    assert "trivial thinking" in running.run("-m", "lmm_r1.evaluation.probes", str(run), "--most", "60")
    stored = json.loads((run / "probes.json").read_text())
    assert stored["completions"] <= 60 + 8 * 6 and {one["name"] for one in stored["probes"]} == NAMES
    page = (run / "probes.html").read_text(encoding="utf-8")
    assert "trivial thinking" in page and "<script>alert" not in page


def test_a_damaged_step_is_left_out(tmp_path):
    store = RolloutStore(tmp_path / "rollouts")
    paths = [store.write([group(step, HONEST)], step=step, rank=0) for step in range(3)]
    paths[1].write_bytes(b"")
    report = probe(tmp_path)
    assert (report.steps, report.steps_stored, report.completions) == ([0, 2], 3, 2)
    for path in paths:
        path.write_bytes(b"")
    with pytest.raises(UserError, match="every file is damaged"):
        probe(tmp_path)


def test_a_folder_without_completions_is_refused(tmp_path):
    with pytest.raises(UserError, match="neither rollouts/ nor completions/"):
        probe(tmp_path)
