"""Laws of the policy losses and of their aggregation."""

from __future__ import annotations

import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmm_r1.algorithms.aggregation import constant_length, sequence_mean, token_mean
from lmm_r1.algorithms.losses import (
    clipped_surrogate,
    clipped_weights,
    policy_gradient,
    sequence_clipped_surrogate,
    single_action_surrogate,
)
from tests.algorithms.batches import GARBAGE, Batch, batches, law

CLIP = {"clip_low": 0.2, "clip_high": 0.3}
LOSSES = {
    "ppo": functools.partial(clipped_surrogate, **CLIP),
    "dual": functools.partial(clipped_surrogate, **CLIP, dual_clip=2.0),
    "gspo": functools.partial(sequence_clipped_surrogate, **CLIP),
    "rloo": functools.partial(single_action_surrogate, **CLIP),
    "cispo": functools.partial(clipped_weights, clip_high=1.0),
    "cispo_two_sided": functools.partial(clipped_weights, **CLIP),
    "reinforce": policy_gradient,
}
EVERY_LOSS = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
AGGREGATIONS = {
    "token_mean": token_mean,
    "sequence_mean": sequence_mean,
    "constant_length": functools.partial(constant_length, length=5),
}
EVERY_AGGREGATION = pytest.mark.parametrize("aggregation", AGGREGATIONS.values(), ids=AGGREGATIONS)


def value_and_gradient(loss, batch: Batch, aggregation, parts: list[torch.Tensor] | None = None):
    """The loss of a mini-batch and its gradient, added up over micro-batches: the rows of each of `parts`."""
    logprobs = batch.logprobs.clone().requires_grad_()
    weights, count = aggregation(batch.mask)
    total = torch.zeros(())
    for rows in parts or [torch.arange(len(logprobs))]:
        part = batch._replace(logprobs=logprobs).rows(rows)
        longest = int(part.mask.sum(dim=1).max())
        cut = Batch(*(tensor[:, :longest] for tensor in part))
        micro = (loss(*cut).loss * weights[rows, :longest]).sum() / count
        micro.backward()
        total = total + micro.detach()
    return total, logprobs.grad


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9, check_dtype=False)


@EVERY_LOSS
@EVERY_AGGREGATION
@law
@given(batch=batches(), seed=st.integers(0, 1000), size=st.integers(1, 4))
def test_loss_and_gradient_are_invariant_to_order_and_micro_batch_split(loss, aggregation, batch, seed, size):
    order = torch.randperm(len(batch.mask), generator=torch.Generator().manual_seed(seed))
    assert_same(
        value_and_gradient(loss, batch, aggregation),
        value_and_gradient(loss, batch, aggregation, list(order.split(size))),
    )


@EVERY_LOSS
@EVERY_AGGREGATION
@law
@given(batch=batches(), garbage=st.sampled_from(GARBAGE))
def test_loss_and_gradient_are_invariant_to_padding_and_what_it_holds(loss, aggregation, batch, garbage):
    pad = functools.partial(torch.nn.functional.pad, pad=(0, 2))
    padded = Batch(pad(batch.logprobs), pad(batch.old_logprobs), batch.advantages, pad(batch.mask)).with_outside(
        garbage
    )
    value, gradient = value_and_gradient(loss, batch, aggregation)
    assert_same((value, pad(gradient)), value_and_gradient(loss, padded, aggregation))


@EVERY_LOSS
@law
@given(batch=batches(), garbage=st.sampled_from(GARBAGE))
def test_a_masked_token_gets_exactly_nothing(loss, batch, garbage):
    batch = batch.with_outside(garbage)
    logprobs = batch.logprobs.clone().requires_grad_()
    result = loss(logprobs, *batch[1:])
    result.loss.sum().backward()
    for tensor in (*result, logprobs.grad):
        assert tensor.shape == batch.mask.shape
        assert (tensor[~batch.mask] == 0).all() and tensor.isfinite().all()


@EVERY_LOSS
@law
@given(batch=batches())
def test_a_completion_of_no_tokens_is_no_fault(loss, batch):
    batch.mask[0] = False
    batch.advantages[0] = torch.nan
    value, gradient = value_and_gradient(loss, batch.with_outside(torch.nan), sequence_mean)
    assert value.isfinite() and gradient.isfinite().all()


@pytest.mark.parametrize("loss", [loss for name, loss in LOSSES.items() if name != "rloo"])
@law
@given(batch=batches())
def test_on_policy_the_gradient_is_the_plain_policy_gradient(loss, batch):
    batch = batch._replace(logprobs=batch.old_logprobs)
    _, gradient = value_and_gradient(loss, batch, lambda mask: (mask.float(), torch.ones(())))
    torch.testing.assert_close(gradient, -batch.advantages * batch.mask)


@law
@given(batch=batches())
def test_on_policy_a_single_action_has_the_policy_gradient_of_its_summed_logprobs(batch):
    batch = batch._replace(logprobs=batch.old_logprobs)
    _, gradient = value_and_gradient(LOSSES["rloo"], batch, sequence_mean)
    torch.testing.assert_close(gradient, -batch.advantages * batch.mask / len(batch.mask), rtol=1e-6, atol=1e-8)


def sequence_form(logprobs, old_logprobs, advantages, mask):
    """GSPO as its paper writes it, with the gradient through the geometric mean, spread over the tokens."""
    mean = ((logprobs - old_logprobs) * mask).sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True)
    ratio = mean.exp()
    loss = -torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.3) * advantages)
    return LOSSES["gspo"](logprobs, old_logprobs, advantages, mask)._replace(loss=loss * mask)


@EVERY_AGGREGATION
@law
@given(batch=batches())
def test_the_token_form_of_gspo_is_its_sequence_form(aggregation, batch):
    assert_same(
        value_and_gradient(LOSSES["gspo"], batch, aggregation), value_and_gradient(sequence_form, batch, aggregation)
    )


@law
@given(batch=batches())
def test_gspo_clips_whole_completions(batch):
    result = LOSSES["gspo"](*batch)
    for clipped in (result.clipped_low, result.clipped_high):
        share = clipped.sum(dim=1) / batch.mask.sum(dim=1)
        assert ((share == 0) | (share == 1)).all()


@law
@given(batch=batches())
def test_a_single_action_of_one_token_is_that_token(batch):
    one = Batch(*(tensor[:, :1] for tensor in batch))
    assert_same(value_and_gradient(LOSSES["rloo"], one, token_mean), value_and_gradient(LOSSES["ppo"], one, token_mean))


def test_a_single_action_has_one_advantage():
    ones = torch.ones(2, 3)
    with pytest.raises(ValueError, match=r"must be \[B, 1\], got \(2, 3\)"):
        LOSSES["rloo"](ones, ones, ones, ones.bool())


@law
@given(batch=batches())
def test_dual_clip_bounds_the_loss_of_bad_tokens_and_leaves_good_ones_alone(batch):
    plain, dual = LOSSES["ppo"](*batch), LOSSES["dual"](*batch)
    bad = (batch.advantages < 0) & batch.mask
    bound = (-2.0 * batch.advantages).expand_as(dual.loss)
    assert (dual.loss[bad] <= bound[bad]).all()
    assert torch.equal(dual.loss[~bad], plain.loss[~bad])
    assert torch.equal(dual.loss[bad], torch.minimum(plain.loss, bound)[bad])


@law
@given(batch=batches())
def test_clipped_weights_never_end_a_gradient(batch):
    _, gradient = value_and_gradient(LOSSES["cispo_two_sided"], batch, lambda mask: (mask.float(), torch.ones(())))
    assert (gradient[batch.mask] != 0).all()


@law
@given(batch=batches())
def test_clipped_weights_without_a_clip_in_reach_are_importance_sampling(batch):
    _, gradient = value_and_gradient(
        functools.partial(clipped_weights, clip_high=1e9), batch, lambda mask: (mask.float(), torch.ones(()))
    )
    expected = -(batch.logprobs - batch.old_logprobs).exp() * batch.advantages * batch.mask
    torch.testing.assert_close(gradient, expected)


@EVERY_LOSS
def test_a_ratio_beyond_all_reason_stays_finite(loss):
    logprobs = torch.tensor([[0.0, -1e4]], requires_grad=True)
    result = loss(logprobs, torch.tensor([[-1e4, 0.0]]), torch.tensor([[0.0]]), torch.tensor([[True, True]]))
    result.loss.sum().backward()
    assert result.loss.isfinite().all() and logprobs.grad.isfinite().all()


def loss_of(logprob: float, old: float, advantage: float, clip_low: float = 0.2, clip_high: float = 0.3):
    logprobs = torch.tensor([[logprob]], requires_grad=True)
    result = clipped_surrogate(
        logprobs,
        torch.tensor([[old]]),
        torch.tensor([[advantage]]),
        torch.tensor([[True]]),
        clip_low=clip_low,
        clip_high=clip_high,
        dual_clip=2.0,
    )
    result.loss.sum().backward()
    return result, logprobs.grad.item()


def test_ratio_one_gives_the_plain_policy_gradient():
    result, gradient = loss_of(-1.0, -1.0, 2.0)
    assert result.loss.item() == pytest.approx(-2.0)
    assert gradient == pytest.approx(-2.0)


@pytest.mark.parametrize(
    ("ratio", "advantage", "clipped"),
    [
        (1.31, 1.0, "high"),
        (1.29, 1.0, None),
        (0.79, -1.0, "low"),
        (0.81, -1.0, None),
        (1.5, -1.0, None),
        (0.5, 1.0, None),
        (2.1, -1.0, "high"),
    ],
)
def test_the_clip_takes_the_gradient_only_where_the_policy_has_gone_far_enough(ratio, advantage, clipped):
    result, gradient = loss_of(torch.tensor(ratio).log().item(), 0.0, advantage)
    assert (gradient == 0) == (clipped is not None)
    assert bool(result.clipped_low) == (clipped == "low")
    assert bool(result.clipped_high) == (clipped == "high")


@pytest.mark.parametrize("aggregation", [token_mean, sequence_mean, lambda m: constant_length(m, length=5)])
def test_a_masked_token_has_no_weight(aggregation):
    mask = torch.tensor([[True, True, False], [True, False, False]])
    weights, _ = aggregation(mask)
    assert (weights[~mask] == 0).all() and (weights[mask] > 0).all()


def test_aggregations_average_as_they_say():
    mask = torch.tensor([[True, True, True], [True, False, False]])
    losses = torch.tensor([[1.0, 2.0, 3.0], [10.0, 99.0, 99.0]])

    def aggregated(aggregation):
        weights, count = aggregation(mask)
        return ((weights * losses).sum() / count).item()

    assert aggregated(token_mean) == pytest.approx(16 / 4)
    assert aggregated(sequence_mean) == pytest.approx((2 + 10) / 2)
    assert aggregated(lambda m: constant_length(m, length=5)) == pytest.approx(16 / 5 / 2)
