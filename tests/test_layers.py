"""The house stands as `docs/architecture.md` draws it: who imports whom, what is heavy, how long a piece may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import HANG_SECONDS

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCE = REPOSITORY / "src" / "lmm_r1"
MODULES = sorted(SOURCE.rglob("*.py"))
ENTRY_POINTS = [REPOSITORY / "train.py", REPOSITORY / "eval.py"]

MAY_IMPORT = {
    "errors": set(),
    "atomic_files": {"errors"},
    "model_files": {"errors"},
    "answer_rules": {"errors"},
    "progress": set(),
    "disk_cache": {"errors", "atomic_files"},
    "types": {"answer_rules"},
    "rewards": {"errors", "atomic_files", "types", "answer_rules", "progress"},
    "algorithms": {"errors", "types"},
    "data": {"errors", "types", "answer_rules"},
    "models": {"errors", "atomic_files", "model_files", "types"},
    "rollout": {"errors", "atomic_files", "types", "answer_rules", "progress", "disk_cache", "models"},
    "evaluation": {"errors", "atomic_files", "types", "answer_rules", "disk_cache", "rewards", "rollout"},
    "reporting": {"errors", "atomic_files", "types", "rollout"},
    "training": {
        "errors",
        "atomic_files",
        "types",
        "disk_cache",
        "algorithms",
        "rewards",
        "data",
        "models",
        "rollout",
        "evaluation",
        "reporting",
    },
    "cli": {
        "errors",
        "atomic_files",
        "model_files",
        "types",
        "answer_rules",
        "disk_cache",
        "rewards",
        "data",
        "training",
        "evaluation",
        "reporting",
    },
}
"""The rooms that each room may import besides itself."""

NEVER_LOADED = {
    "rewards": ("transformers", "lightning", "vllm", "hydra", "pandas", "matplotlib"),
    "algorithms": ("transformers", "lightning", "vllm", "hydra", "pandas", "matplotlib"),
    "data": ("transformers", "lightning", "vllm", "hydra"),
    "models": ("lightning", "vllm", "hydra"),
    "rollout": ("lightning", "vllm", "hydra"),
    "evaluation": ("torch", "transformers", "lightning", "vllm", "hydra"),
    "reporting": ("torch", "transformers", "lightning", "vllm", "hydra"),
    "training": ("vllm", "hydra"),
    "cli": ("torch", "transformers", "lightning", "vllm"),
}
"""What is not in memory after all modules of a room have been imported."""

LINES_OF_A_FILE = 300
LINES_OF_A_FUNCTION = 60


def imports(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")


def test_imports_run_downwards():
    wrong = [
        f"{dotted(path)} imports {name}"
        for path in MODULES
        for name in imports(path)
        if name.startswith("lmm_r1.") and name.split(".")[1] not in MAY_IMPORT.get(room(path), set()) | {room(path)}
    ]
    assert wrong == []


def test_only_the_files_of_the_engine_name_vllm():
    named = {dotted(path) for path in MODULES if "vllm" in {name.split(".")[0] for name in imports(path)}}
    assert all(name.startswith("lmm_r1.rollout.vllm_") for name in named)


def test_only_the_entry_points_know_hydra():
    for path in MODULES:
        if room(path) != "cli":
            assert not {"hydra", "omegaconf"} & {name.split(".")[0] for name in imports(path)}, dotted(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NEVER_LOADED)
def test_a_room_can_be_entered_first_and_brings_no_more_than_it_needs(name):
    modules = [dotted(path) for path in MODULES if room(path) == name]
    code = (
        f"import importlib, sys\n"
        f"for module in {modules}: importlib.import_module(module)\n"
        f"print(*[heavy for heavy in {NEVER_LOADED[name]} if heavy in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_SECONDS)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.split() == []


@pytest.mark.parametrize("path", [*MODULES, *ENTRY_POINTS], ids=lambda path: path.name)
def test_a_file_and_its_functions_can_be_read_in_one_go(path):
    tree = ast.parse(path.read_text())
    assert len(path.read_text().splitlines()) <= LINES_OF_A_FILE
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < LINES_OF_A_FUNCTION, node.name


def test_an_entry_point_fits_on_a_screen():
    for path in ENTRY_POINTS:
        assert len(path.read_text().splitlines()) < 60
