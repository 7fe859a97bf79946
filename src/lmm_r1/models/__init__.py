"""Layer 2: load or build the policy, write its prompts, and compute its log-probabilities."""

from lmm_r1.models.broken_wheels import hide_if_broken
from lmm_r1.models.torchvision_compat import make_torchvision_importable

# Here, because transformers imports these as soon as any of its model classes is named at a module's top.
hide_if_broken("torchaudio")
hide_if_broken("torchcodec")
make_torchvision_importable()
