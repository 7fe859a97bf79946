"""The families by name."""

from __future__ import annotations

from collections.abc import Mapping

from lmm_r1.data.synthetic.bars import Bars
from lmm_r1.data.synthetic.base import Family
from lmm_r1.data.synthetic.chain import Chain
from lmm_r1.data.synthetic.chart import Chart
from lmm_r1.data.synthetic.count import Count
from lmm_r1.data.synthetic.function import Function
from lmm_r1.data.synthetic.grid import Grid
from lmm_r1.data.synthetic.shape import Shape
from lmm_r1.data.synthetic.table import Table
from lmm_r1.data.synthetic.triangle import Triangle

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (Chain(), Grid(), Bars(), Count(), Shape(), Triangle(), Function(), Chart(), Table())
}
"""The first five are legible from 84 pixels on, the others from 336."""
