"""XGBoost UBJSON: what XGBoost writes is accepted, what it cannot have written is refused."""

import struct

import numpy as np
import pytest
import xgboost

from ranking.errors import ArtifactError
from ranking.trees.reading import read_forest
from tests.ranking.models.small import NAMES, labels, model_of, rows, xgboost_model
from tests.ranking.trees.reading.written_xgboost import WRITTEN


@pytest.mark.parametrize("name", WRITTEN)
def test_every_kind_of_model_that_xgboost_writes_is_accepted(name: str) -> None:
    """Constant and pruned trees, both ways of growing, forests and dropped trees."""
    read_forest("xgboost", xgboost_model(**WRITTEN[name]), len(NAMES))


def test_pruning_leaves_dead_nodes_which_are_accepted() -> None:
    """They are marked as deleted."""
    assert b"num_deletedSL\x00\x00\x00\x00\x00\x00\x00\x010" not in xgboost_model(**WRITTEN["pruned"])


def test_categorical_splits_named_features_and_slices_are_accepted() -> None:
    """Their sets are cut out of one array."""
    kinds = ["q", "q", "q", "c"]
    data = xgboost.DMatrix(
        rows(), labels(), feature_names=list(NAMES), feature_types=kinds, enable_categorical=True
    )
    booster = xgboost.train({"max_depth": 3, "max_cat_to_onehot": 1, "nthread": 1}, data, 3)
    assert any("3" in str(tree) for tree in booster.get_dump())
    read_forest("xgboost", bytes(booster.save_raw("ubj")), len(NAMES))
    read_forest("xgboost", bytes(booster[:1].save_raw("ubj")), len(NAMES))


def test_the_linear_booster_is_refused() -> None:
    """It has no trees to score with."""
    settings = {"booster": "gblinear", "nthread": 1, "updater": "coord_descent"}
    data = xgboost.DMatrix(np.nan_to_num(rows()), labels())
    model = bytes(xgboost.train(settings, data, 2).save_raw("ubj"))
    with pytest.raises(ArtifactError, match="gbtree or dart expected, got 'gblinear'"):
        read_forest("xgboost", model, len(NAMES))


def _patched(name: bytes, entry: int, value: bytes) -> bytes:
    """The model with one entry of the first array of this name replaced."""
    model = model_of("xgboost")
    at = model.index(name + b"[$") + len(name) + 13 + entry * len(value)
    return model[:at] + value + model[at + len(value) :]


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (b"left_children", struct.pack(">i", 0), "reached twice"),
        (b"left_children", struct.pack(">i", 1 << 30), r"left_children: entry 0 is 1073741824"),
        (b"left_children", struct.pack(">i", -2), "left_children"),
        (b"left_children", struct.pack(">i", -1), "a node with one child"),
        (b"parents", struct.pack(">i", 3), "parents do not agree"),
        (b"split_indices", struct.pack(">i", 4), r"split_indices: entry 0 is 4, outside 0\.\.3"),
        (b"split_indices", struct.pack(">i", -1), "split_indices"),
        (b"split_conditions", struct.pack(">f", float("nan")), "finite numbers expected"),
        (b"base_weights", struct.pack(">f", float("inf")), "finite numbers expected"),
        (b"split_type", b"\x01", "categories_nodes does not agree"),
        (b"default_left", b"\x07", "default_left"),
    ],
)
def test_one_wrong_entry_is_refused_with_its_tree_and_array(name: bytes, value: bytes, reason: str) -> None:
    """Each of these crashes or misleads the process that opens it with XGBoost alone."""
    with pytest.raises(ArtifactError, match=f"tree 0: .*{reason}"):
        read_forest("xgboost", _patched(name, 0, value), len(NAMES))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            b"\x0bnum_featureSL\0\0\0\0\0\0\0\x014",
            b"\x0bnum_featureSL\0\0\0\0\0\0\0\x019",
            "num_feature|wrong",
        ),
        (b"\x09num_treesSL\0\0\0\0\0\0\0\x013", b"\x09num_treesSL\0\0\0\0\0\0\0\x017", "num_trees=7"),
        (b"\x06gbtree}", b"\x06gbtrex}", "gbtree or dart expected, got 'gbtrex'"),
        (b"\x0bnum_deletedSL\0\0\0\0\0\0\0\x010", b"\x0bnum_deletedSL\0\0\0\0\0\0\0\x011", "num_deleted"),
        (b"tree_info[#L\0\0\0\0\0\0\0\x03i\0", b"tree_info[#L\0\0\0\0\0\0\0\x03i\5", "one output"),
        (b"loss_changes", b"loss_chances", "unknown key"),
        (b"{L", b'{"', "XGBoost's JSON"),
    ],
)
def test_wrong_counts_and_keys_are_refused(old: bytes, new: bytes, reason: str) -> None:
    """XGBoost sizes what it allocates by them."""
    model = model_of("xgboost")
    assert old in model
    with pytest.raises(ArtifactError, match=reason):
        read_forest("xgboost", model.replace(old, new, 1), len(NAMES))


def test_the_width_must_be_the_manifests() -> None:
    """A model of four features does not take five."""
    with pytest.raises(ArtifactError, match="num_feature=5 expected, got 4"):
        read_forest("xgboost", model_of("xgboost"), len(NAMES) + 1)


def test_parents_must_be_those_that_have_the_node_as_child() -> None:
    """Node 1 hangs below the root and claims another parent."""
    with pytest.raises(ArtifactError, match="tree 0: parents do not agree"):
        read_forest("xgboost", _patched(b"parents", 1, struct.pack(">i", 2)), len(NAMES))


@pytest.mark.parametrize(
    "base", [0.0, -0.0, 1.0, 0.5, -1.5e-7, 1e-45, 1.1754944e-38, 3.4028235e38, 123456789.0, 1e10, 0.1]
)
def test_every_form_in_which_xgboost_writes_a_base_score_is_read(base: float) -> None:
    """[1E0], [5E-1], [-1.5E-7], [3.4028235E38] …"""
    forest = read_forest("xgboost", xgboost_model(base_score=base), len(NAMES))
    assert np.float32(forest.base).tobytes() == np.float32(base).tobytes()


@pytest.mark.parametrize(
    ("text", "value"),
    [("[1E0]", 1), ("1E+00", 1), ("5E-01", 0.5), ("-.5E1", -5), ("[.25]", 0.25), ("2.e-1", 0.2)],
)
def test_base_scores_of_other_versions_are_read(text: str, value: float) -> None:
    """Without brackets, as XGBoost 1 and 2 have it, and by any program that prints a float."""
    model = model_of("xgboost")
    assert b"[0E0]" in model
    forest = read_forest("xgboost", model.replace(b"[0E0]", text.encode()), len(NAMES))
    assert forest.base == np.float32(value)


@pytest.mark.parametrize(
    "text", ["1.2.3", "[0,1]", "[0E0,", "0E0]]", "[nan]", "[inf]", "1E999", "E0000", "[   ]"]
)
def test_what_is_no_base_score_is_refused(text: str) -> None:
    model = model_of("xgboost").replace(b"[0E0]", text.encode())
    with pytest.raises(ArtifactError, match="base_score"):
        read_forest("xgboost", model, len(NAMES))


def test_several_targets_are_refused() -> None:
    data = xgboost.DMatrix(rows(), np.stack([labels(), labels()], axis=1))
    model = bytes(xgboost.train({"nthread": 1, "max_depth": 2}, data, 2).save_raw("ubj"))
    with pytest.raises(ArtifactError, match="num_target=2: models of several outputs are not supported"):
        read_forest("xgboost", model, len(NAMES))
