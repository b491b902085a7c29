"""Presets: what a training run draws at random and how finely it bins, under one name each.

Randomness makes rankers better where judged queries are few and costs nothing where they are many; the
measurements are in benchmarks/README.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Settings below those given by name; parameters of a booster stand in `ranking.trees.backends`.

    query_fraction   share of the training queries each tree learns from
    """

    query_fraction: float = 1.0


PRESETS: dict[str, Preset] = {
    # Every draw here depends on the seed and the round alone, so that --resume gives the same bytes.
    "standard": Preset(0.7),
    # A quarter of the bins, and a third of the features and half the documents a tree. The boosters draw them
    # from a state they cannot restore: --resume starts over.
    "fast": Preset(),
    "plain": Preset(),
}
