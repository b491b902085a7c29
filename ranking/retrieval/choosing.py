"""Which fusion, and whether any: by nDCG@10 on held-out queries.

A fusion of a strong and a weak arm can be worse than the strong one alone, so it has to earn its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ranking.data.arrays import Float64, Int64
from ranking.errors import DataError
from ranking.metrics.comparison import Comparison, compare
from ranking.retrieval.fusion import Fusion, Method, Pool
from ranking.retrieval.judgments import Judgments, ndcg

K = 10
WEIGHTS = tuple(step / 20 for step in range(1, 20))
"""Of the dense arm; 0 and 1 are the arms alone."""

ARMS: tuple[Method, ...] = ("lexical", "dense")
FUSED: tuple[Method, ...] = ("rrf", "convex")


@dataclass(frozen=True)
class Choice:
    """What was chosen and why.

    fusion      to search with; its weight is the best on all queries
    ndcg        by method, the mean on held-out queries: each fold with the weight that is best on the others
    comparison  the better fusion against the better arm, paired over these queries
    arm, fused  their names
    queries     judged ones, on which all of this stands
    """

    fusion: Fusion
    ndcg: Mapping[Method, float]
    comparison: Comparison
    arm: Method
    fused: Method
    queries: int

    @property
    def reason(self) -> str:
        """In words, with the numbers."""
        low, high = self.comparison.interval
        gained = self.fusion.method in FUSED
        verdict = "beats" if gained else "does not beat"
        sure = " (the interval holds 0: not certain)" if gained and low <= 0 else ""
        return (
            f"{self.fusion} is chosen: {self.fused} {verdict} {self.arm} alone on held-out queries, "
            f"nDCG@{K} {self.ndcg[self.fused]:.4f} against {self.ndcg[self.arm]:.4f}, "
            f"{self.comparison.difference:+.4f} [{low:+.4f}, {high:+.4f}] over {self.queries} queries{sure}"
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "fusion": self.fusion.as_json(),
            "ndcg@10": dict(self.ndcg),
            "against": self.arm,
            "fused": self.fused,
            "comparison": asdict(self.comparison),
            "queries": self.queries,
            "reason": self.reason,
        }


def choose(pool: Pool, judgments: Judgments, fold: Int64, seed: int = 0) -> Choice:
    """The fusion for these arms, from training queries alone; `fold` is that of each query of the pool.

    A fusion is chosen only where it beats the better arm on queries that its weight was not chosen on.
    Raises DataError for folds of another number of queries, or fewer than two with a relevant document.
    """
    if len(fold) != len(pool.rows):
        raise DataError(f"expected a fold for each of the {len(pool.rows)} queries, got {len(fold)}")
    weighted = np.stack([_values(Fusion("convex", weight), pool, judgments) for weight in WEIGHTS])
    judged = ~np.isnan(weighted[0])
    if len(np.unique(fold[judged])) < 2:
        raise DataError("a fusion is chosen on queries with a relevant document in two folds at least")
    held: dict[Method, Float64] = {
        "lexical": _values(Fusion("lexical"), pool, judgments),
        "dense": _values(Fusion("dense"), pool, judgments),
        "rrf": _values(Fusion("rrf"), pool, judgments),
        "convex": _held_out(weighted, fold, judged),
    }
    means = {method: float(values[judged].mean()) for method, values in held.items()}
    arm, fused = (max(names, key=means.__getitem__) for names in (ARMS, FUSED))
    (comparison,) = compare({"ndcg": held[fused]}, {"ndcg": held[arm]}, seed=seed).values()
    method = fused if comparison.difference > 0 else arm
    fusion = Fusion("convex", WEIGHTS[_best(weighted[:, judged])]) if method == "convex" else Fusion(method)
    return Choice(fusion, means, comparison, arm, fused, int(judged.sum()))


def _values(fusion: Fusion, pool: Pool, judgments: Judgments) -> Float64:
    return ndcg(fusion.best(pool, K), judgments, K)


def _held_out(weighted: Float64, fold: Int64, judged: Any) -> Float64:
    """float64 [queries]: each fold's values [weights, queries] at the weight that is best on the others."""
    values = np.full(weighted.shape[1], np.nan)
    for one in np.unique(fold[judged]):
        values[fold == one] = weighted[_best(weighted[:, judged & (fold != one)]), fold == one]
    return values


def _best(weighted: Float64) -> int:
    """The weight with the highest mean."""
    return int(np.argmax(weighted.mean(axis=1)))
