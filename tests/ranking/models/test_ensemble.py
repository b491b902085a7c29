"""Several rankers as one: weights, files, folders, and what they may not be made of."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ranking.data.dataset import RankingDataset
from ranking.errors import ArtifactError, UsageError
from ranking.metrics import Metric
from ranking.models.ensemble import FILE, EnsembleRanker, Part, Standardised, fit_ensemble
from ranking.models.kinds import open_model
from ranking.models.loading import load_ranker
from ranking.models.ranker import score_dataset
from ranking.models.verifying import verify
from ranking.training.combining import combine, weigh
from ranking.training.run import train
from ranking.training.shrinking import shrink
from ranking.trees.backends import BACKENDS
from ranking.trees.ranker import TreeRanker
from tests.lists import random_lists
from tests.ranking.models import small
from tests.ranking.neural import networks
from tests.ranking.training.runs import lists, quick

NAMES = small.NAMES


def both() -> EnsembleRanker:
    return EnsembleRanker(
        (
            Part(small.ranker_of("lightgbm"), 0.7, 1.5, 2.0),
            Part(networks.ranker_of("attention"), 0.2, -0.3, 0.5),
        )
    )


def opened(content: bytes) -> EnsembleRanker:
    found = open_model("ensemble", content, feature_names=NAMES, missing="nan")
    assert isinstance(found, EnsembleRanker)
    return found


def test_it_is_the_weighted_sum_of_standard_scores() -> None:
    x = small.rows()[:20]
    trees, network = small.ranker_of("lightgbm").score(x), networks.ranker_of("attention").score(x)
    expected = 0.7 * (trees - 1.5) / 2.0 + 0.2 * (network + 0.3) / 0.5
    assert both().score(x) == pytest.approx(expected, rel=1e-6, abs=1e-7)
    assert both().per_list
    assert not both().explains


def test_contributions_are_the_members_and_sum_to_the_score() -> None:
    ensemble = EnsembleRanker(
        (Part(small.ranker_of("lightgbm"), 0.7, 1.5, 2.0), Part(small.ranker_of("xgboost"), 0.4, 0.2, 0.5))
    )
    x = small.rows()[:20]
    assert ensemble.explains
    assert ensemble.contributions(x).sum(1) == pytest.approx(ensemble.score(x), abs=1e-5)


def test_a_member_of_no_weight_takes_no_part() -> None:
    parts = (
        Part(small.ranker_of("lightgbm"), 1.0, 0.0, 1.0),
        Part(networks.ranker_of("attention"), 0.0, 0.0, 1.0),
    )
    ensemble = EnsembleRanker(parts)
    assert not ensemble.per_list
    assert ensemble.explains


def test_its_bytes_hold_all_of_it(tmp_path: Path) -> None:
    again = opened(both().to_bytes())
    np.testing.assert_array_equal(again.score(small.rows()), both().score(small.rows()))
    assert both().to_bytes() == both().to_bytes()


def test_weights_lean_to_the_member_that_knows() -> None:
    """One member sees the labels through noise, the other is noise: nearly all weight is on the first."""
    data = random_lists(queries=60, longest=12, features=4, seed=0)

    class Fake:
        kind, feature_names, missing, per_list = (
            "fake",
            tuple(data.name_of(i) for i in range(4)),
            "zero",
            False,
        )

        def __init__(self, column: int) -> None:
            self.column = column

        def score(self, features: np.ndarray) -> np.ndarray:
            return features[:, self.column]

    informed, noise = fit_ensemble([Fake(0), Fake(3)], data).parts  # type: ignore[list-item]
    assert informed.weight > 5 * noise.weight
    assert informed.weight > 0.5
    mixed = fit_ensemble([Fake(0), Fake(1)], data)  # type: ignore[list-item]
    ndcg = Metric.parse("ndcg@10")
    alone = max(ndcg.mean(data.features[:, i], data) for i in (0, 1))
    assert ndcg.mean(mixed.score(data.features), data) > alone + 0.005


def test_a_folder_of_an_ensemble_opens_through_every_check(tmp_path: Path) -> None:
    data = random_lists(queries=30, features=4, seed=3)
    data = type(data)(
        features=data.features,
        labels=data.labels,
        offsets=data.offsets,
        query_ids=data.query_ids,
        feature_names=NAMES,
    )
    members = {"trees": small.ranker_of("lightgbm"), "network": networks.ranker_of("attention")}
    result = combine(members, data, Metric.parse("ndcg@10"), tmp_path / "m")  # type: ignore[arg-type]
    assert all(check.ok for check in verify(tmp_path / "m"))
    ranker = load_ranker(tmp_path / "m")
    np.testing.assert_array_equal(score_dataset(ranker, data), score_dataset(result.ranker, data))
    told = json.loads((tmp_path / "m" / "manifest.json").read_text())
    assert [member["model"] for member in told["members"]] == ["trees", "network"]
    assert told["metrics"]["fitted"]["ndcg@10"] == pytest.approx(result.value)


def test_members_must_take_the_same_features() -> None:
    data = random_lists(queries=5, features=4)
    with pytest.raises(UsageError, match="the same features"):
        fit_ensemble([small.ranker_of("lightgbm"), networks.ranker_of(missing="zero")], data)
    with pytest.raises(UsageError, match="2 to 32 members, got 1"):
        fit_ensemble([small.ranker_of("lightgbm")], data)
    with pytest.raises(UsageError, match="cannot be a member"):
        fit_ensemble([small.ranker_of("lightgbm"), both()], data)


def altered(**changes: bytes | None) -> bytes:
    """The ensemble's archive with files replaced or left out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(both().to_bytes())) as archive, zipfile.ZipFile(buffer, "w") as other:
        for name in archive.namelist():
            content = changes.get(name.partition(".")[0].replace("0", "first"), archive.read(name))
            if content is not None:
                other.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"nothing", "not a sound ensemble"),
        (altered(first=None), "with a file each"),
        (altered(first=b"no trees"), "not a sound ensemble"),
        (altered(ensemble=b'{"members": []}'), "1 to 32 members"),
        (
            altered(
                ensemble=json.dumps(
                    {"members": [{"kind": "ensemble", "weight": 1, "mean": 0, "scale": 1}] * 2}
                ).encode()
            ),
            "an ensemble itself",
        ),
        (
            altered(
                ensemble=json.dumps(
                    {"members": [{"kind": "neural", "weight": 1, "mean": 0, "scale": 0}] * 2}
                ).encode()
            ),
            "scale above 0",
        ),
        (
            altered(
                ensemble=json.dumps(
                    {"members": [{"kind": "pickle", "weight": 1, "mean": 0, "scale": 1}] * 2}
                ).encode()
            ),
            "unknown kind of model",
        ),
    ],
)
def test_what_is_wrong_is_named(content: bytes, said: str) -> None:
    with pytest.raises(ArtifactError, match=said):
        opened(content)


def test_nothing_compressed_is_read() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ensemble.json", b" " * 10_000_000)
    with pytest.raises(ArtifactError, match="compressed"):
        opened(buffer.getvalue())
    assert FILE == "model.ensemble"


# --- Weights, and one forest --------------------------------------------------------------------------


class Column:
    """A ranker that scores by one feature, times a factor."""

    kind, missing, per_list = "fake", "zero", False

    def __init__(self, data: RankingDataset, column: int, factor: float = 1.0) -> None:
        self.feature_names = tuple(data.name_of(i) for i in range(data.feature_count))
        self.column, self.factor = column, factor

    def score(self, features: np.ndarray) -> np.ndarray:
        return features[:, self.column] * np.float32(self.factor)


def columns(data: RankingDataset, *of: int) -> Standardised:
    return Standardised.of([Column(data, one, 10.0**one) for one in of], data)  # type: ignore[misc]


def test_spreads_are_those_around_the_mean_of_each_list() -> None:
    data = random_lists(queries=4, features=2, seed=1)
    apart = []
    for q in range(4):
        scores = 10.0 * data.queries([q]).features[:, 1].astype(float)
        apart += (scores - scores.mean()).tolist()
    found = columns(data, 0, 1)
    assert found.spreads[1] == pytest.approx(np.sqrt(np.mean(np.square(apart))))
    equal = found.ensemble(found.equal_weights())
    assert [part.weight for part in equal.parts] == [1.0, 1.0]


def test_weights_are_equal_where_fitted_ones_are_not_better_on_queries_they_have_not_seen() -> None:
    """Members that say the same, one in other units: no weights rank better than others."""
    data = random_lists(queries=60, features=6, seed=2)
    same = Standardised.of([Column(data, 0), Column(data, 0, 100.0)], data)  # type: ignore[list-item]
    weighing = weigh(same, Metric.parse("ndcg@10"))
    assert not weighing.fitted
    assert weighing.weights.tolist() == [1.0, 1.0]
    assert weighing.difference == pytest.approx(0, abs=1e-3)
    assert weighing.p is not None
    assert weighing.p > 0.05


def test_weights_are_fitted_where_a_member_is_noise() -> None:
    data = random_lists(queries=200, longest=12, features=4, seed=0)
    weighing = weigh(columns(data, 0, 3), Metric.parse("ndcg@10"))
    assert weighing.fitted
    assert weighing.weights[0] > 5 * weighing.weights[1]
    assert weighing.difference is not None
    assert weighing.difference > 0.02


def test_too_few_queries_to_tell_leave_the_weights_equal() -> None:
    weighing = weigh(columns(random_lists(queries=5, seed=1), 0, 1), Metric.parse("ndcg@10"))
    assert (weighing.fitted, weighing.difference, weighing.p) == (False, None, None)


@pytest.mark.parametrize("backend", BACKENDS)
def test_forests_of_one_backend_become_one_forest(backend: str, tmp_path: Path) -> None:
    members = {}
    for seed in (1, 2):
        config = quick(backend, seed=seed, rounds=5, valid_fraction=0)
        members[str(seed)] = train(config, lists(seed=seed), None, tmp_path / str(seed)).ranker
    data = lists(seed=3)
    result = combine(members, data, Metric.parse("ndcg@10"), tmp_path / "both")
    assert isinstance(result.ranker, TreeRanker)
    assert result.as_json()["kind"] == backend
    assert all(check.ok for check in verify(tmp_path / "both"))
    standardised = Standardised.of(list(members.values()), data)  # type: ignore[arg-type]
    expected = standardised.ensemble(result.weighing.weights).score(data.features)
    found = load_ranker(tmp_path / "both").score(data.features)
    assert np.ptp(found - expected) < 1e-4 * np.ptp(expected)  # but for a constant
    told = json.loads((tmp_path / "both" / "manifest.json").read_text())
    assert [member["trees"] for member in told["members"]] == [5, 5]
    small_one = shrink(tmp_path / "both", data, Metric.parse("ndcg@10"), tmp_path / "small", trees=4)
    assert [kept for _, kept in small_one.members] == [2, 2]


def test_forests_of_two_backends_stay_an_ensemble(tmp_path: Path) -> None:
    members = {backend: small.ranker_of(backend) for backend in BACKENDS}
    data = replace(random_lists(queries=30, features=4, seed=3), feature_names=NAMES)
    result = combine(members, data, Metric.parse("ndcg@10"), tmp_path / "m")
    assert result.ranker.kind == "ensemble"
    assert "trees" not in json.loads((tmp_path / "m" / "manifest.json").read_text())["members"][0]
