"""LightGBM text: what LightGBM writes is accepted, what it cannot have written is refused."""

import re
import time

import lightgbm
import pytest

from ranking.errors import ArtifactError
from ranking.trees.reading import read_forest
from tests.ranking.models.small import NAMES, labels, lightgbm_model, model_of, rows
from tests.ranking.trees.reading.written_lightgbm import WRITTEN


@pytest.mark.parametrize("name", WRITTEN)
def test_every_kind_of_tree_that_lightgbm_writes_is_accepted(name: str) -> None:
    """Constant trees, categorical splits, all kinds of missing values, all ways of boosting."""
    model = lightgbm_model(**WRITTEN[name])
    if name == "categorical":
        assert b"cat_threshold=" in model
    if name == "constant":
        assert b"num_leaves=1\n" in model
    read_forest("lightgbm", model, len(NAMES))


def test_cut_and_continued_models_are_accepted() -> None:
    """Their texts are written by a booster that read them."""
    booster = lightgbm.Booster(model_str=model_of("lightgbm").decode())
    read_forest("lightgbm", booster.model_to_string(num_iteration=1).encode(), len(NAMES))
    settings = {"objective": "regression", "verbose": -1, "num_threads": 1}
    longer = lightgbm.train(settings, lightgbm.Dataset(rows(), labels()), 2, init_model=booster)
    read_forest("lightgbm", longer.model_to_string().encode(), len(NAMES))


def test_linear_trees_are_refused_with_a_clear_word() -> None:
    """Their leaves are not one number."""
    with pytest.raises(ArtifactError, match="linear trees are not supported"):
        read_forest("lightgbm", lightgbm_model(linear_tree=True), len(NAMES))


def _with_line(key: str, value: str, tree: int = 0) -> bytes:
    """The model with one line of one tree replaced, and tree_sizes made to agree."""
    text = model_of("lightgbm").decode()
    head, *trees = re.split(r"(?=^Tree=\d+\n)", text, flags=re.M)
    trees[-1], marker, tail = trees[-1].partition("end of trees")
    trees[tree] = re.sub(rf"(?m)^{key}=.*$", f"{key}={value}", trees[tree], count=1)
    head = re.sub(r"(?m)^tree_sizes=.*$", "tree_sizes=" + " ".join(str(len(t)) for t in trees), head)
    return (head + "".join(trees) + marker + tail).encode()


def _line(key: str) -> str:
    found = re.search(rf"(?m)^{key}=(.*)$", model_of("lightgbm").decode())
    assert found is not None
    return found.group(1)


def test_the_rewriting_of_these_tests_is_itself_sound() -> None:
    """A line replaced by itself leaves an accepted model."""
    assert _with_line("left_child", _line("left_child")) == model_of("lightgbm")


def _first_replaced(key: str, value: str) -> str:
    return " ".join([value, *_line(key).split(" ")[1:]])


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("left_child", "0", "reached twice|never reached"),
        ("left_child", "99", "points outside"),
        ("left_child", "-99", "points outside"),
        ("split_feature", "4", r"split_feature: entry 0 is 4, outside 0\.\.3"),
        ("split_feature", "-1", "split_feature"),
        ("threshold", "nan", "not a list of finite numbers"),
        ("threshold", "1e999", "too large for a double"),
        ("leaf_value", "inf", "not a list of finite numbers"),
        ("leaf_value", "1_0", "not a list of finite numbers"),
        ("leaf_value", "1 2", "must have 7 entries, got 8"),
        ("decision_type", "14", "unknown kind of missing"),
        ("decision_type", "99", "decision_type"),
        ("decision_type", "1", "num_cat=0 does not agree"),
        ("num_leaves", "8", "must have 7 entries, got 6|must have 8 entries"),
        ("num_leaves", "99999999999999999999", "not a list of finite numbers"),
        ("num_cat", "1", "num_cat=1 does not agree"),
        ("is_linear", "1", "linear trees"),
    ],
)
def test_one_wrong_entry_is_refused_with_its_tree_and_key(key: str, value: str, reason: str) -> None:
    """Each of these ends, hangs or misleads the process that opens it with LightGBM alone."""
    model = _with_line(key, _first_replaced(key, value))
    with pytest.raises(ArtifactError, match=rf"Tree=0: .*({reason})"):
        read_forest("lightgbm", model, len(NAMES))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("num_class=1", "num_class=2", "num_class=1 expected"),
        ("max_feature_idx=3", "max_feature_idx=9", "max_feature_idx=3 expected"),
        ("version=v4", "version=v9", "version=v4 expected"),
        ("version=v4", "version=v4\nversion=v4", "'version' appears twice"),
        ("\nnum_cat=0", "\nnum_cat=0\nnum_cat=0", "no tree of|appears twice"),
        ("tree_sizes=", "tree_sizes=1 ", "no tree of 1 bytes"),
        ("end of trees", "end of tree", "no tree of|after the last tree"),
        ("[boosting: gbdt]", "[boosting: gbdt]\n[boosting: dart]", "a key appears twice"),
        ("[boosting: gbdt]", "[boosting: \0bdt]", "control character"),
        ("label_index=0\n", "", "key 'label_index' expected"),
        ("feature_names=Column_0 ", "feature_names=", "feature_names must have 4 entries, got 3"),
    ],
)
def test_a_wrong_header_or_tail_is_refused(old: str, new: str, reason: str) -> None:
    """Repeated keys too: LightGBM would silently use one of them."""
    model = model_of("lightgbm").decode()
    assert old in model
    with pytest.raises(ArtifactError, match=reason):
        read_forest("lightgbm", model.replace(old, new, 1).encode(), len(NAMES))


def test_a_repeated_line_in_a_tree_is_refused() -> None:
    """A second `leaf_value` would hide the first from a reader that looks at one of them."""
    model = _with_line("leaf_value", _line("leaf_value") + "\nleaf_value=" + _line("leaf_value"))
    with pytest.raises(ArtifactError, match="Tree=0: key 'leaf_value' appears twice"):
        read_forest("lightgbm", model, len(NAMES))


def test_a_tail_that_does_not_match_is_refused_at_once() -> None:
    """The check of the parameters takes time in their number, not in its power."""
    model = model_of("lightgbm").replace(b"end of parameters", b"end of parameter!")
    started = time.perf_counter()
    with pytest.raises(ArtifactError, match="after the last tree"):
        read_forest("lightgbm", model, len(NAMES))
    assert time.perf_counter() - started < 1
