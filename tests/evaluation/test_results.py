"""Laws of the accuracies and of their table."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lmm_r1.errors import UserError
from lmm_r1.evaluation.outcomes import outcomes_of
from lmm_r1.evaluation.results import Results, accuracy_metrics, summarize
from lmm_r1.evaluation.statistics import wilson_interval
from lmm_r1.types import Completion, Group, Problem, Score


def group(
    identity: str, right: list[bool], family: str = "chain", rendering: str = "text_only", length: int = 5
) -> Group:
    """A scored group; a wrong answer is twice as long, and cut off."""
    completions = [
        Completion((7,) * (length if good else 2 * length), (), "", "stop" if good else "length", 0) for good in right
    ]
    scores = [
        Score(float(good), {"accuracy": float(good), "format": 0.5}, good, "ok" if good else "wrong") for good in right
    ]
    problem = Problem(f"{identity}/{rendering}", "?", "1", source="made", family=family, rendering=rendering)
    return Group(problem, (1,), completions, scores)


GROUPS = [
    group("a", [True]),
    group("b", [False]),
    group("c", [True]),
    group("a", [False], rendering="vision_only"),
    group("d", [True], family="grid", rendering="vision_only"),
]


def test_validation_accuracy_is_the_plain_mean_over_items():
    metrics = accuracy_metrics(GROUPS)
    assert metrics["validation/accuracy"] == pytest.approx(3 / 5)
    assert metrics["validation/accuracy/text_only"] == pytest.approx(2 / 3)
    assert metrics["validation/accuracy/vision_only"] == pytest.approx(1 / 2)
    assert metrics["validation/accuracy/chain/vision_only"] == 0
    assert metrics["validation/accuracy/grid/vision_only"] == 1
    assert metrics["validation/format"] == 0.5
    assert metrics["validation/length"] == pytest.approx((3 * 5 + 2 * 10) / 5)


def test_metrics_hold_no_other_columns():
    assert set(accuracy_metrics(GROUPS)) == {
        "validation/accuracy",
        "validation/accuracy/text_only",
        "validation/accuracy/vision_only",
        "validation/accuracy/chain/text_only",
        "validation/accuracy/chain/vision_only",
        "validation/accuracy/grid/vision_only",
        "validation/format",
        "validation/length",
    }


def test_metrics_do_not_depend_on_the_order_of_groups():
    assert accuracy_metrics(GROUPS[::-1]) == pytest.approx(accuracy_metrics(GROUPS))


def test_problems_without_a_family_are_counted_by_rendering_alone():
    metrics = accuracy_metrics([group("a", [True], family="")])
    assert [name for name in metrics if name.startswith("validation/accuracy")] == [
        "validation/accuracy",
        "validation/accuracy/text_only",
    ]


def test_a_reward_without_a_format_term_leaves_no_format_column():
    plain = Group(GROUPS[0].problem, (1,), GROUPS[0].completions, [Score(1.0, {"accuracy": 1.0}, True, "ok")])
    assert "validation/format" not in accuracy_metrics([plain])


def test_several_samples_count_as_their_share():
    groups = [group("a", [True, False, False, False]), group("b", [True, True, True, True])]
    assert accuracy_metrics(groups)["validation/accuracy"] == pytest.approx((0.25 + 1) / 2)
    assert summarize(outcomes_of(groups), {}).cell().accuracy.mean == pytest.approx((0.25 + 1) / 2)


def test_a_group_without_scores_is_refused():
    with pytest.raises(ValueError, match="zip"):
        outcomes_of([Group(GROUPS[0].problem, (1,), GROUPS[0].completions)])


def test_renderings_of_one_latent_problem_share_its_name():
    latents = [outcome.latent for outcome in outcomes_of(GROUPS)]
    assert latents == ["a", "b", "c", "a", "d"]


def test_cells_cover_families_renderings_and_all():
    results = summarize(outcomes_of(GROUPS), {})
    assert [(cell.family, cell.rendering, cell.problems) for cell in results.cells] == [
        ("chain", "text_only", 3),
        ("chain", "vision_only", 1),
        ("grid", "vision_only", 1),
        ("all", "text_only", 3),
        ("all", "vision_only", 2),
        ("all", "all", 5),
    ]
    assert results.cell("chain", "text_only").accuracy == wilson_interval(2, 3)
    assert results.cell().truncation_rate == pytest.approx(2 / 5)
    assert results.cell().mean_length == pytest.approx(7)
    assert results.cell().format_rate == 0.5


def test_renderings_widen_the_interval_over_all():
    """Twenty problems in two renderings each are twenty clusters, not forty items."""
    groups = [
        group(str(number), [number % 2 == 0], rendering=rendering)
        for number in range(20)
        for rendering in ("text_only", "vision_only")
    ]
    assert summarize(outcomes_of(groups), {}).cell().accuracy == wilson_interval(10, 20)


def test_an_unknown_cell_is_named():
    with pytest.raises(KeyError, match="maps"):
        summarize(outcomes_of(GROUPS), {}).cell("maps")


def test_the_table_prints_percentages_with_their_interval_on_a_narrow_terminal():
    groups = [group(str(number), [True], "triangle", "vision_dominant", length=2048) for number in range(2000)]
    console = Console(width=80, file=io.StringIO())
    console.print(summarize(outcomes_of(groups), {}).table())
    interval = wilson_interval(2000, 2000)
    row = next(line for line in console.file.getvalue().splitlines() if "triangle" in line)
    assert row.split(maxsplit=3)[:3] == ["triangle", "vision_dominant", "2000"]
    assert f" 100.0 ({100 * interval.low:.1f}–100.0) " in row
    assert row.split()[-1] == "2048"


def test_results_that_were_never_written_are_a_users_error(tmp_path):
    with pytest.raises(UserError, match=r"results\.json does not exist"):
        Results.from_json(tmp_path / "results.json")
