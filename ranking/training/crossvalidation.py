"""Cross-validation over queries, in LETOR's cyclic scheme: one fold tests, the one before it validates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ranking.data.arrays import Int64
from ranking.data.dataset import Missing, RankingDataset
from ranking.data.overlap import repeated_queries
from ranking.errors import DataError, ParseError, UsageError
from ranking.metrics.evaluation import Evaluation, conventions_of, default_metrics, evaluate_scores, left_out
from ranking.models.ranker import score_dataset
from ranking.training.config import TrainConfig


@dataclass(frozen=True)
class Folds:
    """All lists, and the fold of each query, int64 [queries] from 0."""

    dataset: RankingDataset
    fold: Int64

    @property
    def count(self) -> int:
        return int(self.fold.max()) + 1

    def split(self, test: int) -> tuple[RankingDataset, RankingDataset, RankingDataset]:
        """(train, valid, test): fold `test`, the fold before it, and the rest."""
        valid = (test - 1) % self.count
        parts = [np.flatnonzero(chosen) for chosen in (
            (self.fold != test) & (self.fold != valid), self.fold == valid, self.fold == test
        )]  # fmt: skip
        rest, held, tested = (self.dataset.queries(part) for part in parts)
        return rest, held, tested


@dataclass(frozen=True)
class CrossValidation:
    """One evaluation a fold; means are over folds, each fold weighing the same."""

    folds: Sequence[Evaluation]
    rounds: Sequence[int]
    means: Mapping[str, float]
    conventions: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    """why the values may be worth less than they seem"""

    def as_json(self) -> dict[str, Any]:
        return {
            "folds": [
                {"fold": i + 1, "rounds": rounds, "queries": fold.queries, "metrics": dict(fold.means)}
                for i, (fold, rounds) in enumerate(zip(self.folds, self.rounds, strict=True))
            ],
            "metrics": dict(self.means),
            "conventions": dict(self.conventions),
            **({"warnings": list(self.warnings)} if self.warnings else {}),
        }


def folds_from(parts: Sequence[RankingDataset], folds: str, config: TrainConfig) -> Folds:
    """`folds` is a number, `files` (each part is a fold), or a file of `QUERY<TAB>FOLD` lines."""
    dataset = concatenated(parts, config.missing)
    if folds == "files":
        fold = np.repeat(np.arange(len(parts)), [part.query_count for part in parts])
    elif folds.isdecimal():
        if int(folds) > dataset.query_count:
            raise UsageError(f"--folds {folds} is more than the {dataset.query_count} queries: choose fewer")
        order = np.random.default_rng(config.seed).permutation(dataset.query_count)
        fold = np.empty(dataset.query_count, np.int64)
        fold[order] = np.arange(dataset.query_count) % max(int(folds), 1)
    else:
        fold = _fold_file(Path(folds), dataset.query_ids)
    sizes = np.bincount(fold)
    if len(sizes) < 3 or not sizes.all():
        raise UsageError(
            "cross-validation needs at least 3 folds with queries in each (to train, to stop, to test), "
            f"got queries per fold {sizes.tolist()}"
        )
    return Folds(dataset, fold)


def concatenated(parts: Sequence[RankingDataset], missing: Missing) -> RankingDataset:
    """All parts with the width of the widest, whose names they take."""
    widest = max(parts, key=lambda part: part.feature_count)
    names = widest.feature_names
    return RankingDataset.concatenate([p.with_width(widest.feature_count, missing, names) for p in parts])


def _fold_file(file: Path, query_ids: Sequence[str]) -> Int64:
    """The fold of each query by a file of `QUERY<TAB>FOLD`, folds numbered from 1."""
    try:
        lines = file.read_text("utf-8", "surrogateescape").splitlines()
    except OSError as error:
        raise UsageError(f"--folds takes a number, `files`, or a file; {file}: {error.strerror}") from error
    fold: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        query, tab, text = line.partition("\t")
        if not tab or not text.strip().isdecimal() or not 1 <= int(text) <= len(lines):
            raise ParseError(
                str(file), number, 1, f"expected QUERY<TAB>FOLD with folds from 1, got {line[:60]!r}"
            )
        if fold.setdefault(query, int(text) - 1) != int(text) - 1:
            raise ParseError(
                str(file), number, 1, f"expected one fold a query, got fold {text.strip()} for {query!r}, "
                f"which an earlier line puts into fold {fold[query] + 1}; leave out one of them"
            )  # fmt: skip
    absent = [query for query in query_ids if query not in fold]
    if absent:
        raise DataError(f"{file}: names no fold for query {absent[0]!r} ({len(absent)} queries without one)")
    return np.array([fold[query] for query in query_ids], np.int64)


def cross_validate(
    config: TrainConfig, folds: Folds, say: Callable[[str], None] | None = None
) -> CrossValidation:
    """Train and test once a fold."""
    from ranking.training.run import fit

    shown = default_metrics(folds.dataset)
    names = list(dict.fromkeys([config.metric, *shown]))
    metrics = [config.measured(name) for name in names]
    for metric in metrics:
        metric.check(folds.dataset)
    if say is not None:
        for note in left_out(shown):
            say(f"note: {note}")
    evaluations, rounds = [], []
    for test in range(folds.count):
        rest, valid, tested = folds.split(test)
        ranker = fit(config, rest, valid)
        evaluations.append(evaluate_scores(score_dataset(ranker, tested), tested, metrics, config.seed))
        rounds.append(ranker.rounds)
        if say is not None:
            value = evaluations[-1].means[names[0]]
            say(f"fold {test + 1}/{folds.count}: {rounds[-1]} rounds, {names[0]} {value:.4f}")
    means = {name: float(np.mean([fold.means[name] for fold in evaluations])) for name in names}
    return CrossValidation(
        evaluations, rounds, means, conventions_of(metrics), repeated_queries(folds.dataset, folds.fold)
    )
