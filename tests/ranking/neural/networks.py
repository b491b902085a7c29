"""Small networks and runs for the tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ranking.data.arrays import Float32
from ranking.data.dataset import RankingDataset
from ranking.neural.inputs import fit_inputs
from ranking.neural.network import Network
from ranking.neural.ranker import NeuralRanker
from ranking.neural.settings import ARCHITECTURES, NeuralSettings
from tests.lists import random_lists

NAMES = ("bm25", "age", "clicks", "length")

SMALL: dict[str, NeuralSettings] = {
    name: NeuralSettings(architecture=name, hidden=(8, 8), heads=2, dropout=0.2, batch_queries=4)
    for name in ARCHITECTURES
}


def lists(seed: int = 0, queries: int = 40, **more: Any) -> RankingDataset:
    return random_lists(queries=queries, seed=seed, features=4, **more)


def trained_network(settings: NeuralSettings, width: int, seed: int = 0) -> Network:
    """A network whose norms have seen something, so that folding them is no identity."""
    torch.manual_seed(seed)
    network = Network(width, settings)
    for _ in range(3):
        network(torch.randn(50, width) * 2 + 1, torch.ones(5, 10, dtype=torch.bool))
    for norm in network.norms:
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.uniform_(norm.bias, -0.5, 0.5)
    return network.eval()


def ranker_of(architecture: str = "mlp", form: str = "quantile", missing: Any = "nan") -> NeuralRanker:
    settings = NeuralSettings(architecture=architecture, inputs=form, hidden=(8, 8), heads=2)
    sample = lists()
    features = sample.features.copy()
    features[::7, 1] = np.nan
    inputs = fit_inputs(features, form, 0)
    return NeuralRanker.of(
        trained_network(settings, inputs.width).weights(), inputs, settings, rounds=3, names=NAMES,
        missing=missing, sample=sample, audit={},
    )  # fmt: skip


def rows(count: int = 30, seed: int = 5) -> Float32:
    found = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    found[::5, 2] = np.nan
    return found
