"""What a verdict on a gold follows from, as one hash: the gold, the code that judges it, and the libraries beneath."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import lmm_r1.answer_rules
from lmm_r1.errors import UserError
from lmm_r1.rewards.audit import HasGold

LIBRARIES = ("math-verify", "latex2sympy2_extended", "sympy")


def audit_fingerprint(golds: Sequence[HasGold]) -> str:
    """SHA-256 over golds with their types, choices and rules, and over the verifiers.

    Of a judge or a simulator of somebody's own, the file that defines it counts, not what that imports.

    Raises:
        UserError: there is no such judge or simulator.
    """
    digest = hashlib.sha256(f"{platform.python_version()} {sys.maxsize}".encode())
    for gold in golds:
        digest.update(json.dumps([gold.answer, gold.answer_type, list(gold.choices), asdict(gold.rules)]).encode())
    for name in LIBRARIES:
        digest.update(f"{name} {importlib.metadata.version(name)}".encode())
    for path in (*_own_code(), *_code_of_others(golds)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _own_code() -> Iterable[Path]:
    yield Path(lmm_r1.answer_rules.__file__)
    yield from sorted(Path(__file__).parent.rglob("*.py"))


def _code_of_others(golds: Sequence[HasGold]) -> Iterable[Path]:
    names = {gold.answer_type for gold in golds} | {gold.rules.simulator for gold in golds}
    for name in sorted(name for name in names if "." in name):
        try:
            file = import_module(name.rpartition(".")[0]).__file__
        except ImportError as error:
            raise UserError(f"{name}: there is no such judge or simulator ({error})") from error
        if file is not None:
            yield Path(file)
