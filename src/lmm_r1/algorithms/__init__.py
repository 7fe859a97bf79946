"""Pure tensor functions: rewards to advantages, log-probabilities to losses.

`advantages` turns `[P, G]` rewards into `[P, G]` advantages; `returns` spreads rewards over tokens, for the algorithms
that discount, estimate with values, or whiten. `losses` turns log-probabilities into a loss for each token, `value`
does so for a critic; `kl` estimates the divergence from the reference policy for each token and `kl_control` steers its
coefficient; `correction` weighs tokens by how far the trainer's probabilities are from the sampler's; `aggregation`
says how token losses become one number. A variant is one function here and one file in `conf/algorithm/`.
"""
