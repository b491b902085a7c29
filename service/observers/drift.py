"""Served feature values beside those of training: how far their distributions are apart."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from ranking.data.arrays import Float32, Float64
from service.models.table import Model

LEAST_VALUES = 200
"""Fewer say nothing about ten bins."""


class Drift:
    """Counts of one model's served values in the bins of its training profile.

    The population stability index of a feature is sum over bins of (p − q) ln(p / q), p the served and q the
    trained share of a bin, missing a bin of its own; 0.1 is commonly called some change, 0.25 much.

    Counts halve once there are a million rows, so that the index follows the traffic.
    """

    HALVED_AT = 1_000_000

    def __init__(self, model: Model) -> None:
        self._names = model.feature_names
        profiles = model.manifest.get("feature_profile")
        self._edges: list[Float64] = []
        self._trained: list[Float64] = []
        for profile in _usable(profiles, model.feature_count):
            missing = float(profile["missing"])
            shares = np.asarray(profile["shares"], np.float64) * (1 - missing)
            self._edges.append(np.asarray(profile["edges"], np.float64))
            self._trained.append(np.append(shares, missing))
        self._counts = [np.zeros(len(trained)) for trained in self._trained]
        self._rows = 0
        self._lock = threading.Lock()

    def add(self, features: Float32) -> None:
        """Count float32 [rows, features], NaN for missing."""
        with self._lock:
            if self._rows >= self.HALVED_AT:
                self._rows //= 2
                self._counts = [counts / 2 for counts in self._counts]
            self._rows += len(features)
            for column, edges in enumerate(self._edges):
                values = features[:, column]
                bins = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values))
                counts = self._counts[column]
                counts += np.bincount(np.minimum(bins, len(counts) - 1), minlength=len(counts))

    def indices(self) -> Iterator[tuple[str, float]]:
        """(feature, population stability index) once enough was served."""
        with self._lock:
            if self._rows < LEAST_VALUES:
                return
            served = [counts / counts.sum() for counts in self._counts]
        for name, p, q in zip(self._names, served, self._trained, strict=False):
            # A share of 0 on one side would make it infinite; half of one in ten thousand is customary.
            smooth_p, smooth_q = np.maximum(p, 5e-5), np.maximum(q, 5e-5)
            yield name, float(((smooth_p - smooth_q) * np.log(smooth_p / smooth_q)).sum())


def _usable(profiles: Any, width: int) -> list[dict[str, Any]]:
    """The manifest's profiles, or none where they are not what training writes: it is served too."""
    if not isinstance(profiles, list) or len(profiles) != width:
        return []
    for profile in profiles:
        if not isinstance(profile, dict) or not {"edges", "shares", "missing"} <= profile.keys():
            return []
        if len(profile["shares"]) not in (0, len(profile["edges"]) + 1):
            return []
    return profiles
