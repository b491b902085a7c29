"""Nearly valid bodies: whatever comes, the answer is a ranking or a typed refusal."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.service.conftest import Client, Linear, OpenClient
from tests.service.test_errors import assert_shape

EXAMPLES = int(os.environ.get("RANKWRIGHT_FUZZ_EXAMPLES", "200"))

numbers = st.one_of(
    st.none(),
    st.integers(-5, 5),
    st.floats(-1e6, 1e6),
    st.sampled_from([0.0, -0.0, 1e38, -1e38, 1e39, 10**300]),
)
junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
names = st.sampled_from(["bm25", "ctr", "price"])


def rarely(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The right thing most of the time, else anything."""
    return st.integers(0, 19).flatmap(lambda draw: junk if draw == 0 else good)


features = st.one_of(
    st.lists(rarely(numbers), min_size=3, max_size=3),
    st.lists(rarely(numbers), max_size=5),
    st.dictionaries(rarely(names).map(str), rarely(numbers), max_size=3),
)
candidates = st.lists(
    st.fixed_dictionaries({"id": rarely(st.text(max_size=3)), "features": rarely(features)}),
    min_size=1,
    max_size=6,
    unique_by=lambda candidate: str(candidate["id"]),
)
tables = st.integers(1, 4).flatmap(
    lambda rows: st.fixed_dictionaries(
        {
            "ids": rarely(st.just([f"d{i}" for i in range(rows)])),
            "columns": rarely(st.just(["ctr", "price"])),
            "matrix": rarely(
                st.lists(st.lists(rarely(numbers), min_size=2, max_size=2), min_size=rows, max_size=rows)
            ),
        }
    )
)
extras = st.fixed_dictionaries(
    {},
    optional={
        "model": rarely(st.sampled_from(["default", "default@0", None])),
        "request_id": rarely(st.text(min_size=1, max_size=5)),
        "query": rarely(st.fixed_dictionaries({"id": st.just("q")})),
        "top_k": rarely(st.integers(1, 9)),
        "explain": rarely(st.sampled_from([True, False, {"top_features": 2}])),
    },
)
bodies = st.tuples(st.one_of(st.fixed_dictionaries({"candidates": rarely(candidates)}), tables), extras).map(
    lambda parts: parts[0] | parts[1]
)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=bodies)
def test_a_nearly_valid_body_is_ranked_or_refused(client: Client, body: Any) -> None:
    """Never a 5xx; a 200 is a whole permutation in order, a 4xx has the shape."""
    reply = client.rank(json.dumps(body).encode())
    event(str(reply.status_code))
    assert reply.status_code in (200, 400, 404, 422)
    if reply.status_code != 200:
        assert_shape(reply)
        return
    answer = reply.json()
    scores = [result["score"] for result in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    indices = [result["index"] for result in answer["results"]]
    assert len(set(indices)) == len(indices)


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_damaged_body_is_never_a_fault_of_ours(client: Client, data: st.DataObject) -> None:
    """A byte replaced, or the end cut off."""
    body = b'{"candidates":[{"id":"a","features":[1,null,3e2]},{"id":"b","features":{"ctr":1}}],"top_k":2}'
    at = data.draw(st.integers(0, len(body) - 1))
    damaged = data.draw(st.sampled_from([body[:at], body[:at] + bytes([at * 37 % 256]) + body[at + 1 :]]))
    assert client.rank(damaged).status_code in (200, 400, 404, 422)


@pytest.mark.parametrize("kind", [200, 422])
def test_the_bodies_are_of_every_kind(open_client: OpenClient, kind: int) -> None:
    """The strategy above reaches a ranking and a refusal, or it would prove nothing."""
    seen: set[int] = set()
    client = open_client(Linear())

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(body=bodies)
    def look(body: Any) -> None:
        if kind not in seen:
            seen.add(client.rank(json.dumps(body).encode()).status_code)

    look()
    assert kind in seen
