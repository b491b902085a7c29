"""The eight metrics as data: each is an expectation over one of four readings of a ranked list.

metric      reads                                       document is worth   rank is worth   divided by
ndcg        sum of worth x weight down to rank k        gain                discount        ideal DCG@k
dcg         the same                                    gain                discount        1
precision   the same                                    relevance           1               k
recall      the same                                    relevance           1               relevant documents
mrr         weight of the first relevant rank           relevance           1/rank          1
hit_rate    the same                                    relevance           1               1
map         precision summed over relevant ranks        relevance           -               relevant documents
err         weight of the rank where a reader stops     stop probability    1/rank          1
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ranking.metrics.kernels import AVERAGE_PRECISION, CASCADE, DISCOUNTED_SUM, FIRST_RELEVANT


@dataclass(frozen=True)
class Definition:
    """One metric: how a list is read, and what its parts are worth."""

    reading: int
    worth: Literal["gain", "relevance", "stop"]
    weight: Literal["discount", "reciprocal", "one"]
    divisor: Literal["ideal", "relevant", "cutoff", "one"]
    needs_cutoff: bool = False
    """Without one, recall and hit rate are always 1, and precision says nothing about the order."""


METRICS: dict[str, Definition] = {
    "ndcg": Definition(DISCOUNTED_SUM, "gain", "discount", "ideal"),
    "dcg": Definition(DISCOUNTED_SUM, "gain", "discount", "one"),
    "map": Definition(AVERAGE_PRECISION, "relevance", "one", "relevant"),
    "mrr": Definition(FIRST_RELEVANT, "relevance", "reciprocal", "one"),
    "err": Definition(CASCADE, "stop", "reciprocal", "one"),
    "precision": Definition(DISCOUNTED_SUM, "relevance", "one", "cutoff", needs_cutoff=True),
    "recall": Definition(DISCOUNTED_SUM, "relevance", "one", "relevant", needs_cutoff=True),
    "hit_rate": Definition(FIRST_RELEVANT, "relevance", "one", "one", needs_cutoff=True),
}

ALIASES: dict[str, str] = {
    "ndcg_cut": "ndcg",
    "ap": "map",
    "map_cut": "map",
    "rr": "mrr",
    "recip_rank": "mrr",
    "p": "precision",
    "r": "recall",
    "success": "hit_rate",
    "hit": "hit_rate",
    "hits": "hit_rate",
    "hitrate": "hit_rate",
}
"""Other spellings, lower case: ir_measures' (AP, RR, P, R, Success) and trec_eval's (map_cut, recip_rank)."""
