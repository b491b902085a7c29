"""The fast ways of reading a request answer as the generic one does, and do answer what is usual."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from benchmarks.requests_alike import NAMES, Comparison, Sum, compare
from service.answers.batch import Batch
from service.answers.candidates import Doubt
from service.answers.requests import ForeignBody, JsonBody, Posted
from service.models.table import Model

MODEL = Model("m", "1", Sum())  # type: ignore[arg-type]  # saved nowhere
ROWS: list[list[Any]] = [[1.5, None, 0.25], [-2e-3, 7, 0.1]]
DENSE = [{"id": "é", "features": ROWS[0]}, {"features": ROWS[1], "id": 'b"\n'}]
NAMED = [{"id": f"d{i}", "features": dict(zip(NAMES, row, strict=True))} for i, row in enumerate(ROWS)]
TABLE = {"ids": ["a", "b"], "columns": list(NAMES), "matrix": ROWS}
STORED = [{"id": "a"}, {"id": "bcd"}]
MORE = {"query": {"text": "what, exactly? [1]"}, "context": {"bm25": 3}, "top_k": 1, "model": "m"}


def lookup(ids: Any, model: Model) -> Any:
    return np.array([[len(name), 0, 0] for name in ids], np.float32)


def test_mutated_bodies_are_answered_by_the_fast_way_as_by_the_generic_one() -> None:
    counts, different = compare(4000, seed=1)
    assert different == []
    assert counts["/v1/rank answered by the fast way"] > 0.8 * counts["/v1/rank answered"] > 500
    assert counts["/v2/rerank answered by the fast way"] > 100


def test_the_comparison_sees_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.answers.candidates.finished", lambda *given: None)
    body = json.dumps({"candidates": DENSE}).encode()
    with pytest.raises(AttributeError):
        Comparison().alike(body, "/v1/rank", stored=False)


def fast(posted: Posted) -> Batch | None:
    """What the fast way makes of a body, or None where it is in doubt."""
    request = posted.quick()
    try:
        return None if request is None else request.candidates.read(MODEL, None)
    except Doubt:
        return None


def posted(body: Any, path: str = "/v1/rank", **options: Any) -> Posted:
    content = json.dumps(body, ensure_ascii=False, **options).encode()
    if path == "/v1/rank":
        return JsonBody(content, 10)
    return ForeignBody(content, path, Comparison().names, 10, True)


@pytest.mark.parametrize("options", [{}, {"indent": 1}, {"separators": (",", ":")}])
@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"candidates": DENSE}, "/v1/rank"),
        ({**MORE, "candidates": NAMED}, "/v1/rank"),
        ({"candidates": STORED, "explain": True}, "/v1/rank"),
        ({**MORE, **TABLE}, "/v1/rank"),
        ({"query": "q", "documents": [{"features": row, "text": "t"} for row in ROWS]}, "/v2/rerank"),
        ({"query": "q", "documents": NAMED, "top_n": 1, "return_documents": True}, "/v1/rerank"),
        ({"texts": NAMED, "query": "q"}, "/rerank"),
    ],
    ids=["dense", "named", "ids", "table", "cohere", "jina", "tei"],
)  # fmt: skip
def test_usual_bodies_are_read_by_the_fast_way(body: Any, path: str, options: dict[str, Any]) -> None:
    """In each form and spelling: the same candidates as by the generic way."""
    request, whole = posted(body, path, **options).quick(), posted(body, path, **options).whole()
    assert request is not None
    fast, generic = (found.candidates.read(MODEL, lookup) for found in (request, whole))
    assert list(fast.ids) == list(generic.ids)
    assert np.array_equal(fast.features, generic.features, equal_nan=True)
    assert request.asked.top_k == whole.asked.top_k


@pytest.mark.parametrize(
    "candidates",
    [
        [],
        [{"id": "a", "features": [1, 2]}],
        [{"id": "a", "features": [1, 2, 1e39]}],
        [{"id": "a", "features": {"unknown": 1}}],
        [{"id": "a", "features": [1, 2, 3], "more": 1}],
        [{"features": [1, 2, 3]}],
        [{"id": "a" * 513, "features": [1, 2, 3]}],
        [DENSE[0], DENSE[0]],
        [DENSE[0], NAMED[0]],
        [{"id": str(i), "features": [1, 2, 3]} for i in range(11)],
    ],
)
def test_candidates_that_are_not_usual_are_in_doubt(candidates: Any) -> None:
    assert fast(posted({"candidates": candidates})) is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"candidates": 1},
        {"candidates": DENSE, "ids": ["a"]},
        {"candidates": DENSE, "matrix": ROWS},
        {"candidates": DENSE, "unknown": 1},
        {"candidates": DENSE, "top_k": "1"},
        {"matrix": ROWS, "columns": list(NAMES)},
    ],
)
def test_what_is_asked_has_to_be_sound_for_the_fast_way(body: Any) -> None:
    assert fast(posted(body)) is None


def test_a_key_that_comes_twice_is_left_to_the_generic_way() -> None:
    """Where the last one counts."""
    rows = json.dumps(DENSE)
    for key in ("candidates", "candidate\\u0073"):
        for last in ("[]", rows):
            body = f'{{"candidates": {rows}, "{key}": {last}, "top_k": 1}}'
            assert fast(JsonBody(body.encode(), 10)) is None
