"""Random ensembles as LightGBM and XGBoost write them, and rows that try every rule of theirs."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import numpy as np
import xgboost

FEATURES = 6
CATEGORICAL = 5
"""The feature that categorical splits ask for."""

SPECIAL = np.array(
    [
        0.0, -0.0, 1e-35, -1e-35, 1.1e-35, 1e-45, -1e-45, 1e-38, 1.1754942e-38, 1e38, -1e38, 3.4028235e38,
        -3.4028235e38, 1.0, -1.0, 0.1, 0.5, 2.5, 31.0, 32.0, 63.9, 64.0, 7e4, 3e9, -0.5,
    ],
    np.float32,
)  # fmt: skip


def special_rows(generator: np.random.Generator, count: int, thresholds: Any) -> Any:
    """Rows of NaN, zeros of both signs, denormal and huge numbers, and thresholds met or just missed."""
    with np.errstate(over="ignore"):
        exact = np.asarray(thresholds).astype(np.float32)
    exact = exact[np.isfinite(exact)]
    with np.errstate(over="ignore"):
        above, below = (np.nextafter(exact, np.float32(bound)) for bound in (np.inf, -np.inf))
    plain = generator.normal(size=20).astype(np.float32)
    pool = np.concatenate([SPECIAL, exact, above, below, plain, np.full(3, np.nan, np.float32)])
    return generator.choice(pool[~np.isinf(pool)], (count, FEATURES))


def drawn_thresholds(generator: np.random.Generator, count: int) -> Any:
    """float64: of the special values, halfway between two float32, and of no particular kind."""
    special = generator.choice(SPECIAL, count).astype(np.float64)
    with np.errstate(over="ignore"):
        upper = np.nextafter(special.astype(np.float32), np.float32(np.inf)).astype(np.float64)
    between = np.where(np.isfinite(upper), (special + upper) / 2, special)
    return np.choose(generator.integers(0, 3, count), [special, between, generator.normal(size=count)])


def lightgbm_text(seed: int, trees: int = 5, most_leaves: int = 40, **changed: Any) -> bytes:
    """LightGBM model text of random trees, with every kind of missing value and categorical sets."""
    generator = np.random.default_rng(seed)
    blocks = [_lightgbm_tree(generator, i, most_leaves, **changed) for i in range(trees)]
    names = " ".join(f"f{i}" for i in range(FEATURES))
    head = [
        "tree", "version=v4", "num_class=1", "num_tree_per_iteration=1", "label_index=0",
        f"max_feature_idx={FEATURES - 1}", "objective=regression", f"feature_names={names}",
        f"feature_infos={' '.join(['[-1:1]'] * FEATURES)}",
        f"tree_sizes={' '.join(str(len(block)) for block in blocks)}", "", "",
    ]  # fmt: skip
    tail = (
        "end of trees\n\nfeature_importances:\n\nparameters:\n\nend of parameters\n\npandas_categorical:[]\n"
    )
    return ("\n".join(head) + "".join(blocks) + tail).encode()


def _lightgbm_tree(generator: np.random.Generator, number: int, most_leaves: int, chain: bool = False) -> str:
    leaves = int(generator.integers(1, most_leaves + 1))
    splits = leaves - 1
    left, right = np.zeros(splits, int), np.zeros(splits, int)
    place: dict[int, tuple[Any, int]] = {}
    for split in range(splits):
        # LightGBM's numbering: the left child keeps the leaf's number, the right one has the next.
        leaf = split if chain else int(generator.integers(0, split + 1))
        if leaf in place:
            side, at = place[leaf]
            side[at] = split
        left[split], right[split] = -leaf - 1, -(split + 1) - 1
        place[leaf], place[split + 1] = (left, split), (right, split)
    feature = generator.integers(0, FEATURES, splits)
    categorical = (feature == CATEGORICAL) & (generator.random(splits) < 0.7)
    decision = np.where(categorical, 1, 2 * generator.integers(0, 2, splits))
    decision = decision + 4 * generator.integers(0, 3, splits)
    threshold = drawn_thresholds(generator, splits)
    sets = [generator.integers(0, 2**32, generator.integers(1, 4)) for _ in range(categorical.sum())]
    threshold[categorical] = np.arange(len(sets))
    counts = generator.integers(1, 9, leaves)
    covers = np.zeros(splits, int)
    for split in range(splits - 1, -1, -1):
        covers[split] = sum(covers[c] if c >= 0 else counts[-c - 1] for c in (left[split], right[split]))
    lines: dict[str, Any] = {
        "Tree": number, "num_leaves": leaves, "num_cat": len(sets), "split_feature": feature,
        "split_gain": np.ones(splits), "threshold": threshold, "decision_type": decision, "left_child": left,
        "right_child": right, "leaf_value": generator.normal(size=leaves), "leaf_weight": np.ones(leaves),
        "leaf_count": counts, "internal_value": np.zeros(splits), "internal_weight": np.ones(splits),
        "internal_count": covers,
    }  # fmt: skip
    if sets:
        lines["cat_boundaries"] = np.cumsum([0, *map(len, sets)])
        lines["cat_threshold"] = np.concatenate(sets)
    text = [
        f"{name}={' '.join(map(repr, value.tolist())) if isinstance(value, np.ndarray) else value}"
        for name, value in (lines | {"is_linear": 0, "shrinkage": 1}).items()
    ]
    return "\n".join(text) + "\n\n\n"


@cache
def _grown(categorical: bool) -> dict[str, Any]:
    """XGBoost's JSON of trees of some 40 leaves, to be given other numbers."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(2000, FEATURES)).astype(np.float32)
    rows[:, CATEGORICAL] = generator.integers(0, 40, 2000)
    kinds = ["q"] * CATEGORICAL + ["c" if categorical else "q"]
    labels = np.sin(rows[:, :CATEGORICAL] * 9).sum(axis=1) + rows[:, CATEGORICAL] % 3
    data = xgboost.DMatrix(rows, labels, feature_types=kinds, enable_categorical=categorical)
    settings = {"max_depth": 9, "max_leaves": 40, "grow_policy": "lossguide", "nthread": 1}
    settings |= {"max_cat_to_onehot": 1}
    return json.loads(xgboost.train(settings, data, 5).save_raw("json"))  # type: ignore[no-any-return]


def xgboost_booster(seed: int) -> xgboost.Booster:
    """A booster whose trees have the form of grown ones, and random numbers."""
    generator = np.random.default_rng(seed)
    model = json.loads(json.dumps(_grown(bool(seed % 2))))
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        leaf = np.array(tree["left_children"]) == -1
        plain = ~leaf & (np.array(tree["split_type"]) == 0)
        condition = np.array(tree["split_conditions"])
        condition[leaf] = generator.normal(size=leaf.sum())
        with np.errstate(over="ignore"):
            condition[plain] = np.clip(drawn_thresholds(generator, plain.sum()), -3.4e38, 3.4e38)
        tree["split_conditions"] = condition.astype(np.float32).tolist()
        tree["default_left"] = generator.integers(0, 2, len(leaf)).tolist()
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(json.dumps(model).encode()))
    return booster


def xgboost_objectives() -> list[str]:
    """Every objective that XGBoost names, read from what it says to one that it does not know."""
    data = xgboost.DMatrix(np.zeros((2, 1), np.float32), np.zeros(2))
    try:
        xgboost.train({"objective": "none of them"}, data, 1)
    except xgboost.core.XGBoostError as error:
        return sorted(re.findall(r"Objective candidate: (\S+)", str(error)))
    return []


SEVERAL_OUTPUTS = ("multi:softmax", "multi:softprob")


def xgboost_of(objective: str, features: Any) -> xgboost.Booster:
    """A booster of three rounds, with labels that its objective takes."""
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 2, len(features)).astype(np.float32)
    settings: dict[str, Any] = {"objective": objective, "max_depth": 3, "nthread": 1, "verbosity": 0}
    if objective in SEVERAL_OUTPUTS:
        settings["num_class"] = 2
    if objective == "reg:quantileerror":
        settings["quantile_alpha"] = 0.3
    if objective in ("reg:gamma", "survival:cox"):
        labels += 0.5
    data = xgboost.DMatrix(features, labels)
    if objective.startswith("rank:"):
        data.set_info(qid=np.arange(len(features)) // 12)
    if objective == "survival:aft":
        data.set_info(label_lower_bound=labels + 1, label_upper_bound=labels + 2)
    return xgboost.train(settings, data, 3)
