"""Laws of the policy loss, its aggregation, and the KL estimators."""

from __future__ import annotations

import pytest
import torch

from lmm_r1.algorithms.aggregation import constant_length, sequence_mean, token_mean
from lmm_r1.algorithms.kl import k1, k2, k3
from lmm_r1.algorithms.losses import clipped_surrogate


def loss_of(logprob: float, old: float, advantage: float, clip_low: float = 0.2, clip_high: float = 0.3):
    logprobs = torch.tensor([[logprob]], requires_grad=True)
    result = clipped_surrogate(
        logprobs,
        torch.tensor([[old]]),
        torch.tensor([[advantage]]),
        torch.tensor([[True]]),
        clip_low=clip_low,
        clip_high=clip_high,
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


def enumerate_kl(estimator):
    """The estimator's expectation under the policy, and its gradient's, over a vocabulary of four."""
    scores = torch.tensor([0.3, -0.2, 0.5, 0.1], requires_grad=True)
    reference = torch.tensor([0.1, 0.4, -0.3, 0.2]).log_softmax(0)
    logprobs = scores.log_softmax(0)
    estimate = estimator(logprobs, reference)
    weights = logprobs.detach().exp()
    gradient = torch.autograd.grad((weights * estimate).sum(), scores, retain_graph=True)[0]
    exact = (logprobs.exp() * (logprobs - reference)).sum()
    exact_gradient = torch.autograd.grad(exact, scores)[0]
    return (weights * estimate).sum().item(), exact.item(), gradient, exact_gradient


@pytest.mark.parametrize("estimator", [k1, k3])
def test_k1_and_k3_are_unbiased(estimator):
    mean, exact, _, _ = enumerate_kl(estimator)
    assert mean == pytest.approx(exact, abs=1e-6)


def test_k2_has_the_gradient_of_the_divergence():
    _, _, gradient, exact = enumerate_kl(k2)
    assert torch.allclose(gradient, exact, atol=1e-6)


def test_k1_as_a_loss_has_no_gradient_on_average():
    _, _, gradient, _ = enumerate_kl(k1)
    assert gradient.abs().max() < 1e-6


def test_k3_is_never_negative():
    logprobs, reference = torch.randn(100, generator=torch.manual_seed(0)), torch.zeros(100)
    assert (k3(logprobs, reference) >= 0).all()
