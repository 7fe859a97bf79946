"""Nothing is trained on a gold answer that does not verify against itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from torch.utils.data import Subset

from lmm_r1.data.local import LocalDataset
from lmm_r1.errors import UserError
from lmm_r1.rewards.audit import verify_golds

log = logging.getLogger(__name__)

LISTED = 20
"""Dropped problems that the message lists one by one."""


def with_verifiable_golds(data: Sequence[Any]) -> Sequence[Any]:
    """The data set without problems that nobody could solve; generated problems have exact golds and pass as they are.

    The authors' code pays such problems in full whatever is answered; here they are dropped and counted in the log.

    Raises UserError where nothing is left.
    """
    if not isinstance(data, LocalDataset):
        return data
    audit = verify_golds(data.golds())
    if not audit.kept:
        raise UserError(f"dataset.path={data.path}: no gold verifies against itself; is dataset.answer_type right?")
    if audit.dropped:
        reasons = ", ".join(f"{count} {reason}" for reason, count in audit.reasons.most_common())
        lines = ", ".join(str(data.line(index)) for index in list(audit.dropped)[:LISTED])
        log.warning("%s: dropped golds that do not verify: %s; lines %s", data.path, reasons, lines)
    return Subset(data, audit.kept)
