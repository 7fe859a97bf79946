"""The list of mutations keeps up with the code that it breaks."""

from __future__ import annotations

import re

import pytest

from tests.mutation.verifier import MUTATIONS, REPOSITORY, Mutation, places


def test_there_are_enough_and_each_differs() -> None:
    assert len({(mutation.file, mutation.replacement, mutation.snippet) for mutation in MUTATIONS}) == len(MUTATIONS)
    assert len(MUTATIONS) >= 15


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.why)
def test_each_finds_its_place_and_its_tests(mutation: Mutation) -> None:
    assert places(mutation) == 1
    assert mutation.snippet != mutation.replacement
    for test in mutation.tests.split():
        file, _, name = test.partition("::")
        text = (REPOSITORY / "tests/rewards" / file).read_text(encoding="utf-8")
        assert not name or re.search(rf"^def {name}\(", text, re.MULTILINE)
