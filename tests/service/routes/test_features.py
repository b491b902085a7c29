"""Candidates by id: looked up, merged with context, written by those who may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ranking.data.store import Table, build_store
from tests.service.conftest import Client, Linear, OpenClient
from tests.service.keys import ADMIN, KEYS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Columns in another order than the model's, one of them unknown to it, one of its own missing."""
    rows = np.array([[10, 1, 7], [20, 2, 7]], np.float32)
    build_store(str(tmp_path / "store"), Table(("ctr", "bm25", "colour"), ["sku-1", "sku-2"], rows))
    return tmp_path / "store"


@pytest.fixture
def stored(open_client: OpenClient, folder: Path) -> Client:
    return open_client(Linear(), features=str(folder), keys=KEYS)


def post(client: Client, path: str, body: Any, method: str = "POST") -> Any:
    return client.request(method, path, json=body, headers=ADMIN)


def test_ids_alone_are_ranked_by_their_stored_features(open_client: OpenClient, folder: Path) -> None:
    """By name, context for what the store lacks; others may bring their own."""
    ranker = Linear(missing="nan")
    client = open_client(ranker, features=str(folder))
    body = {"candidates": [{"id": "sku-1"}, {"id": "sku-2"}], "context": {"price": 3}}
    assert [result["id"] for result in client.rank(body).json()["results"]] == ["sku-2", "sku-1"]
    np.testing.assert_array_equal(ranker.seen, [[1, 10, 3], [2, 20, 3]])
    mixed = {"candidates": [{"id": "x", "features": [5, 5, 5]}, {"id": "sku-1"}]}
    reply = client.rank(mixed).json()
    np.testing.assert_array_equal(ranker.seen, [[5, 5, 5], [1, 10, np.nan]])
    assert reply["warnings"] == [{"code": "missing_feature", "feature": "price", "count": 1}]


def test_an_unknown_id_is_an_error_or_missing_as_configured(open_client: OpenClient, folder: Path) -> None:
    """Named, a few of them."""
    body = {"candidates": [{"id": "sku-1"}, {"id": "nope"}]}
    reply = open_client(Linear(), features=str(folder)).rank(body)
    assert (reply.status_code, reply.json()["error"], reply.json()["ids"]) == (422, "unknown_id", ["nope"])
    lenient = open_client(Linear(), features=str(folder), unknown_id="missing").rank(body).json()
    assert [result["id"] for result in lenient["results"]] == ["sku-1", "nope"]


def test_a_row_is_put_read_and_deleted(stored: Client) -> None:
    """What is put is served by the next request."""
    assert post(stored, "/v1/features/new", {"features": {"bm25": 99, "ctr": None}}, "PUT").json() == {
        "stored": 1
    }
    got = stored.request("GET", "/v1/features/new", headers=ADMIN).json()
    assert got == {"features": {"ctr": None, "bm25": 99.0, "colour": None}}
    reply = post(stored, "/v1/rank", {"candidates": [{"id": "sku-2"}, {"id": "new"}]}).json()
    assert [result["id"] for result in reply["results"]] == ["sku-2", "new"]
    stored.request("DELETE", "/v1/features/new", headers=ADMIN)
    assert stored.request("GET", "/v1/features/new", headers=ADMIN).json()["error"] == "unknown_id"


def test_many_rows_are_put_at_once(stored: Client) -> None:
    """All or none."""
    table = {"ids": ["a", "b"], "columns": ["bm25"], "matrix": [[1], [None]]}
    assert post(stored, "/v1/features:bulk", table).json() == {"stored": 2}
    assert stored.request("GET", "/v1/features/a", headers=ADMIN).json()["features"]["bm25"] == 1
    for broken, code in (
        (table | {"columns": ["bm52"]}, "unknown_feature"),
        (table | {"matrix": [[1]]}, "wrong_height"),
        (table | {"matrix": [[1], [1, 2]]}, "wrong_width"),
        (table | {"matrix": [[1], [1e300]]}, "out_of_range"),
        (table | {"ids": ["c", ""]}, "invalid_id"),
    ):
        reply = post(stored, "/v1/features:bulk", broken)
        assert (reply.status_code, reply.json()["error"]) == (422, code)
    assert stored.request("GET", "/v1/features/c", headers=ADMIN).status_code == 404


def test_without_a_store_its_routes_say_so(open_client: OpenClient) -> None:
    """And which setting brings one."""
    client = open_client(Linear(), keys=KEYS)
    reply = client.request("GET", "/v1/features/a", headers=ADMIN)
    assert (reply.status_code, reply.json()["error"]) == (404, "no_feature_store")


def test_a_store_of_other_features_is_told_apart(open_client: OpenClient, tmp_path: Path) -> None:
    """Rather than rank by nothing."""
    build_store(str(tmp_path / "s"), Table(("x",), ["a"], np.ones((1, 1), np.float32)))
    reply = open_client(Linear(), features=str(tmp_path / "s")).rank({"candidates": [{"id": "a"}]})
    assert (reply.status_code, reply.json()["error"]) == (422, "store_mismatch")


def test_a_store_that_fails_is_a_503(open_client: OpenClient, folder: Path) -> None:
    """Whatever is wrong with it may pass."""
    client = open_client(Linear(), features=str(folder))
    (folder / "changes.sqlite").write_bytes(b"no database" * 1000)
    (folder / "store.json").write_text("{}")
    reply = client.rank({"candidates": [{"id": "sku-1"}]})
    assert (reply.status_code, reply.json()["error"]) == (503, "store_unavailable")
