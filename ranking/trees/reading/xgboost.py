"""XGBoost's UBJSON: one object with the learner and its booster, and for each tree arrays over its nodes."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ranking.errors import ArtifactError
from ranking.trees.forest import IN_SET_RIGHT, NAN_IS_MISSING, Array, Forest, Tree, below, joined
from ranking.trees.nodes import in_range, reachable
from ranking.trees.reading.ubj import read_ubj

MAX_CATEGORY = 1 << 24
"""XGBoost's own limit of a category number."""

_NODE_ARRAYS = {
    "base_weights": "f4",
    "default_left": "u1",
    "left_children": "i4",
    "loss_changes": "f4",
    "parents": "i4",
    "right_children": "i4",
    "split_conditions": "f4",
    "split_indices": "i4",
    "split_type": "u1",
    "sum_hessian": "f4",
}
_CATEGORY_ARRAYS = {
    "categories": "i4",
    "categories_nodes": "i4",
    "categories_segments": "i8",
    "categories_sizes": "i8",
}
_LOG = ("count:poisson", "reg:gamma", "reg:tweedie", "survival:aft", "survival:cox")
_LOGIT = ("binary:logistic", "reg:logistic")
_IDENTITY = (
    "reg:squarederror", "reg:squaredlogerror", "reg:absoluteerror", "reg:pseudohubererror",
    "reg:quantileerror", "binary:hinge", "binary:logitraw",
)  # fmt: skip

_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")

_MOST_CATEGORY_BITS = 1 << 27
"""A list of one large number would become a set of as many bits."""

_ROOT_PARENT = _DELETED = 2**31 - 1


def read_xgboost(model: bytes, feature_count: int) -> Forest:
    """The trees of XGBoost UBJSON (gbtree or dart); refuses what XGBoost 3 would not have written."""
    if model[:2] in (b'{"', b"{\n", b"{ "):
        raise ArtifactError("this is XGBoost's JSON: save the model as UBJSON")
    top = _keys(read_ubj(model), {"learner", "version"}, "model")
    version = top["version"]
    if not isinstance(version, list) or len(version) != 3 or not all(type(part) is int for part in version):
        raise ArtifactError(f"version: three numbers expected, got {str(version)[:40]}")
    learner = _keys(
        top["learner"],
        {
            "attributes",
            "feature_names",
            "feature_types",
            "gradient_booster",
            "learner_model_param",
            "objective",
        },
        "learner",
    )
    base = _check_learner(learner, feature_count)
    booster = learner["gradient_booster"]
    name = booster.get("name") if isinstance(booster, dict) else None
    if name == "gbtree":
        trees, rounds = _trees(_keys(booster, {"model", "name"}, "gbtree")["model"], feature_count)
    elif name == "dart":
        dart = _keys(booster, {"gbtree", "name", "weight_drop"}, "dart")
        trees, rounds = _trees(_keys(dart["gbtree"], {"model", "name"}, "dart")["model"], feature_count)
        weights = _finite(dart["weight_drop"], "weight_drop").astype(np.float32)
        if len(weights) != len(trees):
            raise ArtifactError(f"weight_drop must have {len(trees)} entries")
        trees = [
            replace(tree, value=tree.value * weight) for tree, weight in zip(trees, weights, strict=True)
        ]
    else:
        raise ArtifactError(f"gradient_booster: gbtree or dart expected, got {name!r}")
    bits = sum(int(one.max(initial=0)) for tree in trees for one in tree.sets)
    if bits > _MOST_CATEGORY_BITS:
        raise ArtifactError(f"categories: sets of {bits} bits in all, {_MOST_CATEGORY_BITS} at most")
    return joined(trees, feature_count, rounds=rounds, base=base)


def _keys(value: Any, expected: set[str], where: str, optional: Iterable[str] = ()) -> dict[str, Any]:
    """The object with exactly these keys."""
    if not isinstance(value, dict):
        raise ArtifactError(f"{where}: an object expected, got {type(value).__name__}")
    wrong = (expected - value.keys()) or (value.keys() - expected - set(optional))
    if wrong:
        raise ArtifactError(f"{where}: missing or unknown key {min(wrong)[:40]!r}")
    return value


def _count(value: Any, where: str) -> int:
    """A number XGBoost writes as text."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,10}", value):
        raise ArtifactError(f"{where}: a count expected, got {str(value)[:40]!r}")
    return int(value)


def _finite(values: Any, where: str) -> Array:
    """Numbers of a typed or an untyped array, all finite."""
    if isinstance(values, list) and all(type(value) in (int, float) for value in values):
        values = np.array(values, np.float64)
    if not isinstance(values, np.ndarray) or not np.isfinite(values).all():
        raise ArtifactError(f"{where}: finite numbers expected")
    return values


def _check_learner(learner: Mapping[str, Any], feature_count: int) -> float:
    """The learner's base score."""
    facts = _keys(
        learner["learner_model_param"],
        {"base_score", "boost_from_average", "num_class", "num_feature", "num_target"},
        "learner_model_param",
    )
    if _count(facts["num_feature"], "num_feature") != feature_count:
        raise ArtifactError(f"num_feature={feature_count} expected, got {facts['num_feature']}")
    for name in ("num_class", "num_target"):
        outputs = _count(facts[name], name)
        if outputs > 1:
            raise ArtifactError(f"{name}={outputs}: models of several outputs are not supported, train one")
    _count(facts["boost_from_average"], "boost_from_average")
    base = _one_number(facts["base_score"], "base_score")
    for name in ("feature_names", "feature_types"):
        texts = learner[name]
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ArtifactError(f"{name}: texts expected")
        if len(texts) not in (0, feature_count):
            raise ArtifactError(f"{name} must have {feature_count} entries, got {len(texts)}")
    if not isinstance(learner["objective"], dict) or not isinstance(learner["objective"].get("name"), str):
        raise ArtifactError("objective: an object with a name expected")
    link = _link(learner["objective"]["name"])
    if not isinstance(learner["attributes"], dict) or not all(
        isinstance(value, str) for value in learner["attributes"].values()
    ):
        raise ArtifactError("attributes: texts expected")
    with np.errstate(divide="ignore", over="ignore"):
        margin = link(base)
    if not np.isfinite(margin):
        raise ArtifactError(f"base_score: {base} is outside what {learner['objective']['name']} can predict")
    return float(margin)


def _one_number(text: Any, where: str) -> np.float32:
    """A float32 that XGBoost writes as text: 5E-1, and since version 3 [5E-1]."""
    inner = text[1:-1] if isinstance(text, str) and text[:1] + text[-1:] == "[]" else text
    if not isinstance(inner, str) or not _FLOAT.fullmatch(inner):
        raise ArtifactError(f"{where}: one number expected, got {str(text)[:40]!r}")
    with np.errstate(over="ignore"):
        return np.float32(inner)


def _link(objective: str) -> Callable[[np.float32], Any]:
    """From what the objective predicts to the sum of the trees: base_score is the former."""
    if objective in _LOG:
        return _logf
    if objective in _LOGIT:
        return lambda p: -_logf(np.float32(1) / p - np.float32(1))
    if starts_from_base_score(objective):
        return lambda p: p
    raise ArtifactError(f"objective: models of {objective[:40]!r} are not supported")


def starts_from_base_score(objective: str) -> bool:
    """Does this objective predict the sum of the trees as it is, which then starts from base_score itself?"""
    return objective in _IDENTITY or objective.startswith("rank:")


def _logf(value: np.float32) -> float:
    """The C library's logarithm of a float32, as XGBoost takes it: NumPy's has other last bits."""
    logf = ctypes.CDLL("ucrtbase" if os.name == "nt" else None).logf
    logf.argtypes, logf.restype = [ctypes.c_float], ctypes.c_float
    return float(logf(float(value)))


def _trees(model: Any, feature_count: int) -> tuple[list[Tree], int]:
    """(trees, rounds) of a gbtree model."""
    model = _keys(model, {"gbtree_model_param", "iteration_indptr", "tree_info", "trees"}, "gbtree", ["cats"])
    cats = _keys(model.get("cats", {}), set(), "cats", ["enc", "feature_segments", "sorted_idx"])
    if any(not isinstance(part, list | np.ndarray) or len(part) for part in cats.values()):
        raise ArtifactError("cats: categories of a data frame are not supported: train on numbers")
    facts = _keys(model["gbtree_model_param"], {"num_parallel_tree", "num_trees"}, "gbtree_model_param")
    trees, count = model["trees"], _count(facts["num_trees"], "num_trees")
    if not isinstance(trees, list) or len(trees) != count or count == 0:
        raise ArtifactError(f"trees: num_trees={count} does not agree with the trees there are")
    if _count(facts["num_parallel_tree"], "num_parallel_tree") < 1:
        raise ArtifactError("num_parallel_tree must be at least 1")
    groups, starts = (
        _finite(model["tree_info"], "tree_info"),
        _finite(model["iteration_indptr"], "iteration_indptr"),
    )
    if len(groups) != count or groups.any():
        raise ArtifactError(f"tree_info must be {count} zeros: the model has one output")
    if len(starts) < 2 or starts[0] != 0 or starts[-1] != count or (np.diff(starts) < 0).any():
        raise ArtifactError(f"iteration_indptr must rise from 0 to {count}")
    return [_tree(tree, number, feature_count) for number, tree in enumerate(trees)], len(starts) - 1


def _tree(tree: Any, number: int, feature_count: int) -> Tree:
    where = f"tree {number}"
    types = _NODE_ARRAYS | _CATEGORY_ARRAYS
    tree = _keys(tree, {*types, "id", "tree_param"}, where)
    for name, code in types.items():
        if not isinstance(tree[name], np.ndarray) or tree[name].dtype != np.dtype(f">{code}"):
            raise ArtifactError(f"{where}: {name} must be an array of {code}")
    facts = _keys(tree["tree_param"], {"num_deleted", "num_feature", "num_nodes", "size_leaf_vector"}, where)
    nodes = _count(facts["num_nodes"], f"{where}: num_nodes")
    if tree["id"] != number or nodes < 1 or _count(facts["num_feature"], where) != feature_count:
        raise ArtifactError(f"{where}: id, num_nodes or num_feature is wrong")
    if _count(facts["size_leaf_vector"], where) > 1:
        raise ArtifactError(f"{where}: leaves with several values are not supported")
    columns = {name: tree[name].astype(tree[name].dtype.newbyteorder("=")) for name in types}
    for name in _NODE_ARRAYS:
        if len(columns[name]) != nodes:
            raise ArtifactError(f"{where}: {name} must have {nodes} entries, got {len(columns[name])}")
    live = _check_nodes(columns, feature_count, where)
    if nodes - live.sum() != _count(facts["num_deleted"], where):
        raise ArtifactError(
            f"{where}: {nodes - live.sum()} nodes are not reached, num_deleted says otherwise"
        )
    sets = _category_sets(columns, live, where)
    return _renumbered(columns, live, sets)


def _renumbered(columns: Mapping[str, Array], live: npt.NDArray[np.bool_], sets: list[Array]) -> Tree:
    """XGBoost numbers splits and leaves alike; here each kind has its own numbers, in the same order."""
    leaf = columns["left_children"] == -1
    splits, leaves = np.flatnonzero(live & ~leaf), np.flatnonzero(live & leaf)
    number = np.zeros(len(live), np.int64)
    number[splits] = np.arange(len(splits))
    number[leaves] = -np.arange(len(leaves)) - 1
    categorical = columns["split_type"][splits] == 1
    threshold = below(columns["split_conditions"][splits])
    threshold[categorical] = np.arange(len(sets))
    return Tree(
        feature=columns["split_indices"][splits],
        threshold=threshold,
        rule=np.where(categorical, IN_SET_RIGHT, NAN_IS_MISSING),
        default_left=columns["default_left"][splits] == 1,
        left=number[columns["left_children"][splits]],
        right=number[columns["right_children"][splits]],
        sets=sets,
        value=columns["split_conditions"][leaves],
        split_cover=columns["sum_hessian"][splits],
        leaf_cover=columns["sum_hessian"][leaves],
        gain=columns["loss_changes"][splits],
    )


def _check_nodes(columns: Mapping[str, Array], feature_count: int, where: str) -> npt.NDArray[np.bool_]:
    """Check links, splits and values; which nodes belong to the tree (pruning leaves others behind)."""
    left, right, parents = columns["left_children"], columns["right_children"], columns["parents"]
    nodes = len(left)
    leaf = left == -1
    if (leaf != (right == -1)).any():
        raise ArtifactError(f"{where}: a node with one child")
    for name in ("left_children", "right_children"):
        in_range(columns[name][~leaf], nodes, f"{where}: {name}")
    live = reachable(left, right, leaf, where)
    inner = np.flatnonzero(live & ~leaf)
    if (
        parents[0] != _ROOT_PARENT
        or (parents[left[inner]] != inner).any()
        or (parents[right[inner]] != inner).any()
    ):
        raise ArtifactError(f"{where}: parents do not agree with the children")
    in_range(columns["split_indices"][inner], feature_count, f"{where}: split_indices")
    if (columns["split_indices"][~live] != _DELETED).any():
        raise ArtifactError(f"{where}: a node is never reached")
    for name in ("default_left", "split_type"):
        in_range(columns[name][live], 2, f"{where}: {name}")
    for name in ("split_conditions", "base_weights", "sum_hessian", "loss_changes"):
        _finite(columns[name][live], f"{where}: {name}")
    return live


def _category_sets(columns: Mapping[str, Array], live: npt.NDArray[np.bool_], where: str) -> list[Array]:
    """The categories of each categorical split, in the order of the nodes: each owns a slice."""
    owners, starts, sizes = (columns[f"categories_{name}"] for name in ("nodes", "segments", "sizes"))
    categorical = live & (columns["split_type"] == 1) & (columns["left_children"] != -1)
    if not len(owners) == len(starts) == len(sizes) or not np.array_equal(
        owners, np.flatnonzero(categorical)
    ):
        raise ArtifactError(f"{where}: categories_nodes does not agree with the categorical splits")
    total = len(columns["categories"])
    if (sizes < 0).any() or not np.array_equal(starts, np.cumsum(sizes) - sizes) or sizes.sum() != total:
        raise ArtifactError(
            f"{where}: categories_segments and categories_sizes must cut all {total} categories"
        )
    in_range(columns["categories"], MAX_CATEGORY, f"{where}: categories")
    return [columns["categories"][a : a + n].astype(np.int64) for a, n in zip(starts, sizes, strict=True)]
