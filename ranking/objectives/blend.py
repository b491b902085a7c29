"""Several objectives as one: a weighted sum of their gradients, each brought to the size of the first."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ranking.compiled.warming import warm_up as compile_pieces
from ranking.compiled.warming import warms
from ranking.data.dataset import RankingDataset
from ranking.errors import UsageError, unknown_name
from ranking.objectives.arguments import check_at_least, check_scores
from ranking.objectives.kernel.layout import RANKED
from ranking.objectives.members import MEMBERS
from ranking.objectives.pairwise import Pairwise
from ranking.objectives.rounds import rounds_of

if TYPE_CHECKING:
    from ranking.data.arrays import Float64
    from ranking.objectives.protocol import Gradients, Objective

_DIGITS = 6
"""Significant ones of a scale: what a manifest holds is what was trained with, on every machine."""


def _usual_parts() -> dict[str, Objective]:
    """Over the same pairs: all of RankNet's rank no better, and take twice the time in lists of 120."""
    lambdarank = MEMBERS["lambdarank"].with_parameters({"score_normalization": False})
    pairs = {"truncation": lambdarank.parameters()["truncation"]}
    return {"lambdarank": lambdarank, "ranknet": MEMBERS["ranknet"].with_parameters(pairs)}


@dataclass(frozen=True, kw_only=True)
class Blend:
    """The sum over parts k of share_k · scale_k · L_k.

    By default RankNet beside LambdaRank: the swaps that move NDCG count most, and those that do not count a
    little, which keeps the lower ranks in order while the upper ones are learned.

    parts    objectives by name
    shares   what each counts, in gradients of the first one's size
    scales   a number each; None takes them from the training lists, once, before the first round:

                 scale_k = mean |dL_1/ds| / mean |dL_k/ds|    at equal scores, over all documents

             and 1 where one of the two has no gradient there

    Two sums over logistic pairs, one weighed by ranks and the other by nothing, are taken in one walk.
    """

    name: ClassVar[str] = "blend"

    parts: Mapping[str, Objective] = field(default_factory=_usual_parts)
    shares: Sequence[float] = ()
    scales: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if len(self.parts) < 2:
            raise UsageError(f"a blend has two parts or more, got {', '.join(self.parts) or 'none'}")
        if len({part.labels for part in self.parts.values()}) > 1:
            raise UsageError(
                f"{', '.join(self.parts)}: some learn from grades, and some from a teacher's scores; "
                "blend those of one kind"
            )
        object.__setattr__(self, "shares", self._a_part("shares", self.shares or (1.0,) * len(self.parts)))
        if not any(self.shares):
            raise UsageError("shares are all 0: nothing would be learned")
        if self.scales is not None:
            object.__setattr__(self, "scales", self._a_part("scales", self.scales))

    def _a_part(self, name: str, given: Any) -> tuple[float, ...]:
        """Numbers from 0, one for each part."""
        numbers = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else (given,)
        if len(numbers) != len(self.parts):
            raise UsageError(
                f"{name} has {len(numbers)} numbers for the {len(self.parts)} parts {', '.join(self.parts)}"
            )
        for number in numbers:
            check_at_least(0, **{name: number})
        return tuple(map(float, numbers))

    @property
    def family(self) -> str:
        families = {part.family for part in self.parts.values()}
        return families.pop() if len(families) == 1 else "mixed"

    @property
    def hessian(self) -> Literal["exact", "surrogate"]:
        exact = all(part.hessian == "exact" for part in self.parts.values())
        return "exact" if exact else "surrogate"

    @property
    def formula(self) -> str:
        scales = ["", *["c"] * (len(self.parts) - 1)]
        if self.scales is not None:
            scales = [f"{scale:g}" if scale != 1 else "" for scale in self.scales]
        terms = []
        for share, scale, part in zip(self.shares, scales, self.parts.values(), strict=True):
            terms.append(
                " · ".join([f"{share:g}"] * (share != 1) + [scale] * (scale != "") + [f"({part.formula})"])
            )
        told = "" if self.scales else ", c: its mean |gradient| is that of the first"
        return " + ".join(terms) + told

    @property
    def source(self) -> str:
        sources = "; ".join(part.source for part in self.parts.values() if part.source)
        return "; ".join(dict.fromkeys(sources.split("; ")))

    @property
    def shift_invariant(self) -> bool:
        return all(part.shift_invariant for part in self.parts.values())

    @property
    def stochastic(self) -> bool:
        return any(part.stochastic for part in self.parts.values())

    @property
    def needs_positions(self) -> bool:
        return any(part.needs_positions for part in self.parts.values())

    @property
    def labels(self) -> Literal["graded", "real"]:
        return next(iter(self.parts.values())).labels

    def parameters(self) -> dict[str, Any]:
        """Its own, and each part's in a table of its name."""
        own = {
            "parts": list(self.parts),
            "shares": list(self.shares),
            "scales": None if self.scales is None else list(self.scales),
        }
        return own | {name: part.parameters() for name, part in self.parts.items()}

    def with_parameters(self, parameters: Mapping[str, object]) -> Blend:
        """The same with these changed.

        `parts` takes names, of which those that were there keep their parameters. `lambdarank.truncation`, or
        the table `lambdarank`, is of that part; `truncation` of every part that has such a parameter.
        Raises UsageError for an unknown part, and a parameter that no part has.
        """
        given = dict(parameters)
        parts, shares, scales = dict(self.parts), tuple(self.shares), self.scales
        if "parts" in given:
            parts = {name: self.parts.get(name) or _part(name) for name in _names(given.pop("parts"))}
            if list(parts) != list(self.parts):
                shares, scales = (), None
        own: dict[str, Any] = {"shares": given.pop("shares", shares), "scales": given.pop("scales", scales)}
        for name, changes in dealt(given, parts, ("parts", "shares", "scales")).items():
            parts[name] = parts[name].with_parameters(changes)
        return dataclasses.replace(self, parts=parts, **own)

    def fitted(self, dataset: RankingDataset) -> Blend:
        """The same with the scales that these training lists give, to six digits."""
        if self.scales is not None:
            return self
        parts = {name: part.fitted(dataset) for name, part in self.parts.items()}
        equal = np.zeros(dataset.document_count)
        sizes = [float(np.abs(part.gradients(equal, dataset)[0]).sum()) for part in parts.values()]
        return dataclasses.replace(self, parts=parts, scales=scales_of(sizes))

    def prepare(self, dataset: RankingDataset, threads: int = 1, first_round: int = 0) -> Gradients:
        """`scores -> (gradient, hessian)` for many rounds on one data set, over this many threads.

        It may be called from several threads, unless a part draws.
        """
        fitted = self.fitted(dataset)
        walk = fitted.one_walk(dataset)
        if walk is not None:
            return walk.prepare(dataset, threads)
        factors = fitted.factors()
        members = [part.prepare(dataset, threads, first_round) for part in fitted.parts.values()]

        def gradients(scores: Any) -> tuple[Any, Any]:
            found = [member(scores) for member in members]
            return _sum(factors, [g for g, _ in found]), _sum(factors, [h for _, h in found])

        return gradients

    def gradients(self, scores: Any, dataset: RankingDataset) -> tuple[Float64, Float64]:
        """(gradient, hessian), float64 [documents], of `loss` at `scores`."""
        fitted = self.fitted(dataset)
        found = [part.gradients(scores, dataset) for part in fitted.parts.values()]
        return _sum(fitted.factors(), [g for g, _ in found]), _sum(fitted.factors(), [h for _, h in found])

    def loss(self, scores: Any, dataset: RankingDataset, weights_at: Any = None) -> float:
        """The sum over parts; pair weights are those at `weights_at`, by default at `scores` themselves."""
        probe, fitted = check_scores(scores, dataset), self.fitted(dataset)
        values = [part.loss(probe, dataset, weights_at) for part in fitted.parts.values()]
        return float(np.dot(fitted.factors(), values))

    def factors(self) -> tuple[float, ...]:
        """share · scale of each part, which must be fitted."""
        assert self.scales is not None
        return tuple(share * scale for share, scale in zip(self.shares, self.scales, strict=True))

    def one_walk(self, dataset: RankingDataset) -> _OneWalk | None:
        """How both parts are taken in one walk over the pairs of these lists, or None where they are not."""
        if len(self.parts) != 2:
            return None
        for (ranked, plain), factors in (
            (tuple(self.parts.values()), self.factors()),
            (tuple(self.parts.values())[::-1], self.factors()[::-1]),
        ):
            if isinstance(ranked, Pairwise) and isinstance(plain, Pairwise) and _walk_together(ranked, plain):
                walk = _OneWalk(ranked, plain.truncation is None, factors)
                return walk if walk.orders_as_labels(dataset) else None
        return None

    def warm_up(self) -> None:
        for part in self.parts.values():
            part.warm_up()
        compile_pieces(_PIECES[next(iter(_precisions(self)), "float32")])

    def documentation(self) -> str:
        parts = [f"{name}: {part.formula}" for name, part in self.parts.items()]
        return "\n".join([inspect.getdoc(type(self)) or "", "", *parts])


@dataclass(frozen=True)
class _OneWalk:
    """A blend of two sums over logistic pairs, by `ranking.objectives.kernel.both`."""

    ranked: Pairwise
    every: bool
    """are the plain pairs all there are? Else they are those that reach the truncation of the others"""
    factors: tuple[float, ...]
    """of the ranked and the plain pairs"""

    def orders_as_labels(self, dataset: RankingDataset) -> bool:
        """Is a higher label always worth more? Tables of gains may say otherwise; and no list is left out."""
        worth, inverse = self.ranked.weight.worth(dataset, self.ranked.truncation)
        labels, where = np.unique(dataset.labels, return_index=True)
        rising = bool((np.diff(worth[where].astype(self.ranked.working_type())) > 0).all())
        spread = np.maximum.reduceat(dataset.labels, dataset.offsets[:-1]) > np.minimum.reduceat(
            dataset.labels, dataset.offsets[:-1]
        )
        return rising and len(labels) > 1 and not (spread & (inverse == 0)).any()

    def prepare(self, dataset: RankingDataset, threads: int) -> Gradients:
        from ranking.objectives.kernel.both import visit_both

        lists, rule, factors = self.ranked.lists(dataset), self.ranked.rule(), np.array(self.factors)

        def run(queries: Any, at: Any, orders: Any, gradient: Any, hessian: Any) -> None:
            visit_both(queries, lists, rule, self.every, factors, at, orders, gradient, hessian)

        reach = None if self.every else self.ranked.truncation
        return rounds_of(run, dataset, reach, threads, self.ranked.working_type())


def _walk_together(ranked: Pairwise, plain: Pairwise) -> bool:
    """Are these the same pairs with the same losses, weighed by ranks and not at all?"""
    shared = ("sigma", "ties", "hessian_scale", "precision", "label_gap")
    one, other = ranked.parameters(), plain.parameters()
    return (
        ranked.pair_loss.name == plain.pair_loss.name == "logistic"
        and ranked.rule().kind == RANKED
        and plain.weight.name == "uniform"
        and not (plain.ties_as_half or plain.lambda_normalization)
        and not (ranked.score_normalization or plain.score_normalization or ranked.label_gap)
        and not (ranked.clicks or plain.clicks)
        and plain.truncation in (None, ranked.truncation)
        and all(one[name] == other[name] for name in shared)
    )


def dealt(
    parameters: Mapping[str, object], parts: Mapping[str, Objective], known: Sequence[str] = ()
) -> dict[str, dict[str, object]]:
    """Which of these parameters go to which of the objectives, by the parts' names.

    `lambdarank.truncation`, and the table `lambdarank`, to that one; `truncation` to every one that has such
    a parameter. Raises UsageError, in which `known` names stand too, for one that none has.
    """
    found: dict[str, dict[str, object]] = {name: {} for name in parts}
    current = dict(parts)
    for key, value in parameters.items():
        changes = _changes(key, value, current)
        if not changes:
            names = {*known, *(name for one in current.values() for name in one.parameters())}
            raise unknown_name(f"parameter of objective {'blend' if known else ','.join(parts)}:", key, names)
        for name, change in changes.items():
            current[name] = current[name].with_parameters(change)
            found[name] |= change
    return found


def _changes(key: str, value: object, parts: Mapping[str, Objective]) -> dict[str, dict[str, object]]:
    """Of which objectives, by name, a parameter is what."""
    for name in parts:
        if key == name and isinstance(value, Mapping):
            return {name: dict(value)}
        if key.startswith(f"{name}."):
            return {name: {key.removeprefix(f"{name}."): value}}
    return {name: {key: value} for name, one in parts.items() if key in one.parameters()}


def scales_of(sizes: Sequence[float]) -> tuple[float, ...]:
    """What brings each of these sizes of a gradient to that of the first; 1 where one of the two is 0."""
    ratios = [sizes[0] / size if size and sizes[0] else 1.0 for size in sizes]
    return tuple(float(f"{ratio:.{_DIGITS}g}") for ratio in ratios)


def _part(name: str) -> Objective:
    if name not in MEMBERS:
        raise unknown_name("part of a blend:", name, MEMBERS)
    return MEMBERS[name]


def _names(given: Any) -> list[str]:
    names = [name.strip() for name in given.split(",")] if isinstance(given, str) else list(given)
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise UsageError(f"each part of a blend stands once, got {repeated[0]} {len(repeated)} times")
    return names


def _sum(factors: Sequence[float], arrays: Sequence[Any]) -> Any:
    """In the type of the least exact of them."""
    total = arrays[0] * arrays[0].dtype.type(factors[0])
    for factor, array in zip(factors[1:], arrays[1:], strict=True):
        total = total + array * array.dtype.type(factor)
    return total.astype(min((array.dtype for array in arrays), key=lambda one: one.itemsize), copy=False)


def _precisions(blend: Blend) -> list[Literal["float32", "float64"]]:
    return [part.working_type() for part in blend.parts.values() if isinstance(part, Pairwise)]


def _run_once(precision: Literal["float32", "float64"]) -> None:
    pair = RankingDataset(
        features=np.zeros((2, 1), np.float32), labels=np.array([1, 0], np.float32), offsets=np.array([0, 2]),
        query_ids=["q"],
    )  # fmt: skip
    Blend().with_parameters({"precision": precision}).prepare(pair)(np.zeros(2))


_PIECES = {
    "float32": warms("blend float32", lambda: _run_once("float32")),
    "float64": warms("blend float64", lambda: _run_once("float64")),
}
