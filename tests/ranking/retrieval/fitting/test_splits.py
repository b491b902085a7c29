"""Leak-free folds share no document between training and test; random ones do."""

from __future__ import annotations

import numpy as np
import pytest

from ranking.errors import DataError
from ranking.retrieval.fitting import Split, leak_free, random_splits
from ranking.retrieval.fitting.splits import sharing
from ranking.retrieval.index import ExactIndex
from ranking.retrieval.judgments import Judgments, ndcg
from ranking.retrieval.towers import Towers
from tests.ranking.retrieval.fitting.planted import planted


def judged(pairs: list[tuple[int, int]]) -> Judgments:
    rows = np.array(pairs)
    return Judgments(rows[:, 0], rows[:, 1], np.ones(len(rows), np.float32))


PAIRED = judged([(query, query // 2) for query in range(20)])
CHAINED = judged([(query, document) for query in range(20) for document in (query, (query + 7) % 20)])


@pytest.mark.parametrize(("judgments", "expected"), [(PAIRED, "grouped"), (CHAINED, "crossed")])
def test_no_document_is_in_training_and_in_test(judgments: Judgments, expected: str) -> None:
    how, splits = leak_free(judgments, 20, 20, 4)
    assert how == expected
    assert len(splits) == 4
    for split in splits:
        assert not np.intersect1d(split.train.documents, split.test.documents).size
        assert not np.intersect1d(split.train.queries, split.test.queries).size
        assert len(split.train.queries)
        assert len(split.test.queries)
    held = np.concatenate([split.test.queries for split in splits])
    if how == "grouped":
        assert sorted(held) == list(range(20))


def test_a_crossed_fold_trains_without_the_documents_it_searches() -> None:
    _how, splits = leak_free(CHAINED, 20, 20, 4)
    documents = np.arange(20, dtype=np.float32)[:, None]
    for split in splits:
        assert split.among is not None
        kept, train = split.seen(documents)
        assert not np.intersect1d(kept[:, 0].astype(int), split.among).size
        np.testing.assert_array_equal(kept[train.documents, 0], split.train.documents)


def test_its_ndcg_is_that_of_the_smaller_collection() -> None:
    queries, documents, judgments = planted()
    among = np.arange(10, 30)
    held = np.isin(judgments.documents, among)
    split = Split(judgments.where(~held), judgments.where(held), among)
    values = split.ndcg(queries, documents, Towers("e"))
    found = ExactIndex.of(documents[10:30], "e").search(queries[10:30], 10)
    expected = ndcg(found, Judgments(np.arange(20), np.arange(20), np.ones(20, np.float32)))
    np.testing.assert_allclose(values[10:30], expected)
    assert np.isnan(np.delete(values, among)).all()


def test_random_folds_ask_for_documents_again() -> None:
    splits = random_splits(PAIRED, 20, 4)
    assert any(np.intersect1d(split.train.documents, split.test.documents).size for split in splits)
    assert sharing(PAIRED) == 20
    assert sharing(judged([(0, 0), (1, 1)])) == 0


def test_queries_without_a_relevant_document_are_in_no_fold() -> None:
    grades = np.ones(20, np.float32)
    grades[:10] = 0
    _how, splits = leak_free(Judgments(PAIRED.queries, PAIRED.documents, grades), 20, 20, 5)
    assert min(split.train.queries.min() for split in splits) == 10
    with pytest.raises(DataError, match="each of 11 folds"):
        leak_free(Judgments(PAIRED.queries, PAIRED.documents, grades), 20, 20, 11)
