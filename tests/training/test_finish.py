"""Laws of a run's end: what is trained is saved, and what fails afterwards takes nothing with it."""

from __future__ import annotations

import json

import pytest

from lmm_r1.errors import UserError
from lmm_r1.training.finish import finish


def fails():
    raise KeyError("a fault of ours")


def refuses():
    raise UserError("the disk is full")


@pytest.fixture
def write(tmp_path):
    """Makers of products, by name: each writes the word it is given."""

    def maker(name, word="new"):
        def make():
            path = tmp_path / name
            if name == "export":
                path.mkdir()
                path = path / "config.json"
            path.write_text(json.dumps({"steps": 4, "word": word}))

        return make

    return maker


@pytest.fixture
def words(tmp_path):
    """What lies in the run's folder: each product's word."""

    def read():
        files = {path.name: path / "config.json" if path.is_dir() else path for path in tmp_path.iterdir()}
        return {name: json.loads(file.read_text())["word"] for name, file in files.items()}

    return read


def products(write, **changes):
    names = ("export", "summary.json", "report.html")
    return {name: write(name) for name in names} | {name.replace("_", "."): make for name, make in changes.items()}


@pytest.mark.parametrize("failing", ["export", "summary.json", "report.html"])
def test_a_product_that_fails_keeps_no_other_from_being_made_and_its_fault_is_raised(
    tmp_path, write, words, caplog, failing
):
    with pytest.raises(KeyError, match="fault of ours"):
        finish(tmp_path, products(write) | {failing: fails}, steps=4, trained=True)
    assert words().keys() == {"export", "summary.json", "report.html"} - {failing}
    assert f"{failing} was not made" in caplog.text and "Traceback" in caplog.text
    assert f"all 4 steps are saved; make what is missing with: python train.py resume={tmp_path}" in caplog.text


def test_a_fault_of_ours_is_raised_before_what_the_user_can_mend(tmp_path, write, words, caplog):
    with pytest.raises(KeyError):
        finish(tmp_path, products(write, export=refuses, report_html=fails), steps=4, trained=True)
    assert words().keys() == {"summary.json"}
    with pytest.raises(UserError, match="full"):
        finish(tmp_path, products(write, export=refuses), steps=4, trained=False)
    assert "export was not made: the disk is full" in caplog.text


def test_only_what_is_missing_is_made_when_nothing_was_trained(tmp_path, write, words):
    finish(tmp_path, products(write), steps=4, trained=True)
    (tmp_path / "report.html").unlink()
    finish(tmp_path, {name: write(name, "again") for name in products(write)}, steps=4, trained=False)
    assert words() == {"export": "new", "summary.json": "new", "report.html": "again"}


@pytest.mark.parametrize("trained", [True, False])
def test_what_an_earlier_end_left_does_not_pass_for_this_one(tmp_path, write, words, trained):
    """A run of two steps that went on to four, in this process or in one that was killed before its export."""
    for name in products(write):
        write(name, "of two steps")()
    (tmp_path / "summary.json").write_text(json.dumps({"steps": 2, "word": "of two steps"}))
    with pytest.raises(UserError):
        finish(tmp_path, products(write, export=refuses), steps=4, trained=trained)
    assert words() == {"summary.json": "new", "report.html": "new"}
