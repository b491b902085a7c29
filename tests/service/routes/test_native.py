"""What /v1/rank takes beside plain candidates: context, npy bodies, batches, deadlines; what it warns of."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from tests.service.conftest import Client, Linear, OpenClient

A = {"id": "a", "features": [1, 2, 3]}
NPY = {"content-type": "application/x-npy"}


def npy(matrix: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, matrix)
    return buffer.getvalue()


def post(client: Client, path: str, content: bytes, headers: dict[str, str] = NPY) -> Any:
    return client.request("POST", path, content=content, headers=headers)


@pytest.mark.parametrize(
    "body",
    [
        {"candidates": [{"id": "a", "features": {"bm25": 1}}, {"id": "b", "features": {"ctr": 5}}]},
        {"candidates": [{"id": "a", "features": [1, None, None]}, {"id": "b", "features": [None, 5, None]}]},
        {"ids": ["a", "b"], "columns": ["bm25", "ctr"], "matrix": [[1, None], [None, 5]]},
    ],
)
def test_context_holds_where_a_candidate_does_not_say(open_client: OpenClient, body: dict[str, Any]) -> None:
    """A candidate's own value comes first; every form alike."""
    ranker = Linear(missing="nan")
    reply = open_client(ranker).rank(body | {"context": {"ctr": 2, "price": 3}})
    assert reply.status_code == 200, reply.text
    np.testing.assert_array_equal(ranker.seen, np.array([[1, 2, 3], [np.nan, 5, 3]], np.float32))


def test_unknown_context_is_refused(client: Client) -> None:
    """As an unknown feature is anywhere."""
    reply = client.rank({"candidates": [A], "context": {"prise": 1}})
    assert (reply.status_code, reply.json()["nearest"]) == (422, "price")


def test_an_npy_body_is_ranked_like_json(open_client: OpenClient) -> None:
    """NaN is missing; ids by header; the rest by parameters."""
    client = open_client(Linear(missing="nan"))
    rows = np.array([[1, 2, np.nan], [3, 4, 5]], np.float32)
    ids = NPY | {"x-candidate-ids": json.dumps(["a", "ü"])}
    reply = post(client, "/v1/rank?top_k=1&explain=2&request_id=r1", npy(rows), ids).json()
    expected = client.rank(
        {
            "candidates": [{"id": "a", "features": [1, 2, None]}, {"id": "ü", "features": [3, 4, 5]}],
            "top_k": 1, "explain": {"top_features": 2}, "request_id": "r1",
        }
    ).json()  # fmt: skip
    for found in (reply, expected):
        del found["timing_ms"]
    assert reply == expected
    assert [result["id"] for result in post(client, "/v1/rank", npy(rows)).json()["results"]] == ["1", "0"]


@pytest.mark.parametrize(
    ("content", "path", "code"),
    [
        (b"", "/v1/rank", "wrong_array"),
        (b"\x93NUMPY\x01\x00v\x00{'descr': __import__('os')}", "/v1/rank", "wrong_array"),
        (npy(np.ones((2, 3)))[:-4], "/v1/rank", "wrong_array"),
        (npy(np.ones((2, 3), np.float64)), "/v1/rank", "wrong_array"),
        (npy(np.asfortranarray(np.ones((2, 3), np.float32))), "/v1/rank", "wrong_array"),
        (npy(np.ones((2, 4), np.float32)), "/v1/rank", "wrong_width"),
        (npy(np.ones(3, np.float32)), "/v1/rank", "wrong_width"),
        (npy(np.ones((0, 3), np.float32)), "/v1/rank", "no_candidates"),
        (npy(np.full((1, 3), np.inf, np.float32)), "/v1/rank", "out_of_range"),
        (npy(np.ones((1, 3), np.float32)), "/v1/rank?top_k=none", "invalid_parameter"),
        (npy(np.ones((1, 3), np.float32)), "/v1/rank?tpo_k=1", "invalid_parameter"),
    ],
)
def test_a_bad_npy_body_is_a_typed_422(client: Client, content: bytes, path: str, code: str) -> None:
    """Nothing in it is evaluated or allocated on its word."""
    reply = post(client, path, content)
    assert (reply.status_code, reply.json()["error"]) == (422, code)


def test_a_batch_answers_each_request_by_itself(open_client: OpenClient) -> None:
    """A bad one does not spoil the others; each error is the one it would have had alone."""
    client = open_client(Linear(), max_batch=4)
    good = {"candidates": [A], "request_id": "one"}
    bad = {"candidates": [{"id": "a", "features": {"bm52": 1}}], "request_id": "two"}
    items = client.request(
        "POST", "/v1/rank:batch", json={"requests": [good, bad, {"candidates": 3}]}
    ).json()["results"]
    assert [item["status"] for item in items] == [200, 422, 422]
    assert items[0]["reply"]["results"] == client.rank(good).json()["results"]
    assert items[1]["error"] == client.rank(bad).json()
    reply = client.request("POST", "/v1/rank:batch", json={"requests": [good] * 5})
    assert (reply.status_code, reply.json()["limit"]) == (422, 4)


def test_a_batch_that_is_no_json_says_where(client: Client) -> None:
    """As a single request does."""
    reply = post(client, "/v1/rank:batch", b'{"requests": [}', {"content-type": "application/json"})
    assert (reply.status_code, reply.json()["error"]) == (400, "malformed_json")


@pytest.mark.parametrize("value", ["0", "-1", "soon", "1.5", "9" * 10])
def test_a_deadline_that_is_none_is_refused(client: Client, value: str) -> None:
    """Milliseconds from 1."""
    reply = client.request("POST", "/v1/rank", json={"candidates": [A]}, headers={"x-deadline-ms": value})
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_deadline")


def test_values_outside_the_range_of_training_are_warned_of(open_client: OpenClient) -> None:
    """By the ranges of the manifest, once a feature."""
    client = open_client(Linear())
    model = client.app.state.models.find(None)
    model.low[:], model.high[:] = [0, -np.inf, 0], [1, np.inf, 10]
    body = {"candidates": [{"id": "a", "features": [2, 99, 3]}, {"id": "b", "features": [-1, 0, 11]}]}
    assert client.rank(body).json()["warnings"] == [
        {"code": "outside_training_range", "feature": "bm25", "count": 2},
        {"code": "outside_training_range", "feature": "price", "count": 1},
    ]
