"""Laws of the critic's loss."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmm_r1.algorithms.value import explained_variance, value_loss
from tests.algorithms.batches import GARBAGE, law, on_processes, ragged_mask


@st.composite
def critics(draw: st.DrawFn) -> tuple[torch.Tensor, ...]:
    """Values, old values, returns and mask, `[B, T]` each."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    rows, tokens = draw(st.integers(2, 5)), draw(st.integers(2, 6))
    values, old, returns = torch.randn(3, rows, tokens, generator=generator, dtype=torch.float64)
    return values, old, returns, ragged_mask(rows, tokens, generator)


@law
@given(critic=critics())
def test_without_a_clip_it_is_half_the_squared_error(critic):
    values, _, returns, mask = critic
    expected = (values - returns).square() / 2 * mask
    assert torch.equal(value_loss(*critic, clip=None), expected)
    torch.testing.assert_close(value_loss(*critic, clip=1e9), expected)


@law
@given(critic=critics())
def test_the_clip_never_makes_the_loss_smaller(critic):
    assert (value_loss(*critic, clip=0.2) >= value_loss(*critic, clip=None)).all()


@pytest.mark.parametrize(
    ("value", "old", "target", "moves"),
    [(0.1, 0.0, 1.0, True), (0.5, 0.0, 1.0, False), (-0.5, 0.0, 1.0, True), (0.5, 0.0, -1.0, True)],
)
def test_a_value_that_went_far_enough_towards_its_return_has_no_gradient(value, old, target, moves):
    values = torch.tensor([[value]], requires_grad=True)
    value_loss(values, *(torch.tensor([[x]]) for x in (old, target)), torch.tensor([[True]]), clip=0.2).sum().backward()
    assert (values.grad.item() != 0) == moves


@law
@given(critic=critics(), garbage=st.sampled_from(GARBAGE))
def test_a_masked_value_gets_nothing_and_gives_nothing(critic, garbage):
    *tensors, mask = critic
    values, old, returns = (torch.where(mask, tensor, garbage) for tensor in tensors)
    values.requires_grad_()
    loss = value_loss(values, old, returns, mask, clip=0.2)
    loss.sum().backward()
    assert torch.equal(loss.detach(), value_loss(*critic, clip=0.2))
    assert (values.grad[~mask] == 0).all() and values.grad.isfinite().all()
    explained = explained_variance(values.detach(), returns, mask)
    assert torch.equal(explained, explained_variance(tensors[0], tensors[2], mask)) or explained.isnan()


def test_explained_variance_is_one_for_the_truth_and_zero_for_a_constant():
    returns, mask = torch.tensor([[1.0, 2.0], [4.0, 9.0]]), torch.tensor([[True, True], [True, False]])
    assert explained_variance(returns, returns, mask) == 1
    assert explained_variance(torch.full_like(returns, 7.0), returns, mask) == pytest.approx(0)
    assert explained_variance(-returns, returns, mask) == pytest.approx(-3)


def test_there_is_nothing_to_explain_in_equal_returns():
    assert explained_variance(torch.rand(2, 2), torch.ones(2, 2), torch.ones(2, 2, dtype=torch.bool)).isnan()


@law
@given(critic=critics())
def test_explained_variance_does_not_depend_on_the_number_of_processes(critic):
    parts = [tuple(tensor[rows] for tensor in (critic[0], critic[2], critic[3])) for rows in (slice(1), slice(1, None))]
    whole = explained_variance(critic[0], critic[2], critic[3])
    for part in on_processes(explained_variance, *parts):
        torch.testing.assert_close(part, whole, equal_nan=True)
