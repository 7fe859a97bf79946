"""Layer 4: Lightning modules and callbacks, and the run that puts the parts together."""

import lmm_r1.models  # noqa: F401  (before lightning, whose metrics import torchvision: it may need mending first)
