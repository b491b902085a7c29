"""Bodies of very many elements: counted before they are decoded, refused in little memory, not by mistake."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ranking.data.store import Table, build_store
from service.answers import generic
from service.edge import room
from service.routes import features as feature_routes
from service.wire import bounds, decoding, dialects, envelope, rows
from service.wire.bounds import elements, head, parts, shape_of
from tests.service.bodies import bodies
from tests.service.conftest import Client, Linear, OpenClient
from tests.service.replies import assert_shape

COUNTING = (bounds, decoding, dialects, envelope, generic, room, rows)
JSON = {"content-type": "application/json", "x-api-key": "ak"}
KEYS = f"ops admin {hashlib.sha256(b'ak').hexdigest()}"
BODY = 1_000_000
"""Bytes of the bodies below: larger than what is decoded uncounted."""


@contextmanager
def counting() -> Iterator[None]:
    """Bodies of every size are counted, and decoded in parts of two elements."""
    with pytest.MonkeyPatch.context() as patched:
        for module in COUNTING:
            patched.setattr(module, "SMALL", 0)
        patched.setattr(dialects, "PART", 2)
        for module in (decoding, dialects):
            patched.setattr(module, "parts", lambda text: parts(text, 2))
        yield


# --- The counts ---------------------------------------------------------------------------------------

texts = st.text(st.sampled_from('{}[],:"\\ a€\n'), max_size=6)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(-1, 1), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(texts, inner, max_size=5)),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(values, st.sampled_from([None, 1]), st.booleans(), st.integers(1, 3))
def test_the_counts_are_those_of_a_json_reader(
    value: Any, indent: int | None, plain: bool, size: int
) -> None:
    """Whatever strings hold; and the parts together are the whole."""
    text = f" {json.dumps(value, indent=indent, ensure_ascii=plain)}\n".encode()
    if not isinstance(value, list | dict):
        assert elements(text) == 0
        return
    assert elements(text) == len(value)
    found = [json.loads(part) for part in parts(text, size)]
    assert all(len(part) <= size for part in found)
    assert len(found) == max(1, -(-len(value) // size))
    if isinstance(value, list):
        assert [item for part in found for item in part] == value
        return
    assert {name: item for part in found for name, item in part.items()} == value
    lists = [item for item in value.values() if isinstance(item, list)]
    shape = shape_of(text)
    assert shape.members == max(1, len(value))
    assert shape.longest == max(map(len, lists), default=0)
    assert shape.objects == max((sum(isinstance(x, dict) for x in item) for item in lists), default=0)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from('[]{}",\\1 '), max_size=30).map(str.encode), st.binary(max_size=20))
def test_text_that_is_not_sound_is_counted_to_its_end(text: bytes, junk: bytes) -> None:
    """Nothing is read beyond it, and nothing of a sound beginning is forgotten."""
    for some in (text, junk, b'["' + junk, b"[1,[2,3],{}," + text.replace(b"]", b"")):
        elements(some)
        shape_of(some)
    assert elements(b"[1,[2,3],{},4" + junk.replace(b"]", b"").replace(b"}", b"")) >= 4


def test_the_head_of_a_large_text_is_its_first_elements() -> None:
    """A small one is left as it is."""
    assert head(b"[1,2,3]", 2) == b"[1,2,3]"
    assert json.loads(head(filled("[", "1", "]"), 2)) == [1, 1]


# --- What is refused ------------------------------------------------------------------------------------


def filled(before: str, item: str, after: str) -> bytes:
    """`BODY` bytes with the item as often as it fits; a # in it becomes its number."""
    items: list[str] = []
    size = len(before) + len(after)
    while size < BODY:
        items.append(item.replace("#", str(len(items))))
        size += len(items[-1]) + 1
    return (before + ",".join(items) + after).encode()


@pytest.fixture
def served(open_client: OpenClient, tmp_path: Path) -> Client:
    store = tmp_path / "store"
    build_store(str(store), Table(("bm25", "ctr"), ["sku-1"], np.ones((1, 2), np.float32)))
    return open_client(
        Linear(), features=str(store), journal=str(tmp_path / "journal"), keys=KEYS, max_candidates=1000
    )


def post(client: Client, path: str, body: bytes) -> httpx.Response:
    method = "PUT" if path.startswith("/v1/features/") else "POST"
    return client.request(method, path, content=body, headers=JSON)


ONE = '{"candidates":[{"id":"a","features":'
REFUSED: dict[str, tuple[str, tuple[str, str, str], str, str | None]] = {
    "documents": ("/v2/rerank", ('{"documents":[', "{}", "]}"), "too_many_candidates", "documents"),
    "jina": ("/v1/rerank", ('{"top_n":1,"documents":[', '"#"', "]}"), "too_many_candidates", "documents"),
    "texts": ("/rerank", ('{"texts":[', '"{}"', "]}"), "too_many_candidates", "documents"),
    "numbers": ("/rerank", ('{"documents":[', "1", "]}"), "too_many_candidates", "documents"),
    "candidates": ("/v1/rank", ('{"candidates":[', '{"id":""}', "]}"), "too_many_candidates", "candidates"),
    "candidates, then none": (
        "/v1/rank", ('{"candidates":[', '{"id":""}', '],"candidates":[]}'), "too_many_candidates",
        "candidates",
    ),
    "ids": ("/v1/rank", ('{"columns":[],"matrix":[],"ids":[', '""', "]}"), "too_many_candidates", "ids"),
    "rows": (
        "/v1/rank", ('{"ids":["a"],"columns":["ctr"],"matrix":[', "[0]", "]}"), "wrong_height", "matrix"
    ),
    "a row": (
        "/v1/rank", ('{"ids":["a"],"columns":["ctr"],"matrix":[[', "0", "]]}"), "wrong_width", "matrix[0]"
    ),
    "unknown columns": (
        "/v1/rank", ('{"ids":["a"],"matrix":[[]],"columns":[', '"#"', "]}"), "unknown_feature", "columns"
    ),
    "a column": (
        "/v1/rank", ('{"ids":["a"],"matrix":[[]],"columns":[', '"ctr"', "]}"), "duplicate_column", "columns"
    ),
    "context": (
        "/v1/rank", ('{"candidates":[{"id":"a"}],"context":{', '"#":0', "}}"), "unknown_feature", "context"
    ),
    "names": ("/v1/rank", (ONE + "{", '"#":0', "}}]}"), "unknown_feature", "candidates[0].features"),
    "names of documents": (
        "/v2/rerank", ('{"documents":[{"features":{', '"#":0', "}}]}"), "unknown_feature",
        "documents[0].features",
    ),
    "values": ("/v1/rank", (ONE + "[", "0", "]}]}"), "wrong_width", "candidates[0].features"),
    "batch": ("/v1/rank:batch", ('{"requests":[', "0", "]}"), "too_many_requests", "requests"),
    "events": (
        "/v1/feedback", ('{"request_id":"r","events":[', '{"id":"","type":"a"}', "]}"), "invalid_request",
        "events",
    ),
    "stored names": ("/v1/features/a", ('{"features":{', '"#":0', "}}"), "unknown_feature", None),
    "stored rows": (
        "/v1/features:bulk", ('{"ids":["a"],"columns":["ctr"],"matrix":[', "[0]", "]}"), "wrong_height",
        "matrix",
    ),
    "a stored row": (
        "/v1/features:bulk", ('{"ids":["a"],"columns":["ctr"],"matrix":[[', "0", "]]}"), "wrong_width",
        "matrix[0]",
    ),
    "stored columns": (
        "/v1/features:bulk", ('{"ids":["a"],"matrix":[[]],"columns":[', '"ctr"', "]}"), "duplicate_column",
        "columns",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_too_much_of_anything_is_refused_in_little_memory(served: Client, kind: str) -> None:
    """With the code and the place of the check that would come later; some were a hundred times the body."""
    path, made, code, place = REFUSED[kind]
    body = filled(*made)
    post(served, path, b"{}")  # what is made once is not the body's
    tracemalloc.start()
    try:
        reply = post(served, path, body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    shape = assert_shape(reply) if path != "/rerank" else reply.json()
    assert (reply.status_code, shape["error"], shape.get("path")) == (422, code, place)
    assert peak < 5 * BODY


def test_the_limit_and_the_number_are_named(served: Client) -> None:
    """As by the check of a decoded list, which small bodies get."""
    for many in (1001, 60_000):
        body = json.dumps({"candidates": [{"id": str(i)} for i in range(many)]}).encode()
        shape = post(served, "/v1/rank", body).json()
        assert shape["message"] == f"{many} candidates, at most 1000 are ranked in one request"
        assert shape["limit"] == 1000


def test_a_counted_refusal_has_the_callers_request_id(served: Client) -> None:
    """Where it can be read."""
    body = filled('{"request_id":"mine","candidates":[', '{"id":""}', "]}")
    assert post(served, "/v1/rank", body).json()["request_id"] == "mine"


# --- What is not ----------------------------------------------------------------------------------------


def answer(reply: httpx.Response) -> Any:
    content = reply.json()
    if isinstance(content, dict):
        for key in ("timing_ms", "id", "request_id", "created"):
            content.pop(key, None)
    return content


SLOWLY = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def same(plain: httpx.Response, careful: httpx.Response) -> bool:
    """The same ranking to the byte; or refused, where a body wrong in two ways may be told of either."""
    if plain.status_code != 200:
        return 400 <= careful.status_code < 500
    return careful.status_code == 200 and answer(careful) == answer(plain)


@SLOWLY
@given(body=bodies, indent=st.sampled_from([None, 1]))
def test_a_counted_body_is_answered_as_one_that_is_not(client: Client, body: Any, indent: int | None) -> None:
    """All three forms, with values and names that the compiled scan leaves to the slow way."""
    text = json.dumps(body, indent=indent).encode()
    plain = client.rank(text)
    with counting():
        assert same(plain, client.rank(text))


documents = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(["bm25", "ctr", "price"]), st.integers(-3, 3), max_size=3),
        texts,
    ).map(lambda drawn: {"features": drawn[0], "text": drawn[1]}),
    min_size=1,
    max_size=4,
)


@SLOWLY
@given(
    documents,
    st.sampled_from(["/v2/rerank", "/v1/rerank", "/rerank"]),
    st.booleans(),
    st.dictionaries(texts, values, max_size=15),
)
def test_a_counted_foreign_body_is_answered_as_one_that_is_not(
    client: Client, documents: list[Any], path: str, strings: bool, unknown: dict[str, Any]
) -> None:
    """Objects and strings, texts of brackets and quotes, and fields that nobody knows."""
    given = [json.dumps(document) for document in documents] if strings else documents
    body = unknown | {"texts" if path == "/rerank" else "documents": given, "return_documents": True}
    text = json.dumps(body).replace('"pri', '"pr\\u0069').encode()  # a name that the scan leaves
    plain = post(client, path, text)
    assert plain.status_code == 200, plain.text
    with counting():
        assert answer(post(client, path, text)) == answer(plain)


def test_as_many_as_the_limit_allows_are_taken(open_client: OpenClient) -> None:
    """In every form, in bodies that are counted; one more is not."""
    client, most = open_client(Linear(), max_candidates=50, max_batch=4), 50
    long = " " * bounds.SMALL
    row = {"features": {"bm25": 1, "ctr": 2, "price": 3}, "text": "}{,[]" * 3000}
    for many, status in ((most, 200), (most + 1, 422)):
        ids = [f"d{i}" for i in range(many)]
        table = {"ids": ids, "columns": ["ctr"], "matrix": [[1]] * many}
        dense = {"candidates": [{"id": name, "features": [1, 2, 3]} for name in ids]}
        assert client.rank((json.dumps(table) + long).encode()).status_code == status
        assert client.rank((json.dumps(dense) + long).encode()).status_code == status
        unknown = {"others": [{}] * 100, "names": {str(i): 0 for i in range(100)}}
        foreign = json.dumps(unknown | {"documents": [row] * many}).encode()
        assert len(foreign) > bounds.SMALL
        assert post(client, "/v2/rerank", foreign).status_code == status
    for many, status in ((4, 200), (5, 422)):
        batch = json.dumps({"requests": [dense] * many}) + long
        assert post(client, "/v1/rank:batch", batch.encode()).status_code == status


def test_very_many_unknown_fields_are_ignored_and_the_first_ten_named(client: Client) -> None:
    """A body within the limits, whatever else it says; the last of equal fields counts."""
    body = filled(
        '{"documents":[{}],"model":"x",', '"k#":[{},"]"]', ',"documents":[{"features":[1,2,3]}],"model":null}'
    )
    reply = post(client, "/v2/rerank", body)
    assert reply.status_code == 200, reply.text
    names = sorted(f"k{i}" for i in range(body.count(b'"k')))[:10]
    assert reply.json()["meta"]["warnings"] == [f"unknown field {name!r} is ignored" for name in names]


def test_equal_names_are_one_however_many_come(client: Client) -> None:
    """More members than the model has features, and all of them known: the last counts."""
    body = filled(ONE + '{"bm25":5,', '"ctr":1', ',"ctr":7}}]}')
    reply = client.rank(body)
    assert reply.status_code == 200, reply.text
    assert reply.json()["results"][0]["score"] == 5 + 70 + 0.5


def test_a_table_is_stored_in_parts_and_only_if_all_of_it_is_sound(
    served: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the last part holds decides about the first; places are those of the whole."""
    monkeypatch.setattr(feature_routes, "WRITTEN_ROWS", 2)
    table: dict[str, Any] = {"ids": list("abcde"), "columns": ["ctr"], "matrix": [[i] for i in range(5)]}
    broken: list[tuple[dict[str, Any], str, str]] = [
        (table | {"matrix": [[0], [1], [2], [3], ["x"]]}, "invalid_request", "matrix[4][0]"),
        (table | {"matrix": [[0], [1], [2], [3], [1e39]]}, "out_of_range", "matrix[4][0]"),
        (table | {"ids": [*"abcd", ""]}, "invalid_id", "id"),
        (table | {"ids": [*"abcd", 5]}, "invalid_request", "ids[4:][0]"),
    ]
    for body, code, place in broken:
        shape = post(served, "/v1/features:bulk", json.dumps(body).encode()).json()
        assert (shape["error"], shape["path"]) == (code, place)
        assert served.request("GET", "/v1/features/a", headers=JSON).status_code == 404
    assert post(served, "/v1/features:bulk", json.dumps(table).encode()).json() == {"stored": 5}
    for name, value in zip("abcde", range(5), strict=True):
        row = served.request("GET", f"/v1/features/{name}", headers=JSON).json()["features"]
        assert row == {"bm25": None, "ctr": value}
