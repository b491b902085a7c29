"""Two arms' candidates become one list."""

from __future__ import annotations

import numpy as np
import pytest

from ranking.errors import UsageError
from ranking.retrieval.fusion import METHODS, Fusion, Pool, pooled
from ranking.retrieval.index import ExactIndex
from ranking.retrieval.lexical import build

POOL = Pool(
    np.array([[2, 5, 7, 9], [1, -1, -1, -1]]),
    np.array([[4, 0, 2, 2], [0, 0, 0, 0]], np.float32),
    np.array([[0.2, 0.6, -0.2, 0.5], [0.1, 0, 0, 0]], np.float32),
)


def test_both_arms_score_every_candidate() -> None:
    rng = np.random.default_rng(0)
    words = [f"w{number}" for number in range(40)]
    lexical = build({"text": [" ".join(rng.choice(words, 5)) for _ in range(60)]})
    dense = ExactIndex.of(rng.normal(size=(60, 8)).astype(np.float32), "e")
    texts, vectors = [" ".join(rng.choice(words, 3)) for _ in range(9)] + [""], rng.normal(size=(10, 8))
    pool = pooled(lexical, dense, texts, vectors.astype(np.float32), 6)
    found = lexical.search(texts, 60), dense.search(vectors.astype(np.float32), 60)
    for query in range(10):
        rows = pool.rows[query][pool.filled[query]]
        union = {*found[0].rows[query, :6].tolist(), *found[1].rows[query, :6].tolist()} - {-1}
        assert rows.tolist() == sorted(union)
        for every, ours in zip(found, (pool.lexical, pool.dense), strict=True):
            scores = dict(zip(every.rows[query].tolist(), every.scores[query].tolist(), strict=True))
            assert ours[query, : len(rows)].tolist() == [scores.get(row, 0.0) for row in rows.tolist()]


def test_reciprocal_ranks_by_hand() -> None:
    """By BM25: 2, then 7 and 9 alike, and 5 is not found; by cosine: 5, 9, 2, 7."""
    expected = [1 / 61 + 1 / 63, 1 / 61, 1 / 62 + 1 / 64, 1 / 62 + 1 / 62]
    np.testing.assert_allclose(Fusion("rrf").scores(POOL)[0], expected)
    assert Fusion("rrf").scores(POOL)[1].tolist() == [1 / 61, -np.inf, -np.inf, -np.inf]


def test_convex_by_hand() -> None:
    expected = 0.75 * np.array([4, 0, 2, 2]) / 4 + 0.25 * np.array([1.2, 1.6, 0.8, 1.5]) / 1.6
    np.testing.assert_allclose(Fusion("convex", 0.25).scores(POOL)[0], expected, rtol=1e-6)
    np.testing.assert_allclose(Fusion("convex", 0.25).scores(POOL)[1, 0], 0.25)


def test_one_arm_alone_gives_what_its_search_gives() -> None:
    assert Fusion("lexical").best(POOL, 5).rows.tolist() == [[2, 7, 9, -1, -1], [-1] * 5]
    assert Fusion("dense").best(POOL, 3).rows.tolist() == [[5, 9, 2], [1, -1, -1]]


def test_the_ends_of_convex_are_the_arms() -> None:
    assert Fusion("convex", 1.0).best(POOL, 4).rows[0].tolist() == [5, 9, 2, 7]
    assert Fusion("convex", 0.0).best(POOL, 4).rows[0].tolist() == [2, 7, 9, 5]


@pytest.mark.parametrize("method", METHODS)
def test_what_else_is_a_candidate_changes_no_order(method: str) -> None:
    """More candidates, all worse by both arms, as a deeper search brings them."""
    rng = np.random.default_rng(1)
    lexical, dense = rng.random((5, 8)).astype(np.float32) + 1, rng.random((5, 8)).astype(np.float32)
    worse = lexical[:, :4] - 1, dense[:, :4] - 1
    rows = np.tile(np.arange(12), (5, 1))
    small = Pool(rows[:, :8], lexical, dense)
    large = Pool(rows, np.concatenate([lexical, worse[0]], 1), np.concatenate([dense, worse[1]], 1))
    fusion = Fusion(method)  # type: ignore[arg-type]
    np.testing.assert_allclose(fusion.scores(large)[:, :8], fusion.scores(small), rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_no_query_and_no_candidate_are_no_trouble(method: str) -> None:
    fusion = Fusion(method)  # type: ignore[arg-type]
    for shape in ((0, 3), (2, 0)):
        empty = Pool(np.full(shape, -1), np.zeros(shape, np.float32), np.zeros(shape, np.float32))
        assert fusion.best(empty, 4).rows.tolist() == [[-1] * 4] * shape[0]


def test_a_fusion_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown fusion 'rff'; did you mean 'rrf'"):
        Fusion("rff")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"must lie in 0 … 1, got 1\.5"):
        Fusion("convex", 1.5)
    index = build({"text": ["word"]})
    with pytest.raises(UsageError, match="a vector for every text, got 0 for 1"):
        pooled(index, index, ["word"], np.zeros((0, 2), np.float32), 1)


def test_a_fusion_goes_through_json() -> None:
    assert Fusion(**Fusion("convex", 0.3).as_json()) == Fusion("convex", 0.3)
    assert (str(Fusion("convex", 0.3)), str(Fusion("rrf"))) == ("convex(dense 0.30)", "rrf")
