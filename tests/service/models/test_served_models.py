"""Real model folders and a real registry, served."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import lightgbm
import numpy as np
import pytest

from ranking.data.arrays import Float32
from ranking.data.dataset import RankingDataset
from ranking.errors import ArtifactError
from ranking.models.ensemble import EnsembleRanker, Part
from ranking.models.folder import save_artifact
from ranking.models.loading import load_ranker
from ranking.models.registry import Registry
from ranking.training.config import TrainConfig
from ranking.training.run import train
from ranking.trees.ranker import TreeRanker
from service.app import create_app
from service.settings import Settings
from tests.ranking.models.small import changed_manifest
from tests.service.conftest import Client, OpenClient
from tests.service.forms import columnar, dense, matrix, named

NAMES = ("bm25", "ctr", "price")
FACTS = {"metrics": {"valid": {"ndcg@10": 0.5}}, "conventions": {"ties": "average"}}


def model_folder(folder: Path, seed: int) -> Path:
    """A small model on features with missing values."""
    features = matrix(200, seed)
    labels = np.nan_to_num(features[:, 0]) + np.nan_to_num(features[:, 2]) * seed
    parameters = {"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5, "seed": seed}
    booster = lightgbm.train(parameters, lightgbm.Dataset(features, labels), num_boost_round=10)
    text = booster.model_to_string().encode()
    ranker = TreeRanker.from_bytes("lightgbm", text, feature_names=NAMES, missing="nan")
    return save_artifact(folder, ranker, facts=FACTS, golden=features[:5])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("models")
    return [model_folder(root / f"m{seed}", seed) for seed in (1, 2)]


def served_scores(client: Client, values: Float32) -> tuple[str, list[float]]:
    """(version, scores in the order of the request), the same for all three forms."""
    replies = [client.rank(form(values)).json() for form in (dense, named, columnar)]
    answers = [
        [result["score"] for result in sorted(reply["results"], key=lambda result: result["index"])]
        for reply in replies
    ]
    assert answers[0] == answers[1] == answers[2]
    return replies[0]["version"], answers[0]


def test_a_folder_is_served_with_its_own_scores_and_facts(
    folders: list[Path], open_client: OpenClient
) -> None:
    """To the bit, with contributions that add up, and a version that names the file."""
    client = open_client(model=folders[0])
    values = matrix(40, seed=9)
    expected = load_ranker(folders[0], probe=False).score(values)
    version, scores = served_scores(client, values)
    assert scores == [float(score) for score in expected]
    assert len(version) == 12
    described = client.get("/v1/models/m1").json()
    assert (described["kind"], described["missing"]) == ("lightgbm", "nan")
    assert {"metrics": described["metrics"], "conventions": described["conventions"]} == FACTS
    for result in client.rank(dense(values) | {"explain": True, "top_k": 5}).json()["results"]:
        parts = result["contributions"]
        total = parts["bias"] + sum(parts["values"].values()) + parts["other"]
        assert total == pytest.approx(result["score"], abs=1e-5)


def test_a_damaged_folder_stops_the_start(folders: list[Path], tmp_path: Path) -> None:
    """There is nothing else to serve: the error of the folder is the error of the start."""
    damaged = tmp_path / "m"
    damaged.mkdir()
    for file in folders[0].iterdir():
        (damaged / file.name).write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ArtifactError):
        Client(create_app(Settings(model=damaged))).__enter__()


def test_a_promotion_in_a_registry_is_served_without_a_restart(
    folders: list[Path], tmp_path: Path, open_client: OpenClient
) -> None:
    """Publish, serve, publish and promote, then roll back; each version with its own scores."""
    registry = Registry(tmp_path)
    registry.publish(folders[0], "movies", alias="production")
    client = open_client(registry=tmp_path, reload_seconds=0.02)
    values = matrix(20, seed=5)
    expected = {
        str(number): [float(score) for score in load_ranker(folder, probe=False).score(values)]
        for number, folder in enumerate(folders, 1)
    }
    assert expected["1"] != expected["2"]
    assert served_scores(client, values) == ("1", expected["1"])
    registry.publish(folders[1], "movies", alias="production")
    assert until(client, values, "2") == expected["2"]
    assert client.get("/v1/models").json()["models"] == [
        {
            "name": "movies",
            "serving": "2",
            "versions": ["1", "2"],
            "aliases": {"production": "2"},
            "default": True,
        }
    ]
    registry.rollback("movies")
    assert until(client, values, "1") == expected["1"]
    assert client.rank(dense(values) | {"model": "movies@2"}).json()["version"] == "2"


def test_a_version_whose_manifest_was_changed_in_the_registry_is_not_served(
    folders: list[Path], tmp_path: Path, open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Though its own hash was made to fit: names of features decide what a request means."""
    registry = Registry(tmp_path)
    registry.publish(folders[0], "movies")
    changed_manifest(registry.resolve("movies").folder, {"feature_names": ["ctr", "bm25", "price"]})
    client = open_client(registry=tmp_path, reload_seconds=60)
    assert client.rank(dense(matrix(3, seed=5))).status_code == 503
    assert "it is not the one that was published" in caplog.text


def until(client: Client, values: Float32, version: str) -> list[float]:
    """The scores once this version is served; fails after ten seconds."""
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        if client.rank(dense(values)).json()["version"] == version:
            return served_scores(client, values)[1]
    raise AssertionError(f"version {version} was not served in time")


def network_folder(folder: Path, architecture: str, lists: int = 30) -> Path:
    """A small trained network on the same features, as `rankwright train --backend neural` writes it."""
    data = RankingDataset(
        features=matrix(lists * 8, 3), labels=np.arange(lists * 8, dtype=np.float32) % 3,
        offsets=np.arange(0, lists * 8 + 1, 8), query_ids=[f"q{i}" for i in range(lists)],
        feature_names=NAMES,
    )  # fmt: skip
    config = TrainConfig(
        backend="neural", rounds=2, threads=1, missing="nan", early_stopping=0,
        neural={"architecture": architecture, "hidden": [8, 8], "heads": 2},
    )  # fmt: skip
    return train(config, data, None, folder).folder


@pytest.mark.parametrize("architecture", ["mlp", "dcn", "attention"])
def test_a_network_and_an_ensemble_with_it_are_served_with_their_offline_scores(
    folders: list[Path], tmp_path: Path, open_client: OpenClient, architecture: str
) -> None:
    """In all three forms of a request; the explanation a network cannot give is refused by name."""
    network = network_folder(tmp_path / "network", architecture)
    both = tmp_path / "both"
    parts = [Part(cast(Any, load_ranker(path, probe=False)), 0.5, 0.0, 1.0) for path in (folders[0], network)]
    save_artifact(both, EnsembleRanker(tuple(parts)), facts={}, golden=matrix(5, 4))
    values = matrix(40, seed=9)
    for folder, kind in ((network, "neural"), (both, "ensemble")):
        client = open_client(model=folder)
        expected = load_ranker(folder, probe=False).score(values)
        assert served_scores(client, values)[1] == pytest.approx(expected.tolist(), abs=1e-6)
        assert client.get(f"/v1/models/{folder.name}").json()["kind"] == kind
        refused = client.rank(dense(values) | {"explain": True})
        assert refused.status_code == 422
        assert refused.json()["error"] == "no_explanation"
