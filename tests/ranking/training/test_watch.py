"""What a watch remembers, when it ends a run, and how it takes Ctrl-C."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ranking.data.dataset import RankingDataset
from ranking.metrics import Metric
from ranking.training.checkpoint import Checkpoint, Keeper, read_checkpoint
from ranking.training.config import TrainConfig
from ranking.training.watch import Progress, RunWatch, Stop, interruptible, smoothed
from tests.lists import one_list

NDCG = Metric.parse("ndcg@10")
LISTS = one_list([1, 0])
GOOD, BAD = np.array([1.0, 0.0]), np.array([0.0, 1.0])


def watch(
    config: TrainConfig | None = None,
    valid: RankingDataset | None = LISTS,
    progress: Progress | None = None,
    keeper: Keeper | None = None,
    checkpoint: Checkpoint | None = None,
) -> RunWatch:
    return RunWatch(config or TrainConfig(), NDCG, LISTS, valid, progress, keeper, checkpoint)


def run(one: RunWatch, scores: list[Any], first: int = 1) -> list[bool]:
    return [one(round_, s, lambda: b"model") for round_, s in enumerate(scores, first)]


def test_the_best_round_of_a_network_is_the_first_of_the_best() -> None:
    one = watch(TrainConfig(backend="neural"))
    assert one.best_round is None
    run(one, [BAD, GOOD, GOOD, BAD])
    assert one.history == [pytest.approx(1 / np.log2(3)), 1, 1, pytest.approx(1 / np.log2(3))]
    assert one.best_round == 2


def test_the_best_round_of_trees_is_that_of_the_mean_of_its_neighbours() -> None:
    """A lucky round far from others that are good is not kept: 1 at round 10, and from round 30 to 44."""
    one = watch()
    run(one, [GOOD if number in (10, *range(30, 45)) else BAD for number in range(1, 61)])
    assert one.history[9] == 1
    assert one.best_round == 34  # the first whose ten neighbours on each side have all that are good


@pytest.mark.parametrize(
    ("values", "window", "expected"),
    [
        ([3.0], 21, [3.0]),
        ([1.0, 5.0], 21, [1.0, 5.0]),
        ([1.0, 2.0, 6.0], 21, [4 / 3, 3.0, 14 / 3]),  # the edge's value stands beyond it
        ([0.0, 0.0, 3.0, 0.0, 0.0], 3, [0.0, 1.0, 1.0, 1.0, 0.0]),
        ([0.1, 0.3, 0.3], 1, [0.1, 0.3, 0.3]),
    ],
)
def test_smoothed_is_the_centred_mean(values: list[float], window: int, expected: list[float]) -> None:
    np.testing.assert_allclose(smoothed(values, window), expected, atol=1e-12)


@pytest.mark.parametrize(("patience", "ends"), [(2, 4), (1, 3), (0, None)])
def test_patience_counts_from_the_best_round(patience: int, ends: int | None) -> None:
    ended = run(watch(TrainConfig(early_stopping=patience)), [BAD, GOOD, GOOD, GOOD, BAD])
    assert (ended.index(True) + 1 if True in ended else None) == ends


def test_the_last_round_ends_the_run() -> None:
    assert run(watch(TrainConfig(rounds=2)), [BAD, GOOD]) == [False, True]


def test_without_held_out_lists_nothing_is_measured_and_nothing_stops_early() -> None:
    seen: list[tuple[Any, ...]] = []
    one = watch(TrainConfig(early_stopping=1), valid=None, progress=lambda *report: seen.append(report))
    assert run(one, [None, None, None]) == [False] * 3
    assert (one.history, one.best_round) == ([], None)
    assert [report[:3] for report in seen] == [(1, 500, None), (2, 500, None), (3, 500, None)]


def test_progress_reports_the_value_and_the_time_left() -> None:
    seen: list[tuple[Any, ...]] = []
    run(watch(TrainConfig(rounds=2), progress=lambda *report: seen.append(report)), [GOOD, GOOD])
    assert [report[:3] for report in seen] == [(1, 2, 1.0), (2, 2, 1.0)]
    assert seen[0][3] >= seen[1][3] == 0


@pytest.mark.parametrize(("seconds", "kept"), [(0.0, 2), (3600.0, None)])
def test_checkpoints_are_kept_as_often_as_asked(tmp_path: Path, seconds: float, kept: int | None) -> None:
    keeper = Keeper(tmp_path / "kept", {"seed": 1})
    run(watch(TrainConfig(checkpoint_seconds=seconds), keeper=keeper), [GOOD, BAD])
    found = read_checkpoint(tmp_path / "kept", {"seed": 1})
    assert (None if found is None else found.rounds) == kept


def test_an_interruption_keeps_a_checkpoint_and_ends_the_run(tmp_path: Path) -> None:
    one = watch(TrainConfig(checkpoint_seconds=3600), keeper=Keeper(tmp_path / "kept", {}))
    with interruptible(one.stop):
        assert run(one, [BAD]) == [False]
        signal.raise_signal(signal.SIGINT)
        assert run(one, [GOOD], first=2) == [True]
    assert one.interrupted
    found = read_checkpoint(tmp_path / "kept", {})
    assert found is not None
    assert (found.rounds, len(found.history)) == (2, 2)


def test_the_second_ctrl_c_ends_at_once_and_the_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible(Stop()):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    """Python lets no other thread set them."""
    before, ran = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with interruptible(Stop()):
            ran.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran == [before]


def test_a_resumed_watch_goes_on_where_the_other_was(tmp_path: Path) -> None:
    """The training curve misses the last round at a checkpoint, and gets it with the next scores."""
    state = Checkpoint(2, b"model", (0.5, 1.0), (0.5,))
    one = watch(TrainConfig(early_stopping=1), keeper=Keeper(tmp_path, {}), checkpoint=state)
    assert (one.rounds, one.best_round, one.finished) == (2, 2, False)
    one.see_train_scores(GOOD)
    assert one.train_history == [0.5, 1.0]
    assert run(one, [BAD], first=3) == [True]
    assert one.finished


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once; the run goes on without."""
    (tmp_path / "file").write_text("")
    keeper = Keeper(tmp_path / "file" / "checkpoint", {})
    assert run(watch(TrainConfig(checkpoint_seconds=0), keeper=keeper), [BAD, GOOD, GOOD]) == [False] * 3
    (said,) = caplog.messages
    assert said.startswith(f"cannot write the checkpoint {keeper.folder} (Not a directory)")
