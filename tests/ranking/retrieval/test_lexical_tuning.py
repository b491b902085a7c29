"""Settings of BM25 from judged queries."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from ranking.errors import DataError
from ranking.retrieval.judgments import Judgments, ndcg
from ranking.retrieval.lexical import BM25, Postings, build
from ranking.retrieval.lexical_tuning import K1, WEIGHTS, B, tuned

RNG = np.random.default_rng(0)
WORDS = [f"w{number}" for number in range(25)]
QUERIES = [" ".join(RNG.choice(WORDS, 2, replace=False)) for _ in range(40)]
# A document answers the query that is its title; what its text says of other queries is noise.
TITLES = [*QUERIES, *[" ".join(RNG.choice(WORDS, 2)) for _ in range(40)]]
FIELDS = {"title": TITLES, "text": [" ".join(RNG.choice(WORDS, int(RNG.integers(5, 60)))) for _ in TITLES]}
JUDGMENTS = Judgments(np.arange(40), np.arange(40), np.ones(40, np.float32))


def mean_ndcg(settings: BM25, judgments: Judgments = JUDGMENTS) -> float:
    return float(np.nanmean(ndcg(build(FIELDS, settings).search(QUERIES, 10), judgments)))


def test_the_field_that_answers_gains_weight_and_every_value_is_that_of_an_index_built_anew() -> None:
    found = tuned(FIELDS, QUERIES, JUDGMENTS)
    assert found.settings.weights["title"] > 0
    values = [value for _, value in found.tried]
    assert {repr(one): value for one, value in found.tried}[repr(found.settings)] == max(values)
    assert max(values) > mean_ndcg(BM25()) + 0.05
    for settings, value in found.tried[:: len(found.tried) // 4]:
        assert mean_ndcg(settings) == pytest.approx(value, abs=1e-12)
    tried = [settings for settings, _ in found.tried]
    assert {one.b for one in tried} == set(B)
    assert {one.k1 for one in tried} == set(K1)
    assert {one.weights.get("title", 0.0) for one in tried} == set(WEIGHTS)
    assert len({repr(settings) for settings, _ in found.tried}) == len(found.tried)
    assert json.loads(json.dumps(found.as_json()))["tried"][0]["ndcg@10"] == values[0]


def test_another_weight_builds_nothing_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[float, float, int]] = []
    of = Postings.of

    def counted(tokens: object, settings: BM25) -> Postings:
        made.append((settings.k1, settings.b, id(tokens)))
        return of(tokens, settings)  # type: ignore[arg-type]

    monkeypatch.setattr(Postings, "of", counted)
    found = tuned(FIELDS, QUERIES, JUDGMENTS)
    assert all(one != other for one, other in pairwise(made))
    weights_alone = [settings for settings, _ in found.tried if (settings.k1, settings.b) == made[-1][:2]]
    assert made.count(made[-1]) <= 2 < len(weights_alone)


def test_where_nothing_is_better_the_start_stays() -> None:
    start = BM25(k1=1.5, b=0.75, language="german")
    fields = {"text": ["one", "two", "three"]}
    judgments = Judgments(np.array([1]), np.array([1]), np.ones(1, np.float32))
    assert tuned(fields, ["", "two"], judgments, start).settings == start


def test_queries_without_a_relevant_document_change_nothing() -> None:
    half = JUDGMENTS.queries < 20
    graded = Judgments(JUDGMENTS.queries, JUDGMENTS.documents, half.astype(np.float32))
    assert tuned(FIELDS, QUERIES, graded).tried == tuned(FIELDS, QUERIES, JUDGMENTS.where(half)).tried
    with pytest.raises(DataError, match="no judgment is above 0"):
        tuned(FIELDS, QUERIES, JUDGMENTS.where(half & ~half))
