"""A merged model is a model of its library that scores the sum of its members."""

from __future__ import annotations

import re
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from ranking.errors import UsageError
from ranking.trees.merging import merged, of_trees
from tests.ranking.models.small import NAMES, labels, lightgbm_model, model_of, ranker_of, rows, xgboost_model
from tests.ranking.trees.merging.members import FORMS, library_scores, pair, ranker, summed_scores
from tests.ranking.trees.scoring.ensembles import FEATURES, lightgbm_text, special_rows, xgboost_booster

SCALES = (0.7310585786300049, 2.5)
ROUNDING = {"lightgbm": 1e-12, "xgboost": 1e-6}
every_form = pytest.mark.parametrize(("kind", "form"), FORMS)
both = pytest.mark.parametrize("kind", ROUNDING)


@every_form
def test_the_library_opens_it_and_scores_the_sum(kind: str, form: str) -> None:
    members = pair(kind, form)
    whole = merged(members, SCALES)
    found = library_scores(kind, whole.model, rows())
    expected = summed_scores(members, SCALES, rows())
    assert np.ptp(expected) > 0 or form == "constant"
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING[kind] * max(1, np.abs(expected).max()))


@every_form
def test_our_scores_of_it_are_the_library_s_to_the_bit(kind: str, form: str) -> None:
    whole = merged(pair(kind, form), SCALES)
    np.testing.assert_array_equal(whole.evaluator.score(rows()), library_scores(kind, whole.model, rows()))


@every_form
def test_its_contributions_are_the_members_times_their_scales(kind: str, form: str) -> None:
    members = pair(kind, form)
    found = merged(members, SCALES).contributions(rows()[:40])
    expected = sum(s * m.contributions(rows()[:40]) for m, s in zip(members, SCALES, strict=True))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@both
@settings(max_examples=15, deadline=None)
@given(
    seeds=st.lists(st.integers(0, 30), min_size=1, max_size=4),
    scales=st.lists(st.floats(-5, 5), min_size=4, max_size=4),
)
def test_any_trees_and_any_scales(kind: str, seeds: list[int], scales: list[float]) -> None:
    """Random trees with every rule of missing values, categories and thresholds; rows that meet them."""
    # Only one kind of feature can be under one name.
    if kind == "lightgbm":
        models = [lightgbm_text(seed, trees=3) for seed in seeds]
    else:
        models = [bytes(xgboost_booster(2 * seed).save_raw("ubj")) for seed in seeds]
    names = tuple(f"f{i}" for i in range(FEATURES))
    members = [ranker(kind, model, feature_names=names) for model in models]
    scales = scales[: len(members)]
    whole = merged(members, scales)
    thresholds = np.concatenate([member.evaluator.forest.threshold for member in members])
    features = special_rows(np.random.default_rng(len(seeds)), 60, thresholds)
    found = library_scores(kind, whole.model, features)
    np.testing.assert_array_equal(whole.evaluator.score(features), found)
    expected = summed_scores(members, scales, features)
    bound = sum(abs(s) * 20 for s in scales) + 1
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING[kind] * bound)


@both
def test_as_many_trees_as_are_asked_for_of_each(kind: str) -> None:
    members = pair(kind, "plain")
    whole = merged(members, SCALES, trees=[1, 2])
    assert whole.rounds == whole.evaluator.forest.tree_count == 3
    cut = [of_trees(member, range(count)) for member, count in zip(members, (1, 2), strict=True)]
    expected = summed_scores(cut, SCALES, rows())
    np.testing.assert_allclose(library_scores(kind, whole.model, rows()), expected, atol=2e-6)
    assert np.abs(expected - summed_scores(members, SCALES, rows())).max() > 1e-2


@both
def test_it_has_one_tree_a_round_for_the_library_too(kind: str) -> None:
    model = merged(pair(kind, "forest" if kind == "xgboost" else "plain"), SCALES).model
    if kind == "lightgbm":
        booster = lightgbm.Booster(model_str=model.decode())
        assert (booster.num_trees(), booster.current_iteration()) == (6, 6)
    else:
        read = xgboost.Booster()
        read.load_model(bytearray(model))
        assert read.num_boosted_rounds() == 12


@every_form
def test_a_model_of_all_its_own_trees_is_the_model(kind: str, form: str) -> None:
    """To the byte, but for XGBoost's forms that a sum of single trees does without."""
    one = pair(kind, form)[0]
    again = of_trees(one, range(one.evaluator.forest.tree_count))
    if kind == "xgboost" and form in ("forest", "dart", "dropped"):
        np.testing.assert_array_equal(again.evaluator.score(rows()), one.evaluator.score(rows()))
    else:
        assert again.model == one.model


@pytest.mark.parametrize("form", [form for kind, form in FORMS if kind == "lightgbm" and form != "constant"])
def test_the_first_trees_are_written_as_lightgbm_writes_them(form: str) -> None:
    one = pair("lightgbm", form)[1]
    booster = lightgbm.Booster(model_str=one.model.decode())
    assert of_trees(one, range(2)).model.decode() == booster.model_to_string(num_iteration=2)


def test_splits_without_gain_count_for_no_feature_as_with_lightgbm() -> None:
    written = pair("lightgbm", "plain")[0].model
    # As long as before: LightGBM trusts tree_sizes.
    model = re.sub(rb"(?<=\nsplit_gain=)\S+", lambda gain: b"0.".ljust(len(gain[0]), b"0"), written)
    assert model != written
    one = ranker("lightgbm", model)
    booster = lightgbm.Booster(model_str=model.decode())
    told = [of_trees(one, range(2)).model.decode(), booster.model_to_string(num_iteration=2)]
    ours, theirs = (text.partition("feature_importances:")[2] for text in told)
    assert ours == theirs


@both
def test_numbers_are_written_plainly_whatever_type_the_scale_has(kind: str) -> None:
    scales = [np.float64(0.1), np.float32(3.0)]
    whole = merged(pair(kind, "plain"), scales)
    assert b"np." not in whole.model
    assert whole.model == merged(pair(kind, "plain"), [0.1, 3.0]).model


def test_a_merged_text_knows_what_any_member_has_seen() -> None:
    shifted = np.array(rows())
    shifted[:, 0] += 10
    more = lightgbm.train(
        {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}, lightgbm.Dataset(shifted, labels()), 1
    )
    other = ranker("lightgbm", more.model_to_string().encode())
    text = merged([pair("lightgbm", "plain")[1], other], SCALES).model.decode()
    ranges = next(line for line in text.splitlines() if line.startswith("feature_infos="))
    low, high = map(float, ranges.partition("=")[2].split()[0].strip("[]").split(":"))
    assert (low, high) == pytest.approx((np.nanmin(rows()[:, 0]), np.nanmax(shifted[:, 0])))
    assert "[learning_rate: " not in text  # 0.4 and 0.1
    assert "[num_leaves: " not in text  # 7 and 31
    assert "[objective: regression]" in text


def test_categories_of_all_members_are_told() -> None:
    members = pair("lightgbm", "categorical")
    info = b"feature_infos=" + b" ".join([b"[-1:1]"] * 3 + [b"7:99"])
    other = ranker("lightgbm", _with_line(members[1].model, b"feature_infos", info))
    told = next(
        line
        for line in merged([members[0], other], SCALES).model.split(b"\n")
        if line.startswith(b"feature_i")
    )
    categories = told.split(b" ")[-1].split(b":")
    assert categories[-1] == b"99"
    assert len(set(categories)) == len(categories) > 2


def test_attributes_that_would_cut_it_short_are_left_behind() -> None:
    booster = xgboost.Booster()
    booster.load_model(bytearray(model_of("xgboost")))
    booster.set_attr(best_iteration="1")
    one = ranker("xgboost", bytes(booster.save_raw("ubj")))
    again = xgboost.Booster()
    again.load_model(bytearray(merged([one, one], SCALES).model))
    assert again.attributes() == {}


def _with_line(model: bytes, key: bytes, line: bytes) -> bytes:
    """A text with another line for this key of the header."""
    lines = model.split(b"\n")
    lines[next(i for i, old in enumerate(lines) if old.startswith(key + b"="))] = line
    return b"\n".join(lines)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "xgboost"}, "of xgboost, the first of lightgbm: train both with one --backend"),
        ({"width": 3}, "it has 3 features, the first 4"),
        (
            {"feature_names": ("bm25", "years", "clicks", "length")},
            "its feature 2 is 'years', the first's is 'age'",
        ),
        ({"missing": "zero"}, "absent features as missing=zero, the first as missing=nan"),
    ],
    ids=["backend", "width", "names", "missing"],
)
def test_members_that_differ_are_refused_with_the_reason(change: dict[str, Any], reason: str) -> None:
    first = ranker_of("lightgbm")
    if "kind" in change:
        other = ranker_of("xgboost")
    elif "width" in change:
        data = lightgbm.Dataset(rows()[:, :3], labels())
        model = lightgbm.train({"verbose": -1, "num_threads": 1}, data, 1).model_to_string().encode()
        other = ranker("lightgbm", model, feature_names=NAMES[:3])
    else:
        other = ranker("lightgbm", first.model, **change)
    with pytest.raises(UsageError, match="model 2 cannot be merged with the first") as error:
        merged([first, other], [1.0, 1.0])
    assert reason in str(error.value)


@both
@pytest.mark.parametrize(
    ("scales", "trees", "reason"),
    [
        ([1.0], None, "got 1 scales and 2 numbers of trees"),
        ([1.0, 1.0], [1], "got 2 scales and 1 numbers of trees"),
        ([1.0, float("nan")], None, "scale of model 2 must be a finite number, got nan"),
        ([1.0, 1.0], [3, 0], "model 2 has 3 trees: 1 to 3 can be taken, got 0"),
        ([1.0, 1.0], [4, 1], "model 1 has 3 trees: 1 to 3 can be taken, got 4"),
        ([1.0, 1e308], None, "too large for a"),
    ],
    ids=["scales", "trees", "nan", "none", "too many", "infinite"],
)
def test_numbers_that_make_no_sense_are_refused(
    kind: str, scales: list[float], trees: list[int] | None, reason: str
) -> None:
    large = {"objective": "regression"} if kind == "lightgbm" else {"objective": "reg:squarederror"}
    write = lightgbm_model if kind == "lightgbm" else xgboost_model
    # Leaves beyond 2, so that 1e308 of them is no number.
    second = ranker(kind, write(learning_rate=50.0, **large))
    with pytest.raises(UsageError, match=reason):
        merged([ranker_of(kind), second], scales, trees)


def test_no_model_and_no_tree_are_refused() -> None:
    with pytest.raises(UsageError, match="name at least one model"):
        merged([], [])
    with pytest.raises(UsageError, match="has the trees 0 to 2: got none"):
        of_trees(ranker_of("xgboost"), [])
    with pytest.raises(UsageError, match="has the trees 0 to 2: got 3"):
        of_trees(ranker_of("xgboost"), [1, 3])


def test_files_that_contradict_one_name_for_a_feature_are_refused() -> None:
    plain, sets = pair("lightgbm", "plain")[0], pair("lightgbm", "categorical")[0]
    with pytest.raises(UsageError, match="Column_3 holds categories in one model and numbers in another"):
        merged([plain, sets], SCALES)
    renamed = _with_line(plain.model, b"feature_names", b"feature_names=a b c d")
    with pytest.raises(UsageError, match="name their features differently"):
        merged([plain, ranker("lightgbm", renamed)], SCALES)
    with pytest.raises(UsageError, match="other feature_types in their files"):
        merged([pair("xgboost", "plain")[0], pair("xgboost", "categorical")[0]], SCALES)
