"""Metrics of ranked lists: a name that parses and prints back, its conventions, its values.

conventions   gain and discount: the one implementation, for objectives too
definitions   the eight metrics as a table, and their other spellings
kernels       sorting, and expected values over orders of equal scores, compiled
evaluator     a metric made ready for one data set, to be called many times
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ranking.dataset import Float64, RankingDataset
from ranking.errors import UsageError, unknown_name
from ranking.metrics.conventions import DISCOUNTS, GAINS, Rule, discounts, gain
from ranking.metrics.definitions import ALIASES, METRICS
from ranking.metrics.evaluator import EMPTY, Evaluator, document_worths

__all__ = ["DISCOUNTS", "EMPTY", "GAINS", "METRICS", "TIES", "Evaluator", "Metric", "discounts", "gain"]

TIES: dict[str, str] = {
    "average": "expected value over all orders of equal scores",
    "file": "input order",
    "pessimistic": "ascending label",
    "trec": "document id descending, as trec_eval",
}
"""How equal scores are ranked."""


@dataclass(frozen=True)
class Metric:
    """A metric with its cutoff and conventions.

    name      ndcg, dcg, map, mrr, err, precision, recall, hit_rate
    k         the last rank that counts, None for the whole list; precision, recall and hit_rate need one
    gain      of ndcg and dcg: "exponential" 2^y - 1, "linear" y, a table by label, or a function
    discount  of ndcg and dcg: "log2" 1/log2(1 + rank), "reciprocal" 1/rank, a table by rank, or a function
    empty     what a query without a relevant document (label > 0) counts: "zero", "one", "skip"
    ties      how equal scores are ranked: "average" (the expected value over their orders), "file",
              "pessimistic" (ascending label), "trec" (document id descending)

    map@k divides by all relevant documents, as trec_eval's map_cut; precision@k by k, however short the list.

    Raises UsageError for an unknown name or a cutoff that is not a whole number from 1.
    """

    name: str
    k: int | None = None
    gain: Rule = "exponential"
    discount: Rule = "log2"
    empty: str = "zero"
    ties: str = "average"

    def __post_init__(self) -> None:
        for kind, name, known in (
            ("metric", self.name, METRICS),
            ("rule for empty queries", self.empty, EMPTY),
            ("rule for ties", self.ties, TIES),
        ):
            if name not in known:
                raise unknown_name(kind, name, known)
        for part in ("gain", "discount"):
            table = getattr(self, part)
            if isinstance(table, Sequence) and not isinstance(table, str):
                object.__setattr__(self, part, tuple(table))
        gain(np.zeros(1), self.gain)
        discounts(1, self.discount)
        if self.k is None:
            if METRICS[self.name].needs_cutoff:
                raise UsageError(f"{self.name} needs a cutoff: write {self.name}@10, for instance")
        elif not isinstance(self.k, int) or isinstance(self.k, bool) or self.k < 1:
            raise UsageError(f"the cutoff of {self.name} must be a whole number from 1, got {self.k!r}")

    @classmethod
    def parse(cls, text: str, **conventions: Any) -> Metric:
        """The metric of a name such as "ndcg@10", "map", "P@5", "RR" or "ndcg_cut_10".

        Spellings of ir_measures and trec_eval are taken too, in any case; they set no conventions: gain,
        discount, empty and ties are those given here.

        >>> str(Metric.parse("nDCG@10")), str(Metric.parse("AP")), str(Metric.parse("Success@5"))
        ('ndcg@10', 'map', 'hit_rate@5')
        """
        written = text.strip()
        name, at, cutoff = written.partition("@")
        if not at and (trec := re.fullmatch(r"(.*\D)[_.](\d+)", written)):
            name, cutoff = trec.groups()
            at = "@"
        name = ALIASES.get(name.lower(), name.lower())
        if name not in METRICS:
            raise unknown_name("metric", text, METRICS)
        if at and not re.fullmatch(r"0*[1-9][0-9]{0,8}", cutoff):
            raise UsageError(
                f"the cutoff of {text!r} must be a whole number from 1, got {cutoff!r}: "
                f"write {name}@10, for instance"
            )
        return cls(name, int(cutoff) if at else None, **conventions)

    def __str__(self) -> str:
        return self.name if self.k is None else f"{self.name}@{self.k}"

    def check(self, dataset: RankingDataset) -> None:
        """Raise DataError for labels the metric cannot take."""
        document_worths(self, dataset)

    def evaluator(self, dataset: RankingDataset) -> Evaluator:
        """The metric made ready for many evaluations on one data set: `evaluator(scores)` is the mean.

        Raises DataError for labels the gain cannot take, or ties="trec" without document ids.
        """
        return Evaluator.of(self, dataset)

    def per_query(self, scores: Any, dataset: RankingDataset) -> Float64:
        """The metric of each query, float64 [queries], NaN where it is skipped; scores are [documents].

        Raises DataError where scores are not one finite number a document, or as `evaluator` does.
        """
        return self.evaluator(dataset).per_query(scores)

    def mean(self, scores: Any, dataset: RankingDataset) -> float:
        """The mean over queries, by the data set's query weights where it has them; skipped ones left out.

        Raises DataError as `per_query` does, and where no query is left to average.
        """
        return self.evaluator(dataset)(scores)

    def conventions(self) -> dict[str, Any]:
        """What the number means, for a report: the choices made, and the rules that are fixed."""
        stated: dict[str, Any] = {"metric": str(self), "name": self.name, "k": self.k}
        if METRICS[self.name].worth == "gain":
            stated |= {"gain": _stated(self.gain), "discount": _stated(self.discount)}
        if self.name == "err":
            stated["err_max_grade"] = "4, or the largest label where one is larger"
        return stated | {
            "relevant": "label > 0",
            "empty": self.empty,
            "ties": self.ties,
            "mean": "over queries, by query weight where given",
        }


def _stated(rule: Rule) -> Any:
    """A rule as a report has it: its name, or its numbers."""
    if isinstance(rule, str):
        return rule
    return getattr(rule, "__name__", repr(rule)) if callable(rule) else list(rule)
