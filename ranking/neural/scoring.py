"""The network in numpy, for scoring: float64 throughout, no torch, weights as `Network.weights` gives them.

Computed in float64 and rounded once, so that a score hardly ever depends on what else is in the batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from ranking.data.arrays import Float64
from ranking.neural.settings import NeuralSettings

_EPSILON = 1e-5
"""Of torch's layer norm."""


def shapes_of(width: int, settings: NeuralSettings) -> dict[str, tuple[int, ...]]:
    """The shape of each weight of a network, by name."""
    assert settings.cross is not None
    assert settings.blocks is not None
    shapes: dict[str, tuple[int, ...]] = {}

    def linear(name: str, a: int, b: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (b, a), (b,)

    for number in range(settings.cross):
        linear(f"cross.{number}", width, width)
    widths = (width * (2 if settings.cross else 1), *settings.hidden)
    for number, (a, b) in enumerate(itertools.pairwise(widths)):
        linear(f"layers.{number}", a, b)
    last = settings.hidden[-1]
    for number in range(settings.blocks):
        block = f"blocks.{number}"
        for norm in ("norm", "second_norm"):
            shapes[f"{block}.{norm}.weight"] = shapes[f"{block}.{norm}.bias"] = (last,)
        linear(f"{block}.queries_keys_values", last, 3 * last)
        linear(f"{block}.mixed", last, last)
        linear(f"{block}.wider", last, 2 * last)
        linear(f"{block}.narrower", 2 * last, last)
    linear("score", last, 1)
    return shapes


def forward(rows: Float64, weights: Mapping[str, Any], settings: NeuralSettings) -> Float64:
    """Scores [documents] of the scaled rows [documents, width] of one list."""
    assert settings.cross is not None
    crossed = rows
    for number in range(settings.cross):
        crossed = rows * _linear(crossed, weights, f"cross.{number}") + crossed
    hidden = np.concatenate([rows, crossed], axis=1) if settings.cross else rows
    return behind_first_layer(_linear(hidden, weights, "layers.0"), weights, settings)


def behind_first_layer(hidden: Float64, weights: Mapping[str, Any], settings: NeuralSettings) -> Float64:
    """Scores [documents] of what the first layer makes of the rows of one list, [documents, its width]."""
    assert settings.blocks is not None
    np.maximum(hidden, 0.0, out=hidden)
    for number in range(1, len(settings.hidden)):
        hidden = _linear(hidden, weights, f"layers.{number}")
        np.maximum(hidden, 0.0, out=hidden)
    for number in range(settings.blocks):
        hidden = _block(hidden, weights, f"blocks.{number}", settings.heads)
    return _linear(hidden, weights, "score")[:, 0]


def _linear(rows: Float64, weights: Mapping[str, Any], name: str) -> Float64:
    out: Float64 = rows @ weights[f"{name}.weight"].T
    out += weights[f"{name}.bias"]
    return out


def _norm(rows: Float64, weights: Mapping[str, Any], name: str) -> Float64:
    centred = rows - rows.mean(axis=1, keepdims=True)
    unit = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + _EPSILON)
    out: Float64 = unit * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return out


def _block(hidden: Float64, weights: Mapping[str, Any], name: str, heads: int) -> Float64:
    size, width = hidden.shape
    parts = _linear(_norm(hidden, weights, f"{name}.norm"), weights, f"{name}.queries_keys_values")
    queries, keys, values = parts.reshape(size, 3, heads, width // heads).transpose(1, 2, 0, 3)
    logits = queries @ keys.transpose(0, 2, 1) / np.sqrt(width // heads)
    share = np.exp(logits - logits.max(axis=2, keepdims=True))
    share /= share.sum(axis=2, keepdims=True)
    mixed = (share @ values).transpose(1, 0, 2).reshape(size, width)
    hidden = hidden + _linear(mixed, weights, f"{name}.mixed")
    wider = np.maximum(_linear(_norm(hidden, weights, f"{name}.second_norm"), weights, f"{name}.wider"), 0.0)
    return hidden + _linear(wider, weights, f"{name}.narrower")
