"""The loss doctor: is an objective what it says? Numbers, invariances, extremes, speed; a certificate.

`examine(objective)` works on anything of the `ranking.objectives.Objective` protocol: a member of the
registry, a file of a user's own, or an object written somewhere else. Every check is a function of the
objective that returns a Finding; CHECKS names them all.

Finite differences hold pair weights still (`loss(scores, dataset, weights_at)`), as `gradients` does.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ranking.data.arrays import Float64
from ranking.data.dataset import RankingDataset
from ranking.errors import RankwrightError
from ranking.metrics import Metric
from ranking.objectives.protocol import FACTS, Objective

_GRID = 0.37
"""Tied scores are multiples of this: no gap of two, and no score, is a usual margin, where a hinge bends."""

_FIRST_STEP, _SECOND_STEP = 1e-6, 1e-4
"""Of first and second differences: the smaller the step, the more of their digits rounding takes."""

_TOLERANCE = 1e-5
_LONG = 20_000

BROKEN = (RankwrightError, ArithmeticError, ValueError, TypeError, LookupError, AttributeError)
"""What an objective's own code may raise: its check has failed then."""


@dataclass(frozen=True)
class Finding:
    """One check's outcome: `passed` is None where the check does not apply."""

    passed: bool | None
    detail: str


@dataclass(frozen=True)
class Certificate:
    """What an examination found."""

    objective: str
    facts: dict[str, Any]
    findings: dict[str, Finding]
    speed: dict[str, Any] | None
    """nanoseconds, and what they are per ("pair" or "document"); None where it did not run"""

    @property
    def passed(self) -> bool:
        return all(finding.passed is not False for finding in self.findings.values())

    def with_findings(self, more: Mapping[str, Finding]) -> Certificate:
        """The same with what another doctor found."""
        return dataclasses.replace(self, findings={**self.findings, **more})

    def text(self) -> str:
        """For reading: a line a check."""
        width = max(map(len, self.findings))
        marks = {True: "ok  ", False: "FAIL", None: "-   "}
        lines = [f"{self.objective}: {self.facts['formula']}"]
        lines += [f"hessian {self.facts['hessian']}"] if "hessian" in self.facts else []
        lines += [""]
        lines += [
            f"  {marks[finding.passed]}  {name:<{width}}  {finding.detail}"
            for name, finding in self.findings.items()
        ]
        failed = [name for name, finding in self.findings.items() if finding.passed is False]
        if self.speed is not None:
            lines += ["", f"  {self.speed['nanoseconds']:.2f} ns a {self.speed['per']} ({self.speed['on']})"]
        verdict = f"{len(failed)} checks failed: {', '.join(failed)}" if failed else "all checks passed"
        lines += ["", verdict]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        return {
            "objective": self.objective,
            "passed": self.passed,
            **self.facts,
            "checks": {name: {"passed": f.passed, "detail": f.detail} for name, f in self.findings.items()},
            "speed": self.speed,
        }


def examine(objective: Objective, name: str | None = None) -> Certificate:
    """All checks of one objective, some seconds of work.

    A check that the objective's own code breaks out of counts as failed, with the error as its detail.
    """
    # What is taken from the training lists is settled before the first round; then lists are independent.
    examined = _with_positions(objective).fitted(_small())
    return Certificate(
        objective=name or objective.name,
        facts={fact: getattr(objective, fact) for fact in FACTS},
        findings={title: _tried(check, examined) for title, check in CHECKS.items()},
        speed=_speed(examined),
    )


def _tried(check: Callable[[Objective], Finding], objective: Objective) -> Finding:
    try:
        return check(objective)
    except BROKEN as error:
        return Finding(False, f"{type(error).__name__}: {error}")


def _with_positions(objective: Objective) -> Objective:
    """Propensities given: what estimation finds in a few random lists says nothing about the gradient."""
    if not objective.needs_positions or objective.parameters().get("propensities") != "estimate":
        return objective
    return objective.with_parameters({"propensities": [1.0 / (1 + rank) for rank in range(_LONG)]})


def _lists(sizes: list[int], seed: int, weights: Any = None) -> RankingDataset:
    """Lists of random grades 0-4, those of more than 2 documents with a relevant and an irrelevant one."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    labels = rng.integers(0, 5, offsets[-1]).astype(np.float32)
    for low, high in itertools.pairwise(offsets):
        if high - low > 2:
            labels[low], labels[high - 1] = 0, 4
    return RankingDataset(
        features=rng.normal(size=(len(labels), 2)).astype(np.float32),
        labels=labels,
        offsets=offsets,
        query_ids=[f"q{i}" for i in range(len(sizes))],
        weights=weights,
        positions=np.concatenate([1 + np.arange(size) for size in sizes]).astype(np.float32),
    )


def _small() -> RankingDataset:
    return _lists([1, 2, 3, 5, 8, 13, 9], seed=1)


def _scores(dataset: RankingDataset, ties: bool = False, seed: int = 2) -> Float64:
    scores = np.random.default_rng(seed).normal(size=dataset.document_count)
    return np.round(scores / 2 / _GRID) * _GRID if ties else scores


def _off(found: Any, expected: Any) -> float:
    """The largest difference, over the largest expected value."""
    scale = max(float(np.abs(expected).max(initial=0.0)), 1e-30)
    return float(np.abs(np.asarray(found) - expected).max(initial=0.0)) / scale


def gradient_is_derivative(objective: Objective) -> Finding:
    """Central differences of the loss, where scores differ and where they tie."""
    dataset, worst = _small(), 0.0
    for ties in (False, True):
        scores = _scores(dataset, ties)
        gradient, _ = objective.gradients(scores, dataset)
        worst = max(worst, _off(gradient, _differences(objective, scores, dataset)[0]))
    return Finding(worst < _TOLERANCE, f"worst relative error of finite differences {worst:.0e}")


def hessian_is_second_derivative(objective: Objective) -> Finding:
    """Where it says exact: central second differences; else it must only be usable."""
    if objective.hessian != "exact":
        return Finding(None, f"a {objective.hessian}: does not apply")
    dataset = _small()
    scores = _scores(dataset)
    _, hessian = objective.gradients(scores, dataset)
    worst = _off(hessian, _differences(objective, scores, dataset)[1])
    return Finding(worst < 1e-3, f"worst relative error of second differences {worst:.0e}")


def _differences(objective: Objective, scores: Float64, dataset: RankingDataset) -> tuple[Float64, Float64]:
    first, second = np.empty(len(scores)), np.empty(len(scores))
    middle = objective.loss(scores, dataset, scores)
    for row in range(len(scores)):

        def beside(step: float, row: int = row) -> tuple[float, float]:
            moved = np.zeros(len(scores))
            moved[row] = step
            up, down = (objective.loss(scores + sign * moved, dataset, scores) for sign in (1, -1))
            return up, down

        up, down = beside(_FIRST_STEP)
        first[row] = (up - down) / (2 * _FIRST_STEP)
        up, down = beside(_SECOND_STEP)
        second[row] = (up - 2 * middle + down) / _SECOND_STEP**2
    return first, second


def hessian_is_usable(objective: Objective) -> Finding:
    """Never negative, and not zero where the gradient is not: a leaf is -gradient / hessian."""
    dataset = _small()
    negative, lost = 0, 0
    for ties in (False, True):
        gradient, hessian = objective.gradients(_scores(dataset, ties), dataset)
        negative += int((hessian < 0).sum())
        lost += int(((hessian == 0) & (gradient != 0)).sum())
    return Finding(
        negative == 0 and lost == 0,
        f"negative on {negative} documents, zero where it is divided by on {lost}",
    )


def steps_improve_the_order(objective: Objective) -> Finding:
    """Newton steps on the scores themselves, no longer than one each, raise NDCG: the sign is right."""
    dataset = _lists([30] * 20, seed=3)
    scores, metric = _scores(dataset), Metric.parse("ndcg@10")
    before = metric.mean(scores, dataset)
    for _ in range(60):
        gradient, hessian = objective.gradients(scores, dataset)
        scores = scores - 0.2 * np.clip(gradient / np.maximum(hessian, 1e-9), -1.0, 1.0)
    after = metric.mean(scores, dataset)
    # A loss of the first relevant document alone moves little else.
    return Finding(after > before + 0.01, f"NDCG@10 of random lists from {before:.3f} to {after:.3f}")


def row_order_never_matters(objective: Objective) -> Finding:
    """Permuting the rows of a list permutes the gradient, tied scores included."""
    if objective.stochastic:
        return Finding(None, "noise belongs to rows: does not apply")
    if objective.parameters().get("ties") == "file":
        return Finding(None, "ties by file order were asked for: does not apply")
    dataset, worst = _small(), 0.0
    rng = np.random.default_rng(4)
    rows = np.concatenate(
        [low + rng.permutation(size) for low, size in zip(dataset.offsets, dataset.sizes, strict=False)]
    )
    assert dataset.positions is not None
    shuffled = dataclasses.replace(
        dataset, features=dataset.features[rows], labels=dataset.labels[rows],
        positions=dataset.positions[rows],
    )  # fmt: skip
    for ties in (False, True):
        scores = _scores(dataset, ties)
        here, there = objective.gradients(scores, dataset), objective.gradients(scores[rows], shuffled)
        worst = max(worst, *(_off(b, a[rows]) for a, b in zip(here, there, strict=True)))
    return Finding(worst < 1e-9, f"tied and distinct scores, relative difference {worst:.0e}")


def constants_never_matter(objective: Objective) -> Finding:
    """A constant added to a list's scores changes nothing, and forces sum to zero within it."""
    if not objective.shift_invariant:
        return Finding(None, "scores mean something by themselves: does not apply")
    dataset = _small()
    # Thousandths of powers of two: sums with the shift stay exact, and so do ties.
    scores = np.round(_scores(dataset) * 1024) / 1024
    shift = np.repeat(np.arange(dataset.query_count) * 4.0, dataset.sizes)
    here, there = objective.gradients(scores, dataset), objective.gradients(scores + shift, dataset)
    moved = max(_off(b, a) for a, b in zip(here, there, strict=True))
    total = float(np.abs(np.add.reduceat(here[0], dataset.offsets[:-1])).max())
    return Finding(
        moved < 1e-9 and total < 1e-9, f"relative change {moved:.0e}; sums over lists at most {total:.0e}"
    )


def nothing_to_learn_is_no_error(objective: Objective) -> Finding:
    """One document, equal labels, no relevant document, tied scores: finite, and no force on one alone."""
    kinds = {"one document": [3.0], "equal labels": [1.0] * 3, "none relevant": [0.0] * 4}
    wrong = []
    for kind, labels in kinds.items():
        dataset = _lists([len(labels)], seed=5)
        dataset = dataclasses.replace(dataset, labels=np.array(labels, np.float32))
        for scores in (np.zeros(len(labels)), np.arange(len(labels)) * _GRID):
            gradient, hessian = objective.gradients(scores, dataset)
            value = objective.loss(scores, dataset)
            alone = objective.shift_invariant and len(labels) == 1
            fine = np.isfinite([*gradient, *hessian, value]).all() and (hessian >= 0).all()
            if not fine or (alone and gradient.any()):
                wrong.append(kind)
    return Finding(not wrong, f"wrong on: {', '.join(wrong)}" if wrong else ", ".join(kinds))


def extremes_stay_finite(objective: Objective) -> Finding:
    """Scores of 1e30 and -1e30 and beside them usual ones, as trained and as defined."""
    dataset = _lists([15], seed=6)
    wrong = []
    for size in (1e30, 1e6, 100.0):
        scores = _scores(dataset)
        scores[:4] = size, -size, size, -size
        with np.errstate(all="ignore"):
            found = [*objective.gradients(scores, dataset), *objective.prepare(dataset)(scores)]
        if not all(np.isfinite(part).all() for part in found):
            wrong.append(f"±{size:g}")
    return Finding(not wrong, f"not finite at {', '.join(wrong)}" if wrong else "finite at ±100, ±1e6, ±1e30")


def training_numbers_are_the_defined_ones(objective: Objective) -> Finding:
    """What a booster is given (single precision) against `gradients` (double), at scores of several sizes."""
    dataset, worst = _lists([40] * 5, seed=7), 0.0
    trained = objective.prepare(dataset, 1, 0)
    for size in (0.1, 1.0, 10.0):
        scores = _scores(dataset) * size
        expected = objective.gradients(scores, dataset)
        worst = max(worst, *(_off(f, e) for f, e in zip(trained(scores), expected, strict=True)))
        if objective.stochastic:
            break  # the next call is the next round, with other noise
    return Finding(worst < 1e-4, f"float32 against float64, relative difference {worst:.0e}")


def runs_repeat(objective: Objective) -> Finding:
    """The same bytes from one thread and three, again, and by a run continued after two rounds."""
    dataset = _lists([12] * 12, seed=8)
    rounds = [_scores(dataset, seed=seed) for seed in range(4)]
    kept = [scores.copy() for scores in rounds]
    one, three = ([run(s) for s in rounds] for run in (objective.prepare(dataset, t, 0) for t in (1, 3)))
    continued = objective.prepare(dataset, 1, 2)
    later = [continued(scores) for scores in rounds[2:]]
    same = all(_same(a, b) for a, b in zip(one, three, strict=True))
    resumed = all(_same(a, b) for a, b in zip(one[2:], later, strict=True))
    untouched = all((a == b).all() for a, b in zip(rounds, kept, strict=True))
    facts = {"threads": same, "resumed": resumed, "scores left alone": untouched}
    return Finding(all(facts.values()), ", ".join(n if ok else f"not: {n}" for n, ok in facts.items()))


def _same(a: Any, b: Any) -> bool:
    return all(bool((x == y).all()) for x, y in zip(a, b, strict=True))


def weights_count(objective: Objective) -> Finding:
    """A query's weight multiplies its gradient and hessian; 0 leaves the query out."""
    dataset = _small()
    weights = np.arange(dataset.query_count, dtype=np.float32) / np.float32(2)
    weighted, scores = dataclasses.replace(dataset, weights=weights), _scores(dataset)
    each = np.repeat(weights, dataset.sizes)
    pairs = zip(objective.gradients(scores, weighted), objective.gradients(scores, dataset), strict=True)
    worst = max(_off(with_weights, without * each) for with_weights, without in pairs)
    return Finding(worst < 1e-6, f"query weights, relative difference {worst:.0e}")


def long_lists_work(objective: Objective) -> Finding:
    """One list of 20,000 documents: finite, and balanced where forces are between documents.

    An objective whose memory grows with the square of the list says how far it goes (`longest_examined`).
    """
    length = min(_LONG, getattr(objective, "longest_examined", _LONG))
    dataset = _lists([length], seed=9)
    started = time.perf_counter()
    gradient, hessian = objective.prepare(dataset)(_scores(dataset))
    spent = time.perf_counter() - started
    fine = bool(np.isfinite(gradient).all() and np.isfinite(hessian).all())
    if objective.shift_invariant:
        fine &= abs(float(gradient.sum(dtype=np.float64))) < 1e-4 * float(np.abs(gradient).sum() + 1e-30)
    return Finding(fine, f"{length} documents in {spent:.2f} s")


CHECKS: dict[str, Callable[[Objective], Finding]] = {
    "gradient": gradient_is_derivative,
    "hessian": hessian_is_second_derivative,
    "curvature": hessian_is_usable,
    "descent": steps_improve_the_order,
    "permutation": row_order_never_matters,
    "shift": constants_never_matter,
    "nothing to learn": nothing_to_learn_is_no_error,
    "extreme scores": extremes_stay_finite,
    "precision": training_numbers_are_the_defined_ones,
    "repeatability": runs_repeat,
    "weights": weights_count,
    "long list": long_lists_work,
}
"""What is examined, in the order of the certificate."""


def _speed(objective: Objective) -> dict[str, Any] | None:
    """The fastest of several rounds over 200 lists of 120 documents, on one thread."""
    dataset = _lists([120] * 200, seed=10)
    pairs = objective.family == "pairwise"
    top = min(objective.parameters().get("truncation") or 120, 120)
    count = 200 * (top * 120 - top * (top + 1) // 2) if pairs else dataset.document_count
    best, scores = np.inf, _scores(dataset)
    try:
        run = objective.prepare(dataset)
        for _ in range(5):
            started = time.perf_counter()
            run(scores)
            best = min(best, time.perf_counter() - started)
    except BROKEN:
        return None  # the findings say why
    return {
        "nanoseconds": 1e9 * best / count,
        "per": "pair" if pairs else "document",
        "on": f"200 lists of 120 documents{f', truncation {top}' if pairs else ''}, one thread",
    }
