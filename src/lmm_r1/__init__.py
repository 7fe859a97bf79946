"""Two-stage, rule-based reinforcement learning of vision-language models, after LMM-R1 (arXiv 2503.07536)."""
