"""Nearly valid bodies: whatever comes, the answer is a ranking or a typed refusal."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.service.bodies import bodies
from tests.service.conftest import Client, Linear, OpenClient
from tests.service.replies import assert_shape

EXAMPLES = int(os.environ.get("RANKWRIGHT_FUZZ_EXAMPLES", "200"))


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
