"""The first layer by tables is the first layer of the encoding."""

from __future__ import annotations

import numpy as np
import pytest

from ranking.neural.first_layer import FirstLayer
from ranking.neural.inputs import fit_inputs
from ranking.neural.scoring import forward
from tests.ranking.neural.networks import ranker_of, rows


def features(count: int = 3000) -> np.ndarray:
    rng = np.random.default_rng(0)
    raw = np.stack(
        [
            rng.normal(size=count), np.exp(3 * rng.normal(size=count)), rng.integers(0, 2, count),
            np.where(rng.random(count) < 0.99, 0, rng.random(count)), np.full(count, 3.0),
        ],
        axis=1,
    ).astype(np.float32)  # fmt: skip
    raw[rng.random(raw.shape) < 0.1] = np.nan
    return raw


def test_tables_add_what_the_encoding_does() -> None:
    """Also on edges, beyond them, where bins are held, and where values are missing."""
    raw = features()
    inputs = fit_inputs(raw, "encoded", 0)
    rng = np.random.default_rng(1)
    weights = {"layers.0.weight": rng.normal(size=(8, inputs.width)), "layers.0.bias": rng.normal(size=8)}
    layer = FirstLayer.of(inputs, weights)
    assert layer is not None
    edges = np.repeat(inputs.parts[1].low[:16, None].astype(np.float32), 5, axis=1)  # type: ignore[attr-defined]
    far = np.array([[3e38] * 5, [-3e38] * 5, [np.nan] * 5], np.float32)
    for some in (raw[:300], edges, far, raw[:1], raw[:0]):
        wanted = inputs(some) @ weights["layers.0.weight"].T + weights["layers.0.bias"]
        np.testing.assert_allclose(layer(some), wanted, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("form", ["quantile", "standard", "log"])
def test_there_are_tables_of_bins_alone(form: str) -> None:
    ranker = ranker_of("mlp", form)
    assert FirstLayer.of(ranker.inputs, ranker.weights) is None


@pytest.mark.parametrize("architecture", ["mlp", "attention", "dcn"])
def test_a_ranker_scores_as_its_encoding_does(architecture: str) -> None:
    ranker = ranker_of(architecture, "encoded")
    wanted = forward(ranker.inputs(rows()), ranker.weights, ranker.settings)
    np.testing.assert_allclose(ranker.score(rows()), wanted, rtol=1e-6, atol=1e-7)
    assert np.std(wanted) > 0.005
