"""What the metrics learn from answers: missing, outside, ties and drift."""

from __future__ import annotations

import numpy as np
import pytest

from service.models.table import Model
from service.observers.background import Background
from service.observers.drift import Drift
from tests.service.conftest import Linear, OpenClient

PROFILE = [
    {"edges": [0.0, 1.0], "shares": [0.5, 0.3, 0.2], "missing": 0.0},
    {"edges": [5.0], "shares": [1.0, 0.0], "missing": 0.5},
    {"edges": [], "shares": [], "missing": 1.0},
]


def test_the_stability_index_is_that_of_the_shares() -> None:
    """Worked by hand: no change is 0; halves where there were 0.5, 0.3 and 0.2."""
    drift = Drift(Model("m", "1", Linear(missing="nan"), {"feature_profile": PROFILE}))
    assert dict(drift.indices()) == {}
    rows = np.full((1000, 3), np.nan, np.float32)
    rows[:500, 0], rows[500:800, 0], rows[800:, 0] = -1, 0.5, 2
    rows[:500, 1] = 5
    drift.add(rows)
    assert dict(drift.indices()) == pytest.approx({"bm25": 0, "ctr": 0, "price": 0}, abs=1e-9)
    other = Drift(Model("m", "1", Linear(missing="nan"), {"feature_profile": PROFILE}))
    rows[:, 0] = np.where(np.arange(1000) < 500, -1, 2)
    other.add(rows)
    expected = (5e-5 - 0.3) * np.log(5e-5 / 0.3) + (0.5 - 0.2) * np.log(0.5 / 0.2)
    assert dict(other.indices())["bm25"] == pytest.approx(expected)


def test_the_index_follows_the_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts halve at the limit: worked by hand, 1000 rows of old and 1000 of new weigh 1 : 2."""
    monkeypatch.setattr(Drift, "HALVED_AT", 1000)
    drift = Drift(Model("m", "1", Linear(missing="nan"), {"feature_profile": PROFILE}))
    rows = np.full((1000, 3), np.nan, np.float32)
    rows[:, 0] = -1
    drift.add(rows)
    rows[:, 0] = 2
    drift.add(rows)
    low, middle, high = 500 / 1500, 5e-5, 1000 / 1500
    shares = ((low, 0.5), (middle, 0.3), (high, 0.2))
    assert dict(drift.indices())["bm25"] == pytest.approx(sum((p - q) * np.log(p / q) for p, q in shares))


@pytest.mark.parametrize(
    "profile", [None, [], [{}] * 3, [{"edges": [1], "shares": [1], "missing": 0}] * 3, "x"]
)
def test_a_model_without_a_usable_profile_is_served_without_drift(profile: object) -> None:
    """What a manifest says beside its own keys is not checked when it is read."""
    drift = Drift(Model("m", "1", Linear(), {"feature_profile": profile}))
    drift.add(np.zeros((1000, 3), np.float32))
    assert list(drift.indices()) == []


def test_missing_outside_ties_and_scores_are_counted(open_client: OpenClient) -> None:
    """Of the answers that were looked at."""
    client = open_client(Linear(missing="nan"))
    model = client.app.state.models.find(None)
    model.high[0] = 1
    client.rank({"candidates": [{"id": str(i), "features": [2, None, 3]} for i in range(4)]})
    client.finish_background()
    text = client.get("/metrics").text
    for expected in (
        'rankwright_observed_candidates_total{model="default",version="0"} 4.0',
        'rankwright_missing_values_total{feature="ctr",model="default",version="0"} 4.0',
        'rankwright_outside_training_range_total{feature="bm25",model="default",version="0"} 4.0',
        'rankwright_tied_scores_total{model="default",version="0"} 3.0',
        'rankwright_scores_count{model="default",version="0"} 4.0',
        'rankwright_stage_seconds_count{model="default",stage="score"} 1.0',
        "rankwright_queue_wait_seconds_count 1.0",
    ):
        assert expected in text


def test_drift_is_measured_of_versions_that_are_served(open_client: OpenClient) -> None:
    """Not of any that a caller asks for by its number."""
    client = open_client(Linear(), default_model="m", observed_per_second=1e6)
    manifest = {"feature_profile": PROFILE}
    first, ninth = Model("m", "1", Linear(), manifest), Model("m", "9", Linear(), manifest)
    client.app.state.models.replace({"m": first, "m@1": first, "m@9": ninth})
    client.app.state.telemetry.serving([first.identity])
    for name in ("m@9", "m"):
        candidates = [{"id": str(i), "features": [0, 1, 2]} for i in range(200)]
        assert client.rank({"candidates": candidates, "model": name}).status_code == 200
        client.finish_background()
    text = client.get("/metrics").text
    assert 'rankwright_feature_drift{feature="bm25",model="m",version="1"}' in text
    assert text.count("rankwright_feature_drift{") == 3


def test_background_work_is_dropped_rather_than_waited_for() -> None:
    """And a job that fails does not end the thread."""
    import threading

    dropped: list[int] = []
    gate, done = threading.Event(), threading.Event()
    background = Background("test", 1, lambda: dropped.append(1))
    assert background.submit(gate.wait)  # type: ignore[arg-type]  # what it returns is nobody's
    while not background.submit(lambda: 1 // 0):  # type: ignore[arg-type, return-value]
        pass
    assert not background.submit(done.set)
    assert dropped
    gate.set()
    while not background.submit(done.set):
        pass
    assert done.wait(5)
    background.close()


def test_answers_are_logged_under_their_request_id(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Where that is asked for."""
    caplog.set_level("INFO", "service.observers.metrics")
    body = {"candidates": [{"id": "a", "features": [1, 2, 3]}], "request_id": "r1"}
    open_client(Linear()).rank(body)
    assert not caplog.records
    open_client(Linear(), log_answers=True).rank(body)
    (record,) = caplog.records
    assert (record.request_id, record.model, record.candidates) == ("r1", "default", 1)  # type: ignore[attr-defined]
