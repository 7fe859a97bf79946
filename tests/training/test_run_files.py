"""Laws of what a run keeps on disk: the metrics table, checkpoints, and lineage."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from lmm_r1.data.synthetic import SyntheticDataset, TraceDataset
from lmm_r1.errors import UserError
from lmm_r1.evaluation.seeds import read_summary
from lmm_r1.reporting.run_folder import read_run
from lmm_r1.training.checkpoints import Checkpoints
from lmm_r1.training.interrupts import Interrupts
from lmm_r1.training.lineage import data_fingerprint, resolve_start
from lmm_r1.training.metrics_file import MetricsFile
from lmm_r1.training.odd_values import explain
from tests.training.updating import trainer_of


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_new_quantity_becomes_a_column_and_earlier_rows_stay(tmp_path):
    table = MetricsFile(tmp_path / "metrics.csv", keep_through=None)
    table.append(0, {"validation/accuracy": 0.25})
    table.append(1, {"reward/mean": 0.1 + 0.2})
    first, second = rows(tmp_path / "metrics.csv")
    assert first == {"step": "0", "validation/accuracy": "0.25", "reward/mean": ""}
    assert float(second["reward/mean"]) == 0.1 + 0.2


def test_a_resumed_table_is_cut_at_the_checkpoint_and_survives_a_half_written_line(tmp_path):
    path = tmp_path / "metrics.csv"
    table = MetricsFile(path, keep_through=None)
    for step in range(4):
        table.append(step, {"loss": float(step)})
    with path.open("a") as file:
        file.write("4,0.")
    resumed = MetricsFile(path, keep_through=2)
    resumed.append(3, {"loss": 30.0})
    assert [(row["step"], row["loss"]) for row in rows(path)] == [
        ("0", "0.0"),
        ("1", "1.0"),
        ("2", "2.0"),
        ("3", "30.0"),
    ]


@pytest.mark.parametrize(
    "end",
    [b"1", b"12,0.25,", b"12,0.25,0.5", b"12,0.2\0\0\0\0\n", bytes(400)],
    ids=["a digit", "two cells", "no end of line", "zeros in a cell", "zeros"],
)
def test_a_torn_last_line_is_left_out_by_every_reader_and_made_again(tmp_path, caplog, end):
    path = tmp_path / "metrics.csv"
    table = MetricsFile(path, keep_through=None)
    for step in range(12):
        table.append(step, {"loss": float(step), "accuracy": 0.5})
    with path.open("ab") as file:
        file.write(end)
    assert read_run(tmp_path).metrics["loss"].to_dict() == {step: float(step) for step in range(12)}
    assert "damaged and left out: line 14" in caplog.text
    resumed = MetricsFile(path, keep_through=11)
    resumed.append(12, {"loss": 12.0, "accuracy": 0.5})
    assert [row["loss"] for row in rows(path)] == [str(float(step)) for step in range(13)]


def test_a_table_without_a_sound_header_is_begun_anew(tmp_path):
    (tmp_path / "metrics.csv").write_bytes(bytes(4000))
    assert read_run(tmp_path).metrics.empty
    MetricsFile(tmp_path / "metrics.csv", keep_through=3).append(4, {"loss": 1.0})
    assert rows(tmp_path / "metrics.csv") == [{"step": "4", "loss": "1.0"}]


def test_a_row_is_on_the_disk_when_append_returns(tmp_path, monkeypatch):
    table, flushed = MetricsFile(tmp_path / "metrics.csv", keep_through=None), []
    table.append(0, {"loss": 1.0})
    monkeypatch.setattr("os.fsync", lambda descriptor: flushed.append(os.fstat(descriptor).st_size))
    table.append(1, {"loss": 2.0})
    assert flushed == [(tmp_path / "metrics.csv").stat().st_size]


def test_a_damaged_summary_is_named(tmp_path):
    (tmp_path / "summary.json").write_text('{"stage": "fr')
    for read in (read_run, read_summary):
        with pytest.raises(UserError, match=r"summary\.json: damaged; python train\.py resume="):
            read(tmp_path)


@pytest.fixture
def finished_run(tmp_path):
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "config.json").touch()
    return tmp_path


def test_a_run_starts_from_its_parents_export_and_names_the_parent(finished_run):
    assert resolve_start(str(finished_run), "base") == (f"{finished_run}/export", str(finished_run))


def test_a_model_folder_is_a_start_without_a_parent(finished_run):
    folder = str(finished_run / "export")
    assert resolve_start(folder, "base") == (folder, None)


def test_an_unfinished_run_is_no_start(tmp_path):
    with pytest.raises(UserError, match="neither a finished run"):
        resolve_start(str(tmp_path), "base")


def test_without_init_from_the_base_model_is_the_start():
    assert resolve_start(None, "base") == ("base", None)


def synthetic(seed=0, image_size=84):
    return SyntheticDataset("train", 100, ["chain"], ["vision_only"], (3, 4), image_size, seed)


def test_the_data_fingerprint_tells_data_apart_and_the_same_data_alike():
    assert data_fingerprint(synthetic()) == data_fingerprint(synthetic())
    assert data_fingerprint(synthetic()) != data_fingerprint(synthetic(seed=1))
    assert data_fingerprint(synthetic()) != data_fingerprint(synthetic(image_size=112))
    half, most = (TraceDataset("train", 100, ["chain"], ["text_only"], (3, 4), 84, 0, share) for share in (0.5, 0.9))
    assert data_fingerprint(half) != data_fingerprint(most) != data_fingerprint(synthetic())


def test_a_data_fingerprint_asks_for_no_problem():
    """Whose picture may be one that cannot be read, and that no step has asked for."""

    class Unreadable(SyntheticDataset):
        def __getitem__(self, index):
            raise UserError("cannot be read as a picture")

    class SomebodysOwn(list):
        def __getitem__(self, index):
            raise UserError("cannot be read as a picture")

    arguments = ("train", 65_000, ["chain"], ["vision_only"], (3, 4), 84, 0)
    assert data_fingerprint(Unreadable(*arguments)) == data_fingerprint(SyntheticDataset(*arguments))
    assert data_fingerprint(SomebodysOwn([1, 2])) != data_fingerprint(SomebodysOwn([1]))


@pytest.mark.parametrize(("done", "saved"), [(1, False), (3, True), (6, True), (7, True), (8, False)])
def test_a_step_is_saved_where_one_is_due_and_when_it_is_the_last(monkeypatch, done, saved):
    saver, taken = Checkpoints(Path("checkpoints"), Interrupts(), every=3, keep=2, steps=7), []
    monkeypatch.setattr(saver, "save", lambda trainer, module: taken.append(module.steps_done))
    saver.on_train_batch_end(trainer_of(), SimpleNamespace(steps_done=done, skipped={}), None, None, 0)
    assert taken == [done] * saved


ORDINARY = {
    "reward/mean": 0.7,
    "policy/loss": 0.05,
    "groups/zero_variance": 0.1,
    "completion/truncated": 0.0,
    "policy/sampler_difference": 1e-6,
}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"policy/loss": 1e-8}, "loss"),
        ({"groups/zero_variance": 0.9}, "silent"),
        ({"policy/kl_share_of_reward": 0.8}, "penalty"),
        ({"completion/truncated": 0.5}, "truncated"),
        ({"policy/sampler_difference": 0.3}, "mismatch"),
        ({"reward/mean": 0.0}, "reward"),
        ({"policy/sampler_difference": math.nan, "reward/mean": 0.0}, "not finite"),
    ],
)
def test_each_odd_value_is_explained_and_ordinary_ones_are_not(change, kind):
    assert not list(explain(1, ORDINARY))
    assert [found for found, _ in explain(1, ORDINARY | change)] == [kind]


def test_what_was_made_of_a_broken_policy_is_not_explained_away():
    broken = {"reward/mean": 0.0, "groups/zero_variance": 1.0, "completion/truncated": 1.0, "policy/skipped_steps": 1.0}
    assert not list(explain(1, broken))
    assert not list(explain(1, {"policy/skipped_steps": 1.0}))
