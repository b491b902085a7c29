"""Names to places: all of them, and nothing else."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ranking.compiled.names import name_table, places

NAMES = st.lists(st.text(max_size=30), unique=True, max_size=60)


@settings(max_examples=100, deadline=None)
@given(NAMES, NAMES)
def test_every_name_has_its_place_and_others_have_none(names: list[str], others: list[str]) -> None:
    """As a dictionary would say."""
    known = {name: place for place, name in enumerate(names)}
    asked = [*names, *others]
    expected = [known.get(name, -1) for name in asked]
    assert places(asked, name_table(names)).tolist() == expected


def test_names_that_begin_alike_are_told_apart() -> None:
    """Eight bytes are compared at a time: the rest of the last eight does not count."""
    names = ["abcdefgh", "abcdefghi", "abcdefg", "", "abcdefgh\0"]
    assert places(names, name_table(names)).tolist() == [0, 1, 2, 3, 4]


def test_many_names_are_found() -> None:
    """The table stays half empty however many there are."""
    names = [f"document-{i}" for i in range(20_000)]
    table = name_table(names)
    assert np.array_equal(places(names, table), np.arange(20_000))
    assert len(table.slots) >= 2 * len(names)
