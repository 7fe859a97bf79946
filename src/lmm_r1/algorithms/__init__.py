"""Pure tensor functions: rewards to advantages, log-probabilities to losses.

`advantages` turns `[P, G]` rewards into `[P, G]` advantages; `losses` turns log-probabilities into a loss for each
token; `kl` estimates the divergence from the reference policy for each token; `aggregation` says how token losses
become one number. A variant is one function here and one file in `conf/algorithm/`.
"""
