"""A trained model and judged lists in, the same model of fewer trees out.

Trees are what scoring and memory cost. The lists say what each number of them is worth, and `loss` takes the
fewest from which on the metric stays within so much of that of all of them.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ranking.data.arrays import Float32
from ranking.data.dataset import RankingDataset
from ranking.data.overlap import seen_queries, sketch
from ranking.errors import ArtifactError, UsageError
from ranking.metrics import Metric
from ranking.models.folder import check_destination, read_artifact, save_artifact
from ranking.models.loading import open_artifact
from ranking.models.manifest import Manifest
from ranking.models.ranker import score_dataset
from ranking.trees.backends import BACKENDS
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

    def as_json(self) -> dict[str, Any]:
        before, after = ({self.metric: value} for value in self.values)
        return {
            "model": str(self.folder),
            "trees": dict(zip(("before", "after"), self.trees, strict=True)),
            "members": [{"before": b, "after": a} for b, a in self.members],
            "bytes": dict(zip(("before", "after"), self.size, strict=True)),
            "metrics": {"before": before, "after": after},
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
    curve = _curve(large, fitting, metric, members, trees)
    if small is None:
        small = shrunk(large, _fewest(curve, loss or 0.0), members)
    kept = small.evaluator.forest.tree_count
    values = tuple(metric.mean(score_dataset(one, fitting), fitting) for one in (large, small))
    result = Shrunk(
        folder=out,
        ranker=small,
        trees=(sum(members), kept),
        members=tuple(zip(members, kept_of(members, kept), strict=True)),
        size=(len(large.model), len(small.model)),
        metric=str(metric),
        values=(values[0], values[1]),
        curve=curve,
        speedup=_speedup(large, small, fitting.features),
        warnings=seen_queries(fitting, manifest.facts),
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
    ranker: TreeRanker, data: RankingDataset, metric: Metric, members: Sequence[int], asked: int | None
) -> tuple[tuple[int, float], ...]:
    """(trees, metric) of numbers of trees spread evenly, and of the one that is asked for."""
    total = sum(members)
    counts = {*np.linspace(1, total, min(total, _POINTS)).astype(int).tolist()}
    counts |= set() if asked is None else {asked}
    measured = metric.evaluator(data)
    scores = scores_by_trees(ranker, data.features, sorted(counts), members)
    return tuple((trees, measured(one)) for trees, one in zip(sorted(counts), scores, strict=True))


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
    facts |= {"rounds": result.trees[1], "metrics": {"cut": {result.metric: after}}, "shrunk_from": origin}
    if len(result.members) > 1:
        kept = (after for _, after in result.members)
        facts["members"] = [{**one, "trees": n} for one, n in zip(facts["members"], kept, strict=True)]
    if loss is not None:
        facts["data"] = {**facts.get("data", {}), "cut": data.fingerprint()}
        facts["query_digests"] = {**facts.get("query_digests", {}), "cut": sketch(data)}
    return facts
