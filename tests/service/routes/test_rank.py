"""POST /v1/rank: three forms of candidates, one order, exact scores."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from ranking.data.arrays import Float32
from tests.service.conftest import Client, Linear, OpenClient
from tests.service.forms import columnar, dense, matrix, named


@pytest.mark.parametrize("form", [dense, named, columnar])
@pytest.mark.parametrize("missing", ["zero", "nan"])
def test_scores_equal_the_rankers_to_the_bit_in_every_form(
    open_client: OpenClient, form: Any, missing: Any
) -> None:
    """What comes back parses to the very float32 that `score` gives for the same rows."""
    ranker = Linear(missing=missing)
    values = matrix()
    reply = open_client(ranker).rank(form(values))
    assert reply.status_code == 200
    expected = ranker.score(np.nan_to_num(values, nan=0.0) if missing == "zero" else values)
    for result in reply.json()["results"]:
        assert result["score"] == float(expected[result["index"]])
        assert result["id"] == f"d{result['index']}"


@pytest.mark.parametrize(("missing", "expected"), [("zero", [1.0, 0.0, 3.0]), ("nan", [1.0, np.nan, 3.0])])
def test_a_missing_value_follows_the_models_policy(
    open_client: OpenClient, missing: Any, expected: list[float]
) -> None:
    """The ranker sees 0 or NaN, as it did in training."""
    ranker = Linear(missing=missing)
    open_client(ranker).rank({"candidates": [{"id": "a", "features": [1, None, 3]}]})
    assert ranker.seen is not None
    assert ranker.seen.dtype == np.float32
    np.testing.assert_array_equal(ranker.seen, [expected])


def test_the_reply_has_exactly_the_published_keys(client: Client) -> None:
    """Other people's scripts read these."""
    body = {
        "model": "default",
        "request_id": "r-1",
        "query": {"id": "q1", "text": "red shoes"},
        "candidates": [{"id": "a", "features": [1, 2, 3]}, {"id": "b", "features": {"bm25": 7.5}}],
        "top_k": 10,
        "explain": {"top_features": 1},
    }
    reply = client.rank(body).json()
    timing = reply.pop("timing_ms")
    assert timing.keys() == {"parse", "score", "total"}
    assert all(value >= 0 for value in timing.values())
    assert reply == {
        "request_id": "r-1",
        "model": "default",
        "version": "0",
        "results": [
            {
                "id": "a",
                "index": 0,
                "rank": 1,
                "score": 321.5,  # 1 + 2·10 + 3·100 + 0.5
                "contributions": {"bias": 0.5, "values": {"price": 300.0}, "other": 21.0},
            },
            {
                "id": "b",
                "index": 1,
                "rank": 2,
                "score": 8.0,
                "contributions": {"bias": 0.5, "values": {"bm25": 7.5}, "other": 0.0},
            },
        ],
        "warnings": [
            {"code": "missing_feature", "feature": "ctr", "count": 1},
            {"code": "missing_feature", "feature": "price", "count": 1},
        ],
    }


def test_equal_scores_keep_the_order_of_the_request(client: Client) -> None:
    """Score descending, then input order; ranks count from 1."""
    # Long enough that an unstable sort would show: short arrays are sorted by insertion.
    body = {"candidates": [{"id": str(i), "features": [i % 3, 0, 0]} for i in range(300)]}
    results = client.rank(body).json()["results"]
    assert [result["index"] for result in results] == sorted(range(300), key=lambda i: (-(i % 3), i))
    assert [result["rank"] for result in results] == list(range(1, 301))


@pytest.mark.parametrize(("top_k", "expected"), [(1, 1), (3, 3), (99, 5), (None, 5)])
def test_top_k_cuts_the_answer_not_the_order(client: Client, top_k: int | None, expected: int) -> None:
    """The first k of the whole order; more than there are is all of them."""
    body = dense(matrix(5)) | {"top_k": top_k}
    results = client.rank(body).json()["results"]
    assert len(results) == expected
    assert results == client.rank(dense(matrix(5))).json()["results"][:expected]


@pytest.mark.parametrize("explain", [True, {}, {"top_features": 1}, {"top_features": 99}])
def test_contributions_sum_to_the_score(client: Client, explain: Any) -> None:
    """bias + values + other, for the returned candidates only."""
    reply = client.rank(dense(matrix()) | {"explain": explain, "top_k": 4}).json()
    assert len(reply["results"]) == 4
    for result in reply["results"]:
        parts = result["contributions"]
        total = parts["bias"] + sum(parts["values"].values()) + parts["other"]
        assert total == pytest.approx(result["score"], rel=1e-5)


def test_contributions_are_computed_for_returned_candidates_only(open_client: OpenClient) -> None:
    """They cost hundreds of times a score."""
    asked: list[int] = []

    class Counting(Linear):
        def contributions(self, features: Float32) -> Any:
            asked.append(len(features))
            return super().contributions(features)

    client = open_client(Counting())
    client.rank(dense(matrix()))
    client.rank(dense(matrix()) | {"explain": True, "top_k": 3})
    assert asked == [3]


def test_too_many_to_explain_is_refused(open_client: OpenClient) -> None:
    """A bounded cost, and the remedy in the message."""
    reply = open_client(Linear(), max_explained=2).rank(dense(matrix(3)) | {"explain": True})
    assert (reply.status_code, reply.json()["error"]) == (422, "too_many_explained")
    assert "top_k" in reply.json()["message"]


def test_a_request_id_is_made_where_none_came(client: Client) -> None:
    """Every answer can be named, and no two alike."""
    first, second = (client.rank(dense(matrix(1))).json()["request_id"] for _ in range(2))
    assert first != second
    assert len(first) == 32


def test_dense_and_named_candidates_mix(client: Client) -> None:
    """Each candidate says itself which form it is."""
    same = [{"id": "a", "features": [1, 2, 3]}, {"id": "b", "features": {"price": 3, "ctr": 2, "bm25": 1}}]
    results = client.rank({"candidates": same}).json()["results"]
    assert results[0]["score"] == results[1]["score"] == 321.5


def test_columns_that_are_left_out_are_missing_and_said_so(client: Client) -> None:
    """A table of one column: the two others count as missing in both rows."""
    reply = client.rank({"ids": ["a", "b"], "columns": ["ctr"], "matrix": [[1], [2]]}).json()
    assert [result["score"] for result in reply["results"]] == [20.5, 10.5]
    assert reply["warnings"] == [
        {"code": "missing_feature", "feature": "bm25", "count": 2},
        {"code": "missing_feature", "feature": "price", "count": 2},
    ]


def test_warnings_are_bounded(open_client: OpenClient) -> None:
    """Ten features are named, the others counted."""
    names = tuple(f"f{i}" for i in range(30))
    client = open_client(Linear(tuple(range(30)), feature_names=names))
    warnings = client.rank({"candidates": [{"id": "a", "features": {"f3": 1}}]}).json()["warnings"]
    assert len(warnings) == 11
    assert warnings[-1] == {"code": "more_missing_features", "count": 19}


def test_a_model_of_one_feature_takes_named_candidates(open_client: OpenClient) -> None:
    """The smallest width there is."""
    client = open_client(Linear((2.0,), feature_names=("only",)))
    reply = client.rank({"candidates": [{"id": "a", "features": {"only": 3}}, {"id": "b", "features": {}}]})
    assert [result["score"] for result in reply.json()["results"]] == [6.5, 0.5]


def test_ten_thousand_candidates_are_ranked(client: Client) -> None:
    """The published limit is served, in the order numpy gives."""
    values = matrix(10_000)
    reply = client.rank(columnar(values)).json()
    scores = Linear().score(np.nan_to_num(values))
    order = np.argsort(-scores, kind="stable")
    assert [result["index"] for result in reply["results"]] == order.tolist()


def test_unicode_ids_come_back_as_they_were(client: Client) -> None:
    """Ids are the caller's."""
    ids = ["ключ", "鍵", "🔑", "a\u0000b", ""]
    body = {"candidates": [{"id": name, "features": [0, 0, 0]} for name in ids]}
    assert [result["id"] for result in client.rank(json.dumps(body).encode()).json()["results"]] == ids
