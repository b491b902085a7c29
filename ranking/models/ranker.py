"""`Ranker`: what every trained model can do, and scoring a data set with it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ranking.data.arrays import Float32, Float64, Int64
from ranking.data.dataset import Missing, RankingDataset


class Ranker(Protocol):
    """A trained model that scores documents by their features."""

    @property
    def kind(self) -> str:
        """One of `ranking.models.kinds.KINDS`."""

    @property
    def feature_count(self) -> int: ...

    @property
    def feature_names(self) -> tuple[str, ...]: ...

    @property
    def missing(self) -> Missing:
        """What an absent feature was in training: `zero` or `nan`."""

    def score(self, features: Float32) -> Float32:
        """Scores, float32 [documents], of float32 [documents, features]; NaN is missing."""

    @property
    def per_list(self) -> bool:
        """Does a document's score depend on the others of its list? Then `score` takes those of one list."""

    def save(self, folder: Path) -> None:
        """Write the model as one file into an existing folder."""


class Explainer(Ranker, Protocol):
    """A ranker that says what each feature adds to a score."""

    def contributions(self, features: Float32) -> Float64:
        """TreeSHAP, float64 [documents, features + 1], the bias last; a row's sum is its score."""


def explainer(ranker: Any) -> Explainer | None:
    """The ranker, where it has `contributions`; one whose parts decide says so by a false `explains`."""
    able = hasattr(ranker, "contributions") and getattr(ranker, "explains", True)
    return ranker if able else None


def score_dataset(ranker: Ranker, dataset: RankingDataset) -> Float32:
    """The ranker's scores of every document, with the width it was trained on.

    Raises DataError where the data has more features, or its columns are named in another order.
    """
    fitting = dataset.with_width(ranker.feature_count, ranker.missing, ranker.feature_names)
    if not ranker.per_list:
        return ranker.score(fitting.features)
    ends = fitting.offsets.tolist()
    lists = [ranker.score(fitting.features[a:b]) for a, b in itertools.pairwise(ends)]
    return np.concatenate(lists) if lists else np.zeros(0, np.float32)


def spread_within_lists(scores: Float32 | Float64, sizes: Int64) -> float:
    """The standard deviation of scores around the mean of their list, over all documents.

    `sizes` int64 [lists]: how many of the scores, one list after the other, are each list's.
    """
    exact = np.asarray(scores, np.float64)
    starts = np.cumsum(sizes) - sizes
    apart = exact - np.repeat(np.add.reduceat(exact, starts) / sizes, sizes)
    return float(np.sqrt(np.mean(apart**2)))
