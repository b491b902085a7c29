"""A third booster, as small as can be: each round one split, at a feature's median. One file and one row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ranking.errors import ArtifactError, UsageError
from ranking.trees.backends import BACKENDS, Backend
from ranking.trees.boosting.job import Job, watched_gradients
from ranking.trees.forest import NAN_IS_MISSING, Forest
from ranking.trees.merging.part import Part

NAME = "stumps"
ROW = Backend(
    model_file="model.stumps", packages=(), dtype="float64", reader="tests.toys.stumps:read",
    booster="tests.toys.stumps", merger="tests.toys.stumps:summed", builtin="none", defaults={"rate": 0.3},
)  # fmt: skip


def boost(job: Job) -> bytes:
    if isinstance(job.objective, str):
        raise UsageError("stumps has no objective of its own")
    rate = ({**BACKENDS[NAME].defaults, **job.booster})["rate"]
    model: list[list[float]] = [] if job.start is None else json.loads(job.start)
    gradients = watched_gradients(job, len(model))
    middles = np.median(job.train.features, axis=0)
    below = job.train.features <= middles
    scores = _scores(model, job.train.features)
    while len(model) < job.rounds:
        gradient, hessian = gradients(scores, None)
        ends = np.array([[(g @ below, g @ ~below) for g in (gradient, hessian)]])[0]
        steps = -ends[0] / (ends[1] + 1)
        best = int((steps * -ends[0]).sum(0).argmax())
        model.append([best, float(middles[best]), *(float(rate * step) for step in steps[:, best])])
        scores = _scores(model, job.train.features)
        held_out = None if job.valid is None else _scores(model, job.valid.features)
        if job.watch(len(model), held_out, lambda: json.dumps(model).encode()):
            break
    return json.dumps(model).encode()


def _scores(model: list[list[float]], features: Any) -> Any:
    total = np.zeros(len(features))
    for feature, threshold, low, high in model:
        total += np.where(features[:, int(feature)] <= threshold, low, high)
    return total


def first_rounds(model: bytes, rounds: int) -> bytes:
    return json.dumps(json.loads(model)[:rounds]).encode()


def summed(parts: Sequence[Part]) -> bytes:
    rows = [
        [*stump[:2], *(part.scale * value for value in stump[2:])]
        for part in parts
        for stump in (json.loads(part.model)[number] for number in part.trees)
    ]
    return json.dumps(rows).encode()


def stateful(booster: Mapping[str, Any], own: str | None) -> str | None:
    return None


def rescales(booster: Mapping[str, Any]) -> bool:
    return False


def read(content: bytes, feature_count: int) -> Forest:
    try:
        table = np.array(json.loads(content), np.float64).reshape(-1, 4)
    except ValueError as error:
        raise ArtifactError(f"no stumps: {error}") from error
    if not np.isfinite(table).all() or not ((table[:, 0] >= 0) & (table[:, 0] < feature_count)).all():
        raise ArtifactError("a stump beyond the features")
    count = len(table)
    return Forest(
        feature_count=feature_count, first_split=np.arange(count + 1), first_leaf=2 * np.arange(count + 1),
        feature=table[:, 0].astype(np.int32), threshold=table[:, 1].astype(np.float32),
        rule=np.full(count, NAN_IS_MISSING, np.uint8), default_left=np.zeros(count, np.bool_),
        left=np.full(count, -1, np.int32), right=np.full(count, -2, np.int32), sets=[],
        value=table[:, 2:].ravel(), split_cover=np.ones(count), leaf_cover=np.ones(2 * count),
        gain=np.ones(count), rounds=count,
    )  # fmt: skip
