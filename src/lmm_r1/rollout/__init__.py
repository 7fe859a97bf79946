"""Layer 2: the engines that turn problems into groups of completions, and the store that keeps them on disk."""
