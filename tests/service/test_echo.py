"""What a client sent comes back cut: no answer grows with what it refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ranking.data.store import Table, build_store
from service import echo
from service.echo import LONGEST, cut, nearest, shown
from tests.service.conftest import Client, Linear, OpenClient
from tests.service.keys import ADMIN, KEYS

MEGA = "x" * 1_000_000
LONG = "y" * 60_000
"""As long as httpx lets an address be."""
ID = "z" * 512
SMALL = 4096
NPY = {"content-type": "application/x-npy"}
A = {"id": "a", "features": [1, 2, 3]}


@pytest.mark.parametrize(
    ("text", "short"), [("", ""), ("a" * 100, "a" * 100), ("a" * 101, "a" * 99 + "…"), (MEGA, "x" * 99 + "…")]
)
def test_at_most_a_hundred_characters_are_left(text: str, short: str) -> None:
    assert cut(text) == short
    assert len(short) <= LONGEST


def test_a_name_is_quoted_with_its_control_characters_escaped() -> None:
    """A log or a terminal is not written to by whoever sends a request."""
    assert shown("a\n'b") == '"a\\n\'b"'


def test_the_nearest_name_is_not_sought_for_a_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a hundred characters it still is."""
    assert nearest("bm52", ["ctr", "bm25"]) == "bm25"
    assert nearest("q", ["ctr", "bm25"]) is None
    assert nearest("a" * 100, ["a" * 99]) == "a" * 99

    def searched(*_: Any, **__: Any) -> list[str]:
        raise AssertionError("searched")

    monkeypatch.setattr(echo, "closest", searched)
    assert nearest("a" * 101, ["a" * 101]) is None
    with pytest.raises(AssertionError):
        nearest("a" * 100, [])


def npy(descr: str) -> bytes:
    """An npy file whose header claims this dtype."""
    buffer = io.BytesIO()
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1, 3)}}".encode()
    buffer.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    return buffer.getvalue()


NATIVE: dict[str, tuple[Any, str]] = {
    "model": ({"candidates": [A], "model": MEGA}, "unknown_model"),
    "version": ({"candidates": [A], "model": f"default@{MEGA}"}, "unknown_model"),
    "request id": ({"candidates": [A], "request_id": MEGA}, "invalid_request"),
    "key": ({"candidates": [A], MEGA: 1}, "invalid_request"),
    "key of a candidate": ({"candidates": [A | {MEGA: 1}]}, "invalid_request"),
    "key of explain": ({"candidates": [A], "explain": {MEGA: 1}}, "invalid_request"),
    "id": ({"candidates": [{"id": MEGA, "features": [1, 2, 3]}]}, "invalid_request"),
    "ids twice": (
        {"candidates": [{"id": c * 512, "features": [1, 2, 3]} for c in "aabbccddeeff"]},
        "duplicate_id",
    ),
    "unknown ids": ({"candidates": [{"id": c * 512} for c in "abcdef"]}, "unknown_id"),
    "feature": ({"candidates": [{"id": "a", "features": {MEGA: 1}}]}, "unknown_feature"),
    "feature of text": ({"candidates": [{"id": "a", "features": {MEGA: "1"}}]}, "invalid_request"),
    "context": ({"candidates": [A], "context": {MEGA: 1}}, "unknown_feature"),
    "context of text": ({"candidates": [A], "context": {MEGA: "1"}}, "invalid_request"),
    "column": ({"ids": ["a"], "columns": [MEGA], "matrix": [[1]]}, "unknown_feature"),
    "text for a number": ({"candidates": [{"id": "a", "features": [MEGA, 2, 3]}]}, "invalid_request"),
    "no JSON": (MEGA.encode(), "malformed_json"),
    "number": (b'{"candidates":[{"id":"a","features":[' + b"9" * 1_000_000 + b"]}]}", "malformed_json"),
}

FOREIGN: dict[str, tuple[Any, str]] = {
    "model": ({"documents": [A], "model": f"default@{MEGA}"}, "unknown_model"),
    "request id": ({"documents": [A], "request_id": MEGA}, "invalid_request"),
    "feature": ({"documents": [{"features": {MEGA: 1}}]}, "unknown_feature"),
    "context": ({"documents": [A], "context": {MEGA: 1}}, "unknown_feature"),
    "key of explain": ({"documents": [A], "explain": {MEGA: 1}}, "invalid_request"),
    "id": ({"documents": [MEGA]}, "invalid_document"),
    "unknown ids": ({"documents": [c * 512 for c in "abcdef"]}, "unknown_id"),
    "a number": ({"documents": [A], "top_n": MEGA}, "invalid_request"),
    "a long number": ({"documents": [A], "top_n": -(10**4000)}, "invalid_top"),
    "two long numbers": ({"documents": [A], "top_n": 10**4000, "top_k": -(10**4000)}, "invalid_top"),
    "no JSON": (MEGA.encode(), "malformed_json"),
}

OTHERS: dict[str, tuple[str, str, Any, dict[str, str], str]] = {
    "path": ("GET", f"/{LONG}", None, {}, "unknown_path"),
    "page": ("GET", f"/page/{LONG}", None, {}, "unknown_path"),
    "method": ("M" * 50_000, "/v1/rank", None, {}, "wrong_method"),
    "model by path": ("GET", f"/v1/models/{LONG}", None, {}, "unknown_model"),
    "document by path": ("GET", f"/v1/features/{LONG}", None, {}, "unknown_id"),
    "document put": ("PUT", f"/v1/features/{LONG}", {"features": {}}, {}, "invalid_id"),
    "feature put": ("PUT", "/v1/features/a", {"features": {MEGA: 1}}, {}, "unknown_feature"),
    "text put": ("PUT", "/v1/features/a", {"features": {MEGA: "1"}}, {}, "invalid_request"),
    "columns put": (
        "POST",
        "/v1/features:bulk",
        {"ids": ["a"], "columns": [MEGA], "matrix": [[1]]},
        {},
        "unknown_feature",
    ),
    "event": (
        "POST",
        "/v1/feedback",
        {"request_id": "r", "events": [{"id": "a", "type": MEGA}]},
        {},
        "invalid_request",
    ),
    "key of an event": ("POST", "/v1/feedback", {MEGA: 1}, {}, "invalid_request"),
    "key of a batch": ("POST", "/v1/rank:batch", {MEGA: 1}, {}, "invalid_request"),
    "media type": ("POST", "/v1/rank", b"{}", {"content-type": LONG}, "unsupported_media_type"),
    "encoding": ("POST", "/v1/rank", {}, {"content-encoding": LONG}, "unsupported_encoding"),
    "deadline": ("POST", "/v1/rank", {}, {"x-deadline-ms": LONG}, "invalid_deadline"),
    "parameter": ("POST", f"/v1/rank?{LONG}=1", b"", NPY, "invalid_parameter"),
    "value": ("POST", f"/v1/rank?top_k={LONG}", b"", NPY, "invalid_parameter"),
    "dtype": (
        "POST",
        "/v1/rank",
        npy(f"[('{'f' * 9000}', '<f4')]"),
        NPY,
        "wrong_array",
    ),
}  # fmt: skip


def send(client: Client, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return client.request(
        method, path, content=content, headers={"content-type": "application/json", **ADMIN, **headers}
    )


REQUESTS = [
    *(
        pytest.param("POST", "/v1/rank", body, {}, code, id=f"rank: {name}")
        for name, (body, code) in NATIVE.items()
    ),
    *(
        pytest.param("POST", path, body, {}, code, id=f"{path}: {name}")
        for path in ("/v2/rerank", "/v1/rerank", "/rerank")
        for name, (body, code) in FOREIGN.items()
    ),
    *(
        pytest.param(*rest, code, id=f"other: {name}")
        for name, (*rest, code) in OTHERS.items()
    ),
]  # fmt: skip


@pytest.fixture
def everything(open_client: OpenClient, tmp_path: Path) -> Client:
    """A service with all that can refuse something."""
    rows = np.zeros((1, 3), np.float32)
    build_store(str(tmp_path / "store"), Table(("bm25", "ctr", "price"), ["sku-1"], rows))
    return open_client(Linear(), features=str(tmp_path / "store"), journal=tmp_path / "journal", keys=KEYS)


@pytest.mark.parametrize(("method", "path", "body", "headers", "code"), REQUESTS)
def test_a_refusal_is_small_whatever_it_refuses(
    everything: Client, method: str, path: str, body: Any, headers: dict[str, str], code: str
) -> None:
    """And it is the refusal that was meant."""
    reply = send(everything, method, path, body, headers)
    assert reply.json()["error"] == code, reply.text[:500]
    assert len(reply.content) < SMALL


def test_a_warning_is_small_too(everything: Client) -> None:
    """Ten unknown keys are named, each cut."""
    body = {"query": "q", "documents": [A]} | {f"{number:02}{MEGA[:100_000]}": 1 for number in range(12)}
    reply = send(everything, "POST", "/v2/rerank", body, {})
    assert reply.status_code == 200
    assert len(reply.json()["meta"]["warnings"]) == 10
    assert len(reply.content) < SMALL


def test_a_refusal_in_a_batch_is_small(everything: Client) -> None:
    """Each has a body of its own inside the answer."""
    body = {"requests": [{"candidates": [A], "model": MEGA}]}
    reply = send(everything, "POST", "/v1/rank:batch", body, {})
    assert reply.json()["results"][0]["error"]["error"] == "unknown_model"
    assert len(reply.content) < SMALL
