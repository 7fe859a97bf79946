"""Both stages in one figure: validation accuracy by rendering against RL steps.

python -m lmm_r1.reporting.curves <FRE run> <MGT run> <picture.png>
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lmm_r1.errors import UserError
from lmm_r1.reporting.panels import COLOURS, RENDERING_COLOURS
from lmm_r1.reporting.run_folder import read_run

LABEL_GAP = 4.5
"""Percentage points between the names at the ends of the curves, so that they do not overlap."""


def two_stage_figure(fre_run: Path, mgt_run: Path, out_png: Path) -> None:
    """Draw the two stages side by side on one scale, 200 dots an inch.

    Raises:
        UserError: a folder is no run, or its run was never validated.
    """
    histories = [_history(fre_run), _history(mgt_run)]
    names = list(dict.fromkeys(name for history in histories for name in history))
    fallback = iter(COLOURS)
    colours = {name: RENDERING_COLOURS.get(name) or next(fallback) for name in names}
    lengths = [max(1, int(history.index.max())) for history in histories]
    with rc_context(_STYLE):
        figure = Figure(figsize=(9, 4), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.02, wspace=0)
        stages = figure.subplots(1, 2, sharey=True, width_ratios=lengths)
        for axes, history, title in zip(stages, histories, ("FRE: text alone", "MGT: images"), strict=True):
            for name in history:
                values = history[name].dropna()
                axes.plot(values.index, values, color=colours[name], marker="o", markersize=3.5, clip_on=False)
            axes.set_title(title, loc="left")
            axes.set_xlabel("RL step")
            axes.set_xlim(0, int(history.index.max()))
        stages[0].set_ylabel("validation accuracy (%)")
        stages[0].set_ylim(bottom=0)
        stages[1].spines["left"].set(visible=True, color="#8a8d94", linestyle=(0, (4, 3)))
        stages[1].tick_params(axis="y", length=0)
        _name_ends(stages[1], histories[1], colours)
        figure.savefig(out_png, dpi=200)


def _history(run_folder: Path) -> pd.DataFrame:
    """Validation accuracy in percent by RL step, a column a rendering."""
    history = 100 * read_run(run_folder).validation_accuracy()
    renderings = [name for name in history if name]
    if not renderings:
        raise UserError(f"{run_folder}/metrics.csv holds no validation accuracy by rendering; nothing to draw")
    return history[renderings]


def _name_ends(axes: Axes, history: pd.DataFrame, colours: dict[str, str]) -> None:
    """Write each rendering's name at the end of its curve, moved apart where names would overlap."""
    ends = sorted((float(history[name].dropna().iloc[-1]), name) for name in history)
    places = [ends[0][0]]
    for value, _ in ends[1:]:
        places.append(max(value, places[-1] + LABEL_GAP))
    pushed = sum(place - value for place, (value, _) in zip(places, ends, strict=True)) / len(ends)
    for place, (value, name) in zip(places, ends, strict=True):
        axes.annotate(
            f"{name.replace('_', ' ')} {value:.0f}",
            xy=(1, place - pushed),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=colours[name],
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lmm_r1.reporting.curves", description=__doc__)
    parser.add_argument("fre_run", type=Path)
    parser.add_argument("mgt_run", type=Path)
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    try:
        two_stage_figure(arguments.fre_run, arguments.mgt_run, arguments.picture)
    except UserError as error:
        parser.error(str(error))


_STYLE = {
    "font.family": "sans-serif",
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a8d94",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "grid.color": "#e4e5e8",
    "grid.linewidth": 0.8,
    "xtick.color": "#8a8d94",
    "ytick.color": "#8a8d94",
    "xtick.labelcolor": "#1c1d20",
    "ytick.labelcolor": "#1c1d20",
    "lines.linewidth": 2,
}


if __name__ == "__main__":
    main()
