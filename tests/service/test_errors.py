"""Every error has one shape, a status that says whose fault it is, and the place."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest

from ranking.data.arrays import Float32
from service.app import create_app
from service.settings import Settings
from tests.service.conftest import Client, Linear, OpenClient
from tests.service.replies import assert_shape

A = {"id": "a", "features": [1, 2, 3]}


def test_the_check_of_the_shape_can_fail() -> None:
    """A body in FastAPI's own shape does not pass."""
    with pytest.raises(KeyError):
        assert_shape(httpx.Response(404, json={"detail": "Not Found"}))


def one(features: Any) -> dict[str, Any]:
    """A body of one candidate."""
    return {"candidates": [{"id": "a", "features": features}]}


def table(ids: list[str], columns: list[str], matrix: list[list[float]]) -> dict[str, Any]:
    return {"ids": ids, "columns": columns, "matrix": matrix}


NO_JSON: dict[str, tuple[bytes, str]] = {
    "empty body": (b"", "truncated"),
    "half a body": (b'{"candidates": [', "truncated"),
    "no JSON": (b"candidates=1", "line 1, column 1"),
    "second line": (b'{\n "top_k": x}', "line 2, column 11"),
    "NaN": (b'{"candidates":[{"id":"a","features":[1,NaN,3]}]}', "null for a missing"),
    "Infinity": (b'{"candidates":[{"id":"a","features":[1,Infinity]}]}', "no NaN or Infinity"),
    "-Infinity": (b'{"candidates":[{"id":"a","features":[1,-Infinity]}]}', "no NaN or Infinity"),
    "1e999": (b'{"candidates":[{"id":"a","features":[1,1e999,3]}]}', "candidates[0].features[1]"),
    "no UTF-8": (b'{"model":"\xff"}', "UTF-8"),
    "lone surrogate": (b'{"model":"\\ud800 and more"}', "surrogate"),
    "trailing": (b'{"top_k":1} {}', "trailing"),
}

REFUSED: dict[str, tuple[Any, str, str]] = {
    "deep nesting": (b'{"candidates":' + b"[" * 100_000, "invalid_request", "candidates[0]"),
    "a list": ([A], "invalid_request", "object"),
    "unknown key": ({"candidates": [A], "top": 3}, "invalid_request", "`top`"),
    "text": (one([1, "2", 3]), "invalid_request", "candidates[0].features[1]"),
    "bool": (one([1, 2, True]), "invalid_request", "candidates[0].features[2]"),
    "named text": (one({"ctr": "2"}), "invalid_request", "candidates[0].features.ctr"),
    "number as id": ({"candidates": [{"id": 1, "features": []}]}, "invalid_request", "candidates[0].id"),
    "long id": ({"candidates": [A | {"id": "x" * 513}]}, "invalid_request", "512"),
    "no features": ({"candidates": [{"id": "a"}]}, "no_features", "no feature store is configured"),
    "top_k 0": ({"candidates": [A], "top_k": 0}, "invalid_request", "top_k"),
    "top_k 1.5": ({"candidates": [A], "top_k": 1.5}, "invalid_request", "top_k"),
    "explain 1": ({"candidates": [A], "explain": 1}, "invalid_request", "explain"),
    "empty request id": ({"candidates": [A], "request_id": ""}, "invalid_request", "request_id"),
    "too narrow": (one([1, 2]), "wrong_width", "candidates[0].features: got 2 values, the model takes 3"),
    "too wide": (one([1] * 5), "wrong_width", "got 5 values, the model takes 3"),
    "unknown name": (one({"bm52": 1}), "unknown_feature", "did you mean 'bm25'"),
    "unknown among all": (one({"bm25": 1, "ctr": 1, "x": 1}), "unknown_feature", "'x'"),
    "unknown column": (table(["a"], ["x"], [[1]]), "unknown_feature", "columns"),
    "column twice": (table(["a"], ["ctr", "ctr"], [[1, 2]]), "duplicate_column", "'ctr' twice"),
    "narrow table": (table(["a"], ["ctr", "bm25"], [[1]]), "wrong_width", "got 1 values, columns names 2"),
    "short table": (table(["a", "b"], ["ctr"], [[1]]), "wrong_height", "1 rows for 2 ids"),
    "half a table": ({"ids": ["a"], "matrix": [[1]]}, "wrong_form", "without columns"),
    "both forms": ({"candidates": [A], "ids": ["a"]}, "wrong_form", "got both"),
    "neither form": ({}, "wrong_form", "got neither"),
    "an id twice": ({"candidates": [A, A]}, "duplicate_id", "'a'"),
    "no candidates": ({"candidates": []}, "no_candidates", "at least one"),
    "no ids": (table([], ["ctr"], []), "no_candidates", "ids"),
    "too many": (table(list("abcdef"), [], [[]] * 6), "too_many_candidates", "at most 5"),
    "beyond float32": (one([0, 1e39, 0]), "out_of_range", "candidates[0].features[1]"),
    "named beyond float32": (one({"ctr": -1e39}), "out_of_range", "candidates[0].features.ctr"),
    "overflowing score": (one([0, 0, 3e38]), "score_not_finite", "candidate 0"),
}

UNKNOWN = {
    "typo": ({"candidates": [A], "model": "defualt"}, "did you mean 'default'"),
    "path": ({"candidates": [A], "model": "../../etc"}, "known: default"),
}

BODIES = [
    *(pytest.param(body, 400, "malformed_json", text, id=name) for name, (body, text) in NO_JSON.items()),
    *(pytest.param(body, 422, code, text, id=name) for name, (body, code, text) in REFUSED.items()),
    *(pytest.param(body, 404, "unknown_model", text, id=name) for name, (body, text) in UNKNOWN.items()),
]


@pytest.mark.parametrize(("body", "status", "code", "text"), BODIES)
def test_a_bad_body_is_a_typed_4xx_naming_the_place(
    open_client: OpenClient, body: Any, status: int, code: str, text: str
) -> None:
    """Status, code and the words that say what to mend."""
    reply = open_client(Linear(), max_candidates=5).rank(body)
    shape = assert_shape(reply)
    assert (reply.status_code, shape["error"]) == (status, code)
    assert text in shape["message"]
    assert "retry-after" not in reply.headers


def test_errors_carry_what_a_program_needs(client: Client) -> None:
    """Keys beside the sentence: path, numbers, names."""
    narrow = client.rank({"candidates": [{"id": "b", "features": [1]}]}).json()
    assert (narrow["path"], narrow["expected"], narrow["got"]) == ("candidates[0].features", 3, 1)
    unknown = client.rank({"candidates": [{"id": "b", "features": {"prise": 1}}]}).json()
    assert (unknown["nearest"], unknown["expected"]) == ("price", ["bm25", "ctr", "price"])
    assert client.rank(b'{"a" 1}').json()["position"] == {"byte": 5, "line": 1, "column": 6}
    assert client.rank({"candidates": [A], "model": "x"}).json()["known"] == ["default", "default@0"]


@pytest.mark.parametrize(
    "broken", [{"candidates": []}, {"candidates": 1}, {"top": 1}, {"model": "x", "candidates": [A]}]
)
def test_an_error_echoes_the_request_id_where_it_can_be_read(client: Client, broken: dict[str, Any]) -> None:
    """The caller's log and ours name the same request."""
    assert client.rank({"request_id": "mine"} | broken).json()["request_id"] == "mine"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nope", 404, "unknown_path"),
        ("GET", "/v1/models/nope", 404, "unknown_model"),
        ("GET", "/v1/models/..%2f..%2fetc", 404, "unknown_path"),
        ("POST", "/v1/rank/", 404, "unknown_path"),
        ("GET", "/v1/rank", 405, "wrong_method"),
        ("DELETE", "/v1/rank", 405, "wrong_method"),
        ("DELETE", "/v1/models", 403, "admin_off"),
    ],
)
def test_wrong_paths_and_methods_have_the_shape(
    client: Client, method: str, path: str, status: int, code: str
) -> None:
    """Starlette's own errors included."""
    reply = client.request(method, path)
    assert (reply.status_code, assert_shape(reply)["error"]) == (status, code)
    if status == 405:
        assert reply.headers["allow"] in ("POST", "GET")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"content-type": "text/plain"}, "unsupported_media_type"),
        ({"content-type": "application/x-www-form-urlencoded"}, "unsupported_media_type"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, "unsupported_encoding"),
    ],
)
def test_another_content_type_is_415(client: Client, headers: dict[str, str], code: str) -> None:
    """Said before the body is looked at."""
    reply = client.request("POST", "/v1/rank", content=b"x", headers=headers)
    assert (reply.status_code, assert_shape(reply)["error"]) == (415, code)


def test_json_with_a_charset_or_without_a_type_is_taken(client: Client) -> None:
    """Both are common, and unambiguous."""
    content = json.dumps({"candidates": [A]}).encode()
    for headers in ({"content-type": "application/json; charset=utf-8"}, {}):
        reply = client.request("POST", "/v1/rank", content=content, headers=headers)
        assert reply.status_code == 200


@pytest.mark.parametrize("how", ["declared", "chunked"])
def test_a_body_over_the_limit_is_413(open_client: OpenClient, how: str) -> None:
    """By its header, or counted as it comes: reading stops at the limit."""
    client = open_client(Linear(), max_body_bytes=1000)
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 100
            yield b" " * 100

    content = b" " * 1001 if how == "declared" else chunks()
    reply = client.request("POST", "/v1/rank", content=content)
    assert (reply.status_code, assert_shape(reply)["limit"]) == (413, 1000)
    assert sent <= 1100


def test_a_body_of_exactly_the_limit_is_read(open_client: OpenClient) -> None:
    """The limit itself is allowed."""
    content = json.dumps({"candidates": [A]}).encode()
    client = open_client(Linear(), max_body_bytes=len(content))
    assert client.rank(content).status_code == 200
    assert client.rank(content + b" ").status_code == 413


def test_a_body_that_does_not_arrive_is_408(open_client: OpenClient) -> None:
    """A dribbling client cannot hold a request for ever."""
    client = open_client(Linear(), receive_seconds=0.05)

    async def dribble() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)
        yield b"}"

    reply = client.request("POST", "/v1/rank", content=dribble())
    assert (reply.status_code, assert_shape(reply)["error"]) == (408, "request_timeout")


@pytest.mark.parametrize("path", ["/readyz", "/v1/models/default", "/v1/rank"])
def test_before_the_model_is_loaded_503_says_when_to_come_again(tmp_path: Any, path: str) -> None:
    """An empty registry: alive, and not ready."""
    with Client(create_app(Settings(registry=tmp_path))) as client:
        reply = client.rank({"candidates": [A]}) if path == "/v1/rank" else client.get(path)
        assert (reply.status_code, assert_shape(reply)["error"]) == (503, "not_ready")
        assert reply.headers["retry-after"] == "1"
        assert client.get("/healthz").status_code == 200


class Slow(Linear):
    """Scores when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def score(self, features: Float32) -> Float32:
        self.go.wait(10)
        return super().score(features)


def test_a_full_pool_answers_429_with_retry_after() -> None:
    """One runs, one waits, the third is told to come again; the two are answered."""
    ranker = Slow()

    async def three() -> list[httpx.Response]:
        app = create_app(Settings(scoring_threads=1, queue_size=1, queue_seconds=10), ranker)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            accepted = [
                asyncio.create_task(client.post("/v1/rank", json={"candidates": [A]})) for _ in range(2)
            ]
            await asyncio.sleep(0.2)
            refused = await client.post("/v1/rank", json={"candidates": [A]})
            ranker.go.set()
            return [refused, *await asyncio.gather(*accepted)]

    refused, *accepted = asyncio.run(three())
    assert (refused.status_code, assert_shape(refused)["error"]) == (429, "overloaded")
    assert refused.headers["retry-after"] == "1"
    assert [reply.status_code for reply in accepted] == [200, 200]


def test_a_request_that_waited_too_long_is_not_scored() -> None:
    """Its client has given up: the thread is for those who have not."""
    ranker = Slow()

    async def two() -> list[httpx.Response]:
        app = create_app(Settings(scoring_threads=1, queue_size=1, queue_seconds=0.05), ranker)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            tasks = [asyncio.create_task(client.post("/v1/rank", json={"candidates": [A]})) for _ in range(2)]
            await asyncio.sleep(0.2)
            ranker.go.set()
            return await asyncio.gather(*tasks)

    assert sorted(reply.status_code for reply in asyncio.run(two())) == [200, 429]


def test_an_unexpected_exception_is_a_500_that_tells_nothing_and_is_logged(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The reason is in the log, under the id the client got; the next request is served."""

    class Broken(Linear):
        def score(self, features: Float32) -> Float32:
            if features[0, 0] == 1:
                raise RuntimeError("secret detail")
            return super().score(features)

    client = open_client(Broken())
    with caplog.at_level(logging.ERROR, "service"):
        reply = client.rank({"candidates": [A]})
    shape = assert_shape(reply)
    assert (reply.status_code, shape["error"]) == (500, "internal_error")
    assert "secret" not in reply.text
    assert "secret detail" in caplog.text
    assert [record.__dict__["request_id"] for record in caplog.records] == [shape["request_id"]]
    assert client.rank({"candidates": [{"id": "a", "features": [0, 0, 0]}]}).status_code == 200


def test_a_score_that_is_nan_is_never_sent(open_client: OpenClient) -> None:
    """JSON cannot carry it, and an order by it means nothing."""

    class Undefined(Linear):
        def score(self, features: Float32) -> Float32:
            return np.full(len(features), np.nan, np.float32)

    assert open_client(Undefined()).rank({"candidates": [A]}).json()["error"] == "score_not_finite"


@pytest.mark.parametrize(
    "body",
    [
        b'{"candidates":[{"id":"a","features":{"x":true}}],',
        b'{"candidates":[{"id":"a","features":{"x":true},"features":[1]}]}',
        b'{"candidates":[{"id":"a","features":{"x":true}}],"top_k":1e999}',
        b'{"candidates":[{"id":"a","features":{"x":true},"q":"\xff"}]}',
        b'{"candidates":[{"id":"a","features":{"x":true}}],"candidates":3}',
        b'{"candidates":[{"id":"a","features":{"x":"y"}}]} trailing',
    ],
)
def test_a_body_wrong_in_two_ways_is_one_refusal(client: Client, body: bytes) -> None:
    """Naming the place of one must not trip over the other."""
    assert client.rank(body).status_code in (400, 422)
