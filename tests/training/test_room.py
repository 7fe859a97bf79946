"""A disk that cannot hold what a run saves is noticed before the run starts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hydra.utils import instantiate

from lmm_r1.cli.composition import compose_config, plain
from lmm_r1.cli.paths import register_resolvers
from lmm_r1.errors import UserError
from lmm_r1.training.room import check_room


def test_a_disk_without_room_is_refused_with_the_numbers(tmp_path, repository):
    register_resolvers()
    config = plain(compose_config("train", ["debug=tiny"]))
    model, trainer = (instantiate(config[group], _convert_="all") for group in ("model", "trainer"))
    check_room(tmp_path, model.path, model, trainer, None)
    many = replace(trainer, steps=10**12, keep_checkpoints=10**9)
    message = r"1000000001 checkpoints of 0\.014 GB and the export of 0\.00726 GB need .*keep_checkpoints"
    with pytest.raises(UserError, match=message):
        check_room(tmp_path, model.path, model, many, None)
    # Those that are there already need no more.
    (tmp_path / "checkpoints").mkdir()
    for step in range(3):
        (tmp_path / "checkpoints" / f"step_{step:06d}.ckpt").touch()
    with pytest.raises(UserError, match="999999998 checkpoints"):
        check_room(tmp_path, model.path, model, many, None)
