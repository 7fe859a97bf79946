"""A token's log-probability depends on its own sequence alone, and means what the sampler means."""

from __future__ import annotations

import pytest
import torch

from lmm_r1.models.loading import load_config
from lmm_r1.models.logprobs import completion_statistics
from lmm_r1.models.prompts import banned_token_ids, render_prompt

TEMPERATURE = 0.7


@pytest.fixture
def rows(processor, text_problem, image_problem) -> list[dict]:
    """Three sequences of different lengths: text, two images, text. Each with its prompt and completion."""
    sequences = []
    for problem, completion in (
        (text_problem, "<think>7"),
        (image_problem, "<answer>the first</answer>"),
        (text_problem, "8"),
    ):
        prompt = render_prompt(processor, problem, "Think." if completion == "8" else None)
        batch = processor(text=[prompt], images=list(problem.images) or None, return_tensors="pt")
        row = {name: batch.get(name) for name in ("pixel_values", "image_grid_thw")}
        row["prompt"] = batch["input_ids"][0]
        row["completion"] = torch.tensor(processor.tokenizer.encode(completion))
        sequences.append(row)
    return sequences


@pytest.fixture
def banned(tiny_folder, processor) -> torch.Tensor:
    return torch.tensor(banned_token_ids(processor, load_config(str(tiny_folder))))


def score(
    model, rows: list[dict], banned: torch.Tensor, extra: int = 0, temperature: float = TEMPERATURE, filler: int = 9
):
    """Statistics of the rows as one batch, with `extra` columns of padding more than they need."""
    length = max(len(row["completion"]) for row in rows) + extra
    ids = torch.full((len(rows), length), filler)
    mask = torch.zeros(len(rows), length, dtype=torch.bool)
    for number, row in enumerate(rows):
        ids[number, : len(row["completion"])] = row["completion"]
        mask[number, : len(row["completion"])] = True
    images = [row for row in rows if row["pixel_values"] is not None]
    return completion_statistics(
        model,
        [row["prompt"] for row in rows],
        ids,
        mask,
        torch.cat([row["pixel_values"] for row in images]) if images else None,
        torch.cat([row["image_grid_thw"] for row in images]) if images else None,
        temperature=temperature,
        banned=banned,
    )


def plain_logits(model, row: dict) -> torch.Tensor:
    """Transformers' own forward over one unpadded sequence: `[T, V]` before each sampled token."""
    ids = torch.cat([row["prompt"], row["completion"]]).unsqueeze(0)
    logits = model(
        input_ids=ids,
        mm_token_type_ids=(ids == model.config.image_token_id).int(),
        pixel_values=row["pixel_values"],
        image_grid_thw=row["image_grid_thw"],
    ).logits
    return logits[0, len(row["prompt"]) - 1 : -1]


@torch.no_grad()
def test_batch_equals_transformers_forward_of_each_sequence(policy, rows, banned) -> None:
    statistics = score(policy, rows, banned)
    for number, row in enumerate(rows):
        logits = plain_logits(policy, row) / TEMPERATURE
        logits[:, banned] = -torch.inf
        expected = torch.distributions.Categorical(logits=logits)
        length = len(row["completion"])
        torch.testing.assert_close(
            statistics.logprobs[number, :length], expected.log_prob(row["completion"]), atol=1e-5, rtol=0
        )
        torch.testing.assert_close(statistics.entropy[number, :length], expected.entropy(), atol=1e-5, rtol=0)


@torch.no_grad()
def test_padding_order_and_neighbours_change_nothing(policy, rows, banned) -> None:
    together = score(policy, rows, banned)
    reordered = score(policy, rows[::-1], banned, extra=5, filler=3)
    for number, row in enumerate(rows):
        length = len(row["completion"])
        alone = score(policy, [row], banned)
        for other in (reordered.logprobs[len(rows) - 1 - number], alone.logprobs[0]):
            torch.testing.assert_close(together.logprobs[number, :length], other[:length], atol=1e-5, rtol=0)


@torch.no_grad()
def test_images_are_placed_in_two_dimensions(policy, rows, banned, monkeypatch) -> None:
    """Without token types transformers silently counts positions in one dimension; the result must differ."""
    right = score(policy, rows[1:2], banned).logprobs
    monkeypatch.setattr(type(policy.model), "compute_3d_position_ids", lambda self, **inputs: None)
    assert (right - score(policy, rows[1:2], banned).logprobs).abs().max() > 1e-4


@torch.no_grad()
def test_nothing_sampled_scores_nothing(policy, rows, banned) -> None:
    statistics = score(policy, rows, banned, extra=2)
    for number, row in enumerate(rows):
        assert (statistics.logprobs[number, : len(row["completion"])] < 0).all()
        assert (statistics.logprobs[number, len(row["completion"]) :] == 0).all()
        assert (statistics.entropy[number, len(row["completion"]) :] == 0).all()


@torch.no_grad()
def test_all_probability_lies_on_the_allowed_tokens(policy, rows, banned) -> None:
    row = rows[0]
    allowed = [token for token in range(policy.config.text_config.vocab_size) if token not in banned.tolist()]
    one_token = [{**row, "completion": torch.tensor([token])} for token in allowed]
    total = score(policy, one_token, banned).logprobs.exp().sum()
    assert total.item() == pytest.approx(1.0, abs=1e-5)


def test_a_banned_token_among_the_sampled_is_an_error(policy, rows, banned) -> None:
    spoilt = {**rows[0], "completion": banned[:1]}
    with pytest.raises(ValueError, match="banned"):
        score(policy, [spoilt], banned)


def test_greedy_has_no_log_probabilities(policy, rows, banned) -> None:
    with pytest.raises(ValueError, match="temperature"):
        score(policy, rows, banned, temperature=0.0)


def test_images_that_do_not_belong_to_the_prompts_are_an_error(policy, rows, banned) -> None:
    without = {**rows[1], "pixel_values": None, "image_grid_thw": None}
    with pytest.raises(ValueError, match="26 image tokens and the images give 0 features"):
        score(policy, [without], banned)
    foreign = {**rows[0], "pixel_values": rows[1]["pixel_values"], "image_grid_thw": rows[1]["image_grid_thw"]}
    with pytest.raises(ValueError, match="0 image tokens and the images give 26 features"):
        score(policy, [foreign], banned)


def test_gradients_reach_every_weight_and_are_finite(policy, rows, banned) -> None:
    score(policy, rows, banned, extra=3).logprobs.sum().backward()
    for name, parameter in policy.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_the_gradient_is_that_of_a_plain_log_softmax(policy, rows, banned) -> None:
    """The in-place arithmetic must not corrupt what autograd saved."""
    score(policy, rows, banned).logprobs.sum().backward()
    ours = {name: parameter.grad.clone() for name, parameter in policy.named_parameters()}
    policy.zero_grad()
    keep = torch.ones(policy.config.text_config.vocab_size, dtype=torch.bool).index_fill(0, banned, False)
    total = 0.0
    for row in rows:
        logits = (plain_logits(policy, row) / TEMPERATURE).masked_fill(~keep, -torch.inf)
        total = total + logits.log_softmax(-1).gather(-1, row["completion"].unsqueeze(-1)).sum()
    total.backward()
    for name, parameter in policy.named_parameters():
        torch.testing.assert_close(ours[name], parameter.grad, atol=1e-4, rtol=1e-3, msg=name)
