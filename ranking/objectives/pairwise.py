"""The pairwise objective: a pair loss times a pair weight, prepared once for a data set."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ranking.compiled.warming import warm_up as compile_pieces
from ranking.compiled.warming import warms
from ranking.data.dataset import RankingDataset
from ranking.errors import UsageError, unknown_name
from ranking.objectives.arguments import (
    check_at_least,
    check_choice,
    check_positive,
    check_scores,
    check_switches,
)
from ranking.objectives.clicks import Propensities
from ranking.objectives.kernel.layout import TIES_AVERAGE, TIES_FILE, Lists, Rule
from ranking.objectives.pair_losses import PAIR_LOSSES, LogisticPair, PairLoss
from ranking.objectives.pair_weights import PAIR_WEIGHTS, MetricWeight, PairWeight, UniformWeight
from ranking.objectives.rounds import input_orders, rounds_of

if TYPE_CHECKING:
    from ranking.data.arrays import Float64
    from ranking.objectives.protocol import Gradients

_PARTS = ("pair_loss", "weight", "clicks")

_NAMES = {
    ("logistic", "uniform"): "ranknet",
    ("logistic", "metric"): "lambdarank",
    ("logistic", "ndcg_loss2"): "ndcg_loss2",
    ("logistic", "ndcg_loss2pp"): "ndcg_loss2pp",
    ("hinge", "uniform"): "hinge",
    ("squared_hinge", "uniform"): "squared_hinge",
}
"""What the field calls a pair loss with a pair weight."""


@dataclass(frozen=True, kw_only=True)
class Pairwise:
    """The sum over pairs y_i > y_j of pair weight × pair loss of s_i − s_j.

    pair_loss             what a pair costs (`ranking.objectives.pair_losses`): logistic, hinge, squared_hinge
    weight                what a pair counts (`ranking.objectives.pair_weights`): uniform, metric, ndcg_loss2,
                          ndcg_loss2pp
    clicks                for labels that are clicks: `ranking.objectives.clicks.Propensities`; None: judged
    truncation            pairs need at least one document among this many best by score; None is all pairs
    score_normalization   divide each pair's weight by 0.01 + |s_i - s_j| once scores differ
                          (LightGBM's `lambdarank_norm`, XGBoost's `lambdarank_score_normalization`)
    lambda_normalization  scale a query's gradient and hessian by log2(1 + S) / S, S the sum of 2 |lambda|
                          (LightGBM's `lambdarank_norm`, XGBoost's `lambdarank_normalization`)
    label_gap             multiply each pair's weight by |y_i - y_j| to this power; 0 leaves it
    ties                  "average": nothing depends on the order of rows in the file where scores are equal
                          (how: `ranking.objectives.kernel`); "file": equal scores keep input order, as both
                          boosters have it
    hessian_scale         multiplies the hessian; XGBoost's own objectives have 2 here, LightGBM's 1
    precision             "float32" or "float64": the type of the pair loop in training (`prepare`);
                          `gradients` and `loss` are always float64

    Pair weights and normalisations are held constant in gradient and hessian, as LambdaRank has it.

    Weights of the data: a query's weight multiplies its gradient. Documents' weights enter each pair as the
    geometric mean sqrt(w_i w_j), over the query's mean weight, which multiplies the query's gradient:
    gradients still sum to zero, and a constant weight over a query is that query's weight, whatever the
    normalisations.
    """

    family: ClassVar[str] = "pairwise"
    shift_invariant: ClassVar[bool] = True
    stochastic: ClassVar[bool] = False
    labels: ClassVar[Literal["graded", "real"]] = "graded"

    pair_loss: PairLoss = field(default_factory=LogisticPair)
    weight: PairWeight = field(default_factory=UniformWeight)
    clicks: Propensities | None = None
    truncation: int | None = None
    score_normalization: bool = False
    lambda_normalization: bool = False
    label_gap: float = 0.0
    ties: Literal["average", "file"] = "average"
    hessian_scale: float = 1.0
    precision: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        count = self.truncation
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
            raise UsageError(
                f"truncation must be a whole number from 1, or none for all pairs, got {count!r}"
            )
        check_switches(
            score_normalization=self.score_normalization, lambda_normalization=self.lambda_normalization
        )
        check_choice("ties", self.ties, ("average", "file"))
        check_choice("precision", self.precision, ("float32", "float64"))
        check_at_least(0, label_gap=self.label_gap)
        check_positive(hessian_scale=self.hessian_scale)
        self.weight.check(count)
        if self.ties_as_half and self.pair_loss.name != "logistic":
            raise UsageError(
                f"ties_as_half aims the probabilities of logistic pairs at one half: {self.pair_loss.name} "
                "pairs have none"
            )

    @property
    def name(self) -> str:
        parts = self.pair_loss.name, self.weight.name
        return ("unbiased_" if self.clicks else "") + _NAMES.get(parts, " × ".join(parts))

    @property
    def hessian(self) -> Literal["exact", "surrogate"]:
        return self.pair_loss.hessian

    @property
    def formula(self) -> str:
        """The parts' in one line."""
        weight = self.weight.formula
        if self.clicks:
            weight = f"{weight or 1} {self.clicks.formula}"
        return f"sum over y_i > y_j of {weight}{' · ' if weight else ''}{self.pair_loss.formula}"

    @property
    def source(self) -> str:
        parts = [self.pair_loss.source, self.weight.source, self.clicks.source if self.clicks else ""]
        return "; ".join(filter(None, parts))

    @property
    def needs_positions(self) -> bool:
        return self.clicks is not None

    @property
    def ties_as_half(self) -> bool:
        """Do pairs of equal labels count, aiming at one half?"""
        return self.weight.rule(self.truncation).ties_as_half

    def parameters(self) -> dict[str, Any]:
        """All by name in one table, the parts' own beside the objective's."""
        flat = _fields(self)
        named = {"pair_loss": self.pair_loss.name, "weight": self.weight.name}
        for part in filter(None, [flat.pop(name) for name in _PARTS]):
            flat = _fields(part) | flat
        flat.pop("file", None)  # it is the objective's name
        return named | flat

    def with_parameters(self, parameters: Mapping[str, object]) -> Pairwise:
        """The same with these changed: the objective's own, its parts', and which the parts are.

        `pair_loss` and `weight` take a name. `metric` makes a uniform weight a `MetricWeight`, and one of
        `propensities`, `positions`, `smallest_propensity` adds `Propensities`.
        Raises UsageError for a parameter that neither the objective nor a part has.
        """
        given = dict(parameters)
        parts: dict[str, Any] = {
            "pair_loss": _chosen("pair_loss", given, self.pair_loss, PAIR_LOSSES),
            "weight": _chosen("weight", given, self.weight, PAIR_WEIGHTS),
            "clicks": self.clicks,
        }
        if "metric" in given and self.weight.name == parts["weight"].name == "uniform":
            parts["weight"] = MetricWeight()
        if self.clicks is None and given.keys() & _fields(Propensities()):
            parts["clicks"] = Propensities()
        # Each is checked as it is set.
        own: dict[str, Any] = {key: given[key] for key in given.keys() & _fields(self) if key not in parts}
        changed_parts = {name: part and _changed(part, given) for name, part in parts.items()}
        changed = dataclasses.replace(self, **changed_parts, **own)
        for key in given:
            if key not in changed.parameters():
                known = {*changed.parameters(), "metric"}
                raise unknown_name(f"parameter of objective {changed.name}:", key, known)
        return changed

    def fitted(self, dataset: RankingDataset) -> Pairwise:
        return self

    def warm_up(self) -> None:
        """Compile the pair loop, or find it compiled on disk: it is one for all that no user's file is in."""
        if self._own_loop():
            _run_once(self)
        else:
            compile_pieces(_PIECES[self.working_type()])

    def documentation(self) -> str:
        """Each part's, and what they share."""
        parts = filter(None, (self.pair_loss, self.weight, self.clicks))
        texts = [f"{name}: {inspect.getdoc(type(part))}" for name, part in zip(_PARTS, parts, strict=False)]
        return "\n\n".join([*texts, inspect.getdoc(type(self)) or ""])

    def rule(self) -> Rule:
        """The objective as the kernel's numbers."""
        everything = np.iinfo(np.int64).max
        weight = self.weight.rule(self.truncation)
        return Rule(
            formula=self.pair_loss.kernel,
            kind=weight.kind,
            shape=self.pair_loss.shape,
            truncation=everything if self.truncation is None else self.truncation,
            cutoff=everything if weight.cutoff is None else weight.cutoff,
            ranked=weight.ranked,
            near=weight.near,
            ties=TIES_AVERAGE if self.ties == "average" else TIES_FILE,
            label_gap=float(self.label_gap),
            ties_as_half=weight.ties_as_half,
            score_norm=self.score_normalization,
            lambda_norm=self.lambda_normalization,
            hessian_scale=float(self.hessian_scale),
        )

    def visit(self) -> Callable[..., float]:
        """The compiled loop over pairs."""
        # Here and not above: Numba is opened by what computes, not by what asks for names.
        if self._own_loop():
            from ranking.objectives.kernel.own import visit_with

            return visit_with(self.pair_loss.functions(), self.weight.function())
        from ranking.objectives.kernel.visit import visit_pairs

        return visit_pairs

    def lists(self, dataset: RankingDataset) -> Lists:
        """What the kernel needs of this data set: nothing here changes between rounds."""
        weights, document_weights = dataset.query_weights, dataset.document_weights
        if document_weights is not None and weights is not None:
            # Their mean is the query's weight; what is left inside the query only shares it out.
            means = np.repeat(weights, dataset.sizes)
            document_weights = np.divide(document_weights, means, out=np.ones(len(means)), where=means > 0)
        worth, inverse = self.weight.worth(dataset, self.truncation)
        longest = int(dataset.sizes.max())
        steps, stretch = self.weight.steps(longest, self.truncation)
        return Lists(
            offsets=np.asarray(dataset.offsets),
            worth=worth,
            labels=dataset.labels.astype(np.float64) if self.label_gap else np.empty(0),
            inverse=inverse,
            query_weights=np.ones(dataset.query_count) if weights is None else weights,
            document_weights=np.empty(0) if document_weights is None else document_weights,
            winner_weights=self.clicks.winner_weights(dataset) if self.clicks else np.empty(0),
            discounts=self.weight.discounts(longest, self.truncation),
            steps=steps,
            stretch=stretch,
        )

    def prepare(self, dataset: RankingDataset, threads: int = 1, first_round: int = 0) -> Gradients:
        """`scores -> (gradient, hessian)` for many rounds on one data set, over this many threads.

        The arrays it returns are of type `precision`. It may be called from several threads. `first_round` is
        what a continued run has behind it; it changes nothing here.
        """
        lists, rule, visit, nothing = self.lists(dataset), self.rule(), self.visit(), np.empty(0)

        def run(queries: Any, at: Any, orders: Any, gradient: Any, hessian: Any) -> None:
            visit(queries, lists, rule, at, orders, nothing, gradient, hessian)

        return rounds_of(run, dataset, self.truncation, threads, self.working_type())

    def working_type(self) -> Literal["float32", "float64"]:
        """The type of the pair loop in training."""
        return "float64" if self.weight.double or self._own_loop() else self.precision

    def _own_loop(self) -> bool:
        """Is there a function in it that the kernel does not have?"""
        return "own" in (self.pair_loss.name, self.weight.name)

    def gradients(self, scores: Any, dataset: RankingDataset) -> tuple[Float64, Float64]:
        """(gradient, hessian), float64 [documents], of `loss` at `scores` [documents].

        Pair weights are held constant, as LambdaRank has it. A query without a pair gets zeros.
        Raises DataError for scores of the wrong length or not finite.
        """
        gradient, hessian, _ = self._visited(scores, dataset, np.empty(0))
        return gradient, hessian

    def loss(self, scores: Any, dataset: RankingDataset, weights_at: Any = None) -> float:
        """The sum over queries of pair weight times pair loss.

        Pair weights (ranks, normalisations) are those at `weights_at`, by default at `scores`
        themselves; holding them still is what makes `gradients` the derivative of this sum.
        """
        probe = check_scores(scores, dataset)
        return self._visited(probe if weights_at is None else weights_at, dataset, probe)[2]

    def _visited(
        self, scores: Any, dataset: RankingDataset, probe: Float64
    ) -> tuple[Float64, Float64, float]:
        """(gradient, hessian, loss at `probe`) in float64, by one visit of all pairs."""
        at = check_scores(scores, dataset)
        queries, orders = np.arange(dataset.query_count), input_orders(dataset)
        gradient, hessian = np.empty(len(at)), np.empty(len(at))
        loss = self.visit()(queries, self.lists(dataset), self.rule(), at, orders, probe, gradient, hessian)
        return gradient, hessian, float(loss)


def _fields(part: Any) -> dict[str, Any]:
    return {one.name: getattr(part, one.name) for one in dataclasses.fields(part)}


def _chosen(kind: str, given: dict[str, Any], part: Any, table: Mapping[str, Any]) -> Any:
    """The part of the name that was given, taken out of `given`, or the part there is."""
    name = given.pop(kind, part.name)
    if name == part.name:
        return part
    if name not in table:
        raise unknown_name(kind, str(name), table)
    return table[name]


def _changed(part: Any, given: Mapping[str, Any]) -> Any:
    """The part with those of the given parameters that it has."""
    return dataclasses.replace(part, **{key: value for key, value in given.items() if key in _fields(part)})


def _run_once(objective: Pairwise) -> None:
    pair = RankingDataset(
        features=np.zeros((2, 1), np.float32), labels=np.array([1, 0], np.float32), offsets=np.array([0, 2]),
        query_ids=["q"],
    )  # fmt: skip
    # The loop is compiled for all, and does not ask for positions here.
    dataclasses.replace(objective, clicks=None).prepare(pair)(np.zeros(2))


_PIECES = {
    "float32": warms("objectives float32", lambda: _run_once(Pairwise(precision="float32"))),
    "float64": warms("objectives float64", lambda: _run_once(Pairwise(precision="float64"))),
}
