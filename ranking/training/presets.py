"""Presets: what a training run draws at random and how finely it bins, under one name each.

Randomness makes rankers better where judged queries are few and costs nothing where they are many; the
measurements are in benchmarks/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Settings below those given by name.

    query_fraction   share of the training queries each tree learns from
    booster          parameters by backend, by the booster's own names
    """

    query_fraction: float = 1.0
    booster: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


PRESETS: dict[str, Preset] = {
    # Every draw here depends on the seed and the round alone, so that --resume gives the same bytes.
    "standard": Preset(0.7, {"lightgbm": {"feature_fraction_bynode": 0.3}}),
    # A quarter of the bins, and a third of the features and half the documents a tree. The boosters draw them
    # from a state they cannot restore: --resume starts over.
    "fast": Preset(
        booster={
            "lightgbm": {
                "max_bin": 63,
                "bin_construct_sample_cnt": 20_000,
                "feature_fraction": 0.3,
                "bagging_fraction": 0.5,
                "bagging_freq": 1,
            },
            "xgboost": {"max_bin": 63, "colsample_bytree": 0.3, "subsample": 0.5},
        }
    ),
    "plain": Preset(),
}
