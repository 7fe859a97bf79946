"""Laws of the weights between sampler and trainer."""

from __future__ import annotations

import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmm_r1.algorithms.correction import sequence_masked, sequence_truncated, token_masked, token_truncated
from tests.algorithms.batches import GARBAGE, batches, law

CORRECTIONS = {
    "token_truncated": functools.partial(token_truncated, cap=2.0),
    "token_masked": functools.partial(token_masked, low=0.5, high=2.0),
    "sequence_truncated": functools.partial(sequence_truncated, cap=2.0),
    "sequence_masked": functools.partial(sequence_masked, low=0.5, high=2.0),
}
EVERY = pytest.mark.parametrize("correction", CORRECTIONS.values(), ids=CORRECTIONS)


@EVERY
@law
@given(batch=batches())
def test_engines_that_agree_need_no_correction(correction, batch):
    assert torch.equal(correction(batch.old_logprobs, batch.old_logprobs, batch.mask), batch.mask.double())


@EVERY
@law
@given(batch=batches(), garbage=st.sampled_from(GARBAGE))
def test_what_is_outside_the_mask_has_no_influence(correction, batch, garbage):
    clean = correction(batch.logprobs, batch.old_logprobs, batch.mask)
    dirty = batch.with_outside(garbage)
    assert torch.equal(clean, correction(dirty.logprobs, dirty.old_logprobs, batch.mask))
    assert (clean[~batch.mask] == 0).all()


@EVERY
@law
@given(batch=batches())
def test_weights_stay_in_their_range_and_carry_no_gradient(correction, batch):
    weights = correction(batch.logprobs.requires_grad_(), batch.old_logprobs, batch.mask)
    assert not weights.requires_grad
    assert (weights <= 2).all() and (weights >= 0).all()


@pytest.mark.parametrize("name", ["sequence_truncated", "sequence_masked"])
@law
@given(batch=batches())
def test_a_completion_has_one_weight(name, batch):
    weights = CORRECTIONS[name](batch.logprobs, batch.old_logprobs, batch.mask)
    assert torch.equal(weights, weights[:, :1] * batch.mask)


@pytest.mark.parametrize("name", ["token_masked", "sequence_masked"])
@law
@given(batch=batches())
def test_masking_keeps_a_ratio_or_drops_it(name, batch):
    weights = CORRECTIONS[name](batch.logprobs, batch.old_logprobs, batch.mask)
    difference = (batch.logprobs - batch.old_logprobs) * batch.mask
    if name.startswith("sequence"):
        difference = difference.sum(dim=1, keepdim=True).expand_as(difference)
    ratios = difference.exp()
    inside = (ratios >= 0.5) & (ratios <= 2) & batch.mask
    torch.testing.assert_close(weights, ratios * inside)


def test_a_correction_out_of_reach_of_its_cap_is_unbiased():
    sampler, old = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.1, 0.3]]).log()
    outcomes = torch.tensor([1.0, -2.0, 5.0])
    weights = token_truncated(old[:, None], sampler[:, None], torch.ones(3, 1, dtype=torch.bool), cap=100.0)[:, 0]
    assert (sampler.exp() * weights * outcomes).sum() == pytest.approx((old.exp() * outcomes).sum().item())


def test_a_long_completion_leaves_the_range_where_its_tokens_do_not():
    old, sampler = torch.full((1, 100), -1.0), torch.full((1, 100), -1.02)
    mask = torch.ones(1, 100, dtype=torch.bool)
    assert (token_masked(old, sampler, mask, low=0.5, high=2.0) > 1).all()
    assert (sequence_masked(old, sampler, mask, low=0.5, high=2.0) == 0).all()
