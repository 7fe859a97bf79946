"""`probes.html`: what the probes found, on one page with examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lmm_r1.atomic_files import write_text
from lmm_r1.evaluation.statistics import Interval

if TYPE_CHECKING:
    from lmm_r1.evaluation.probes import Report

LONGEST_TEXT = 1200
"""Characters of a completion that are shown."""


def write_page(report: Report) -> Path:
    """Write `probes.html` into the folder that the report is of; returns its path."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"share": _share, "number": _number, "short": _short}
    page = environment.get_template("probes.html.j2").render(report=report, parts=list(report.lengths))
    path = Path(report.folder) / "probes.html"
    write_text(path, page)
    return path


def _share(interval: Interval) -> str:
    return f"{100 * interval.mean:.1f} ({100 * interval.low:.1f}–{100 * interval.high:.1f})"


def _number(interval: Interval | None, digits: int) -> str:
    if interval is None:
        return ""
    return f"{interval.mean:.{digits}f} ({interval.low:.{digits}f}–{interval.high:.{digits}f})"


def _short(text: str) -> str:
    hidden = len(text) - LONGEST_TEXT
    return text if hidden <= 0 else f"{text[:LONGEST_TEXT]} … ({hidden} more characters)"
