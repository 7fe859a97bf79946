from __future__ import annotations

import pytest

from lmm_r1.cli.nearest import did_you_mean, nearest_key, nearest_option

KEYS = ["seed", "algorithm.kl", "algorithm.kl_coef", "algorithm.learning_rate", "sft.learning_rate", "trainer.steps"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("sed", "seed"),
        ("kl_coef", "algorithm.kl_coef"),
        ("algorithm.lr", "algorithm.learning_rate"),
        ("sft.lr", "sft.learning_rate"),
        ("algorithm.learnig_rate", "algorithm.learning_rate"),
        ("trainer.step", "trainer.steps"),
        ("steps", "trainer.steps"),
        ("training.steps", "trainer.steps"),
    ],
)
def test_a_slip_finds_the_key_that_was_meant(typed, meant):
    assert nearest_key(typed, KEYS) == meant


def test_a_word_like_no_other_gets_no_suggestion():
    assert nearest_key("zzzzqqq", KEYS) is None
    assert nearest_option("zzzz", ["fre", "mgt"]) is None
    assert did_you_mean(None) == ""


def test_an_option_is_found_by_likeness():
    assert nearest_option("sinthetic_text", ["synthetic_text", "synthetic_images"]) == "synthetic_text"
