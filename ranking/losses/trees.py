"""Any torch loss of lists as an objective for trees: `torch:NAME`.

The gradient is autograd's. The hessian is a surrogate, since the diagonal of a listwise loss' second
derivative costs a backward pass a document and is often negative:

    h_i = the largest |g_j| of the list

It is positive wherever the list learns; it has the gradient's scale, so that a rate means the same step for
every loss and weight; and no document's step −g / h is longer than 1, the direction within a list being the
gradient's. (On MQ2008 it gave better trees than |g_i|, the list's mean or root mean square of g, and mixtures
of them.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ranking.losses import loss_named
from ranking.objectives.arguments import check_at_least, check_positive, check_scores

if TYPE_CHECKING:
    from ranking.data.arrays import Float64
    from ranking.data.dataset import RankingDataset
    from ranking.losses.facts import Loss
    from ranking.objectives.protocol import Gradients

PREFIX = "torch"

_PAIRS = 1 << 21
"""Pairs of places in a batch at most: what a loss makes of [lists, n, n] stays in tens of megabytes."""


@dataclass(frozen=True, kw_only=True)
class TorchObjective:
    """The torch loss of a name, for LightGBM and XGBoost: autograd's gradient and a stated surrogate hessian.

    loss_name      a name of `ranking.losses.LOSSES`, `gumbel:NAME`, or a file of one's own
    changes        its parameters where they are not the usual ones
    hessian_scale  multiplies the hessian
    noise_seed     draws depend on it and the round alone, so that a resumed run draws the same

    gradient   of the sum over lists, in float32 in training (`prepare`), float64 in `gradients`
    hessian    surrogate: the largest |g| of the list, for each of its documents
    """

    hessian: ClassVar[Literal["exact", "surrogate"]] = "surrogate"
    needs_positions: ClassVar[bool] = False
    longest_examined: ClassVar[int] = 1_000
    """Documents of the longest list a doctor tries: many losses are of n² numbers."""

    loss_name: str
    changes: Mapping[str, object] = field(default_factory=dict)
    hessian_scale: float = 1.0
    noise_seed: int = 1

    def __post_init__(self) -> None:
        check_positive(hessian_scale=self.hessian_scale)
        check_at_least(0, noise_seed=self.noise_seed)
        assert self.torch_loss  # so that a wrong name or parameter is said here

    @cached_property
    def torch_loss(self) -> Loss:
        """The loss, called with `(scores, labels, where, weights)`."""
        return loss_named(self.loss_name, self.changes)

    @property
    def name(self) -> str:
        return f"{PREFIX}:{self.loss_name}"

    @property
    def family(self) -> str:
        return self.torch_loss.family

    @property
    def formula(self) -> str:
        return self.torch_loss.formula

    @property
    def source(self) -> str:
        return self.torch_loss.source

    @property
    def shift_invariant(self) -> bool:
        return self.torch_loss.shift_invariant

    @property
    def stochastic(self) -> bool:
        return self.torch_loss.stochastic

    @property
    def labels(self) -> Literal["graded", "real"]:
        return self.torch_loss.labels

    def parameters(self) -> dict[str, Any]:
        """The loss's beside its own."""
        return {**self.torch_loss.parameters(), **self._own()}

    def with_parameters(self, parameters: Mapping[str, object]) -> TorchObjective:
        own: dict[str, Any] = {key: value for key, value in parameters.items() if key in self._own()}
        others = {key: value for key, value in parameters.items() if key not in own}
        return dataclasses.replace(self, changes={**self.changes, **others}, **own)

    def fitted(self, dataset: RankingDataset) -> TorchObjective:
        return self

    def warm_up(self) -> None:
        """Nothing of it is compiled."""

    def documentation(self) -> str:
        return f"{self.torch_loss.documentation()}\n\nFor trees: {self.__doc__}"

    def prepare(self, dataset: RankingDataset, threads: int = 1, first_round: int = 0) -> Gradients:
        """`scores -> (gradient, hessian)`, float32 [documents], for many rounds on one data set.

        Lists are taken together in batches of like lengths, over this many threads; draws are made one batch
        after the other.
        """
        batches = list(_batches(dataset, self.labels, torch.float32))
        rounds = count(first_round)
        # Its threads run one batch each: what a batch gives does not depend on how many there are.
        pool = ThreadPoolExecutor(1 if self.stochastic else threads, "torch", torch.set_num_threads, (1,))

        def gradients(scores: Any) -> tuple[Any, Any]:
            at, number = check_scores(scores, dataset), next(rounds)
            run = _Run(self, at, number, np.empty(len(at), np.float32), np.empty(len(at), np.float32))
            list(pool.map(run.fill, batches, range(len(batches))))
            return run.gradient, run.hessian

        return gradients

    def gradients(self, scores: Any, dataset: RankingDataset) -> tuple[Float64, Float64]:
        """(gradient, hessian), float64 [documents], of `loss` at `scores`, with the draws of round 0."""
        at = check_scores(scores, dataset)
        run = _Run(self, at, 0, np.empty(len(at)), np.empty(len(at)))
        for number, batch in enumerate(_batches(dataset, self.labels, torch.float64)):
            run.fill(batch, number)
        return run.gradient, run.hessian

    def loss(self, scores: Any, dataset: RankingDataset, weights_at: Any = None) -> float:
        """The sum over lists, with the draws of round 0; `weights_at` is not needed: nothing is held."""
        at, total = check_scores(scores, dataset), 0.0
        for number, batch in enumerate(_batches(dataset, self.labels, torch.float64)):
            total += float(self.value(batch.padded(at), batch, 0, number))
        return total

    def value(self, scores: Tensor, batch: _Batch, round_number: int, number: int) -> Tensor:
        """The sum over the lists of a batch, its draws by seed, round and batch."""
        if not self.stochastic:
            return self.torch_loss(scores, batch.labels, batch.where, batch.weights)
        with torch.random.fork_rng(devices=[]):
            seeds = np.random.SeedSequence([self.noise_seed, round_number, number])
            torch.manual_seed(int(seeds.generate_state(1)[0]))
            return self.torch_loss(scores, batch.labels, batch.where, batch.weights)

    def _own(self) -> dict[str, Any]:
        return {"hessian_scale": self.hessian_scale, "noise_seed": self.noise_seed}


class _Batch(NamedTuple):
    """Lists of like lengths, padded: tensors [lists, longest] but for `weights` [lists]."""

    rows: Any
    """of the data set, 0 at padding"""
    labels: Tensor
    where: Tensor
    weights: Tensor | None

    def padded(self, scores: Float64) -> Tensor:
        return torch.from_numpy(scores[self.rows]).to(self.labels.dtype)


class _Run(NamedTuple):
    """One round: fills gradient and hessian, a batch a call."""

    objective: TorchObjective
    scores: Any
    number: int
    gradient: Any
    hessian: Any

    def fill(self, batch: _Batch, number: int) -> None:
        scores = batch.padded(self.scores).requires_grad_()
        value = self.objective.value(scores, batch, self.number, number)
        (found,) = torch.autograd.grad(value, scores)
        largest = torch.where(batch.where, found.abs(), 0.0).amax(-1, keepdim=True)
        bend = (largest * self.objective.hessian_scale).expand_as(found)
        where = batch.where.numpy()
        rows = batch.rows[where]
        self.gradient[rows], self.hessian[rows] = found.numpy()[where], bend.numpy()[where]


def _batches(dataset: RankingDataset, labels: str, dtype: torch.dtype) -> Any:
    """Batches of the data set's lists, the shortest first."""
    order, weights = np.argsort(dataset.sizes, kind="stable"), dataset.query_weights
    learned = dataset.lessons if labels == "real" else dataset.labels
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (end + 1 - start) * int(dataset.sizes[order[end]]) ** 2 <= _PAIRS:
            end += 1
        queries = order[start:end]
        sizes = dataset.sizes[queries]
        where = np.arange(sizes.max()) < sizes[:, None]
        rows = np.where(where, dataset.offsets[queries][:, None] + np.arange(sizes.max()), 0)
        yield _Batch(
            rows=rows,
            labels=torch.from_numpy(np.where(where, learned[rows], 0)).to(dtype),
            where=torch.from_numpy(where),
            weights=None if weights is None else torch.from_numpy(np.array(weights[queries])).to(dtype),
        )
        start = end
