"""From the bytes of a request to its answer: read, choose the model, rank, and tell those who watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ranking.data.arrays import Float32
from ranking.models.folder import float32_of_npy
from service.answers.candidates import Batch, Lookup, array_to_batch, to_batch
from service.answers.experiments import Interleaving, Split
from service.answers.reranking import Ranked, drafted, rank
from service.echo import cut
from service.errors import ApiError, invalid, new_request_id
from service.models.table import Model, Models
from service.settings import Settings
from service.wire.decoding import decode_batch, decode_request
from service.wire.messages import Asked, BatchItem, BatchReply, RankReply, RawRankRequest


@dataclass(frozen=True)
class Answer:
    """A reply, and what it was made from: for metrics, logs and shadows."""

    asked: Asked
    batch: Batch
    model: Model
    ranked: Ranked
    unit: str


Observer = Callable[[Answer], None]
"""Told of every answer, on the thread that made it: to be quick, and never to raise."""

Read = Callable[[Model], Batch]


@dataclass(frozen=True)
class Answering:
    """What answers rank requests; `lookup` finds features by id where there is a store."""

    models: Models
    settings: Settings
    lookup: Lookup | None = None
    observers: Sequence[Observer] = ()
    split: Split | None = None
    interleaving: Interleaving | None = field(default=None)

    def rank_json(self, body: bytes, started: float, unit: str | None = None) -> RankReply:
        """The reply to a `RankRequest`; `unit` is who an experiment is split by, or else the request.

        Raises ApiError for whatever is wrong with the request, under its own request id.
        """
        return self.rank_raw(decode_request(body, self.settings.max_candidates), started, unit)

    def rank_raw(
        self, asked: RawRankRequest, started: float, unit: str | None = None, *, distinct: bool = True
    ) -> RankReply:
        """The reply to a request with its numbers as text; `distinct` refuses an id that comes twice."""

        def read(model: Model) -> Batch:
            return to_batch(asked, model, self.settings.max_candidates, self.lookup, distinct=distinct)

        return self._answer(asked, read, started, unit)

    def rank_array(
        self, asked: Asked, ids: list[str] | None, body: bytes, started: float, unit: str | None
    ) -> RankReply:
        """The reply to an npy body: float32 [candidates, features] in the model's order, NaN for missing."""

        def read(model: Model) -> Batch:
            return array_to_batch(ids, _array(body), model, self.settings.max_candidates)

        return self._answer(asked, read, started, unit)

    def rank_batch(self, body: bytes, started: float, unit: str | None = None) -> BatchReply:
        """Each request of a batch answered or refused by itself. Raises ApiError 422 for too many of them."""
        items = []
        for request in decode_batch(body, self.settings.max_batch):
            try:
                items.append(BatchItem(200, reply=self.rank_json(request, started, unit)))
            except ApiError as error:
                items.append(BatchItem(error.status, error=error.content()))
        return BatchReply(items)

    def _answer(self, asked: Asked, read: Read, started: float, unit: str | None) -> RankReply:
        asked.request_id = asked.request_id or new_request_id()
        with _labelled(asked):
            who = unit or asked.request_id
            if self.interleaving is not None and self._concerns(self.interleaving.name, asked.model):
                return self._interleaved(self.interleaving, asked, read, started, who)
            reference = asked.model
            if self.split is not None and self._concerns(self.split.name, reference):
                reference = self.split.choose(who)
            model = self.models.find(reference)
            batch = read(model)
            ranked = rank(asked, batch, model, self.settings, started)
            return self._told(Answer(asked, batch, model, ranked, who))

    def _concerns(self, name: str, reference: str | None) -> bool:
        """A request for the bare name, or for the default where that is the name."""
        return reference == name or (reference is None and self.models.default == name)

    def _interleaved(
        self, interleaving: Interleaving, asked: Asked, read: Read, started: float, who: str
    ) -> RankReply:
        if asked.explain:
            raise invalid(
                "no_explanation", "an interleaved list has no contributions: name a version", path="explain"
            )
        models = [self.models.find(reference) for reference in interleaving.references]
        batches = [read(model) for model in models]
        ranked = drafted(asked, batches, models, interleaving, who, started)
        return self._told(Answer(asked, batches[0], models[0], ranked, who))

    def _told(self, answer: Answer) -> RankReply:
        for observe in self.observers:
            observe(answer)
        return answer.ranked.reply


def _array(body: bytes) -> Float32:
    try:
        return float32_of_npy(body)
    except ValueError as error:
        raise invalid(
            "wrong_array",
            f"the body is no npy file of a float32 array in C order: {cut(str(error), 300)}; "
            "numpy.save writes one",
        ) from None
    except Exception as error:
        # The header of an npy file is a Python literal, and fails in many ways.
        raise invalid("wrong_array", "the body is no npy file: its header cannot be read") from error


@contextmanager
def _labelled(asked: Asked) -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        error.request_id = asked.request_id
        raise
