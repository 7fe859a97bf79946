"""What all engines share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmm_r1.rollout.engine import SEED_SPACING, check_generate_arguments, sampling_seed
from lmm_r1.types import Problem, Sampling

PROBLEM = Problem("one", "1 + 1?", "2")


@given(st.integers(0, 2**40), st.integers(0, 2**30), st.integers(0, 2**20))
def test_a_seed_leaves_room_for_its_completions_and_fits_torch(run_seed: int, step: int, index: int) -> None:
    seed = sampling_seed(run_seed, step, index)
    assert seed % SEED_SPACING == 0
    assert 0 <= seed < 2**62
    assert seed == sampling_seed(run_seed, step, index)


def test_neighbouring_runs_steps_and_problems_share_no_seed() -> None:
    seeds = [sampling_seed(run, step, index) for run in range(10) for step in range(20) for index in range(50)]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize(
    ("problems", "sampling", "seeds"),
    [
        ([PROBLEM], Sampling(2, 1.0, 8), [0, 1]),
        ([PROBLEM], Sampling(0, 1.0, 8), [0]),
        ([PROBLEM], Sampling(SEED_SPACING + 1, 1.0, 8), [0]),
        ([PROBLEM], Sampling(2, 0.0, 8), [0]),
        ([PROBLEM], Sampling(1, 0.009, 8), [0]),
        ([PROBLEM], Sampling(1, 2.1, 8), [0]),
        ([PROBLEM], Sampling(1, -1.0, 8), [0]),
    ],
)
def test_arguments_without_an_answer_are_refused(problems, sampling, seeds) -> None:
    with pytest.raises(ValueError):
        check_generate_arguments(problems, sampling, seeds)
