"""Mined negatives are those of brute force, and never known positives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ranking.data.arrays import Float32
from ranking.retrieval.encoders.encoder import unit
from ranking.retrieval.fitting import Known, Settings, mine
from ranking.retrieval.fitting import negatives as module
from ranking.retrieval.judgments import Judgments

RNG = np.random.default_rng(3)
QUERIES = unit(RNG.normal(size=(15, 5)).astype(np.float32))
DOCUMENTS = unit(RNG.normal(size=(30, 5)).astype(np.float32))
PAIRS = np.argwhere(RNG.random((14, 30)) < 0.15)  # the last query has none
JUDGMENTS = Judgments(PAIRS[:, 0], PAIRS[:, 1], np.ones(len(PAIRS), np.float32))
KNOWN = Known.of(JUDGMENTS, 15)
SETTINGS = Settings(depth=12, skip=2, negatives=4, margin=0.2)


def allowed(query: int, settings: Settings, documents: Float32 = DOCUMENTS) -> list[int]:
    """The window of a query, one document after the other."""
    positives = JUDGMENTS.documents[JUDGMENTS.queries == query].tolist()
    near = {row: float(QUERIES[query] @ document) for row, document in enumerate(documents)}
    ranked = sorted((row for row in near if row not in positives), key=lambda row: -near[row])
    window = ranked[settings.skip : settings.depth]
    if settings.margin is None or not positives:
        return window
    nearest = max(near[row] for row in positives)
    return [row for row in window if near[row] < nearest - settings.margin * abs(nearest)]


@pytest.mark.parametrize("block", [1 << 24, 70], ids=["at once", "two queries at a time"])
@pytest.mark.parametrize("margin", [None, 0.0, 0.2])
def test_negatives_are_those_of_brute_force(
    margin: float | None, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    settings = replace(SETTINGS, margin=margin)
    everything = replace(settings, negatives=10)
    drawn = mine(QUERIES, DOCUMENTS, KNOWN, settings, np.random.default_rng(0))
    every = mine(QUERIES, DOCUMENTS, KNOWN, everything, np.random.default_rng(0))
    sizes = []
    for query in range(15):
        window = allowed(query, settings)
        sizes.append(len(window))
        assert sorted(every.rows[query][every.rows[query] >= 0]) == sorted(window)
        mine_ = drawn.rows[query][drawn.rows[query] >= 0].tolist()
        assert len(set(mine_)) == len(mine_) == min(4, len(window))
        assert set(mine_) <= set(window)
    assert drawn.masked == pytest.approx(1 - sum(sizes) / (15 * 10))
    assert drawn.short == pytest.approx(np.mean(np.array(sizes) < 4))
    assert (margin is None) == (drawn.masked == 0)


def test_a_known_positive_is_never_a_negative() -> None:
    """Even where all documents are within depth."""
    found = mine(
        QUERIES, DOCUMENTS, KNOWN, Settings(depth=99, negatives=30, margin=None), np.random.default_rng(0)
    )
    for query in range(15):
        positives = set(JUDGMENTS.documents[JUDGMENTS.queries == query].tolist())
        assert set(found.rows[query].tolist()) - {-1} == set(range(30)) - positives


def test_a_margin_is_of_the_absolute_similarity() -> None:
    """A positive at -0.5: what is nearer than -0.55 is left out, not what is nearer than -0.475."""
    query = np.array([[1, 0]], np.float32)
    documents = np.array([[-0.5, 0], [-0.52, 0], [-0.6, 0]], np.float32)
    known = Known.of(Judgments(np.array([0]), np.array([0]), np.ones(1, np.float32)), 1)
    found = mine(query, documents, known, Settings(depth=9, margin=0.1), np.random.default_rng(0))
    assert set(found.rows[0].tolist()) == {-1, 2}


def test_draws_differ_and_repeat_by_seed() -> None:
    first, again, other = (
        mine(QUERIES, DOCUMENTS, KNOWN, SETTINGS, np.random.default_rng(seed)).rows for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_known_positives_of_a_batch() -> None:
    queries, documents = np.array([3, 0, 3, 14]), np.array([7, 29, 7, 0, 12])
    expected = [[bool((((q, d) == PAIRS).all(1)).any()) for d in documents] for q in queries]
    np.testing.assert_array_equal(KNOWN.among(queries, documents), expected)
    assert KNOWN.among(queries, np.zeros(0, np.int64)).shape == (4, 0)


def test_of_a_query_so_many_positives_are_drawn() -> None:
    query, document, _ = KNOWN.drawn(2, np.random.default_rng(0))
    counts = np.bincount(JUDGMENTS.queries, minlength=15)
    np.testing.assert_array_equal(np.bincount(query, minlength=15), np.minimum(counts, 2))
    assert {*zip(query.tolist(), document.tolist(), strict=True)} <= {tuple(pair) for pair in PAIRS.tolist()}
    others = KNOWN.drawn(2, np.random.default_rng(1))[1]
    assert (others != document).any()
