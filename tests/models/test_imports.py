"""The room makes broken binary packages harmless and leaves sound ones alone."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from lmm_r1.models.broken_wheels import hide_if_broken
from lmm_r1.models.torchvision_compat import make_torchvision_importable
from tests.running import HANG_SECONDS


def run_python(code: str, repository: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=repository / "src", timeout=HANG_SECONDS
    )


@pytest.mark.slow
def test_torchvision_resizes_in_a_fresh_process(repository: Path) -> None:
    code = (
        "import lmm_r1.models, torch\n"
        "from torchvision.transforms.v2.functional import resize\n"
        "print(tuple(resize(torch.zeros(3, 8, 8), [4, 4]).shape))"
    )
    result = run_python(code, repository)
    assert result.stdout.strip() == "(3, 4, 4)", result.stderr


def test_an_imported_torchvision_is_left_alone() -> None:
    import torchvision

    before = dict(vars(torchvision))
    make_torchvision_importable()
    assert vars(torchvision) == before


@pytest.mark.parametrize("fault", ["OSError('no library')", "RuntimeError('no FFmpeg')"])
def test_a_package_that_cannot_be_imported_counts_as_absent(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_for_test.py").write_text(f"raise {fault}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_for_test", raising=False)
    hide_if_broken("broken_for_test")
    assert importlib.util.find_spec("broken_for_test") is None
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("broken_for_test")
    del sys.modules["broken_for_test"]


def test_sound_and_absent_packages_are_left_alone() -> None:
    hide_if_broken("json")
    hide_if_broken("no_such_package_anywhere")
    assert sys.modules["json"] is not None
    assert "no_such_package_anywhere" not in sys.modules
