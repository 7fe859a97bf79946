"""Laws of a run's report."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lmm_r1.errors import UserError
from lmm_r1.reporting.report import main, write_report
from lmm_r1.reporting.samples import FIGURE_SIZE, data_uri, spread
from tests.reporting.handmade import HOSTILE, make_group, write_run


class Outline(HTMLParser):
    """Collects tags, their attributes and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def read(folder) -> Outline:
    return Outline(write_report(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Outline:
    folder = tmp_path_factory.mktemp("run")
    write_run(folder)
    return read(folder)


def test_curves_of_everything_measured_are_drawn(page):
    titles = ("Reward", "Training accuracy", "Validation accuracy by rendering", "Format", "KL", "Entropy")
    for title in (*titles, "Completion length", "Seconds a step, by phase"):
        assert title in page.text
    assert page.count("svg") == page.count("figure") == 8


def test_a_reward_s_other_terms_are_drawn_together(tmp_path):
    columns = {"step": [1, 2], "reward/mean": [0.1, 0.2], "reward/cosine": [0.3, 0.4], "reward/tag_count": [0.5, 0.6]}
    pd.DataFrame(columns | {"reward/cosine/gsm8k": [0.3, 0.4]}).to_csv(tmp_path / "metrics.csv", index=False)
    page = read(tmp_path)
    assert page.count("figure") == 2
    assert "Other terms of the reward" in page.text and "tag count" in page.text
    assert "gsm8k" not in page.text


def test_the_legend_gives_each_phase_its_share(page):
    assert "rollout 75%" in page.text


def test_summary_lineage_and_configuration_are_on_the_page(page):
    text = page.text
    for fact in ("MGT, seed 11", "outputs/fre/2029-12-31_00-00-00", "4c617e7", "c" * 16, "7.2 min", "note: a < b"):
        assert fact in text


def test_accuracy_before_and_after_is_tabled_by_rendering(page):
    text = re.sub(r"\s+", " ", page.text)
    assert "text only 20.0 38.0 +18.0" in text
    assert "vision only 20.0 26.0 +6.0" in text


def test_first_and_last_rollouts_are_shown_with_figures_and_verdicts(page):
    assert "Training rollout after step 0" in page.text
    assert "Training rollout after step 5" in page.text
    assert "Training rollout after step 3" not in page.text
    assert "2 of 4 right" in page.text
    assert "no_answer" in page.text
    figures = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert len(figures) >= 10
    assert all(figure.startswith("data:image/png;base64,") for figure in figures)


def test_a_validation_problem_is_shown_before_and_after(page):
    text = re.sub(r"\s+", " ", page.text)
    assert "Validation after step 0 and after step 6" in text
    assert "before · wrong" in text
    assert "after · right" in text


def test_sampled_text_is_escaped(page):
    assert page.count("script") == 0
    assert HOSTILE in page.text


def test_the_page_needs_nothing_from_outside(page):
    assert page.count("link") == 0
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            target = attributes.get(name) or "#"
            assert target.startswith(("#", "data:")), f"<{tag}> fetches {target}"


def test_ids_are_unique_among_the_drawings(page):
    ids = [attributes["id"] for tag, attributes in page.tags if tag == "clippath"]
    assert len(ids) == len(set(ids)) > 0


def test_a_run_that_has_only_begun_has_a_report(tmp_path):
    pd.DataFrame({"step": [1, 2], "reward/mean": [0.1, 0.2]}).to_csv(tmp_path / "metrics.csv", index=False)
    (tmp_path / "lineage.json").write_text('[{"first_step": 0, "git_commit": "5d728f8", "data": "abcdef"}]')
    page = read(tmp_path)
    assert page.count("figure") == 1
    assert "not finished" in page.text and "5d728f8" in page.text and "SHA-256 abcdef" in page.text


def test_an_empty_run_has_a_report(tmp_path):
    assert "No step was recorded" in read(tmp_path).text


def test_a_damaged_rollout_is_passed_over_for_the_next(tmp_path):
    write_run(tmp_path)
    for damaged in (tmp_path / "rollouts").glob("step-000005-*"):
        damaged.write_bytes(damaged.read_bytes()[:-50])
    page = read(tmp_path)
    assert "Training rollout after step 0" in page.text and "Training rollout after step 3" in page.text


def test_a_folder_that_is_no_run_is_named(tmp_path, monkeypatch, capsys):
    with pytest.raises(UserError, match="is not a run's folder"):
        write_report(tmp_path / "none")
    monkeypatch.setattr(sys, "argv", ["report", str(tmp_path / "none")])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "is not a run's folder" in capsys.readouterr().err


def test_long_runs_stay_small(tmp_path):
    write_run(tmp_path)
    steps = np.arange(5000)
    noise = np.random.default_rng(0).normal(size=(5000, 6))
    names = ["reward/mean", "accuracy", "policy/kl", "policy/entropy", "time/rollout", "time/update"]
    pd.DataFrame(np.abs(noise), columns=names).assign(step=steps).to_csv(tmp_path / "metrics.csv", index=False)
    assert write_report(tmp_path).stat().st_size < 1_000_000


def test_figures_are_shrunk_and_photographs_compressed():
    photograph = Image.fromarray(np.random.default_rng(0).integers(0, 255, (900, 600, 3), dtype=np.uint8))
    uri = data_uri(photograph)
    assert uri.startswith("data:image/jpeg")
    assert len(uri) < FIGURE_SIZE * FIGURE_SIZE
    assert data_uri(Image.new("RGB", (84, 84))).startswith("data:image/png")


def test_sampled_problems_take_renderings_in_turn():
    kinds = ("text_only", "text_lite", "vision_only")
    groups = [make_group(number, kind, [True]) for number in range(20) for kind in kinds]
    chosen = spread(groups, 6)
    assert sorted(group.problem.rendering for group in chosen) == sorted(2 * kinds)
    assert len({group.problem.id for group in chosen}) == 6
    assert spread(groups[:4], 6) == groups[:4]
