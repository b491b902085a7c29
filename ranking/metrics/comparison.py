"""How sure a difference is: bootstrap intervals, the paired randomisation test, Holm's correction.

Shared arguments: `values`, `a` and `b` hold one number a query, float64 [queries], NaN where the query is
skipped (it is left out); `weights` [queries] are the data set's query weights, None for ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ranking.data.arrays import Float64
from ranking.errors import DataError, UsageError

_BLOCK = 1 << 21
"""Numbers drawn at a time: resamples of any number of queries fit into some 50 MB."""

_EQUAL = 1e-12
"""Two values this close, relative to the larger, are equal: the same terms summed in another order."""


@dataclass(frozen=True)
class Comparison:
    """One metric of two systems over the same queries; differences are a - b."""

    mean_a: float
    mean_b: float
    difference: float
    interval: tuple[float, float]
    """95 % percentile bootstrap of the difference, over queries"""
    p: float
    """of the two-sided paired randomisation test"""
    p_holm: float
    """the same, corrected for the number of metrics compared"""
    wins: int
    """queries where a is the higher"""
    ties: int
    losses: int


def bootstrap_interval(
    values: npt.NDArray[Any],
    weights: npt.NDArray[Any] | None = None,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """(low, high): percentile bootstrap of the (weighted) mean over queries.

    Queries are drawn with replacement, each with its weight. Efron, "Bootstrap methods", 1979; for
    effectiveness measures Sakai, "Evaluating evaluation metrics based on the bootstrap", SIGIR 2006.

    Raises DataError where no query is left, UsageError for a level outside (0, 1) or no resamples.
    """
    if not 0 < level < 1:
        raise UsageError(f"the level of an interval must lie between 0 and 1, such as 0.95, got {level}")
    _check_count("resamples", resamples)
    kept, shares = _counted(np.asarray(values, np.float64), weights)
    if len(kept) == 1:
        return float(kept[0]), float(kept[0])
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    for start, stop in _blocks(resamples, len(kept)):
        drawn = rng.integers(len(kept), size=(stop - start, len(kept)))
        if weights is None:
            means[start:stop] = kept[drawn].mean(axis=1)
        else:
            means[start:stop] = (kept * shares)[drawn].sum(axis=1) / shares[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_randomisation(
    a: npt.NDArray[Any],
    b: npt.NDArray[Any],
    weights: npt.NDArray[Any] | None = None,
    *,
    permutations: int = 10000,
    seed: int = 0,
) -> float:
    """Two-sided p of the (weighted) mean difference, if each query's two values could as well be swapped.

    p = (1 + permutations with |mean| >= |observed mean|) / (1 + permutations), signs drawn by `seed`;
    where all sign patterns are no more than `permutations`, each is counted once and p is exact.
    Identical systems give 1. Smucker, Allan and Carterette, CIKM 2007.

    Raises DataError where no query is left, UsageError for no permutations.
    """
    _check_count("permutations", permutations)
    differences, shares = _counted(_paired(a, b), weights)
    steps = (differences * shares)[differences != 0]  # swapping equal values changes nothing
    if len(steps) == 0:
        return 1.0
    reach = abs(float(steps.sum())) - _EQUAL * float(np.abs(steps).sum())
    if 2 ** min(len(steps), 60) <= permutations:
        sums = np.zeros(1)
        for step in steps:
            sums = np.concatenate([sums + step, sums - step])
        return float(np.mean(np.abs(sums) >= reach))
    rng = np.random.default_rng(seed)
    as_extreme = 0
    for start, stop in _blocks(permutations, len(steps)):
        bits = np.frombuffer(rng.bytes((stop - start) * -(-len(steps) // 8)), np.uint8)
        kept = np.unpackbits(bits.reshape(stop - start, -1), axis=1, count=len(steps))
        sums = 2.0 * (kept.astype(np.float64) @ steps) - steps.sum()
        as_extreme += int(np.count_nonzero(np.abs(sums) >= reach))
    return (1 + as_extreme) / (1 + permutations)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Each p corrected for their number: the i-th smallest of m times m + 1 - i, never falling, at most 1.

    Holm, "A simple sequentially rejective multiple test procedure", 1979.

    >>> holm({"ndcg": 0.01, "map": 0.04})
    {'ndcg': 0.02, 'map': 0.04}
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for place, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}


def compare(
    per_query_a: Mapping[str, npt.NDArray[Any]],
    per_query_b: Mapping[str, npt.NDArray[Any]],
    weights: npt.NDArray[Any] | None = None,
    *,
    seed: int = 0,
) -> dict[str, Comparison]:
    """Two systems over the same queries, metric by metric; a query that either skips is left out.

    Raises DataError where the two hold different metrics or numbers of queries, or no query is left.
    """
    if set(per_query_a) != set(per_query_b):
        raise DataError(
            "two systems are compared on the same metrics, "
            f"got {', '.join(per_query_a) or 'none'} and {', '.join(per_query_b) or 'none'}"
        )
    pairs = {name: (np.asarray(a, np.float64), per_query_b[name]) for name, a in per_query_a.items()}
    p_values = {name: paired_randomisation(a, b, weights, seed=seed) for name, (a, b) in pairs.items()}
    corrected = holm(p_values)
    return {
        name: _comparison(a, np.asarray(b, np.float64), weights, p_values[name], corrected[name], seed)
        for name, (a, b) in pairs.items()
    }


def _comparison(
    a: Float64, b: Float64, weights: npt.NDArray[Any] | None, p: float, p_holm: float, seed: int
) -> Comparison:
    differences = _paired(a, b)
    skipped = np.isnan(differences)
    counted, _ = _counted(differences, weights)
    mean_a, mean_b = (_mean(np.where(skipped, np.nan, values), weights) for values in (a, b))
    wins, losses = int(np.sum(counted > 0)), int(np.sum(counted < 0))
    return Comparison(
        mean_a=mean_a,
        mean_b=mean_b,
        difference=_mean(differences, weights),
        interval=bootstrap_interval(differences, weights, seed=seed),
        p=p,
        p_holm=p_holm,
        wins=wins,
        ties=len(counted) - wins - losses,
        losses=losses,
    )


def _mean(values: Float64, weights: npt.NDArray[Any] | None) -> float:
    kept, shares = _counted(values, weights)
    return float(np.average(kept, weights=shares))


def _paired(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Float64:
    if np.shape(a) != np.shape(b):
        raise DataError(
            f"two systems are compared query by query, got values of {np.size(a)} and {np.size(b)} queries"
        )
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    differences = first - second
    differences[np.abs(differences) <= _EQUAL * np.maximum(np.abs(first), np.abs(second))] = 0.0
    return differences


def _counted(values: Float64, weights: npt.NDArray[Any] | None) -> tuple[Float64, Float64]:
    """The values that are not skipped, and their weights; a weight of 0 is left out as well."""
    shares = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    if len(shares) != len(values):
        raise DataError(f"expected one weight for each of the {len(values)} queries, got {len(shares)}")
    bad = np.flatnonzero(~(np.isfinite(shares) & (shares >= 0)))
    if len(bad):
        raise DataError(f"query weights must be finite and >= 0, entry {bad[0]} is {shares[bad[0]]}")
    counted = ~np.isnan(values) & (shares > 0)
    if not counted.any():
        raise DataError(
            f"no query is left of {len(values)}: all are skipped or weigh nothing; "
            'give judgments above 0, or choose empty="zero"'
        )
    return values[counted], shares[counted]


def _check_count(name: str, count: int) -> None:
    if count < 1:
        raise UsageError(f"{name} must be at least 1, got {count}")


def _blocks(rows: int, width: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of runs of rows that hold about `_BLOCK` numbers."""
    height = max(1, _BLOCK // width)
    for start in range(0, rows, height):
        yield start, min(start + height, rows)
