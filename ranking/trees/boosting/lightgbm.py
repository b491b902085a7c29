"""LightGBM: parameters checked, training on our objective or its own, cutting a model short.

Traps handled here: query bagging that trains an empty model with a custom objective, unknown parameters
that are ignored, histograms chosen by timing, integer labels and the 10,000-document limit of LightGBM's
own objectives, and a continued model that names fewer rounds than it has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ranking.errors import DataError, UsageError, unknown_name
from ranking.metrics import gain
from ranking.trees.backends import BACKENDS
from ranking.trees.boosting.columns import booster_names, check_categories
from ranking.trees.boosting.job import Job, check_discount, watched_gradients
from ranking.trees.boosting.refused import check_width, refuse
from ranking.trees.boosting.trial import SEVERAL, quiet, reason_of, rows_of, try_out

_LIGHTGBM = BACKENDS["lightgbm"]

_SEVERAL_OUTPUTS = ("multiclass", "softmax", "multiclassova", "multiclass_ova", "ova", "ovr")

_DOCUMENT_LIMIT = 10_000
_LABEL_LIMIT = 30

_NOT_SAMPLED = {
    **dict.fromkeys(("bagging_fraction", "pos_bagging_fraction", "neg_bagging_fraction"), 1.0),
    "feature_fraction": 1.0,
    "boosting": "gbdt",
    "data_sample_strategy": "bagging",
    "cegb_penalty_feature_coupled": "",
    "cegb_penalty_feature_lazy": "",
    "use_quantized_grad": False,
}


_RESEEDED = {
    # What is drawn anew at each split, and by which seed.
    "extra_trees": (False, "extra_seed"),
    "feature_fraction_bynode": (1.0, "feature_fraction_seed"),
}


def stateful(booster: Mapping[str, Any], own: str | None) -> str | None:
    """What makes a run keep a state that its model does not hold, or None (see `ranking.trees.boosting`)."""
    given = canonical(booster)
    if own == "rank_xendcg":
        return f"objective {own}"
    changed = (f"booster.{name}" for name, still in _NOT_SAMPLED.items() if given.get(name, still) != still)
    return next(changed, None)


def rescales(booster: Mapping[str, Any]) -> bool:
    """Do later rounds change earlier trees? Then no earlier round can be kept."""
    return canonical(booster).get("boosting") == "dart"


def canonical(booster: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters under LightGBM's main names; a name LightGBM does not know is an error.

    LightGBM itself only warns about those, and not at the verbosity trained with.
    """
    import lightgbm

    aliases = lightgbm.basic._ConfigAliases._get_all_param_aliases()
    main = {alias: name for name, others in aliases.items() for alias in [name, *others]}
    result: dict[str, Any] = {}
    for name, value in booster.items():
        if name not in main:
            raise unknown_name("LightGBM parameter", name, aliases)
        result[main[name]] = value
    return result


def parameters(job: Job) -> dict[str, Any]:
    """The full parameter set of a run, checked."""
    own = canonical(job.booster)
    for data in (job.train, job.valid):
        if data is not None:
            check_categories(job.categorical, data)
    refuse(own, job.objective if isinstance(job.objective, str) else None)
    check_width(own, job.train.feature_count)
    if isinstance(job.objective, str):
        _check_builtin(job)
    elif str(own.get("bagging_by_query", False)).lower() in ("true", "1"):
        # The custom-objective path of GBDT::TrainOneIter skips the draw of queries: an empty model.
        raise UsageError(
            "booster.bagging_by_query trains an empty model with a custom objective in LightGBM: "
            "use booster.bagging_fraction with booster.bagging_freq (documents), or --objective builtin"
        )
    if own.get("linear_tree"):
        raise UsageError(
            "booster.linear_tree: models with linear leaves cannot be checked, and so not served"
        )
    if own.get("boosting") in ("rf", "random_forest") and not isinstance(job.objective, str):
        raise UsageError("booster.boosting=rf takes no custom gradients in LightGBM: use gbdt or dart")
    settings = canonical(_LIGHTGBM.defaults) | own
    _try_out(job, own)
    # Choosing between row- and column-wise histograms by timing would change sums from run to run.
    if not settings.get("force_col_wise"):
        settings["force_row_wise"] = True
    return (
        settings
        | _worths(job)
        | {
            "metric": "None",
            "verbosity": -1,
            "num_threads": job.threads,
            "seed": job.seed,
            "deterministic": True,
        }
    )


def _try_out(job: Job, own: Mapping[str, Any]) -> None:
    """Train one tree on a few rows, and say which parameter LightGBM cannot work with."""
    objective: Any = job.objective if isinstance(job.objective, str) else None
    if objective in _SEVERAL_OUTPUTS:
        raise UsageError(f"builtin:{objective} gives several scores a document, and a ranker has one")
    try_out("LightGBM", own, objective, partial(_trial, job), "lambdarank, rank_xendcg and others")


def _trial(job: Job, objective: str | None, given: Mapping[str, Any]) -> str | None:
    """Why LightGBM cannot grow a tree with these parameters; None where it can."""
    import lightgbm

    features, labels = rows_of(job.train.feature_count)
    settings = canonical(_LIGHTGBM.defaults) | dict(given) | {
        # So that a tree of the data needs as many documents as it likes.
        "feature_pre_filter": False,
        "metric": "None", "verbosity": -1, "num_threads": 1, "deterministic": True,
    }  # fmt: skip
    data = lightgbm.Dataset(
        features, labels, group=np.full(len(labels) // 2, 2), params=dict(settings), free_raw_data=False
    )
    settings["objective"] = objective or (lambda scores, _: (scores - labels, np.ones(len(labels))))
    try:
        with quiet():
            model = lightgbm.train(settings, data, 1)
            if model.num_model_per_iteration() > 1:
                return SEVERAL
    except Exception as error:  # whatever its bindings raise over a value
        return reason_of(error)
    return None


def _worths(job: Job) -> dict[str, Any]:
    """The run's gain as LightGBM's lambdarank takes it: a table by label."""
    if job.objective != _LIGHTGBM.builtin:
        return {}
    check_discount(job)
    if job.gain is None:
        return {}
    top = max(int(data.labels.max(initial=0)) for data in (job.train, job.valid) if data is not None)
    labels = np.arange(top + 1 if isinstance(job.gain, str) else min(top + 1, len(job.gain)))
    return {"label_gain": gain(labels, job.gain).tolist()}


def _check_builtin(job: Job) -> None:
    """LightGBM's own objectives take integer labels up to 30 and lists of up to 10,000 documents."""
    for data in (job.train, job.valid):
        if data is None:
            continue
        longest = int(data.sizes.argmax())
        if data.sizes[longest] > _DOCUMENT_LIMIT:
            raise DataError(
                f"query {data.query_ids[longest]} has {data.sizes[longest]} documents: LightGBM's own "
                f"objectives take {_DOCUMENT_LIMIT}; Rankwright's (--objective lambdarank) have no limit"
            )
        limit = np.inf if job.objective == _LIGHTGBM.builtin and job.gain is not None else _LABEL_LIMIT
        odd = np.flatnonzero((data.labels != np.rint(data.labels)) | (data.labels > limit))
        if len(odd):
            raise DataError(
                f"label {data.labels[odd[0]]} of row {odd[0]}: LightGBM's own objectives take integers "
                f"0..{_LABEL_LIMIT}, its lambdarank with --gain linear any; Rankwright's take fractions too "
                "(--objective lambdarank)"
            )


def boost(job: Job) -> bytes:
    import lightgbm

    settings = parameters(job)
    builtin = isinstance(job.objective, str)
    done = 0 if job.start is None else lightgbm.Booster(model_str=job.start.decode()).current_iteration()
    settings["objective"] = job.objective if builtin else watched_gradients(job, done)
    train = _dataset(job, settings, grouped=builtin)
    valid = None
    if job.valid is not None:
        valid = train.create_valid(job.valid.features, job.valid.labels)
    _check_usable(train.construct(), job, settings)
    held_out: list[Any] = [None]

    def keep_scores(scores: Any, _: Any) -> tuple[str, float, bool]:
        held_out[0] = scores
        return "watched", 0.0, True

    def after_round(env: Any) -> None:
        def snapshot() -> bytes:
            return _bytes(env.model, job.rounds)

        if job.watch(env.iteration + 1, held_out[0], snapshot):
            raise lightgbm.callback.EarlyStopException(env.iteration, [])

    try:
        model = lightgbm.train(
            settings,
            train,
            num_boost_round=job.rounds - done,
            valid_sets=None if valid is None else [valid],
            feval=None if valid is None else keep_scores,
            init_model=None if job.start is None else lightgbm.Booster(model_str=job.start.decode()),
            callbacks=[after_round, *_reseeding(job)],
            keep_training_booster=True,
        )
    except lightgbm.basic.LightGBMError as error:
        raise DataError(f"LightGBM cannot train on this data: {reason_of(error)}") from error
    return _bytes(model, job.rounds)


def _reseeding(job: Job) -> list[Any]:
    """A callback that seeds each round's draws by seed and round, so that a continued run draws the same."""
    own = job.objective if isinstance(job.objective, str) else None
    given = canonical(job.booster)
    seeds = [seed for name, (still, seed) in _RESEEDED.items() if given.get(name, still) != still]
    if not seeds or stateful(job.booster, own) is not None:
        return []

    def before_round(env: Any) -> None:
        drawn = np.random.SeedSequence([job.seed, env.iteration]).generate_state(len(seeds)) >> 1
        env.model.reset_parameter(dict(zip(seeds, drawn.tolist(), strict=True)))

    before_round.before_iteration = True  # type: ignore[attr-defined]  # how LightGBM tells callbacks apart
    return [before_round]


def _dataset(job: Job, settings: Mapping[str, Any], *, grouped: bool) -> Any:
    """Binned training data; groups and weights only for LightGBM's own objectives, which alone read them."""
    import lightgbm

    data, weights = job.train, None
    if grouped and data.weights is not None:
        weights = data.document_weights
        if weights is None:
            weights = np.repeat(data.weights, data.sizes)
    return lightgbm.Dataset(
        data.features,
        data.labels,
        group=data.sizes if grouped else None,
        weight=weights,
        params={key: value for key, value in settings.items() if key != "objective"},
        feature_name=booster_names(data),
        categorical_feature=list(job.categorical),
        free_raw_data=False,
    )


def _check_usable(binned: Any, job: Job, settings: Mapping[str, Any]) -> None:
    """Refuse data of which no feature is left, which LightGBM meets with a failed check of its own."""
    if any(binned.feature_num_bin(feature) > 1 for feature in range(job.train.feature_count)):
        return
    raise DataError(
        f"LightGBM finds no feature to split the {job.train.document_count} documents by: each is constant, "
        f"or has no split with booster.min_data_in_leaf={settings['min_data_in_leaf']} documents on both "
        "sides (lower it for little data)"
    )


def _bytes(model: Any, rounds: int) -> bytes:
    """The model's text, with the round count of the whole run where a continued one writes its own."""
    text = model.model_to_string(num_iteration=-1)
    return re.sub(r"(?m)^\[num_iterations: \d+\]$", f"[num_iterations: {rounds}]", text, count=1).encode()


def first_rounds(model: bytes, rounds: int) -> bytes:
    """The model of only the first rounds."""
    import lightgbm

    text: str = lightgbm.Booster(model_str=model.decode()).model_to_string(num_iteration=rounds)
    return text.encode()
