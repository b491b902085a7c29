"""A trained model and judged lists in, the same model of fewer trees out.

Trees are what scoring and memory cost. The lists say what each number of them is worth, and `loss` takes the
fewest from which on the metric stays within so much of that of all of them. Where the lists are those that
the members of `--preset best` were trained on, each query is measured by the member that has not seen it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ranking.data.arrays import Float32, Int64
from ranking.data.dataset import RankingDataset
from ranking.data.overlap import seen_queries, sketch
from ranking.errors import ArtifactError, UsageError
from ranking.metrics import Metric
from ranking.models.folder import check_destination, read_artifact, save_artifact
from ranking.models.loading import open_artifact
from ranking.models.manifest import Manifest
from ranking.models.ranker import score_dataset
from ranking.training.crossfit import folds_of, rows_of
from ranking.training.presets import BestSettings
from ranking.training.written import BEST
from ranking.trees.backends import BACKENDS
from ranking.trees.merging import of_trees
from ranking.trees.ranker import TreeRanker
from ranking.trees.shrinking import kept_of, scores_by_trees, shrunk

_POINTS = 100
"""Numbers of trees that are measured, at most, evenly from one tree to all."""
_TIMED_ROWS = 8192
_TIMED_RUNS = 7


@dataclass(frozen=True)
class Shrunk:
    """What the smaller model is, beside the one it was cut from: each pair is (before, after)."""

    folder: Path
    ranker: TreeRanker
    trees: tuple[int, int]
    members: tuple[tuple[int, int], ...]
    """trees of each member; one pair for a model that was not merged"""
    size: tuple[int, int]
    """bytes of the model's file"""
    metric: str
    values: tuple[float, float]
    curve: tuple[tuple[int, float], ...]
    """(trees, metric), the number of trees rising"""
    speedup: float
    """rows a second, after by before"""
    warnings: tuple[str, ...]
    out_of_fold: bool = False
    """was each query measured by the members that have not seen it?"""

    def as_json(self) -> dict[str, Any]:
        before, after = ({self.metric: value} for value in self.values)
        return {
            "model": str(self.folder),
            "trees": dict(zip(("before", "after"), self.trees, strict=True)),
            "members": [{"before": b, "after": a} for b, a in self.members],
            "bytes": dict(zip(("before", "after"), self.size, strict=True)),
            "metrics": {
                "before": before,
                "after": after,
                **({"out_of_fold": True} if self.out_of_fold else {}),
            },
            "speedup": round(self.speedup, 2),
            "curve": [{"trees": trees, self.metric: value} for trees, value in self.curve],
            **({"warnings": list(self.warnings)} if self.warnings else {}),
        }


def shrink(
    folder: Path | str,
    data: RankingDataset,
    metric: Metric,
    out: Path | str,
    *,
    trees: int | None = None,
    loss: float | None = None,
) -> Shrunk:
    """Cut the model in `folder` and save the smaller one as the artifact `out`.

    Either to `trees`, or to the fewest from which on no number of trees that is measured (all, or a hundred
    of them) has a metric on `data` more than `loss` below that of all trees. Members of a merged model, which
    its manifest names with their `trees`, are cut together. The manifest says under `shrunk_from` what it was
    cut from; the report of the training is left behind. Raises UsageError for a model that is no forest, and
    numbers that make no sense.
    """
    folder, out = Path(folder), Path(out)
    check_destination(out)
    _check_target(trees, loss)
    artifact = read_artifact(folder)
    manifest = artifact.manifest
    if manifest.kind not in BACKENDS:
        raise UsageError(
            f"{folder} is of kind {manifest.kind}: only models of trees ({', '.join(BACKENDS)}) can be cut; "
            "of an ensemble, cut the members"
        )
    large = open_artifact(artifact)
    assert isinstance(large, TreeRanker)
    members = _members(manifest, large.evaluator.forest.tree_count)
    metric.check(data)
    fitting = data.with_width(large.feature_count, large.missing, large.feature_names)
    small = None if trees is None else shrunk(large, trees, members)
    own_folds = _own_folds(manifest, fitting)
    curve = _curve(large, fitting, metric, members, trees, own_folds)
    if small is None:
        small = shrunk(large, _fewest(curve, loss or 0.0), members)
    kept = small.evaluator.forest.tree_count
    if own_folds is None:  # as the models score, to the last bit
        before, after = (metric.mean(score_dataset(one, fitting), fitting) for one in (large, small))
    else:
        before, after = dict(curve)[sum(members)], dict(curve)[kept]
    result = Shrunk(
        folder=out,
        ranker=small,
        trees=(sum(members), kept),
        members=tuple(zip(members, kept_of(members, kept), strict=True)),
        size=(len(large.model), len(small.model)),
        metric=str(metric),
        values=(before, after),
        curve=curve,
        speedup=_speedup(large, small, fitting.features),
        warnings=seen_queries(fitting, manifest.facts) if own_folds is None else (),
        out_of_fold=own_folds is not None,
    )
    facts = _facts(manifest, result, fitting, loss)
    save_artifact(out, small, facts=facts, golden=artifact.golden.features)
    return result


def _check_target(trees: int | None, loss: float | None) -> None:
    if (trees is None) == (loss is None):
        raise UsageError("say how far to cut: either by the number of trees, or by the loss allowed")
    if loss is not None and not 0 <= loss < 1:
        raise UsageError(f"the loss allowed is a difference of the metric, from 0 to below 1, got {loss}")


def _members(manifest: Manifest, total: int) -> tuple[int, ...]:
    """How many trees each member of a merged model has; all are one's where the manifest names none."""
    told = manifest.facts.get("members")
    if not isinstance(told, list) or not all(isinstance(one, Mapping) and "trees" in one for one in told):
        return (total,)
    sizes = tuple(one["trees"] for one in told)
    if not all(type(size) is int and size >= 0 for size in sizes) or sum(sizes) != total:
        raise ArtifactError(f"the manifest names members of {sizes} trees, and the model has {total}")
    return sizes


def _curve(
    ranker: TreeRanker,
    data: RankingDataset,
    metric: Metric,
    members: Sequence[int],
    asked: int | None,
    own_folds: Sequence[Int64] | None,
) -> tuple[tuple[int, float], ...]:
    """(trees, metric) of numbers of trees spread evenly, and of the one that is asked for."""
    total = sum(members)
    spread = {*np.linspace(1, total, min(total, _POINTS)).astype(int).tolist()}
    counts = sorted(spread | (set() if asked is None else {asked}))
    if own_folds is None:
        scores = scores_by_trees(ranker, data.features, counts, members)
    else:
        scores = _out_of_fold(ranker, data, counts, members, own_folds)
    measured = metric.evaluator(data)
    return tuple((trees, measured(one)) for trees, one in zip(counts, scores, strict=True))


def _own_folds(manifest: Manifest, data: RankingDataset) -> list[Int64] | None:
    """The queries that each member was judged by, if these are the lists that it was trained on."""
    facts = manifest.facts
    trained_on = facts.get("data", {}).get("train")
    if facts.get("config", {}).get("preset") != BEST or trained_on != data.fingerprint():
        return None
    folds = folds_of(BestSettings.of(facts["config"][BEST]), facts["seed"], data)
    return [folds[member["fold"] - 1] for member in facts["members"]]


def _out_of_fold(
    ranker: TreeRanker,
    data: RankingDataset,
    counts: Sequence[int],
    members: Sequence[int],
    folds: Sequence[Int64],
) -> Iterator[Float32]:
    """Scores of each number of trees, each query by what the members that have not seen it keep of theirs."""
    kept = np.array([kept_of(members, count) for count in counts])
    first = np.concatenate([[0], np.cumsum(members)])
    rows = [rows_of(data, fold) for fold in folds]
    judges = []
    for number, fold in enumerate(folds):
        own = of_trees(ranker, range(first[number], first[number + 1]))
        features, distinct = data.queries(fold).features, np.unique(kept[kept[:, number] > 0, number])
        judges.append(scores_by_trees(own, features, distinct.tolist()))
    now = [np.zeros(len(part), np.float32) for part in rows]
    before = np.zeros(len(members), np.int64)
    for count in kept:
        total = np.zeros(data.document_count, np.float32)
        for number, part in enumerate(rows):
            if count[number] > before[number]:
                now[number] = next(judges[number])
            total[part] += now[number]
        before = count
        yield total


def _fewest(curve: Sequence[tuple[int, float]], loss: float) -> int:
    """From where on no number of trees that was measured falls below: a lucky value early on is none."""
    bound = curve[-1][1] - loss
    kept = curve[-1][0]
    for trees, _ in itertools.takewhile(lambda point: point[1] >= bound, reversed(curve)):
        kept = trees
    return kept


def _speedup(large: TreeRanker, small: TreeRanker, features: Float32) -> float:
    """How many rows the small one scores while the large one scores one: best of some runs, in turns."""
    rows = np.resize(features, (_TIMED_ROWS, features.shape[1]))
    best = [np.inf, np.inf]
    for _ in range(_TIMED_RUNS):
        for at, ranker in enumerate((large, small)):
            started = time.perf_counter()
            ranker.score(rows)
            best[at] = min(best[at], time.perf_counter() - started)
    return best[0] / best[1]


def _facts(manifest: Manifest, result: Shrunk, data: RankingDataset, loss: float | None) -> dict[str, Any]:
    """The facts of the training, with what is now another; no times, so that equal cuts are equal folders."""
    facts = dict(manifest.facts)
    before, after = result.values
    origin = {
        "sha256": manifest.digest,
        "trees": {"before": result.trees[0], "after": result.trees[1]},
        "metrics": facts.get("metrics", {}),
        "lists": data.fingerprint(),
        result.metric: {"before": before, "after": after},
        **({} if loss is None else {"loss": loss}),
    }
    measured = {"cut": {result.metric: after}, **({"out_of_fold": True} if result.out_of_fold else {})}
    facts |= {"rounds": result.trees[1], "metrics": measured, "shrunk_from": origin}
    if len(result.members) > 1:
        kept = (after for _, after in result.members)
        facts["members"] = [{**one, "trees": n} for one, n in zip(facts["members"], kept, strict=True)]
    if loss is not None:
        facts["data"] = {**facts.get("data", {}), "cut": data.fingerprint()}
        facts["query_digests"] = {**facts.get("query_digests", {}), "cut": sketch(data)}
    return facts
