"""What is in a data set, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ranking.data.dataset import RankingDataset

_QUANTILES = {"least": 0.0, "quarter": 0.25, "median": 0.5, "three quarters": 0.75, "most": 1.0}


@dataclass(frozen=True)
class Description:
    """Counts and shares of a data set."""

    queries: int
    documents: int
    features: int
    list_lengths: Mapping[str, float]
    labels: Mapping[str, int]
    """documents by label"""
    queries_without_relevant: int
    queries_with_one_label: int
    """nothing can be learned from these by comparing pairs"""
    missing: Mapping[str, float]
    """share of documents without a value, by feature, where there are any"""
    constant: Sequence[str]
    """features with one value, or none, in all documents"""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def as_text(self) -> str:
        lengths = ", ".join(f"{name} {value:g}" for name, value in self.list_lengths.items())
        lines = [
            f"queries    {self.queries}",
            f"documents  {self.documents}",
            f"features   {self.features}",
            f"documents a query  {lengths}",
            "labels",
            *(
                f"  {label:<8} {count:>9}  {count / self.documents:7.2%}"
                for label, count in self.labels.items()
            ),
            f"queries without a relevant document    {self.queries_without_relevant}",
            f"queries whose documents share a label  {self.queries_with_one_label}",
            f"missing values  {len(self.missing)} features" if self.missing else "missing values  none",
            *(f"  {name:<24} {share:7.2%}" for name, share in self.missing.items()),
            f"constant features  {', '.join(self.constant) or 'none'}",
        ]
        return "\n".join(lines)


def describe(dataset: RankingDataset) -> Description:
    """Count (missing rates are over documents; a label is relevant above 0)."""
    starts = dataset.offsets[:-1]
    highest = np.maximum.reduceat(dataset.labels, starts)
    lowest = np.minimum.reduceat(dataset.labels, starts)
    labels, counts = np.unique(dataset.labels, return_counts=True)
    absent = np.array([np.isnan(dataset.features[:, i]).mean() for i in range(dataset.feature_count)])
    low, high = np.fmin.reduce(dataset.features, axis=0), np.fmax.reduce(dataset.features, axis=0)
    constant = [
        i for i in range(dataset.feature_count) if np.isnan(low[i]) or (low[i] == high[i] and absent[i] == 0)
    ]
    return Description(
        queries=dataset.query_count,
        documents=dataset.document_count,
        features=dataset.feature_count,
        list_lengths={name: float(np.quantile(dataset.sizes, q)) for name, q in _QUANTILES.items()}
        | {"mean": round(float(dataset.sizes.mean()), 2)},
        labels={
            np.format_float_positional(label, trim="-"): int(count)
            for label, count in zip(labels, counts, strict=True)
        },
        queries_without_relevant=int((highest <= 0).sum()),
        queries_with_one_label=int((highest == lowest).sum()),
        missing={dataset.name_of(int(i)): float(absent[i]) for i in np.flatnonzero(absent)},
        constant=[dataset.name_of(i) for i in constant],
    )
