"""LightGBM and XGBoost: the only room that imports them.

job       what is to be trained, and gradients that are watched
lightgbm  LightGBM
xgboost   XGBoost
refused   parameters that a run sets itself, or that could have no effect in it
trial     parameters tried on a few rows before the data is read
columns   names of columns, and which hold categories

`boost(backend, job)` trains either one on our objective (or, by name, on the booster's own) and returns
the model's bytes, which `ranking.trees.scoring` scores with. With our objective the
boosters see no groups and no metric: the objective knows the lists, and a `Watch` sees the held-out
scores after each round, so that early stopping, progress and checkpoints are the same for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from ranking.errors import unknown_name
from ranking.trees.backends import BACKENDS
from ranking.trees.boosting.columns import categorical_columns
from ranking.trees.boosting.job import Job, Watch

__all__ = [
    "Job",
    "Watch",
    "boost",
    "categorical_columns",
    "first_rounds",
    "rescales",
    "stateful",
]


def boost(backend: str, job: Job) -> bytes:
    """Train and return the model's bytes: LightGBM text or XGBoost UBJSON.

    Raises UsageError for parameters that cannot work and DataError for data the booster cannot take.
    """
    return bytes(_backend(backend).boost(job))


def first_rounds(backend: str, model: bytes, rounds: int) -> bytes:
    """The bytes of the model of only the first rounds; only for bytes that `boost` gave."""
    return bytes(_backend(backend).first_rounds(model, rounds))


def stateful(backend: str, booster: Mapping[str, Any], own: str | None = None) -> str | None:
    """The parameter, or objective of the booster's own, that keeps a state between rounds, or None.

    Neither booster can restore its sampler or the like, so that such a run cannot be continued to the
    same model from a checkpoint.
    """
    name: str | None = _backend(backend).stateful(booster, own)
    return name


def rescales(backend: str, booster: Mapping[str, Any]) -> bool:
    """Do later rounds change earlier trees (dart)? Then the model of an earlier round is gone."""
    return bool(_backend(backend).rescales(booster))


def _backend(name: str) -> ModuleType:
    if name not in BACKENDS:
        raise unknown_name("backend", name, BACKENDS)
    return import_module(BACKENDS[name].booster)
