"""The tiny model that the repository ships."""

from __future__ import annotations

import pytest

from lmm_r1.models.loading import load_policy, load_processor
from lmm_r1.models.ship import CHECKSUMS, LARGEST_BYTES, sha256, ship


def test_every_shipped_file_has_the_checksum_written_beside_it(repository):
    folder = repository / "models" / "tiny"
    lines = (folder / CHECKSUMS).read_text().splitlines()
    written = {name: digest for digest, name in (line.split("  ") for line in lines)}
    present = {path.name: sha256(path) for path in folder.iterdir() if path.name != CHECKSUMS}
    assert present == written


def test_the_shipped_model_is_small_and_loads(repository):
    folder = repository / "models" / "tiny"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= LARGEST_BYTES
    policy = load_policy(str(folder), "float32")
    assert 1e6 <= sum(parameter.numel() for parameter in policy.parameters()) <= 3e6
    assert load_processor(str(folder), None, None).tokenizer.eos_token == "<|im_end|>"


def test_shipping_replaces_the_folder_and_refuses_what_is_too_large(tmp_path):
    export, folder = tmp_path / "export", tmp_path / "shipped"
    export.mkdir()
    (export / "config.json").write_text("{}")
    folder.mkdir()
    (folder / "stale").touch()
    assert ship(export, folder) == {"config.json": sha256(folder / "config.json")}
    assert sorted(path.name for path in folder.iterdir()) == [CHECKSUMS, "config.json"]
    (export / "weights").write_bytes(b"0" * (LARGEST_BYTES + 1))
    with pytest.raises(ValueError, match="MB"):
        ship(export, folder)
