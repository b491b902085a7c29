"""A fusion is chosen where it earns its place."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ranking.data.arrays import Float64
from ranking.errors import DataError
from ranking.retrieval.choosing import WEIGHTS, choose
from ranking.retrieval.folds import random_folds
from ranking.retrieval.fusion import Fusion, Pool
from ranking.retrieval.judgments import Judgments, ndcg

QUERIES, WIDTH = 80, 30


def arms(noise: tuple[float, float], seed: int = 0) -> tuple[Pool, Judgments]:
    """One relevant document a query, seen by each arm through noise of its own."""
    rng = np.random.default_rng(seed)
    relevant = rng.integers(WIDTH, size=QUERIES)
    signal = np.zeros((QUERIES, WIDTH))
    signal[np.arange(QUERIES), relevant] = 1.0
    lexical, dense = (signal + one * rng.normal(size=signal.shape) for one in noise)
    rows = np.tile(np.arange(WIDTH), (QUERIES, 1))
    pool = Pool(rows, np.maximum(lexical + 5, 0.1).astype(np.float32), np.tanh(dense / 3).astype(np.float32))
    return pool, Judgments(np.arange(QUERIES), relevant, np.ones(QUERIES, np.float32))


def test_two_arms_that_err_apart_are_fused() -> None:
    choice = choose(*arms((0.5, 0.5)), random_folds(QUERIES, 4))
    assert choice.fusion.method in ("rrf", "convex")
    assert (
        choice.ndcg[choice.fused]
        > choice.ndcg[choice.arm]
        == max(choice.ndcg["lexical"], choice.ndcg["dense"])
    )
    assert f"{choice.fusion} is chosen: {choice.fused} beats {choice.arm} alone" in choice.reason
    assert f"{choice.comparison.difference:+.4f} [+" in choice.reason
    assert json.loads(json.dumps(choice.as_json()))["fusion"]["method"] == choice.fusion.method


@pytest.mark.parametrize(("noise", "arm"), [((0.01, 1e6), "lexical"), ((1e6, 0.01), "dense")])
def test_a_worthless_arm_is_left_out(noise: tuple[float, float], arm: str) -> None:
    choice = choose(*arms(noise), random_folds(QUERIES, 4))
    assert (choice.fusion.method, choice.arm) == (arm, arm)
    assert choice.reason.startswith(f"{arm} is chosen: {choice.fused} does not beat {arm} alone")


def test_each_fold_is_measured_at_the_weight_of_the_others() -> None:
    """The same, the long way: a weight for each fold, and the mean over all held-out queries."""
    pool, judgments = arms((0.6, 0.4), seed=3)
    fold = random_folds(QUERIES, 4)
    table = [ndcg(Fusion("convex", weight).best(pool, 10), judgments) for weight in WEIGHTS]
    held: list[Float64] = []
    for one in range(4):
        means = [values[fold != one].mean() for values in table]
        held.append(table[int(np.argmax(means))][fold == one])
    choice = choose(pool, judgments, fold)
    np.testing.assert_allclose(choice.ndcg["convex"], np.concatenate(held).mean())
    assert choice.fusion.weight == WEIGHTS[int(np.argmax([values.mean() for values in table]))]


def test_queries_without_a_relevant_document_do_not_count() -> None:
    pool, judgments = arms((0.5, 0.5))
    fold = random_folds(QUERIES, 4)
    half = judgments.queries < 40
    some = Judgments(judgments.queries, judgments.documents, np.where(half, 1, 0).astype(np.float32))
    ours = choose(pool, some, fold)
    alone = choose(Pool(pool.rows[:40], pool.lexical[:40], pool.dense[:40]), judgments.where(half), fold[:40])
    assert ours == alone
    assert ours.queries == 40


def test_folds_that_cannot_be_are_refused() -> None:
    pool, judgments = arms((0.5, 0.5))
    with pytest.raises(DataError, match="a fold for each of the 80 queries, got 3"):
        choose(pool, judgments, np.array([0, 1, 2]))
    with pytest.raises(DataError, match="in two folds at least"):
        choose(pool, judgments, np.zeros(QUERIES, np.int64))
