"""Splits are sticky and fair, drafts are fair, shadows are compared and never answered."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from ranking.errors import UsageError
from service.answers.experiments import Interleaving, Split, sampled, team_draft
from service.models.table import Model
from service.observers.shadow import agreement
from tests.service.conftest import Client, Linear, OpenClient

CANDIDATES = [{"id": str(i), "features": [i, -i, 0]} for i in range(5)]


def with_versions(client: Client) -> Client:
    """movies@1 ranks by the first feature, movies@2 by the second."""
    one = Model("movies", "1", Linear((1, 0, 0)))
    two = Model("movies", "2", Linear((0, 1, 0)))
    client.app.state.models.replace({"movies": one, "movies@1": one, "movies@2": two})
    client.app.state.telemetry.serving([one.identity, two.identity])
    return client


def test_a_split_is_sticky_and_keeps_its_shares() -> None:
    """By unit, in every replica; 3 standard errors."""
    split = Split({"m@1": 90, "m@2": 10})
    chosen = {f"user-{i}": split.choose(f"user-{i}") for i in range(4000)}
    assert all(Split({"m@1": 90, "m@2": 10}).choose(unit) == found for unit, found in chosen.items())
    assert abs(Counter(chosen.values())["m@2"] / 4000 - 0.1) < 3 * (0.09 / 4000) ** 0.5


def test_samples_of_different_purposes_are_independent() -> None:
    """Each a share of all, and both their product; 3 standard errors."""
    units = [f"user-{i}" for i in range(4000)]
    journal, shadow = ({u for u in units if sampled(purpose, u, 0.3)} for purpose in ("journal", "shadow"))
    for found, share in ((journal, 0.3), (shadow, 0.3), (journal & shadow, 0.09)):
        assert abs(len(found) / 4000 - share) < 3 * (share * (1 - share) / 4000) ** 0.5
    assert journal == {u for u in units if sampled("journal", u, 0.3)}


@pytest.mark.parametrize(
    "weights", [{"m@1": 1}, {"m@1": 1, "n@1": 1}, {"m": 1, "m@2": 1}, {"m@1": 1, "m@2": 0}]
)
def test_a_split_that_cannot_be_is_a_usage_error(weights: dict[str, int]) -> None:
    """Two versions of one name with weights from 1."""
    with pytest.raises(UsageError, match="split"):
        Split(weights)


def test_a_request_for_the_name_is_split_and_one_for_a_version_is_not(open_client: OpenClient) -> None:
    """By the header, or else by the request id; the reply names who answered."""
    client = with_versions(
        open_client(Linear(), default_model="movies", split={"movies@1": 1, "movies@2": 1})
    )

    def version(body: dict[str, Any], unit: str | None = None) -> str:
        headers = {} if unit is None else {"x-experiment-unit": unit}
        reply = client.request(
            "POST", "/v1/rank", json={"candidates": CANDIDATES} | body, headers=headers
        ).json()
        assert reply["results"][0]["id"] == {"1": "4", "2": "0"}[reply["version"]]
        return str(reply["version"])

    by_unit = {unit: version({}, unit) for unit in "abcdefgh"}
    assert set(by_unit.values()) == {"1", "2"}
    for unit, found in by_unit.items():
        assert version({"model": "movies", "request_id": "other"}, unit) == found
        assert version({"request_id": unit}) == found
        assert version({"model": "movies@1"}, unit) == "1"


def test_a_draft_takes_from_both_in_turn() -> None:
    """Each pair of places has one of each team, and each team's picks keep its order."""
    generator = np.random.default_rng(0)
    for count in (1, 2, 7, 30):
        orders = generator.permutation(count), generator.permutation(count)
        drafted, teams = team_draft(orders, generator)
        assert sorted(drafted) == list(range(count))
        for start in range(0, count - 1, 2):
            assert {int(teams[start]), int(teams[start + 1])} == {0, 1}
        for team in (0, 1):
            ranks = np.argsort(orders[team])[drafted[teams == team]]
            assert (np.diff(ranks) > 0).all()


def test_who_drafts_first_is_a_fair_coin() -> None:
    """3 standard errors of 2,000 drafts."""
    orders = np.arange(4), np.arange(4)[::-1].copy()
    first = [team_draft(orders, np.random.default_rng(seed))[1][0] for seed in range(2000)]
    assert abs(np.mean(first) - 0.5) < 3 * 0.5 / 2000**0.5


def test_interleaved_results_name_their_team(open_client: OpenClient) -> None:
    """The same request is drafted the same way; contributions are not to be had."""
    client = with_versions(open_client(Linear(), default_model="movies", interleave=["movies@1", "movies@2"]))
    body = {"candidates": CANDIDATES, "request_id": "r", "top_k": 4}
    reply = client.rank(body).json()
    assert (reply["model"], reply["version"]) == ("movies", "1+2")
    assert Counter(result["team"] for result in reply["results"]) == {"movies@1": 2, "movies@2": 2}
    assert client.rank(body).json()["results"] == reply["results"]
    assert client.rank(body | {"explain": True}).json()["error"] == "no_explanation"
    assert client.rank(body | {"model": "movies@1"}).json()["version"] == "1"


def test_what_cannot_be_interleaved_is_a_usage_error() -> None:
    """Two different versions of one name."""
    for references in (["m@1"], ["m@1", "m@1"], ["m@1", "n@2"], ["m@1", "m@2", "m@3"]):
        with pytest.raises(UsageError, match="interleave"):
            Interleaving(references)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([3, 2, 1], [30, 20, 10], (1.0, 1.0, False)),
        ([3, 2, 1], [1, 2, 3], (-1.0, 1.0, True)),
        ([5], [1], (1.0, 1.0, False)),
        ([1, 1], [1, 1], (0.0, 1.0, False)),
    ],
)
def test_agreement(one: list[float], other: list[float], expected: tuple[float, float, bool]) -> None:
    """Kendall's tau-b, overlap of the first ten, another first."""
    assert agreement(np.array(one, np.float32), np.array(other, np.float32)) == pytest.approx(expected)


def test_overlap_counts_the_first_ten() -> None:
    """Twenty candidates, the other way round: nobody is in both."""
    scores = np.arange(20, dtype=np.float32)
    assert agreement(scores, -scores) == pytest.approx((-1, 0, True))


def test_a_shadow_is_compared_in_the_background(open_client: OpenClient) -> None:
    """Its agreement is in the metrics; the answer is the first one's."""
    client = with_versions(open_client(Linear(), default_model="movies", shadow="movies@2", shadow_share=1))
    for _ in range(3):
        assert client.rank({"candidates": CANDIDATES}).json()["version"] == "1"
    client.rank({"candidates": CANDIDATES, "model": "movies@2"})  # agrees with itself: not counted
    client.finish_background()
    text = client.get("/metrics").text
    labels = '{model="movies",shadow="movies@2",version="1"}'
    assert f"rankwright_shadow_requests_total{labels} 3.0" in text
    assert f"rankwright_shadow_changed_first_total{labels} 3.0" in text
    worst = labels.replace("{", '{le="-0.5",')
    assert f"rankwright_shadow_kendall_tau_bucket{worst} 3.0" in text


def test_a_shadow_that_is_not_there_is_counted(open_client: OpenClient) -> None:
    """And harms nobody."""
    client = with_versions(open_client(Linear(), default_model="movies", shadow="movies@9", shadow_share=1))
    assert client.rank({"candidates": CANDIDATES}).status_code == 200
    client.finish_background()
    assert (
        'rankwright_shadow_failures_total{model="movies",shadow="movies@9",version="1"} 1.0'
        in client.get("/metrics").text
    )
