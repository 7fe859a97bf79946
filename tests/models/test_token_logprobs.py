"""The head in chunks says what a log-softmax over all logits says, and holds no more than one chunk of them."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from lmm_r1.models import token_logprobs as module
from lmm_r1.models.architecture import architecture_of
from lmm_r1.models.costs import head_bytes
from lmm_r1.models.token_logprobs import token_logprobs
from tests.models.peak import PeakMemory

BANNED = torch.tensor([3, 7])


def inputs(tokens: int = 11, words: int = 50, size: int = 16) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    hidden, weight = (
        torch.randn(shape, generator=random).requires_grad_() for shape in ((tokens, size), (words, size))
    )
    return hidden, weight, torch.randint(10, words, (tokens,), generator=random)


def whole(hidden, weight, sampled, temperature) -> tuple[torch.Tensor, torch.Tensor]:
    logits = (hidden @ weight.T / temperature).index_fill(-1, BANNED, -torch.inf)
    distribution = torch.distributions.Categorical(logits=logits)
    return distribution.log_prob(sampled), distribution.entropy().detach()


@pytest.mark.parametrize("chunk", [1, 4, 11, 100])
@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_chunks_equal_a_log_softmax_over_everything(monkeypatch, chunk, temperature) -> None:
    monkeypatch.setitem(module.CHUNK_TOKENS, "cpu", chunk)
    hidden, weight, sampled = inputs()
    logprobs, entropy = token_logprobs(
        hidden, weight, sampled, temperature=temperature, banned=BANNED, with_entropy=True
    )
    expected, expected_entropy = whole(hidden, weight, sampled, temperature)
    torch.testing.assert_close(logprobs, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(entropy, expected_entropy, rtol=1e-5, atol=1e-5)
    assert not entropy.requires_grad
    factors = torch.linspace(-1, 2, len(sampled))
    ours = torch.autograd.grad((logprobs * factors).sum(), (hidden, weight))
    plain = torch.autograd.grad((expected * factors).sum(), (hidden, weight))
    for mine, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("of_logprobs", [0.0, 1.0])
def test_the_entropy_has_the_gradient_of_its_definition(monkeypatch, of_logprobs) -> None:
    monkeypatch.setitem(module.CHUNK_TOKENS, "cpu", 4)
    hidden, weight, sampled = inputs()
    logprobs, entropy = token_logprobs(
        hidden, weight, sampled, temperature=0.7, banned=BANNED, with_entropy=True, entropy_gradient=True
    )
    logits = (hidden @ weight.T / 0.7)[:, [word for word in range(50) if word not in BANNED]].double()
    every = logits.log_softmax(-1)
    expected, _ = whole(hidden, weight, sampled, 0.7)
    factors = torch.linspace(-1, 2, len(sampled))
    ours = torch.autograd.grad(((entropy + of_logprobs * logprobs) * factors).sum(), (hidden, weight))
    plain = -(every.exp() * every).sum(-1).float() + of_logprobs * expected
    for mine, other in zip(ours, torch.autograd.grad((plain * factors).sum(), (hidden, weight)), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)


def test_a_frozen_head_passes_the_gradient_on() -> None:
    hidden, weight, sampled = inputs()
    logprobs, entropy = token_logprobs(
        hidden, weight.detach(), sampled, temperature=1.0, banned=BANNED, with_entropy=False
    )
    logprobs.sum().backward()
    assert hidden.grad.any() and weight.grad is None and entropy is None


def test_a_sharp_distribution_has_an_exact_entropy() -> None:
    """Where nearly all probability lies on one word, entropy is far smaller than the logits."""
    hidden, weight, sampled = inputs()
    _, entropy = token_logprobs(hidden * 3, weight, sampled, temperature=1.0, banned=BANNED, with_entropy=True)
    logits = (hidden.double() * 3 @ weight.double().T).index_fill(-1, BANNED, -torch.inf)
    expected = torch.distributions.Categorical(logits=logits).entropy()
    assert expected.min() < 1e-3
    torch.testing.assert_close(entropy.double(), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("where", ["weights", "autocast"])
def test_half_precision_is_summed_in_float32(where) -> None:
    hidden, weight, sampled = inputs(tokens=1100)
    expected, _ = whole(hidden, weight, sampled, 1.0)
    plain = torch.autograd.grad(expected.sum(), weight)[0]
    if where == "weights":
        hidden, weight = hidden.detach().bfloat16(), weight.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=where == "autocast"):
        logprobs, _ = token_logprobs(hidden, weight, sampled, temperature=1.0, banned=BANNED, with_entropy=False)
    assert logprobs.dtype == torch.float32
    gradient = torch.autograd.grad(logprobs.sum(), weight)[0]
    assert gradient.dtype == weight.dtype
    assert (logprobs - expected).abs().max() < 0.2
    assert (gradient - plain).norm() / plain.norm() < 0.02


def test_no_tensor_is_larger_than_a_chunk_of_logits(monkeypatch) -> None:
    monkeypatch.setitem(module.CHUNK_TOKENS, "cpu", 8)
    sizes = []

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            sizes.extend(part.numel() for part in (result,) if isinstance(part, torch.Tensor))
            return result

    hidden, weight, sampled = inputs(tokens=64, words=1000, size=4)
    with Sizes():
        logprobs, _ = token_logprobs(hidden, weight, sampled, temperature=1.0, banned=BANNED, with_entropy=True)
        logprobs.sum().backward()
    assert max(sizes) == 8 * 1000


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize(
    ("weights", "autocast"), [(torch.float32, False), (torch.float32, True), (torch.bfloat16, False)]
)
def test_the_head_of_the_3b_model_takes_the_memory_that_is_planned(monkeypatch, device, trained, weights, autocast):
    """Counted on tensors without contents, in chunks of the device's size."""
    monkeypatch.setitem(module.CHUNK_TOKENS, "cpu", module.CHUNK_TOKENS[device])
    text, passes = architecture_of("Qwen/Qwen2.5-VL-3B-Instruct").text, torch.bfloat16 if autocast else weights
    with FakeTensorMode():
        hidden = torch.empty(8192, text.hidden, dtype=passes, requires_grad=True)
        weight = torch.empty(text.vocabulary, text.hidden, dtype=weights, requires_grad=trained)
        sampled, banned = torch.zeros(8192, dtype=torch.int64), torch.zeros(2, dtype=torch.int64)
        with PeakMemory(hidden, weight) as memory, torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            logprobs, _ = token_logprobs(hidden, weight, sampled, temperature=1.0, banned=banned, with_entropy=True)
            logprobs.sum().backward()
    planned = head_bytes(text, weights.itemsize, passes.itemsize, trained=trained, device_type=device)
    # Beside it, the gradient of the hidden states, and a trained weight's gradient in its own dtype.
    beside = hidden.numel() * hidden.itemsize + (weight.numel() * 2 if trained and weights != torch.float32 else 0)
    assert planned <= memory.peak <= 1.05 * (planned + beside)
