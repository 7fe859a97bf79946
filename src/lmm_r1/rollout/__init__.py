"""Layer 2: the engines that turn problems into groups of completions, and the store that keeps them on disk."""

import lmm_r1.models  # noqa: F401  (before transformers' model classes: packages they import may need mending first)
