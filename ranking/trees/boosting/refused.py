"""Booster parameters that a run refuses: those it sets itself, and those that could have no effect in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ranking.errors import UsageError

_OURS = {
    "objective": "--objective",
    "num_iterations": "--rounds",
    "num_threads": "--threads",
    "nthread": "--threads",
    "n_jobs": "--threads",
    **dict.fromkeys(
        (
            "seed", "random_state", "seed_per_iteration", "objective_seed", "bagging_seed",
            "data_random_seed", "drop_seed", "extra_seed", "feature_fraction_seed",
        ),
        "--seed",
    ),
    **dict.fromkeys(
        (
            "metric", "eval_metric", "eval_at", "metric_freq", "is_provide_training_metric",
            "multi_error_top_k", "auc_mu_weights",
        ),
        "--metric",
    ),
    **dict.fromkeys(
        ("early_stopping_round", "early_stopping_min_delta", "first_metric_only"), "--early-stopping"
    ),
    **dict.fromkeys(
        ("categorical_feature", "enable_categorical", "feature_types"),
        "categorical, our ids (from 1) or names (--set categorical=brand,3)",
    ),
    "label_gain": "--gain",
    "ndcg_exp_gain": "--gain",
    "lambdarank_position_bias_regularization": "--objective unbiased_lambdarank, which reads positions",
}  # fmt: skip

_FIXED = {
    "base_score", "deterministic", "disable_default_eval_metric", "validate_parameters", "verbosity",
    "saved_feature_importance_type",
}  # fmt: skip

_NOT_A_TRAINING = {
    # Of reading files, predicting, converting and clusters.
    "config", "convert_model", "convert_model_language", "data", "group_column", "header", "ignore_column",
    "input_model", "label_column", "local_listen_port", "machine_list_filename", "machines",
    "num_iteration_predict", "num_machines", "output_model", "output_result", "parser_config_file",
    "pre_partition", "precise_float_parser", "pred_early_stop", "pred_early_stop_freq",
    "pred_early_stop_margin", "predict_contrib", "predict_disable_shape_check", "predict_leaf_index",
    "predict_raw_score", "process_type", "refit_decay_rate", "refresh_leaf", "save_binary", "snapshot_freq",
    "start_iteration_predict", "task", "time_out", "top_k", "tree_learner", "two_round", "updater", "valid",
    "weight_column",
}  # fmt: skip

_WEIGHTS = "use weights in the data"
_OWN_LOSS = "use --objective builtin:NAME, whose loss it belongs to"
_ONE_SCORE = "a ranker gives one score a document, leave it out"
_OF_OBJECTIVES: dict[str, tuple[str, tuple[str, ...]]] = {
    # What to use instead beside one of our objectives, and LightGBM's objectives that read it.
    "lambdarank_truncation_level": ("use objective.truncation", ("lambdarank",)),
    "lambdarank_norm": (
        "use objective.score_normalization and objective.lambda_normalization", ("lambdarank",)
    ),
    "sigmoid": ("use objective.sigma", ("lambdarank", "binary", "multiclassova")),
    "is_unbalance": (_WEIGHTS, ("binary", "multiclassova")),
    "scale_pos_weight": (_WEIGHTS, ("binary", "multiclassova")),
    "alpha": (_OWN_LOSS, ("huber", "quantile")),
    "fair_c": (_OWN_LOSS, ("fair",)),
    "poisson_max_delta_step": (_OWN_LOSS, ("poisson",)),
    "tweedie_variance_power": (_OWN_LOSS, ("tweedie",)),
    "reg_sqrt": (_OWN_LOSS, ("regression",)),
    "boost_from_average": (
        _OWN_LOSS,
        ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "poisson", "gamma", "tweedie",
         "binary", "multiclassova", "cross_entropy"),
    ),
    "num_class": (_ONE_SCORE, ("multiclass", "multiclassova")),
    # XGBoost's; it says itself which of its objectives read them.
    "lambdarank_num_pair_per_sample": ("use objective.truncation", ()),
    "lambdarank_pair_method": ("use objective.truncation", ()),
    "lambdarank_normalization": ("use objective.lambda_normalization", ()),
    "lambdarank_score_normalization": ("use objective.score_normalization", ()),
    "lambdarank_unbiased": ("use --objective unbiased_lambdarank", ()),
    "lambdarank_bias_norm": ("use --objective unbiased_lambdarank", ()),
    "huber_slope": (_OWN_LOSS, ()),
    "quantile_alpha": (_OWN_LOSS, ()),
    "aft_loss_distribution": (_OWN_LOSS, ()),
    "aft_loss_distribution_scale": (_OWN_LOSS, ()),
    "multi_strategy": (_ONE_SCORE, ()),
    "num_target": (_ONE_SCORE, ()),
}  # fmt: skip

_FILES = ("forcedsplits_filename", "forcedbins_filename")
_ONE_A_FEATURE = ("monotone_constraints", "feature_contri", "max_bin_by_feature")


def refuse(booster: Mapping[str, Any], objective: str | None) -> None:
    """Raise UsageError for a parameter that this run could not use, with what to use instead.

    Parameters go by their main names; `objective` is the booster's own that is trained on, None one of ours.
    """
    for name, value in booster.items():
        if name in _OURS:
            raise UsageError(f"booster.{name} is set by {_OURS[name]}: use that instead")
        if name in _FIXED:
            raise UsageError(
                f"booster.{name} is fixed, so that runs can be repeated and compared: leave it out"
            )
        if name in _NOT_A_TRAINING:
            raise UsageError(
                f"booster.{name} has no effect on this training, on the data given: leave it out"
            )
        if name in _OF_OBJECTIVES:
            _refuse_unread(name, objective)
        if name in _FILES:
            _check_file(name, value)


def _refuse_unread(name: str, objective: str | None) -> None:
    """A parameter of an objective that is not the one trained on."""
    instead, readers = _OF_OBJECTIVES[name]
    if objective is None:
        raise UsageError(f"booster.{name} has no effect on an objective of Rankwright's: {instead}")
    known = {"rank_xendcg", *(reader for _, several in _OF_OBJECTIVES.values() for reader in several)}
    if readers and objective in known and objective not in readers:
        raise UsageError(
            f"booster.{name} has no effect on builtin:{objective} (LightGBM reads it for "
            f"{', '.join(readers)}): leave it out"
        )


def _check_file(name: str, value: Any) -> None:
    """LightGBM trains on without a word where it cannot read this file."""
    if value in ("", None):
        return
    try:
        json.loads(Path(str(value)).read_bytes())
    except OSError as error:
        raise UsageError(f"booster.{name}: cannot read {value}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"booster.{name}: {value} is not JSON: {error}") from error


def check_width(booster: Mapping[str, Any], width: int) -> None:
    """Raise UsageError for a parameter of single features that does not fit data of so many."""
    for name in _ONE_A_FEATURE:
        value = booster.get(name)
        if value is None or isinstance(value, Mapping):
            continue
        count = len(_numbers(value))
        if count != width:
            raise UsageError(
                f"booster.{name} has {count} entries, one for each of the {width} features expected"
            )
    features = _numbers(booster.get("interaction_constraints", ""))
    if features and max(features) >= width:
        raise UsageError(
            f"booster.interaction_constraints names feature {max(features):g}, and the last of the {width} "
            f"features is {width - 1} (boosters count from 0)"
        )


def _numbers(value: Any) -> list[float]:
    """The numbers of a list, or a text, however nested; names are none."""
    return [float(found) for found in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])", str(value))]
