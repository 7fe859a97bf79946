"""Equality with other trainers' own code. `make conformance` installs it; where it is absent, these tests skip."""

from __future__ import annotations

import lmm_r1.models  # noqa: F401  makes broken builds of torchvision and torchaudio bearable before TRL meets them
