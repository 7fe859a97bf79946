"""What each KL estimator promises in value and in gradient, by exact expectation over a small vocabulary."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmm_r1.algorithms.kl import importance_weighted, k1, k2, k3, k3_straight_through
from lmm_r1.algorithms.kl_control import adapted
from tests.algorithms.batches import law

TOKENS = 4
ESTIMATORS = {"k1": k1, "k2": k2, "k3": k3, "k3_straight_through": k3_straight_through}


class Expectation(NamedTuple):
    value: torch.Tensor
    gradient: torch.Tensor


class Policies:
    """A policy with its scores, a reference, and an older policy that sampled."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        scores, reference, old = torch.randn(3, TOKENS, generator=generator, dtype=torch.float64)
        self.scores = scores.requires_grad_()
        self.logprobs = self.scores.log_softmax(0)
        self.reference = reference.log_softmax(0)
        self.old = old.log_softmax(0)

    def of(self, value: torch.Tensor) -> Expectation:
        return Expectation(value.detach(), torch.autograd.grad(value, self.scores, retain_graph=True)[0])

    def expected(self, estimate: torch.Tensor, sampler: torch.Tensor | None = None) -> Expectation:
        """Mean estimate over tokens of the sampler (the policy), which are samples: no gradient goes through them."""
        sampler = self.logprobs if sampler is None else sampler
        return self.of((sampler.detach().exp() * estimate).sum())

    @property
    def divergence(self) -> Expectation:
        return self.of((self.logprobs.exp() * (self.logprobs - self.reference)).sum())

    @property
    def reversed_divergence(self) -> Expectation:
        return self.of((self.reference.exp() * (self.reference - self.logprobs)).sum())


policies = st.integers(0, 2**31).map(Policies)


@pytest.mark.parametrize("name", ["k1", "k3", "k3_straight_through"])
@law
@given(policies=policies)
def test_the_value_is_unbiased(name, policies):
    estimate = ESTIMATORS[name](policies.logprobs, policies.reference)
    torch.testing.assert_close(policies.expected(estimate).value, policies.divergence.value)


@pytest.mark.parametrize("name", ["k2", "k3_straight_through"])
@law
@given(policies=policies)
def test_the_gradient_is_that_of_the_divergence(name, policies):
    estimate = ESTIMATORS[name](policies.logprobs, policies.reference)
    torch.testing.assert_close(policies.expected(estimate).gradient, policies.divergence.gradient)


@law
@given(policies=policies)
def test_k1_as_a_loss_has_no_gradient_on_average(policies):
    gradient = policies.expected(k1(policies.logprobs, policies.reference)).gradient
    torch.testing.assert_close(gradient, torch.zeros_like(gradient))


@law
@given(policies=policies)
def test_k1_in_the_reward_has_the_policy_gradient_of_the_divergence(policies):
    penalty = k1(policies.logprobs, policies.reference).detach()
    torch.testing.assert_close(policies.expected(penalty * policies.logprobs).gradient, policies.divergence.gradient)


@law
@given(policies=policies)
def test_k3_as_a_loss_has_the_gradient_of_the_other_direction(policies):
    gradient = policies.expected(k3(policies.logprobs, policies.reference)).gradient
    torch.testing.assert_close(gradient, policies.reversed_divergence.gradient)


def test_k2_is_biased_in_value():
    policies = Policies(seed=0)
    estimate = policies.expected(k2(policies.logprobs, policies.reference)).value
    assert abs(estimate - policies.divergence.value) > 0.05


@pytest.mark.parametrize("name", ["k1", "k3"])
@law
@given(policies=policies)
def test_importance_weighted_estimates_are_unbiased_in_both_off_the_policy(name, policies):
    estimate = ESTIMATORS[name](policies.logprobs, policies.reference)
    weighted = importance_weighted(estimate, policies.logprobs, policies.old)
    for ours, exact in zip(policies.expected(weighted, policies.old), policies.divergence, strict=True):
        torch.testing.assert_close(ours, exact)


@law
@given(policies=policies)
def test_k2_and_k3_are_never_negative(policies):
    assert (k2(policies.logprobs, policies.reference) >= 0).all()
    assert (k3(policies.logprobs, policies.reference) >= -1e-12).all()


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("distance", [-1e4, -100.0, 21.0, 100.0, 1e4])
def test_policies_far_apart_give_finite_numbers(name, distance):
    """In float32, where exp(89) is infinite; with the weight of the importance ratio too."""
    logprobs = torch.tensor([-1.0 - max(0.0, distance)], requires_grad=True)
    reference = torch.tensor([-1.0 + min(0.0, distance)])
    estimate = ESTIMATORS[name](logprobs, reference)
    for value in (estimate, importance_weighted(estimate, logprobs, logprobs.detach() - distance)):
        (gradient,) = torch.autograd.grad(value.sum(), logprobs, retain_graph=True)
        assert value.isfinite().all() and gradient.isfinite().all()


def test_k3_is_bounded_from_twenty_on_and_exact_below():
    reference, logprobs = torch.tensor(0.0), torch.tensor([-19.0, -21.0, 300.0], requires_grad=True)
    values = k3(logprobs, reference)
    bound = math.exp(20) - 21
    assert values.tolist() == pytest.approx([math.exp(19) - 20, bound, 299.0])
    (gradient,) = torch.autograd.grad(values.sum(), logprobs)
    assert gradient.tolist() == pytest.approx([1 - math.exp(19), 0.0, 1.0])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_equal_policies_are_at_no_divergence(name):
    logprobs = Policies(seed=1).logprobs
    assert (ESTIMATORS[name](logprobs, logprobs.detach()) == 0).all()


def test_the_coefficient_follows_the_divergence_towards_its_target():
    settings = {"target": 0.1, "horizon": 1000, "batch_size": 100}
    assert adapted(0.01, 0.1, **settings) == 0.01
    assert adapted(0.01, 0.11, **settings) == pytest.approx(0.01 * 1.01)
    assert adapted(0.01, 99.0, **settings) == pytest.approx(0.01 * 1.02)
    assert adapted(0.01, 0.0, **settings) == pytest.approx(0.01 * 0.98)
