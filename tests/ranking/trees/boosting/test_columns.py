"""Columns as boosters take them: categorical ones by our numbers and names, and names they can hold."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ranking.data.dataset import RankingDataset
from ranking.errors import DataError, UsageError
from ranking.objectives import OBJECTIVES
from ranking.trees.boosting import boost, categorical_columns, first_rounds
from ranking.trees.boosting.columns import booster_names
from ranking.trees.ranker import TreeRanker
from tests.lists import random_lists
from tests.ranking.trees.boosting.jobs import SMALL, Silent, both, job, refused, scores_of

NAMES = ["bm25 title", "price", "brand", "länge"]
BRAND = 2
RELEVANT = (1, 4, 7, 9)


def shop(seed: int = 0, brands: int = 12) -> RankingDataset:
    """Lists whose label is whether the brand (feature 3) is one of four: no threshold says so."""
    plain = random_lists(queries=60, longest=15, features=4, seed=seed)
    features = plain.features.copy()
    features[:, BRAND] = np.random.default_rng(seed).integers(0, brands, len(features))
    labels = np.isin(features[:, BRAND], RELEVANT).astype(np.float32)
    features[::17, BRAND] = np.nan
    return replace(plain, features=features, labels=labels, feature_names=NAMES)


def trained(backend: str, data: RankingDataset, **more: Any) -> bytes:
    return boost(backend, job(backend, data, OBJECTIVES["ranknet"], 5, categorical=(BRAND,), **more))


def test_columns_go_by_our_numbers_and_names() -> None:
    """Numbers count from 1, as everywhere."""
    assert categorical_columns(["brand", 4], shop()) == (2, 3)
    assert categorical_columns([3, "brand"], shop()) == (2,)
    assert categorical_columns([1, "2"], replace(shop(), feature_names=None)) == (0, 1)
    assert categorical_columns([], shop()) == ()
    with pytest.raises(UsageError, match=r"unknown feature in categorical 'brant'; did you mean 'brand'\?"):
        categorical_columns(["brant"], shop())
    with pytest.raises(UsageError, match="categorical names feature 5, and the data has the features 1 to 4"):
        categorical_columns([5], shop())


def test_lightgbm_splits_the_named_feature_by_category() -> None:
    """The first tree parts the four brands from all others at its root; feature 3 alone has categories."""
    text = trained("lightgbm", shop()).decode()
    assert "feature_names=bm25_title price brand länge" in text
    infos = re.search("feature_infos=(.*)", text)
    assert infos is not None
    kinds = ["category" if ":" in info and "[" not in info else "number" for info in infos[1].split()]
    assert kinds == ["number", "number", "category", "number"]
    first = dict(line.split("=") for line in text.partition("Tree=0\n")[2].split("\n\n")[0].splitlines())
    assert int(first["decision_type"].split()[0]) & 1
    assert first["split_feature"].split()[0] == str(BRAND)
    words = first["cat_threshold"].split()
    left = {bit for bit in range(32) if int(words[0]) >> bit & 1}
    assert left in (set(RELEVANT), set(range(12)) - set(RELEVANT))


def test_xgboost_splits_the_named_feature_by_category() -> None:
    import json

    import xgboost

    booster = xgboost.Booster()
    booster.load_model(bytearray(trained("xgboost", shop())))
    learner = json.loads(booster.save_raw("json"))["learner"]
    assert learner["feature_names"] == ["bm25_title", "price", "brand", "länge"]
    assert learner["feature_types"] == ["q", "q", "c", "q"]
    tree = learner["gradient_booster"]["model"]["trees"][0]
    assert (tree["split_type"][0], tree["split_indices"][0]) == (1, BRAND)
    assert all(kind == (index == BRAND) for kind, index, left in zip(
        tree["split_type"], tree["split_indices"], tree["left_children"], strict=True
    ) if left != -1)  # fmt: skip


def theirs(backend: str, model: bytes, features: Any) -> Any:
    """float32 [documents]: what the booster's own library scores."""
    if backend == "lightgbm":
        import lightgbm

        return lightgbm.Booster(model_str=model.decode()).predict(features, raw_score=True).astype(np.float32)
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(bytearray(model))
    matrix = xgboost.DMatrix(
        features, feature_names=booster.feature_names, feature_types=booster.feature_types,
        enable_categorical=True,
    )  # fmt: skip
    return booster.predict(matrix, output_margin=True)


@both
def test_the_scorer_equals_the_booster_on_categories_bit_for_bit(backend: str) -> None:
    """Known, unknown and missing ones, and what is no category at all."""
    model = trained(backend, shop())
    features = shop(seed=1, brands=20).features.copy()
    odd = [-1, -0.5, 0.5, 1.5, 11.9, 12, 31, 32, 1e6, 3e9, -3e9, np.nan]
    features[: len(odd), BRAND] = odd
    ranker = TreeRanker.from_bytes(backend, model, feature_names=tuple(NAMES), missing="nan")
    expected = theirs(backend, model, features)
    np.testing.assert_array_equal(ranker.score(features), expected)
    assert len(np.unique(expected)) > 2
    short = first_rounds(backend, model, 2)
    ranker = TreeRanker.from_bytes(backend, short, feature_names=tuple(NAMES), missing="nan")
    np.testing.assert_array_equal(ranker.score(features), theirs(backend, short, features))


@both
def test_held_out_scores_are_the_model_s_on_categories_never_seen(backend: str) -> None:
    valid, watch = shop(seed=1, brands=20), Silent()
    model = trained(backend, shop(), valid=valid, watch=watch)
    assert watch.valid[-1] == pytest.approx(scores_of(backend, model, valid), abs=1e-5)


@both
def test_a_continued_run_with_categories_is_the_same_bytes(backend: str) -> None:
    full = trained(backend, shop())
    part = Silent(stop_after=2)
    trained(backend, shop(), watch=part)
    assert trained(backend, shop(), start=part.snapshot) == full


@pytest.mark.parametrize("value", [-1, 2.5, 1 << 24])
@pytest.mark.parametrize("held_out", [False, True])
@both
def test_values_that_are_no_category_are_named(backend: str, held_out: bool, value: float) -> None:
    odd = shop()
    features = odd.features.copy()
    features[40, BRAND] = value
    odd = replace(odd, features=features)
    data, valid = (shop(), odd) if held_out else (odd, None)
    message = rf"feature brand is categorical, and row 40 \(query {odd.query_of(40)}\) has {value}: "
    with pytest.raises(DataError, match=message):
        trained(backend, data, valid=valid)


@pytest.mark.parametrize(
    ("backend", "name"),
    [("lightgbm", "categorical_feature"), ("lightgbm", "cat_feature"), ("xgboost", "feature_types")],
)
def test_the_boosters_own_setting_is_refused(backend: str, name: str) -> None:
    said = refused(backend, SMALL[backend] | {name: "1"}, OBJECTIVES["ranknet"], shop())
    assert "is set by categorical, our ids (from 1) or names" in said


@pytest.mark.parametrize(
    ("names", "held"),
    [
        (None, ["1", "2", "3", "4"]),
        (["a", "b", "c", "d"], ["a", "b", "c", "d"]),
        (["a b", "{x}", "p=1", "ü"], ["a_b", "_x_", "p_1", "ü"]),
        (["a b", "a_b", "c", ""], ["a_b_1", "a_b_2", "c_3", "__4"]),
        (["a[0]", "a<1", "a\tb", "\udcff"], ["a_0_", "a_1", "a_b", "_"]),
    ],
)
def test_names_are_made_fit_for_both_boosters(names: Any, held: Any) -> None:
    """The manifest keeps the real ones."""
    data = replace(shop(), feature_names=names)
    assert booster_names(data) == held
    for backend in SMALL:
        scores_of(backend, trained(backend, data), data)
