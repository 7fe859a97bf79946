"""The curves of a run's report: each panel an SVG that takes its colours from the page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lmm_r1.reporting.run_folder import RunFolder

COLOURS = ("#1f7fc4", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7f7f7f")
"""After Okabe and Ito's palette, which colour-blind readers can tell apart, with two more."""

RENDERING_COLOURS = {
    "text_only": "#1f7fc4",
    "text_dominant": "#56b4e9",
    "text_lite": "#009e73",
    "vision_dominant": "#e69f00",
    "vision_only": "#d55e00",
    "image": "#cc79a7",
}

INK = "#010203"
GRID = "#040506"
"""Stand-ins that `_svg` replaces by the page's own colours, so that a panel suits a dark page too."""

MOST_POINTS = 400
"""Longer runs are averaged to about this many points a curve, to keep the page small."""


@dataclass(frozen=True)
class Line:
    """One curve of a panel."""

    column: str
    label: str


@dataclass(frozen=True)
class Panel:
    """A drawn panel, ready for the page."""

    title: str
    svg: str
    legend: tuple[tuple[str, str], ...] = field(default=())
    """Label and colour of each curve; empty where the title says it all."""


CURVES: tuple[tuple[str, tuple[Line, ...]], ...] = (
    ("Reward", (Line("reward/mean", "mean"),)),
    ("Training accuracy", (Line("accuracy", "accuracy"),)),
    ("Format", (Line("reward/format", "training"), Line("validation/format", "validation"))),
    (
        "Completion length (tokens)",
        (
            Line("completion/length", "training"),
            Line("validation/length", "validation"),
            Line("completion/length_correct", "right"),
            Line("completion/length_wrong", "wrong"),
        ),
    ),
    (
        "Answers missing, unreadable or out of time",
        (
            Line("verdict/no_answer", "none given"),
            Line("verdict/unparsable", "unparsable"),
            Line("verdict/timeout", "timeout"),
            Line("verdict/killed", "killed"),
        ),
    ),
    (
        "Truncated completions, groups without variance",
        (Line("completion/truncated", "truncated"), Line("groups/zero_variance", "no variance")),
    ),
    ("KL", (Line("policy/kl", "to the reference"), Line("policy/sampler_kl", "to the sampler"))),
    ("Entropy (nats a token)", (Line("policy/entropy", "entropy"),)),
    ("Clipped tokens", (Line("policy/clip_low", "low"), Line("policy/clip_high", "high"))),
    ("Loss", (Line("policy/loss", "loss"),)),
    ("Gradient norm", (Line("policy/grad_norm", "norm"),)),
    ("Rollout (tokens a second)", (Line("rollout/tokens_per_second", "tokens"),)),
)


TERM = "reward/"
ELSEWHERE = ("reward/mean", "reward/accuracy", "reward/format")
"""Columns of the reward that have panels of their own."""


def draw_panels(run: RunFolder) -> list[Panel]:
    """Every panel for which the run measured something, the most telling first."""
    panels = [
        _curve_panel(title, [(line.label, run.column(line.column)) for line in lines], smooth=True)
        for title, lines in CURVES
    ]
    first, rest = (*panels[:2], _validation_panel(run), _shaping_panel(run)), (*panels[2:], _phase_panel(run))
    return [panel for panel in (*first, *rest) if panel]


def _curve_panel(
    title: str, series: Sequence[tuple[str, pd.Series]], smooth: bool, colours: Sequence[str] = COLOURS
) -> Panel | None:
    """Curves over steps: the values pale, their moving average on top where `smooth` and there are enough."""
    drawn = [(label, _thinned(values), colour) for (label, values), colour in zip(series, colours, strict=False)]
    drawn = [curve for curve in drawn if len(curve[1])]
    if not drawn:
        return None
    with rc_context(_STYLE):
        figure, axes = _canvas()
        for _, values, colour in drawn:
            window = len(values) // 15
            if smooth and window >= 2:
                axes.plot(values.index, values, color=colour, linewidth=0.8, alpha=0.35)
                values = values.rolling(window, center=True, min_periods=1).mean()
            sparse = len(values) <= 25
            axes.plot(values.index, values, color=colour, marker="o" if sparse else None, markersize=3)
        svg = _svg(figure, title)
    legend = tuple((label, colour) for label, _, colour in drawn) if len(series) > 1 else ()
    return Panel(title, svg, legend)


def _validation_panel(run: RunFolder) -> Panel | None:
    history = run.validation_accuracy()
    renderings = [name for name in history if name] or list(history)
    series = [(name.replace("_", " ") or "all", history[name].dropna()) for name in renderings]
    fallback = iter(COLOURS)
    colours = [RENDERING_COLOURS.get(name) or next(fallback) for name in renderings]
    return _curve_panel("Validation accuracy by rendering", series, smooth=False, colours=colours)


def _shaping_panel(run: RunFolder) -> Panel | None:
    """The reward's terms besides accuracy and format, before their weights."""
    names = [name for name in run.metrics if name.startswith(TERM) and name.count("/") == 1 and name not in ELSEWHERE]
    series = [(name.removeprefix(TERM).replace("_", " "), run.column(name)) for name in names]
    return _curve_panel("Other terms of the reward", series, smooth=True)


def _phase_panel(run: RunFolder) -> Panel | None:
    """Seconds of each phase, stacked; the legend has each phase's share of the steps' time."""
    columns = [name for name in run.metrics if name.startswith("time/")]
    # Row 0 is the start of the run, which would dwarf every step.
    rows = run.metrics.loc[run.metrics.index > 0, columns]
    seconds = rows.apply(pd.to_numeric, errors="coerce").fillna(0.0)
    total = float(seconds.to_numpy().sum())
    if not total:
        return None
    shares = (seconds.sum() / total).sort_values(ascending=False)
    phases = list(shares[shares >= 0.005].index)
    thin = _thinned(seconds)
    with rc_context(_STYLE):
        figure, axes = _canvas()
        floor = thin[phases[0]] * 0
        for phase, colour in zip(phases, COLOURS, strict=False):
            ceiling = floor + thin[phase]
            axes.fill_between(thin.index, floor, ceiling, color=colour, alpha=0.75, linewidth=0, step="mid")
            floor = ceiling
        axes.set_ylim(bottom=0)
        svg = _svg(figure, "Seconds a step, by phase")
    legend = tuple(
        (f"{phase.removeprefix('time/')} {shares[phase]:.0%}", colour)
        for phase, colour in zip(phases, COLOURS, strict=False)
    )
    return Panel("Seconds a step, by phase", svg, legend)


def _thinned(values: pd.Series | pd.DataFrame) -> pd.Series | pd.DataFrame:
    """Means over equal stretches of steps, at most about `MOST_POINTS` of them."""
    stretch = -(-len(values) // MOST_POINTS)
    if stretch <= 1:
        return values
    bins = pd.Series(range(len(values)), index=values.index) // stretch
    means = values.groupby(bins).mean()
    means.index = pd.Series(values.index, index=values.index).groupby(bins).mean()
    return means


def _canvas() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.4, 2.3), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("step")
    return figure, axes


def _svg(figure: Figure, salt: str) -> str:
    """The figure as an inline SVG element whose ink and grid follow the page."""
    buffer = io.StringIO()
    # Ids must differ between the panels of one page; the salt goes into their hashes.
    with rc_context({"svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    element = buffer.getvalue()
    element = element[element.index("<svg") :]
    return element.replace(INK, "currentColor").replace(GRID, "var(--grid)")


_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
}
