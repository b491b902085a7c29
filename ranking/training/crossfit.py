"""The members of `--preset best`: each trained without a part of the queries, all together as one forest.

The queries are dealt into folds. A member is trained on all folds but one, and that one stops it: so every
judged query teaches, and none stops the model it taught. A query is measured by the members that have not
seen it (out of fold), which says what one member is worth, and less than what all of them together are.

Members' scores are divided by their spread out of fold (the standard deviation around the mean of the list)
before they are added up: objectives differ in scale. The sum is the scores of all trees, leaves scaled
(`ranking.trees.merging`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ranking.data.arrays import Float32, Int64
from ranking.data.dataset import RankingDataset
from ranking.errors import DataError
from ranking.metrics import Metric
from ranking.models.ranker import spread_within_lists
from ranking.training.checkpoint import Checkpoint, Keeper, folder_of_member, read_checkpoint
from ranking.training.config import TrainConfig
from ranking.training.dealing import dealt_queries
from ranking.training.presets import BestSettings
from ranking.training.trainers import Task, Trees
from ranking.training.watch import Course, Progress, RunWatch, Stop
from ranking.trees.merging import merged
from ranking.trees.ranker import TreeRanker
from ranking.trees.shrinking import kept_of, shrunk


@dataclass(frozen=True)
class Member:
    """One model: trained on all queries outside its fold, stopped and judged by those in it."""

    config: TrainConfig
    """with what its objective took from its training lists"""
    ranker: TreeRanker
    fold: int
    """from 0, over all repeats"""
    queries: Int64
    """the numbers of those in its fold"""
    scores: Float32
    """of their documents"""
    watch: RunWatch

    @property
    def trees(self) -> int:
        return self.ranker.evaluator.forest.tree_count

    def spread(self, pool: RankingDataset) -> float:
        """Of its scores within the lists of its fold; 1 where all are equal."""
        return spread_within_lists(self.scores, pool.sizes[self.queries]) or 1.0

    def cut(self, trees: int, pool: RankingDataset) -> Member:
        """The same of only its first trees."""
        ranker = shrunk(self.ranker, trees)
        return replace(self, ranker=ranker, scores=ranker.score(pool.queries(self.queries).features))


@dataclass(frozen=True)
class CrossFit:
    """All members, those that an interruption left out aside, and what they are together."""

    pool: RankingDataset
    members: Sequence[Member]
    ranker: TreeRanker = field(init=False)
    scales: Sequence[float] = field(init=False)
    """what each member's scores are multiplied with"""

    def __post_init__(self) -> None:
        scales = [1.0 / member.spread(self.pool) for member in self.members]
        object.__setattr__(self, "scales", scales)
        object.__setattr__(self, "ranker", merged([member.ranker for member in self.members], scales))

    @property
    def judged(self) -> Int64:
        """The numbers of the queries that a member has not seen: all, unless the run was interrupted."""
        return np.unique(np.concatenate([member.queries for member in self.members]))

    @property
    def out_of_fold(self) -> Float32:
        """Scores of the documents of the judged queries, the sum over the members that have not seen them."""
        total = np.zeros(self.pool.document_count)
        for member, scale in zip(self.members, self.scales, strict=True):
            total[rows_of(self.pool, member.queries)] += scale * member.scores
        return total[rows_of(self.pool, self.judged)].astype(np.float32)

    @property
    def course(self) -> Course:
        curves = {f"member {member.fold + 1}": member.watch.history for member in self.members}
        return Course(curves, None, sum(member.watch.rounds for member in self.members))

    def notes(self, resumed: bool) -> tuple[str, ...]:
        """What to tell of how it was trained and of what is measured."""
        judges = sum(len(member.queries) for member in self.members) // len(self.judged)
        told = [
            f"{len(self.members)} members, each trained without a part of the queries; each query is "
            f"measured by the {judges} that did not see it, which is below what all together are worth"
        ]
        if resumed:
            firsts = [str(member.watch.first) for member in self.members]
            told.append(f"resumed: the members went on after rounds {', '.join(firsts)}")
        return tuple(told)

    def facts(self, metric: Metric) -> list[dict[str, Any]]:
        """What the manifest says of each member, in the order of their trees."""
        told = []
        for member, scale in zip(self.members, self.scales, strict=True):
            own = self.pool.queries(member.queries)
            told.append(
                {
                    "objective": {"name": member.config.objective, **member.config.told_parameters()},
                    "fold": member.fold + 1,
                    "seed": member.config.seed,
                    "queries": len(member.queries),
                    "trees": member.trees,
                    "rounds_trained": member.watch.rounds,
                    "scale": scale,
                    "metrics": {"valid": {str(metric): metric.mean(member.scores, own)}},
                }
            )
        return told


def cross_fit(
    config: TrainConfig,
    pool: RankingDataset,
    *,
    stop: Stop,
    taught: RankingDataset | None = None,
    progress: Progress | None = None,
    folder: Path | None = None,
    identity: Mapping[str, Any] | None = None,
    resume: bool = False,
) -> CrossFit:
    """Train the members of a run on these lists, as many side by side as it has threads.

    `taught` are the same lists with what a teacher says of them. Checkpoints of each member are kept in
    `folder`, and with `resume` read from there: those that had ended are not trained again. `stop` ends those
    that are training after their round and leaves out those that had not begun.

    Raises DataError for fewer than two queries with a relevant document a fold, and what a training raises.
    """
    runs, settings, folds = config.runs, config.members, folds_of(config.members, config.seed, pool)
    follow = _Follow(progress, len(runs), config.rounds)

    def train(number: int) -> Member | None:
        # The first one is trained for a round at least, as a run without members is.
        if stop.asked and number > 0:
            return None
        keeper = None
        if folder is not None:
            keeper = Keeper(folder_of_member(folder, number + 1), {**(identity or {}), "member": number + 1})
        try:
            means = _Means(pool if taught is None else taught, stop, follow, keeper, resume)
            member = _trained(runs[number], pool, number, folds[number], means)
        except BaseException:
            stop.asked = True  # the others need not go on
            raise
        follow.end(number)
        return member

    with ThreadPoolExecutor(min(len(runs), config.threads), "member") as workers:
        found = [member for member in workers.map(train, range(len(runs))) if member is not None]
    if settings.trees is not None and settings.trees < sum(member.trees for member in found):
        kept = kept_of([member.trees for member in found], settings.trees)
        found = [member.cut(trees, pool) for member, trees in zip(found, kept, strict=True)]
    return CrossFit(pool, found)


def folds_of(settings: BestSettings, seed: int, pool: RankingDataset) -> list[Int64]:
    """The numbers of the queries in the fold of each member, in the order of the members.

    Raises DataError for fewer than two queries with a relevant document a fold.
    """
    count = settings.folds
    repeats = [dealt_queries(pool, count, (seed, n)) for n in range(settings.members // count)]
    return [np.flatnonzero(fold == number) for fold in repeats for number in range(count)]


class _Means(NamedTuple):
    """With what a member is trained."""

    lessons: RankingDataset
    stop: Stop
    follow: _Follow
    keeper: Keeper | None
    resume: bool


def _trained(run: TrainConfig, pool: RankingDataset, number: int, held: Int64, means: _Means) -> Member:
    learned = means.lessons.queries(np.setdiff1d(np.arange(pool.query_count), held))
    judged, run = pool.queries(held), run.settled(learned)
    checkpoint = None
    if means.resume and means.keeper is not None:
        checkpoint = _checkpoint(run, learned, means.keeper)
    watch = RunWatch(
        run, run.watched, learned, judged, means.follow.of(number), means.keeper, checkpoint, means.stop
    )
    try:
        ranker = Trees().fit(Task(run, learned, judged, watch, checkpoint))
    except DataError as error:
        raise DataError(f"member {number + 1} ({run.objective}): {error}") from error
    return Member(run, ranker, number, held, ranker.score(judged.features), watch)


def _checkpoint(run: TrainConfig, learned: RankingDataset, keeper: Keeper) -> Checkpoint | None:
    """The last state of a member; of one whose booster keeps a state of its own, only where it had ended."""
    found = read_checkpoint(keeper.folder, keeper.identity)
    if found is None or Trees().unrestorable(run) is None:
        return found
    return found if RunWatch(run, run.watched, learned, None, None, None, found).finished else None


class _Follow:
    """The progress of all members as that of one run: rounds added up, the mean of their metrics."""

    def __init__(self, progress: Progress | None, members: int, rounds: int) -> None:
        self._progress, self._most = progress, rounds
        self._done = [0] * members
        self._first: dict[int, int] = {}
        self._values: dict[int, float] = {}
        self._ended: set[int] = set()
        self._started, self._lock = time.monotonic(), threading.Lock()

    def of(self, number: int) -> Progress | None:
        """What a member's watch calls after each round."""
        if self._progress is None:
            return None

        def note(rounds: int, most: int, value: float | None, left: float | None) -> None:
            with self._lock:
                self._first.setdefault(number, rounds - 1)
                self._done[number] = rounds
                if value is not None:
                    self._values[number] = value
                self._report()

        return note

    def end(self, number: int) -> None:
        """A member has ended: the rounds that it did not need are not to come."""
        with self._lock:
            self._ended.add(number)
            if self._progress is not None:
                self._report()

    def _report(self) -> None:
        assert self._progress is not None
        left = sum(self._most - done for n, done in enumerate(self._done) if n not in self._ended)
        trained = sum(self._done) - sum(self._first.values())
        spent = (time.monotonic() - self._started) / max(trained, 1)
        value = float(np.mean(list(self._values.values()))) if self._values else None
        ended = f"{len(self._ended)} of {len(self._done)} members done"
        self._progress(sum(self._done), sum(self._done) + left, value, spent * left, ended)


def rows_of(pool: RankingDataset, queries: Int64) -> Int64:
    """The rows of these queries' documents, int64."""
    starts, sizes = pool.offsets[:-1][queries], pool.sizes[queries]
    ends = np.cumsum(sizes)
    return np.arange(ends[-1]) + np.repeat(starts - ends + sizes, sizes)
