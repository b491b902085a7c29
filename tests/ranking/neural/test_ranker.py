"""A neural ranker as it is kept: scored as before, refused when damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from ranking.errors import ArtifactError, UsageError
from ranking.models.folder import save_artifact
from ranking.models.loading import load_ranker
from ranking.models.ranker import explainer
from ranking.models.verifying import verify
from ranking.neural.inputs import FORMS
from ranking.neural.ranker import FILE, NeuralRanker
from tests.ranking.models.small import damaged, rewrite
from tests.ranking.neural.networks import NAMES, SMALL, ranker_of, rows


def opened(content: bytes) -> NeuralRanker:
    return NeuralRanker.from_bytes("neural", content, feature_names=NAMES, missing="nan")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("architecture", SMALL)
def test_its_bytes_hold_all_of_it(architecture: str, form: str) -> None:
    ranker = ranker_of(architecture, form)
    again = opened(ranker.to_bytes())
    np.testing.assert_array_equal(again.score(rows()), ranker.score(rows()))
    np.testing.assert_array_equal(again.importance(), ranker.importance())
    assert again.to_bytes() == ranker.to_bytes()
    assert (again.settings, again.rounds, again.per_list) == (ranker.settings, 3, architecture == "attention")


def test_a_folder_opens_through_every_check(tmp_path: Path) -> None:
    ranker = ranker_of("attention")
    folder = save_artifact(tmp_path / "m", ranker, facts={"rounds": 3}, golden=rows())
    assert all(check.ok for check in verify(folder))
    np.testing.assert_array_equal(load_ranker(folder).score(rows()), ranker.score(rows()))


def test_scores_do_not_know_their_batch() -> None:
    ranker = ranker_of()
    whole = ranker.score(rows())
    alone = np.concatenate([ranker.score(row[None]) for row in rows()])
    np.testing.assert_allclose(alone, whole, rtol=1e-6)


def test_missing_is_zero_where_training_said_so() -> None:
    ranker = ranker_of(missing="zero")
    np.testing.assert_array_equal(ranker.score(rows()), ranker.score(np.nan_to_num(rows())))
    assert not np.array_equal(ranker_of().score(rows()), ranker_of().score(np.nan_to_num(rows())))


def test_importance_is_of_what_moves_the_scores() -> None:
    ranker = ranker_of()
    blind = {name: value.copy() for name, value in ranker.weights.items()}
    blind["layers.0.weight"][:, 0] = 0
    from tests.ranking.neural.networks import lists

    other = NeuralRanker.of(
        blind, ranker.inputs, ranker.settings, rounds=1, names=NAMES, missing="nan", sample=lists(), audit={}
    )
    assert other.importance()[0] == 0
    assert (other.importance()[1:] > 0).all()


def test_it_has_no_contributions() -> None:
    assert explainer(ranker_of()) is None


def test_a_list_too_long_for_attention_is_refused() -> None:
    long = np.zeros((5000, 4), np.float32)
    assert len(ranker_of("mlp").score(long)) == 5000
    with pytest.raises(UsageError, match="at most 4096"):
        ranker_of("attention").score(long)


def test_damaged_bytes_are_refused_or_a_sound_network() -> None:
    content = ranker_of("attention").to_bytes()
    refused = 0
    for seed in range(200):
        try:
            scores = opened(damaged(content, seed)).score(rows())
            assert scores.shape == (30,)
        except ArtifactError:
            refused += 1
    assert refused > 60  # a flipped bit of a weight is a sound network: the golden rows find it


def test_a_changed_weight_is_found_by_the_golden_rows(tmp_path: Path) -> None:
    ranker = ranker_of()
    folder = save_artifact(tmp_path / "m", ranker, facts={}, golden=rows())
    arrays = load(ranker.to_bytes())
    arrays["score.bias"] = arrays["score.bias"] + np.float32(0.01)
    rewrite(folder, FILE, save(arrays))
    with pytest.raises(ArtifactError, match="golden row 0"):
        load_ranker(folder, probe=False)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("score.bias", np.zeros(2, np.float32), "do not fit the network"),
        ("extra", np.zeros(2, np.float32), "do not fit the network"),
        ("score.bias", np.full(1, np.nan, np.float32), "not finite"),
        ("inputs.quantiles.feature", np.array([0, 1, 2, 9]), "do not fit the features"),
        ("inputs.quantiles.knots", np.zeros((3, 33)), "do not fit each other"),
        ("inputs.other", np.zeros(3), "are not those of quantile"),
        (
            "settings",
            np.frombuffer(b'{"settings": {"depth": 3}, "rounds": 1}', np.uint8),
            "unknown key of neural: 'depth'",
        ),
        ("settings", np.frombuffer(b"[1]", np.uint8), "not a sound neural model"),
        ("importance", np.zeros(3, np.float32), "importance"),
    ],
)
def test_what_is_wrong_is_named(name: str, value: np.ndarray, said: str) -> None:
    arrays = {key: np.array(array) for key, array in load(ranker_of().to_bytes()).items()}
    arrays[name] = np.array(value)
    with pytest.raises(ArtifactError, match=said):
        opened(save(arrays))
