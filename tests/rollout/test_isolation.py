"""The trainer's process is left as it was found."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest
import torch

from lmm_r1.rollout.isolation import exported, isolated_random_state, kept_threads, silenced_unless_failing


def draw() -> tuple[float, float, float]:
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_random_numbers_continue_as_if_nothing_had_drawn_between() -> None:
    with isolated_random_state():
        expected = draw(), draw()
    first = draw()
    with isolated_random_state():
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        draw()
    assert (first, draw()) == expected


@pytest.mark.parametrize("flush", [True, False])
def test_threads_and_denormals_are_kept(flush: bool) -> None:
    set_num_threads, threads = torch.set_num_threads, torch.get_num_threads()
    torch.set_flush_denormal(flush)
    try:
        with kept_threads():
            torch.set_num_threads(threads + 1)
            torch.set_num_threads = lambda count: None
            torch.set_flush_denormal(not flush)
        assert (torch.set_num_threads, torch.get_num_threads()) == (set_num_threads, threads)
        assert (torch.tensor([1e-40]) * 0.5 == 0).item() == flush
    finally:
        torch.set_flush_denormal(False)


def test_environment_variables_are_set_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMM_R1_KEPT", "before")
    with exported(LMM_R1_KEPT="during", LMM_R1_NEW="during"):
        assert os.environ["LMM_R1_KEPT"] == os.environ["LMM_R1_NEW"] == "during"
    assert os.environ["LMM_R1_KEPT"] == "before"
    assert "LMM_R1_NEW" not in os.environ


def test_what_is_said_is_heard_only_after_a_failure(capfd: pytest.CaptureFixture[str]) -> None:
    def speak() -> None:
        os.write(1, b"progress\n")
        os.write(2, b"warning\n")

    with silenced_unless_failing():
        speak()
    os.write(1, b"afterwards\n")
    assert capfd.readouterr() == ("afterwards\n", "")
    with pytest.raises(ZeroDivisionError), silenced_unless_failing():
        speak()
        _ = 1 / 0
    assert capfd.readouterr().err == "progress\nwarning\n"
