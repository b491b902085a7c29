"""From a ranking and its clicks to a training file, without a float changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ranking.data.journal import JournalRecords, labelled_lists, read_journal, team_credits
from ranking.errors import DataError
from service.models.table import Model
from tests.service.conftest import Client, Linear, OpenClient

ROWS = np.random.default_rng(5).normal(size=(6, 3)).astype(np.float32)


def rank(client: Client, name: str, **more: Any) -> Any:
    candidates = [{"id": f"d{i}", "features": [float(v) for v in row]} for i, row in enumerate(ROWS)]
    return client.rank({"candidates": candidates, "request_id": name, **more}).json()


def feedback(client: Client, name: str, *events: dict[str, Any]) -> Any:
    return client.request("POST", "/v1/feedback", json={"request_id": name, "events": list(events)})


def closed(client: Client) -> None:
    """Its journal written to the end."""
    client.app.state.journal.close()


def test_clicks_become_lists_with_the_features_that_were_scored(
    open_client: OpenClient, tmp_path: Path
) -> None:
    """In the order shown, labels by type, positions from 1; rankings without events are left out."""
    client = open_client(Linear(), journal=tmp_path)
    shown = [result["id"] for result in rank(client, "r1", top_k=4)["results"]]
    rank(client, "r2")
    assert feedback(client, "r1", {"id": shown[1], "type": "click", "position": 2}).json() == {"accepted": 1}
    feedback(
        client,
        "r1",
        {"id": shown[2], "type": "purchase"},
        {"id": shown[2], "type": "click"},
        {"id": "x", "type": "click"},
    )
    closed(client)
    lists = labelled_lists(read_journal(tmp_path), {"click": 1, "purchase": 3})
    assert (list(lists.query_ids), list(lists.document_ids or [])) == (["r1"], shown)
    assert lists.labels.tolist() == [0, 1, 3, 0]
    assert lists.positions is not None
    assert lists.positions.tolist() == [1, 2, 3, 4]
    expected = ROWS[[int(name[1:]) for name in shown]]
    np.testing.assert_array_equal(lists.features.view(np.uint32), expected.view(np.uint32))
    assert list(lists.feature_names or []) == ["bm25", "ctr", "price"]
    everything = labelled_lists(read_journal(tmp_path), only_with_events=False)
    assert everything.query_count == 2
    assert 'rankwright_feedback_events_total{type="click"} 3.0' in client.get("/metrics").text


def test_events_are_counted_by_the_types_that_are_configured(open_client: OpenClient, tmp_path: Path) -> None:
    """All are kept; what a caller makes up is counted together."""
    client = open_client(Linear(), journal=tmp_path, events=["click", "save"])
    types = ["click", "save", "save", "purchase", *(f"made-up-{i}" for i in range(50))]
    feedback(client, "r1", *({"id": "a", "type": name} for name in types))
    lines = [line for line in client.get("/metrics").text.splitlines() if "feedback_events_total{" in line]
    assert sorted(lines) == [
        'rankwright_feedback_events_total{type="click"} 1.0',
        'rankwright_feedback_events_total{type="other"} 51.0',
        'rankwright_feedback_events_total{type="save"} 2.0',
    ]
    closed(client)
    (file,) = tmp_path.iterdir()
    kept = json.loads(file.read_text())["events"]
    assert [event["type"] for event in kept] == types


def test_files_are_rotated_and_each_stands_alone(open_client: OpenClient, tmp_path: Path) -> None:
    """The feature names come again with every file."""
    client = open_client(Linear(), journal=tmp_path, journal_bytes=1024)
    for number in range(8):
        rank(client, f"r{number}")
        feedback(client, f"r{number}", {"id": "d1", "type": "click"})
    closed(client)
    files = list(tmp_path.glob("journal-*.jsonl"))
    assert len(files) > 2
    assert labelled_lists(read_journal(tmp_path)).query_count == 8


def test_a_line_cut_short_is_counted_and_the_rest_is_read(open_client: OpenClient, tmp_path: Path) -> None:
    """As a killed process leaves it."""
    client = open_client(Linear(), journal=tmp_path)
    rank(client, "r1")
    feedback(client, "r1", {"id": "d1", "type": "click"})
    closed(client)
    (file,) = tmp_path.glob("*.jsonl")
    with file.open("ab") as journal:
        journal.write(b'{"kind": "ranking", "reque')
    found = read_journal(tmp_path)
    assert (found.damaged, labelled_lists(found).query_count) == (1, 1)


def test_nothing_to_learn_from_is_an_error(open_client: OpenClient, tmp_path: Path) -> None:
    """No journal, no events, rankings of two models."""
    with pytest.raises(DataError, match="holds no journal"):
        read_journal(tmp_path)
    client = open_client(Linear(), journal=tmp_path)
    rank(client, "r1")
    closed(client)
    with pytest.raises(DataError, match="no ranking of the journal has an event"):
        labelled_lists(read_journal(tmp_path))
    journal = read_journal(tmp_path)
    journal.rankings["r2"] = journal.rankings["r1"] | {"model": "other"}
    with pytest.raises(DataError, match="--model"):
        labelled_lists(journal)


def test_an_interleaved_ranking_is_won_by_the_team_that_was_clicked(
    open_client: OpenClient, tmp_path: Path
) -> None:
    """A tie is nobody's."""
    client = open_client(Linear(), default_model="m", interleave=["m@1", "m@2"], journal=tmp_path)
    one, two = Model("m", "1", Linear((1, 0, 0))), Model("m", "2", Linear((-1, 0, 0)))
    client.app.state.models.replace({"m": one, "m@1": one, "m@2": two})
    for name in ("r1", "r2", "r3"):
        results = rank(client, name)["results"]
        teams = {result["team"]: result["id"] for result in results[:2]}
        feedback(client, name, {"id": teams["m@2"], "type": "click"})
        if name == "r3":
            feedback(client, name, {"id": teams["m@1"], "type": "click"})
    closed(client)
    assert team_credits(read_journal(tmp_path), ["click"]) == {"m@1": 0, "m@2": 2}


def rerank(client: Client, name: str, documents: list[Any], **more: Any) -> list[int]:
    """Places in the order shown."""
    body = {"query": "q", "documents": documents, "request_id": name, **more}
    results = client.request("POST", "/v2/rerank", json=body).json()["results"]
    return [result["index"] for result in results]


def labels_of(folder: Path) -> dict[str, list[tuple[str, float]]]:
    """(document, label) in the order shown, of each ranking."""
    lists = labelled_lists(read_journal(folder))
    found = list(zip(lists.document_ids or [], lists.labels.tolist(), strict=True))
    ends = lists.offsets.tolist()
    return {
        query: found[start:stop]
        for query, start, stop in zip(lists.query_ids, ends[:-1], ends[1:], strict=True)
    }


def test_clicks_on_a_foreign_document_join_by_its_own_id(open_client: OpenClient, tmp_path: Path) -> None:
    """Its place where it has none, and that is never taken for another document's id."""
    client = open_client(Linear(), journal=tmp_path)
    shoes = [
        {"id": "shoe-7", "features": [1, 0, 0]},
        {"features": [3, 0, 0]},
        json.dumps({"id": "1", "features": [2, 0, 0]}),
        {"features": [0, 0, 0]},
    ]
    assert rerank(client, "r1", shoes) == [1, 2, 0, 3]
    feedback(client, "r1", {"id": "shoe-7", "type": "click", "position": 3}, {"id": "1", "type": "click"})
    rerank(client, "r2", shoes)
    feedback(client, "r2", {"id": "3", "type": "click"})
    closed(client)
    assert labels_of(tmp_path) == {
        "r1": [("#1", 0), ("1", 1), ("shoe-7", 1), ("3", 0)],
        "r2": [("#1", 0), ("1", 0), ("shoe-7", 0), ("3", 1)],
    }


def test_a_click_on_an_id_shown_twice_is_of_its_position_or_of_both(
    open_client: OpenClient, tmp_path: Path
) -> None:
    """A position that shows another document says nothing."""
    client = open_client(Linear(), journal=tmp_path)
    twice = [{"id": "a", "features": [row, 0, 0]} for row in (1, 3)] + [{"id": "b", "features": [2, 0, 0]}]
    for name, position in (("r1", {"position": 3}), ("r2", {}), ("r3", {"position": 2})):
        assert rerank(client, name, twice) == [1, 2, 0]
        feedback(client, name, {"id": "a", "type": "click", **position})
    closed(client)
    assert labels_of(tmp_path) == {
        "r1": [("a", 0), ("b", 0), ("a", 1)],
        "r2": [("a", 1), ("b", 0), ("a", 1)],
        "r3": [("a", 1), ("b", 0), ("a", 1)],
    }


def test_a_team_is_credited_for_its_own_showing_of_an_id(tmp_path: Path) -> None:
    """By position; without one an event is each team's that showed it, once: three clicks, a tie, a win."""
    shown = [{"id": "a", "team": "m@1"}, {"id": "a", "team": "m@2"}, {"id": "a", "team": "m@2"}]
    clicks = {
        "by position": [{"id": "a", "type": "click", "position": 1}],
        "without": [{"id": "a", "type": "click"}],
        "both": [{"id": "a", "type": "click"}, {"id": "a", "type": "click", "position": 3}],
    }
    rankings = {name: {"results": shown} for name in clicks}
    assert team_credits(JournalRecords(rankings=rankings, events=clicks), ["click"]) == {"m@1": 1, "m@2": 1}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"request_id": "r", "events": []},
        {"request_id": "r", "events": [{"id": "a"}]},
        {"request_id": "r", "events": [{"id": "a", "type": "Click!"}]},
        {"request_id": "r", "events": [{"id": "a", "type": "click", "position": 0}]},
        {"request_id": "", "events": [{"id": "a", "type": "click"}]},
    ],
)
def test_bad_feedback_is_refused(open_client: OpenClient, tmp_path: Path, body: dict[str, Any]) -> None:
    """With its place."""
    client = open_client(Linear(), journal=tmp_path)
    reply = client.request("POST", "/v1/feedback", json=body)
    assert (reply.status_code, reply.json()["error"]) == (422, "invalid_request")


def test_without_a_journal_feedback_says_so(client: Client) -> None:
    """Rather than lose it."""
    reply = feedback(client, "r", {"id": "a", "type": "click"})
    assert (reply.status_code, reply.json()["error"]) == (404, "feedback_off")


def test_a_share_of_the_rankings_is_kept(open_client: OpenClient, tmp_path: Path) -> None:
    """None of them at 0; by request, so that all replicas agree."""
    client = open_client(Linear(), journal=tmp_path, journal_share=0.5)
    for number in range(40):
        rank(client, f"r{number}", top_k=1)
    closed(client)
    lines = [json.loads(line) for file in tmp_path.iterdir() for line in file.read_text().splitlines()]
    kept = {line["request_id"] for line in lines if line["kind"] == "ranking"}
    assert 5 < len(kept) < 35
