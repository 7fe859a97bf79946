"""Problems made on the spot: exact answers, a seed, a difficulty, five renderings."""

from lmm_r1.data.synthetic.dataset import SyntheticDataset, TraceDataset
from lmm_r1.data.synthetic.families import FAMILIES

__all__ = ["FAMILIES", "SyntheticDataset", "TraceDataset"]
