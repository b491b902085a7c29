"""Metrics of ranked lists: a name that parses and prints back, its conventions, its values.

conventions   gain and discount: the one implementation, for objectives too
definitions   the eight metrics as a table, and their other spellings
kernels       sorting, and expected values over orders of equal scores, compiled
metric        Metric, and the same made ready for one data set
evaluation    metric values of a ranker with intervals
comparison    bootstrap intervals, paired randomisation test, Holm correction
"""

from __future__ import annotations

from ranking.metrics.conventions import DISCOUNTS, GAINS, discounts, gain
from ranking.metrics.definitions import METRICS
from ranking.metrics.metric import EMPTY, TIES, Evaluator, Metric

__all__ = ["DISCOUNTS", "EMPTY", "GAINS", "METRICS", "TIES", "Evaluator", "Metric", "discounts", "gain"]
