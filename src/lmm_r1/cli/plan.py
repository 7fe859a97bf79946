"""`python train.py … plan=true`: how large the run would be and how long its steps, printed in place of running it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.utils import instantiate

from lmm_r1.cli.checks import Config, lookup, one_of, optional_whole_number, whole_number
from lmm_r1.cli.command_line import parse_overrides
from lmm_r1.cli.inputs import check_planned_model, file_is_missing
from lmm_r1.cli.starting_run import LATEST_FRE, model_of, newest_finished_run, starting_folder
from lmm_r1.errors import UserError

if TYPE_CHECKING:
    from lmm_r1.training.plan import Plan

DEVICES = ("cpu", "h200", "h100", "a100", "l40s")
"""What `plan` may name; a test holds them to the table in `models.devices`."""
OPTIONAL = ("dataset.path",)
"""What a run must be given and a plan need not."""


def asks_for_a_plan(overrides: Sequence[str]) -> bool:
    parsed = [override for override in parse_overrides(overrides) if override.key_or_group == "plan"]
    return bool(parsed) and parsed[-1].value() not in (None, False)


def check_plan(config: Config) -> None:
    """Raises `UserError` for a device that is not known, and for what cannot be planned."""
    if config["plan"] not in (None, True, False):
        one_of(config, "plan", ("true", *DEVICES))
    whole_number(config, "expected.prompt_tokens", 1)
    whole_number(config, "expected.image_tokens", 0)
    optional_whole_number(config, "expected.completion_tokens", 1)
    if config["plan"] and config["stage_name"] == "sft":
        raise UserError("plan: of stage=fre and stage=mgt; stage=sft makes the tiny model's weights, in minutes")
    if config["plan"] and config["resume"] is not None:
        raise UserError("plan: of a run that is to be started; leave resume out")


def print_plan(config: Config) -> None:
    """Plan what was composed, and print it."""
    named, start = _start(config)
    check_planned_model(start, named)
    # Only now: these take seconds, and everything has been checked.
    from lmm_r1.training.plan import make_plan, planned_device

    def build(group: str) -> Any:
        return instantiate(config[group], _convert_="all")

    model = {**config["model"], "path": start}
    trainer, rollout = build("trainer"), build("rollout")
    plan = make_plan(
        planned_device(config["plan"], trainer, rollout),
        instantiate(model, _convert_="all"),
        build("algorithm"),
        rollout,
        trainer,
        build("expected"),
        None if file_is_missing(config, "dataset") else instantiate(config["dataset"]["train"], _convert_="all"),
    )
    print("\n".join(lines_of(plan)))


def lines_of(plan: Plan) -> Iterator[str]:
    """The plan in words and numbers."""
    device = plan.device
    yield f"Plan for {plan.processes} × {device.name} ({_bytes(device.memory)}, {_bytes(device.bandwidth)}/s, " + (
        ", ".join(f"{_short(flops)}FLOP/s {dtype}" for dtype, flops in device.flops.items()) + ")"
    )
    counts = plan.counts
    yield "\nParameters"
    yield from _rows(
        {
            "language model": _short(counts.language),
            "vision tower": _short(counts.vision),
            "output head": _short(counts.head) if counts.head else "tied to the embedding",
            **({"adapters": _short(counts.adapters)} if counts.adapters else {}),
            "trained": f"{_short(counts.trained)} of {_short(counts.model + counts.adapters)}",
        }
    )
    yield "\nMemory of each device"
    yield from _rows({part: _bytes(size) for part, size in plan.memory.items() if size})
    yield from _rows({"together": f"{_bytes(plan.needed)} of {_bytes(plan.available)} that can be filled"})
    yield from _verdict(plan)
    yield "\nDisk of the run's folder, without stored rollouts"
    yield from _rows({part: _bytes(size) for part, size in plan.disk.items()})
    yield from _rows({"together": _bytes(sum(plan.disk.values()))})
    yield "\nOne step, all devices"
    yield from _rows(_tokens(plan))
    total = sum(plan.flops.values()) * plan.processes
    yield from _rows(
        {
            "update": f"{_short(total)}FLOP ("
            + ", ".join(f"{purpose} {_short(flops * plan.processes)}" for purpose, flops in plan.flops.items())
            + ")"
        }
    )
    yield "\nSeconds a step, without rewards, validation and what several devices tell each other"
    seconds = sum(plan.seconds.values())
    yield from _rows(
        {phase: f"{value:.3g} s ({value / seconds:.0%})" for phase, value in plan.seconds.items()}
        | {"together": f"{seconds:.3g} s"}
    )


def _verdict(plan: Plan) -> Iterator[str]:
    if plan.fits:
        yield "  fits"
        return
    yield f"  DOES NOT FIT: {_bytes(plan.needed - plan.available)} too much. What would spare memory:"
    yield from (f"    {cure}" for cure in plan.cures)


def _tokens(plan: Plan) -> Mapping[str, str]:
    shape, processes = plan.shape, plan.processes
    groups, lengths = len(shape.prompts) * processes, plan.lengths
    completions = groups * len(shape.completions[0])
    image = f", {lengths.image:.0f} of them of images" if lengths.image else ""
    cache = f"; the KV cache holds {plan.cached_sequences} of the greatest length"
    return {
        "prompts": f"{groups} of {lengths.prompt:.0f} tokens{image} ({lengths.source})",
        "completions": f"{completions} of {shape.completions[0][0]} tokens ({plan.completion_source})",
        "at a time": f"{plan.sequences} on each device" + (cache if plan.seconds["rollout"] else ""),
        "tokens": f"{_short(shape.repeated_tokens * processes)}, "
        f"{_short(shape.shared_tokens * processes)} with each prompt once",
    }


def _start(config: Config) -> tuple[str, str]:
    """What names the model whose sizes the run has, and its folder or hub id; where the run that it goes on from is not
    there yet, the base's."""
    init_from, outputs = config["init_from"], Path(config["output_root"])
    if init_from is None or (init_from == LATEST_FRE and newest_finished_run(outputs / "fre") is None):
        path = lookup(config, "model.path")
        return f"model.path={path}", path
    return f"init_from={init_from}", str(model_of(starting_folder(init_from, outputs)))


def _rows(rows: Mapping[str, str]) -> Iterator[str]:
    return (f"  {name:<15} {value}" for name, value in rows.items())


def _short(number: float) -> str:
    """Three digits and a prefix: 3.09 G."""
    for size, prefix in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {prefix}"
    return f"{number:.3g} "


def _bytes(size: float) -> str:
    return f"{_short(size)}B"
