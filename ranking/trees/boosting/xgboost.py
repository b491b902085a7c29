"""XGBoost: parameters checked, training on our objective or its own, cutting a model short.

Traps handled here: base_score (0.5 with a custom objective), unknown parameters that are ignored, a
default metric that is not ours, and gradients that must be columns.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ranking.data.dataset import RankingDataset
from ranking.errors import DataError, UsageError
from ranking.trees.backends import BACKENDS
from ranking.trees.boosting.columns import booster_names, check_categories
from ranking.trees.boosting.job import Job, check_discount, watched_gradients
from ranking.trees.boosting.refused import check_width, refuse
from ranking.trees.boosting.trial import SEVERAL, reason_of, rows_of, try_out

_XGBOOST = BACKENDS["xgboost"]

_ALIASES = {"eta": "learning_rate", "lambda": "reg_lambda", "alpha": "reg_alpha", "min_split_loss": "gamma"}

_NOT_SAMPLED = {
    **dict.fromkeys(("subsample", "colsample_bytree", "colsample_bylevel", "colsample_bynode"), 1.0),
    "booster": "gbtree",
    "num_parallel_tree": 1,
    "lambdarank_pair_method": "topk",
    "lambdarank_unbiased": False,
}


def stateful(booster: Mapping[str, Any], own: str | None) -> str | None:
    """What makes a run keep a state that its model does not hold, or None (see `ranking.trees.boosting`)."""
    changed = (f"booster.{name}" for name, still in _NOT_SAMPLED.items() if booster.get(name, still) != still)
    return next(changed, None)


def rescales(booster: Mapping[str, Any]) -> bool:
    """Do later rounds change earlier trees? Then no earlier round can be kept."""
    return booster.get("booster") == "dart"


def parameters(job: Job) -> dict[str, Any]:
    """The full parameter set of a run, checked."""
    own = {_ALIASES.get(name, name): value for name, value in job.booster.items()}
    for data in (job.train, job.valid):
        if data is not None:
            check_categories(job.categorical, data)
    refuse(own, job.objective if isinstance(job.objective, str) else None)
    check_width(own, job.train.feature_count)
    own = {name: _as_text(name, value) for name, value in own.items()}
    for name, usable in (("booster", ("gbtree", "dart")), ("tree_method", ("hist",))):
        if own.get(name, usable[0]) not in usable:
            raise UsageError(f"booster.{name} must be {' or '.join(usable)} here, got {own[name]!r}")
    settings = dict(_XGBOOST.defaults) | own | _worths(job)
    _try_out(job, own)
    return settings | {
        "nthread": job.threads,
        "seed": job.seed,
        **_base_score(job.objective),
        "disable_default_eval_metric": True,
        "verbosity": 0,
    }


def _base_score(objective: Any) -> dict[str, float]:
    """Zero for objectives that rank; XGBoost's estimate from the labels for its own of other kinds.

    For those it is a mean or a probability, whose logarithm is taken. With a custom objective XGBoost's
    default is 0.5, which the saved model would add to every score.
    """
    ranks = not isinstance(objective, str) or objective.startswith("rank:")
    return {"base_score": 0.0} if ranks else {}


def _worths(job: Job) -> dict[str, Any]:
    """The run's gain as XGBoost's rank:ndcg takes it: exponential or not."""
    if job.objective != _XGBOOST.builtin:
        return {}
    check_discount(job)
    if job.gain is None:
        return {}
    if job.gain not in ("exponential", "linear"):
        raise UsageError(
            f"XGBoost's own {_XGBOOST.builtin} knows the gains exponential and linear, got {job.gain}: take "
            "Rankwright's (--objective lambdarank)"
        )
    return {"ndcg_exp_gain": job.gain == "exponential"}


def _as_text(name: str, value: Any) -> Any:
    """Constraints written as lists in the form XGBoost reads, whose bindings take lists of names alone."""
    if name == "monotone_constraints" and isinstance(value, str | list | tuple):
        text = value if isinstance(value, str) else ",".join(map(str, value))
        return f"({text.strip('()')})"
    if name == "interaction_constraints" and isinstance(value, str | list | tuple):
        text = value if isinstance(value, str) else json.dumps(value)
        return text if text.startswith("[[") else f"[{text}]"
    return value


def _try_out(job: Job, own: Mapping[str, Any]) -> None:
    """Train one tree on a few rows, and say which parameter XGBoost cannot work with, or would ignore."""
    objective = job.objective if isinstance(job.objective, str) else None
    if objective is not None and objective.startswith("multi:"):
        raise UsageError(f"builtin:{objective} gives several scores a document, and a ranker has one")
    try_out("XGBoost", own, objective, partial(_trial, job), "rank:ndcg, rank:pairwise and others")


def _trial(job: Job, objective: str | None, given: Mapping[str, Any]) -> str | None:
    """Why XGBoost cannot grow a tree with these parameters, or does not use one; None where all is well."""
    import xgboost

    features, labels = rows_of(job.train.feature_count)
    settings = dict(_XGBOOST.defaults) | dict(given) | {"nthread": 1, "verbosity": 1}
    if not isinstance(settings["max_bin"], int):
        return "a whole number is expected"
    own = {} if objective is None else {"objective": objective}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            data = xgboost.QuantileDMatrix(
                features,
                labels,
                max_bin=settings["max_bin"],
                nthread=1,
                feature_names=booster_names(job.train),
            )
            data.set_group(np.full(len(labels) // 2, 2))
            model = xgboost.train({**settings, **own}, data, 1)
            if model.predict(data, output_margin=True).ndim > 1:
                return SEVERAL
        except Exception as error:  # whatever its bindings raise over a value
            return reason_of(error)
    if any(re.search(r"Parameters: \{.*\} are not used", str(warning.message)) for warning in caught):
        return "it does not use it with these settings and would ignore it silently: check its spelling"
    return None


def boost(job: Job) -> bytes:
    import xgboost

    settings = parameters(job)
    builtin = isinstance(job.objective, str)
    if builtin:
        settings["objective"] = job.objective
    train = _matrix(job, job.train, int(settings["max_bin"]), grouped=builtin)
    valid = None
    if job.valid is not None:
        valid = _matrix(job, job.valid, int(settings["max_bin"]), grouped=builtin, reference=train)
    held_out: list[Any] = [None]

    def keep_scores(scores: Any, _: Any) -> tuple[str, float]:
        held_out[0] = scores.ravel()
        return "watched", 0.0

    start = None
    if job.start is not None:
        start = xgboost.Booster()
        start.load_model(bytearray(job.start))
    done = 0 if start is None else start.num_boosted_rounds()
    gradients = None if builtin else watched_gradients(job, done)

    def columns(scores: Any, data: Any) -> tuple[Any, Any]:
        assert gradients is not None
        gradient, hessian = gradients(scores.ravel(), data)
        return gradient[:, None], hessian[:, None]

    class AfterRound(xgboost.callback.TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            # `epoch` starts at 0 again in a continued run.
            rounds = model.num_boosted_rounds()
            return job.watch(rounds, held_out[0], lambda: bytes(model.save_raw("ubj")))

    try:
        model = xgboost.train(
            settings,
            train,
            job.rounds - done,
            evals=None if valid is None else [(valid, "valid")],
            obj=None if builtin else columns,
            custom_metric=None if valid is None else keep_scores,
            xgb_model=start,
            callbacks=[AfterRound()],
            verbose_eval=False,
        )
    except xgboost.core.XGBoostError as error:
        raise DataError(f"XGBoost cannot train on this data: {reason_of(error)}") from error
    return bytes(model.save_raw("ubj"))


def _matrix(job: Job, data: RankingDataset, max_bin: int, *, grouped: bool, reference: Any = None) -> Any:
    import xgboost

    columns: dict[str, Any] = {
        "missing": np.nan,
        "nthread": job.threads,
        "feature_names": booster_names(job.train),
    }
    if job.categorical:
        kinds = ["c" if column in job.categorical else "q" for column in range(data.feature_count)]
        columns |= {"feature_types": kinds, "enable_categorical": True}
    if job.categorical and reference is not None:
        # Bins of the training data know none of the categories that only held-out lists have.
        matrix = xgboost.DMatrix(data.features, data.labels, **columns)
    else:
        matrix = xgboost.QuantileDMatrix(
            data.features, data.labels, max_bin=max_bin, ref=reference, **columns
        )
    if grouped:
        matrix.set_group(data.sizes)
        weights = data.query_weights
        if weights is not None:
            matrix.set_weight(weights)
    return matrix


def first_rounds(model: bytes, rounds: int) -> bytes:
    """The model of only the first rounds."""
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(bytearray(model))
    return bytes(booster[:rounds].save_raw("ubj"))
