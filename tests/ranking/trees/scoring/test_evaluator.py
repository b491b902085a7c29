"""Scores are the boosters' own, bit for bit, for every model and every row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from ranking.errors import ArtifactError
from ranking.trees.forest import IN_SET_LEFT, Forest
from ranking.trees.reading import read_forest
from ranking.trees.scoring import ForestEvaluator
from ranking.trees.scoring import evaluator as room
from ranking.trees.scoring.columns import MOST_KEYS
from ranking.trees.scoring.kernels import BLOCK
from ranking.trees.scoring.layout import LARGEST_TREE
from tests.ranking.models.small import NAMES, lightgbm_model, rows, xgboost_model
from tests.ranking.trees.reading.written_lightgbm import WRITTEN as LIGHTGBM
from tests.ranking.trees.reading.written_xgboost import WRITTEN as XGBOOST
from tests.ranking.trees.scoring.ensembles import (
    FEATURES,
    SEVERAL_OUTPUTS,
    lightgbm_text,
    special_rows,
    xgboost_booster,
    xgboost_objectives,
    xgboost_of,
)

COUNTS = [0, 1, room.WALKED, room.WALKED + 1, 33, 65, 97, BLOCK - 1, BLOCK, BLOCK + 1, 240]


def of_text(text: bytes) -> ForestEvaluator:
    return ForestEvaluator.of(read_forest("lightgbm", text, FEATURES))


def lightgbm_scores(text: bytes, features: Any) -> Any:
    return lightgbm.Booster(model_str=text.decode()).predict(features, num_threads=1)


def xgboost_scores(booster: xgboost.Booster, features: Any) -> Any:
    return booster.predict(xgboost.DMatrix(features, missing=np.nan, nthread=1), output_margin=True)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", LIGHTGBM)
def test_scores_are_lightgbm_s_to_the_bit(name: str, count: int) -> None:
    text = lightgbm_model(**LIGHTGBM[name])
    features = np.resize(rows(), (count, len(NAMES)))
    found = ForestEvaluator.of(read_forest("lightgbm", text, len(NAMES))).score(features)
    assert found.dtype == np.float64
    expected = lightgbm_scores(text, features) if count else np.empty(0)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", XGBOOST)
def test_scores_are_xgboost_s_to_the_bit(name: str, count: int) -> None:
    model = xgboost_model(**XGBOOST[name])
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(model))
    features = np.resize(rows(), (count, len(NAMES)))
    found = ForestEvaluator.of(read_forest("xgboost", model, len(NAMES))).score(features)
    assert found.dtype == np.float32
    expected = xgboost_scores(booster, features) if count else np.empty(0, np.float32)
    np.testing.assert_array_equal(found, expected)


def test_xgboost_names_its_objectives() -> None:
    assert {"rank:ndcg", "binary:logitraw", "survival:cox", *SEVERAL_OUTPUTS} <= set(xgboost_objectives())


@pytest.mark.parametrize("objective", xgboost_objectives())
def test_every_objective_of_xgboost_scores_to_the_bit(objective: str) -> None:
    """With the base score that XGBoost estimates; or there are several outputs, and a clear word."""
    booster = xgboost_of(objective, rows())
    model = bytes(booster.save_raw("ubj"))
    if objective in SEVERAL_OUTPUTS:
        with pytest.raises(ArtifactError, match="num_class=2: models of several outputs are not supported"):
            read_forest("xgboost", model, len(NAMES))
        return
    found = ForestEvaluator.of(read_forest("xgboost", model, len(NAMES))).score(rows())
    np.testing.assert_array_equal(found, xgboost_scores(booster, rows()))
    reloaded = xgboost.Booster({"nthread": 1})
    reloaded.load_model(bytearray(model))
    np.testing.assert_array_equal(found, xgboost_scores(reloaded, rows()))


@pytest.mark.parametrize("objective", ["binary:logistic", "binary:logitraw", "count:poisson"])
def test_xgboost_s_links_are_the_same_bits_at_any_base_score(objective: str) -> None:
    """NumPy's float32 logarithm, and the rounded one of float64, have another last bit at some of these."""
    written = json.loads(xgboost_of(objective, rows()[:12]).save_raw("json"))
    for tree in written["learner"]["gradient_booster"]["model"]["trees"]:
        tree["split_conditions"] = [0.0] * len(tree["split_conditions"])  # trees that add nothing
    for base in np.random.default_rng(1).uniform(0.001, 0.999, 150).astype(np.float32):
        written["learner"]["learner_model_param"]["base_score"] = f"[{base}]"
        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(bytearray(json.dumps(written).encode()))
        forest = read_forest("xgboost", bytes(booster.save_raw("ubj")), len(NAMES))
        assert np.float32(forest.base) == xgboost_scores(booster, rows()[:1])[0]


@settings(deadline=None, max_examples=300)
@given(seed=st.integers(0, 2**32 - 1), most_leaves=st.sampled_from([2, 9, 40]), count=st.integers(1, 150))
def test_random_lightgbm_ensembles_score_special_rows_alike(seed: int, most_leaves: int, count: int) -> None:
    """Every rule for missing values, categories, −0, denormal and huge numbers, thresholds met exactly."""
    text = lightgbm_text(seed, most_leaves=most_leaves)
    evaluator = of_text(text)
    features = special_rows(np.random.default_rng(seed), count, evaluator.forest.threshold)
    np.testing.assert_array_equal(evaluator.score(features), lightgbm_scores(text, features))


@settings(deadline=None, max_examples=200)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 150))
def test_random_xgboost_ensembles_score_special_rows_alike(seed: int, count: int) -> None:
    booster = xgboost_booster(seed)
    evaluator = ForestEvaluator.of(read_forest("xgboost", bytes(booster.save_raw("ubj")), FEATURES))
    features = special_rows(np.random.default_rng(seed), count, evaluator.forest.threshold)
    np.testing.assert_array_equal(evaluator.score(features), xgboost_scores(booster, features))


@pytest.mark.parametrize("count", [1, 200])
@pytest.mark.parametrize("chain", [False, True])
def test_trees_of_more_leaves_than_a_byte_counts_are_walked(count: int, chain: bool) -> None:
    """A chain is as deep as it has splits; one feature gets more thresholds than a column holds."""
    text = lightgbm_text(4, trees=12, most_leaves=2 * LARGEST_TREE, chain=chain)
    evaluator = of_text(text)
    sizes = np.diff(evaluator.forest.first_leaf)
    assert sizes.max() > LARGEST_TREE > sizes.min()
    features = special_rows(np.random.default_rng(1), count, evaluator.forest.threshold)
    np.testing.assert_array_equal(evaluator.score(features), lightgbm_scores(text, features))


def test_a_feature_of_more_thresholds_than_a_code_counts_has_several_columns() -> None:
    text = lightgbm_text(8, trees=100, most_leaves=250)
    evaluator = of_text(text)
    assert len(evaluator.columns.feature) > len(np.unique(evaluator.columns.feature))
    assert evaluator.columns.count[evaluator.columns.rule < IN_SET_LEFT].max() == MOST_KEYS
    features = special_rows(np.random.default_rng(1), 300, evaluator.forest.threshold)
    np.testing.assert_array_equal(evaluator.score(features), lightgbm_scores(text, features))


def test_too_many_columns_leave_walking(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout without bit vectors gives the same scores."""
    text = lightgbm_text(2)
    blocks = of_text(text)
    assert blocks.layout.first_group[-1] > 0
    real = room.lay_out
    monkeypatch.setattr(room, "lay_out", lambda *given: real(*given[:-1], 1 << 16))
    walked = of_text(text)
    assert walked.layout.first_group[-1] == 0
    features = special_rows(np.random.default_rng(1), 200, blocks.forest.threshold)
    np.testing.assert_array_equal(walked.score(features), blocks.score(features))


def test_nan_is_zero_where_the_ranker_says_so() -> None:
    text = lightgbm_text(11)
    evaluator = ForestEvaluator.of(read_forest("lightgbm", text, FEATURES), nan_is_zero=True)
    features = special_rows(np.random.default_rng(1), 100, evaluator.forest.threshold)
    expected = lightgbm_scores(text, np.where(np.isnan(features), np.float32(0), features))
    np.testing.assert_array_equal(evaluator.score(features), expected)


def test_rows_of_any_layout_in_memory_score_alike() -> None:
    evaluator = of_text(lightgbm_text(5))
    features = special_rows(np.random.default_rng(1), 90, evaluator.forest.threshold)
    expected = evaluator.score(features)
    np.testing.assert_array_equal(evaluator.score(np.asfortranarray(features)), expected)
    np.testing.assert_array_equal(evaluator.score(np.repeat(features, 2, axis=0)[::2]), expected)


def test_many_threads_at_once_and_threads_over_rows_change_nothing() -> None:
    evaluator = of_text(lightgbm_text(5, trees=40))
    features = special_rows(np.random.default_rng(1), 1000, evaluator.forest.threshold)
    expected = evaluator.score(features)
    for threads in (2, 3, 64):
        np.testing.assert_array_equal(evaluator.score(features, threads), expected)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda at: evaluator.score(features[at:]), range(64)))
    for at, scores in enumerate(found):
        np.testing.assert_array_equal(scores, expected[at:])


@settings(deadline=None, max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1), count=st.integers(0, 600), k=st.integers(0, 30), parts=st.integers(1, 6)
)
def test_the_best_are_those_of_all_scores(seed: int, count: int, k: int, parts: int) -> None:
    """Also where most rows tie; the scores are the same bits."""
    evaluator = of_text(lightgbm_text(seed, trees=7, most_leaves=9))
    features = special_rows(np.random.default_rng(seed), count, evaluator.forest.threshold)
    scores = evaluator.score(features)
    expected = np.argsort(-scores, kind="stable")[:k]
    found, values = evaluator.best(features, k, parts)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(values, scores[expected])


def test_rows_that_cannot_be_among_the_best_are_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Later trees of a thousandth of the size cannot change much."""
    first, later = lightgbm_text(3, trees=1, most_leaves=200), lightgbm_text(4, trees=9)
    small = read_forest("lightgbm", later, FEATURES)
    whole = read_forest("lightgbm", first, FEATURES)
    leaves, splits = len(whole.value), len(whole.feature)
    forest = Forest(
        **{
            name: np.concatenate([getattr(whole, name), getattr(small, name)])
            for name in (
                "feature", "threshold", "rule", "default_left", "left", "right", "split_cover",
                "leaf_cover", "gain",
            )
        },
        feature_count=FEATURES,
        first_split=np.append(whole.first_split, small.first_split[1:] + splits),
        first_leaf=np.append(whole.first_leaf, small.first_leaf[1:] + leaves),
        sets=[*whole.sets, *small.sets],
        value=np.concatenate([whole.value, small.value / 1000]),
        rounds=10,
    )  # fmt: skip
    shift = forest.rule[splits:] >= IN_SET_LEFT
    forest.threshold[splits:][shift] += len(whole.sets)
    evaluator = ForestEvaluator.of(forest)
    features = special_rows(np.random.default_rng(1), 1000, forest.threshold)
    encoded: list[int] = []
    real = room.encode_rows

    def counting(columns: Any, bits: Any, nan_is_zero: bool) -> Any:
        encoded.append(len(bits))
        return real(columns, bits, nan_is_zero)

    scores = evaluator.score(features)
    monkeypatch.setattr(room, "encode_rows", counting)
    found, _ = evaluator.best(features, 10)
    np.testing.assert_array_equal(found, np.argsort(-scores, kind="stable")[:10])
    assert encoded[0] == 1000
    assert encoded[1] < 500


_OTHER_CPU = """
import sys
import numpy as np
from ranking.trees.scoring import ForestEvaluator
from ranking.trees.reading import read_forest
from pathlib import Path
folder = Path(sys.argv[1])
evaluator = ForestEvaluator.of(read_forest("lightgbm", (folder / "model.txt").read_bytes(), 6))
rows = np.load(folder / "rows.npy")
np.savez(folder / "found.npz", scores=evaluator.score(rows), parts=evaluator.contributions(rows[:10]))
"""


@pytest.mark.slow
def test_a_processor_without_wide_vectors_gives_the_same_scores(tmp_path: Path) -> None:
    """Compiled for the least of its architecture, into a cache that holds code for another processor."""
    text = lightgbm_text(6, trees=20)
    evaluator = of_text(text)
    features = special_rows(np.random.default_rng(1), 200, evaluator.forest.threshold)
    (tmp_path / "model.txt").write_bytes(text)
    np.save(tmp_path / "rows.npy", features)
    target = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    subprocess.run(
        [sys.executable, "-c", _OTHER_CPU, str(tmp_path)], check=True, env={**os.environ, **target}
    )
    with np.load(tmp_path / "found.npz") as found:
        np.testing.assert_array_equal(found["scores"], evaluator.score(features))
        parts = evaluator.contributions(features[:10])
        np.testing.assert_allclose(found["parts"], parts, rtol=0, atol=1e-12)


def test_what_is_kept_is_no_more_than_three_times_the_model() -> None:
    """Arrays of the forest, its columns, its layout, and the paths that explain it."""
    text = lightgbm_text(1, trees=300, most_leaves=64)
    evaluator = of_text(text)
    evaluator.contributions(np.zeros((1, FEATURES), np.float32))
    paths, *_ = evaluator._paths
    forest = [getattr(evaluator.forest, name) for name in Forest.__dataclass_fields__]
    parts = (*forest, *evaluator.columns, *evaluator.layout, *paths, evaluator.column, evaluator.place)
    held = {id(part): part.nbytes for part in parts if isinstance(part, np.ndarray)}
    assert sum(held.values()) <= 3 * len(text)
