"""Epochs, and which of them was the best."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from ranking.data.arrays import Float32, Int64
from ranking.errors import DataError
from ranking.losses import MomentumEncoder, NegativeQueue, TrainingAudit, mutual_information_bound
from ranking.losses.embedding import gradient_norm
from ranking.retrieval.fitting.losses import Step, StepLoss
from ranking.retrieval.fitting.negatives import Known, Mined, mine
from ranking.retrieval.fitting.settings import Settings
from ranking.retrieval.fitting.splits import How, leak_free
from ranking.retrieval.fitting.towers import TrainedTowers, tensor
from ranking.retrieval.judgments import Judgments
from ranking.retrieval.towers import Towers

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Epoch:
    """One epoch; 0 is the encoder itself, whose loss is not known.

    ndcg    @10 on held-out queries; None where none are held out
    masked  share of all pairs (query, key of another) that were left out as false negatives
    mined   share of the mining's window that its margin left out
    short   share of the queries with too few mined negatives
    """

    epoch: int
    loss: float | None
    ndcg: float | None
    masked: float = 0.0
    mined: float = 0.0
    short: float = 0.0

    def __str__(self) -> str:
        parts = [f"epoch {self.epoch}"]
        parts += [] if self.loss is None else [f"loss {self.loss:.4f}"]
        parts += [] if self.ndcg is None else [f"held-out nDCG@10 {self.ndcg:.4f}"]
        return ", ".join(parts)


@dataclass(frozen=True, eq=False)
class Fitted:
    """Trained towers, and how that went.

    towers  trained on all queries for `best` epochs; the identity where that is 0
    epochs  of the run that held queries out, from 0
    audit   of the final run, an entry an epoch
    how     held-out queries were split: "grouped" or "crossed", by document
    """

    towers: Towers
    epochs: list[Epoch]
    best: int
    audit: TrainingAudit
    how: How
    settings: Settings

    @property
    def masked(self) -> float:
        """Share of pairs left out as false negatives, the mean over epochs."""
        found = [one.masked for one in self.epochs[1:]]
        return float(np.mean(found)) if found else 0.0

    @property
    def information(self) -> str:
        """May the loss be read as a bound of mutual information?"""
        if _is_bound(self.settings):
            return "log(N + 1) - loss bounds it from below where no pair of a batch was masked"
        return "no bound: it needs plain InfoNCE with independent negatives, none mined and no queue"

    def as_json(self) -> dict[str, Any]:
        return {
            "settings": self.settings.as_json(),
            "epochs": [asdict(one) for one in self.epochs],
            "best": self.best,
            "masked": self.masked,
            "split": self.how,
            "information": self.information,
            "audit": self.audit.as_json(),
            "fingerprint": self.towers.fingerprint,
        }


def fit(
    query_vectors: Float32,
    document_vectors: Float32,
    judgments: Judgments,
    settings: Settings,
    *,
    encoder: str,
    progress: Progress | None = None,
) -> Fitted:
    """Towers trained on the vectors of an encoder, [queries, width] and [documents, width], of length 1.

    First on all but one of `settings.held_out` folds of the queries, which share no judged document with it,
    to find how many epochs are the best (0 among them); then on all queries for so many.

    encoder   the fingerprint of the encoder
    progress  is given a line after each epoch

    The same seed gives the same towers on a CPU. Raises DataError for shapes that do not fit and for fewer
    queries with a relevant document than folds.
    """
    _check(query_vectors, document_vectors, judgments)
    told = progress or (lambda line: None)
    how, splits = leak_free(
        judgments, len(query_vectors), len(document_vectors), settings.held_out, settings.seed
    )
    split = splits[0]
    base = Towers(encoder)

    def held_out(towers: Towers) -> float:
        return float(np.nanmean(split.ndcg(query_vectors, document_vectors, towers)))

    epochs = [Epoch(0, None, held_out(base))]
    told(str(epochs[0]))
    run = _Run(query_vectors, *split.seen(document_vectors), settings)
    for epoch in run.epochs(settings.epochs, TrainingAudit()):
        epochs.append(Epoch(**{**asdict(epoch), "ndcg": held_out(run.towers.frozen(encoder))}))
        told(str(epochs[-1]))
    # The first of equal ones: fewer epochs are nearer to the encoder.
    best = max(epochs, key=lambda one: one.ndcg or 0.0).epoch
    audit = TrainingAudit()
    if not best:
        return Fitted(base, epochs, 0, audit, how, settings)
    final = _Run(query_vectors, document_vectors, judgments, settings)
    for epoch in final.epochs(best, audit):
        told(f"all queries: {epoch}")
    return Fitted(final.towers.frozen(encoder), epochs, best, audit, how, settings)


def _check(queries: Float32, documents: Float32, judgments: Judgments) -> None:
    shapes = [queries.shape, documents.shape]
    if any(len(shape) != 2 or shape[1] != documents.shape[-1] for shape in shapes):
        raise DataError(f"queries and documents must be vectors of one width, got shapes {shapes}")
    for name, rows, count in (
        ("query", judgments.queries, len(queries)),
        ("document", judgments.documents, len(documents)),
    ):
        if len(rows) and not 0 <= rows.min() <= rows.max() < count:
            raise DataError(f"{name} {rows.max()} (from 0) is named, and there are {count}")


def _is_bound(settings: Settings) -> bool:
    plain = settings.loss == "info_nce" and not settings.symmetric
    return plain and not settings.negatives and not settings.queue


class _Run:
    """Towers in training on these judgments."""

    def __init__(
        self,
        queries: Float32,
        documents: Float32,
        judgments: Judgments,
        settings: Settings,
    ) -> None:
        judgments = judgments.relevant
        self.settings = settings
        self.known = Known.of(judgments, len(queries))
        self.device = settings.device
        if self.device == "auto":
            self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.queries, self.documents = tensor(queries, self.device), tensor(documents, self.device)
        self.towers = TrainedTowers(documents.shape[1], settings).to(self.device)
        self.loss = StepLoss(settings).to(self.device)
        self.rng = np.random.default_rng(settings.seed)
        parameters = {id(one): one for one in [*self.towers.parameters(), *self.loss.parameters()]}
        self.parameters = [one for one in parameters.values() if one.requires_grad]
        self.optimizer = torch.optim.Adam(self.parameters, lr=settings.learning_rate)
        self.queue = NegativeQueue(settings.queue, documents.shape[1]) if settings.queue else None
        self.slow = MomentumEncoder(self.towers.document, settings.momentum)
        if self.queue is not None:
            self.queue.to(self.device)

    def epochs(self, count: int, audit: TrainingAudit) -> Iterator[Epoch]:
        for number in range(1, count + 1):
            yield self._epoch(number, audit)

    def _epoch(self, number: int, audit: TrainingAudit) -> Epoch:
        query, document, grade = self.known.drawn(self.settings.positives, self.rng)
        mined = self._mined(np.unique(query))
        losses, masked = [], []
        for batch in self._batches(query):
            step, share = self._step(query[batch], document[batch], grade[batch], mined.rows)
            loss = self._learn(step)
            losses.append(float(loss.detach()))
            masked.append(share)
        bound = None
        if _is_bound(self.settings) and not masked[-1] and len(step.queries) > 1:
            bound = mutual_information_bound(losses[-1], len(step.queries) - 1)
        audit.record(
            number, losses[-1], embeddings=step.queries.detach(), partners=step.documents.detach(),
            gradient_norm=gradient_norm(self.parameters), masked=masked[-1], bound=bound,
        )  # fmt: skip
        return Epoch(number, float(np.mean(losses)), None, float(np.mean(masked)), mined.masked, mined.short)

    @torch.no_grad()
    def _mined(self, asked: Int64) -> Mined:
        """Rows for every query, those of `asked` filled in."""
        rows = np.full((len(self.queries), self.settings.negatives), -1, np.int64)
        if not self.settings.negatives:
            return Mined(rows, 0.0, 0.0)
        queries = self.towers.query(self.queries[asked]).cpu().numpy()
        documents = self.towers.document(self.documents).cpu().numpy()
        found = mine(queries, documents, self.known.only(asked), self.settings, self.rng)
        rows[asked] = found.rows
        return Mined(rows, found.masked, found.short)

    def _batches(self, query: Int64) -> Iterator[Int64]:
        """Places of pairs: in any order, or, for lists, all those of a query together."""
        if not self.settings.listwise:
            order = self.rng.permutation(len(query))
            cuts = np.arange(self.settings.batch, len(query), self.settings.batch)
        else:
            _, number = np.unique(query, return_inverse=True)
            turn = self.rng.permutation(number.max() + 1)[number]
            order = np.argsort(turn, kind="stable")
            cuts = np.flatnonzero(np.diff(turn[order] // self.settings.batch)) + 1
        parts = np.split(order, cuts)
        # A last batch of one pair has nothing to compare with.
        yield from (part for part in parts if len(part) > 1 or len(parts) == 1)

    def _step(self, query: Int64, document: Int64, grade: Float32, mined: Int64) -> tuple[Step, float]:
        """The batch as vectors, and which share of its pairs is left out."""
        rows = mined[query]
        hard = np.unique(rows[rows >= 0])
        queued = np.zeros(0, np.int64) if self.queue is None else self.queue.ids.cpu().numpy()
        ids = np.concatenate([document, hard, queued])
        ignored = self.known.among(query, ids)
        ignored[np.arange(len(query)), np.arange(len(query))] = False
        towers = self.towers
        every = towers.document(self.documents[np.concatenate([document, hard])])
        keys = every[: len(document)]
        shared = every[len(document) :]
        at = np.searchsorted(hard, np.maximum(rows, 0)).clip(max=max(len(hard) - 1, 0))
        own = shared[tensor(at, self.device)] if len(hard) else keys.new_zeros(*rows.shape, keys.shape[1])
        if self.queue is not None:
            shared = torch.cat([shared, self.queue.keys])
        step = Step(
            queries=towers.query(self.queries[query]),
            documents=keys,
            grades=tensor(grade, self.device),
            query_ids=tensor(query, self.device),
            document_ids=tensor(document, self.device),
            mined=own,
            mined_where=tensor(rows >= 0, self.device),
            shared=shared,
            shared_ids=tensor(ids[len(document) :], self.device),
            ignored=tensor(ignored, self.device),
        )
        out = ignored | (document[:, None] == ids[None, :])
        out[np.arange(len(query)), np.arange(len(query))] = False
        return step, float(out.sum() / max(out.size - len(query), 1))

    def _learn(self, step: Step) -> torch.Tensor:
        loss: torch.Tensor = self.loss(step)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.towers.pull(self.settings.weight_pull)
        if self.queue is not None:
            self.slow.update()
            self.queue.push(self.slow(self.documents[step.document_ids]), step.document_ids)
        return loss
