"""XGBoost's UBJSON of trees from one model or several: a gbtree of one tree a round.

Leaves are float32 there: each is its value times the scale (and its DART weight), rounded once. The scores
start from the sum of what each member's start from, times its scale. Attributes go: `best_iteration` would
cut the trees short in XGBoost's scikit-learn interface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ranking.errors import UsageError
from ranking.trees.merging.part import Part
from ranking.trees.merging.ubj import write_ubj
from ranking.trees.reading.ubj import read_ubj
from ranking.trees.reading.xgboost import starts_from_base_score

_SUM = {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}}
"""The objective that predicts the sum of the trees as it is, and what a custom one is saved as."""


def summed(parts: Sequence[Part]) -> bytes:
    """The UBJSON of the model of all these trees.

    Raises UsageError where models give their features other names or types, or a leaf would be infinite.
    """
    models = [read_ubj(part.model) for part in parts]
    learners = [model["learner"] for model in models]
    first = learners[0]
    for what in ("feature_names", "feature_types"):
        if any(learner[what] != first[what] for learner in learners):
            raise UsageError(f"the models have other {what} in their files: train both on the same columns")
    trees = [
        _scaled(tree, number, factor)
        for number, (tree, factor) in enumerate(
            taken for part, learner in zip(parts, learners, strict=True) for taken in _taken(part, learner)
        )
    ]
    learner = {
        **first,
        "attributes": {},
        "gradient_booster": {"model": _of_one_tree_a_round(_gbtree(first), trees), "name": "gbtree"},
    }
    if len(parts) > 1 or parts[0].scale != 1.0:
        learner |= _started(parts, learners)
    return write_ubj({**models[0], "learner": learner})


def _gbtree(learner: Mapping[str, Any]) -> dict[str, Any]:
    booster = learner["gradient_booster"]
    model: dict[str, Any] = (booster["gbtree"] if booster["name"] == "dart" else booster)["model"]
    return model


def _taken(part: Part, learner: Mapping[str, Any]) -> list[tuple[dict[str, Any], float]]:
    """The part's trees, and what each one's leaves are taken times."""
    trees, booster = _gbtree(learner)["trees"], learner["gradient_booster"]
    if booster["name"] != "dart":
        return [(trees[number], part.scale) for number in part.trees]
    weights = np.asarray(booster["weight_drop"], np.float32)
    return [(trees[number], part.scale * float(weights[number])) for number in part.trees]


def _scaled(tree: Mapping[str, Any], number: int, factor: float) -> dict[str, Any]:
    """The tree under another number, its leaves and weights times the factor, rounded to float32 once."""
    if factor == 1.0:
        return {**tree, "id": number}
    leaf = tree["left_children"] == -1
    with np.errstate(over="ignore"):
        values = (tree["split_conditions"].astype(np.float64) * factor).astype(np.float32)
        weights = (tree["base_weights"].astype(np.float64) * factor).astype(np.float32)
    if not np.isfinite(values[leaf]).all() or not np.isfinite(weights).all():
        raise UsageError(f"a leaf times {factor} is too large for a float32: choose a smaller scale")
    conditions = np.where(leaf, values, tree["split_conditions"]).astype(np.float32)
    return {**tree, "base_weights": weights, "id": number, "split_conditions": conditions}


def _of_one_tree_a_round(model: Mapping[str, Any], trees: list[dict[str, Any]]) -> dict[str, Any]:
    count = len(trees)
    return {
        **model,
        "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(count)},
        "iteration_indptr": list(range(count + 1)),
        "tree_info": [0] * count,
        "trees": trees,
    }


def _started(parts: Sequence[Part], learners: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Objective and base score of a sum, whose scores start from the sum of the parts' bases."""
    first = learners[0]
    facts = first["learner_model_param"]
    with np.errstate(over="ignore"):
        base = np.float32(sum(part.scale * part.forest.base for part in parts))
    if not np.isfinite(base):
        raise UsageError(
            "the base scores times the scales are too large for a float32: choose smaller scales"
        )
    # Since version 3 it is a list of one.
    text = f"[{base:.9g}]" if facts["base_score"].startswith("[") else f"{base:.9g}"
    alike = len({write_ubj(learner["objective"]) for learner in learners}) == 1
    kept = alike and starts_from_base_score(first["objective"]["name"])
    return {
        "learner_model_param": {**facts, "base_score": text, "boost_from_average": "0"},
        "objective": first["objective"] if kept else _SUM,
    }
