"""From a request to its answer: choose the model, read, rank, and tell those who watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from service.answers.answer import Answer
from service.answers.batch import Lookup
from service.answers.candidates import Doubt
from service.answers.experiments import Interleaving, Split
from service.answers.requests import JsonBody, Posted, Request
from service.answers.reranking import drafted, rank
from service.answers.stopwatch import Stopwatch
from service.errors import ApiError, invalid, new_request_id
from service.models.table import Model, Models
from service.settings import Settings
from service.wire.decoding import decode_batch
from service.wire.messages import BatchItem, BatchReply

Observer = Callable[[Answer], None]
"""Told of every answer, on the thread that made it: to be quick, and never to raise."""


@dataclass(frozen=True)
class Answering:
    """What answers rank requests; `lookup` finds features by id where there is a store."""

    models: Models
    settings: Settings
    lookup: Lookup | None = None
    observers: Sequence[Observer] = ()
    split: Split | None = None
    interleaving: Interleaving | None = None

    def answer(self, posted: Posted, watch: Stopwatch, unit: str | None = None) -> Answer:
        """The answer to a request; `unit` is who an experiment is split by, or else the request.

        Raises ApiError for whatever is wrong with the request, under its own request id.
        """
        answer = self._quick(posted, watch, unit) or self._answer(posted.whole(), watch, unit)
        for observe in self.observers:
            observe(answer)
        return answer

    def batch(self, body: bytes, watch: Stopwatch, unit: str | None = None) -> BatchReply:
        """Each request of a batch answered or refused by itself. Raises ApiError 422 for too many of them."""
        items = []
        for request in decode_batch(body, self.settings.max_batch):
            try:
                answer = self.answer(JsonBody(request, self.settings.max_candidates), watch, unit)
                items.append(BatchItem(200, reply=answer.reply()))
            except ApiError as error:
                items.append(BatchItem(error.status, error=error.content()))
        return BatchReply(items)

    def _quick(self, posted: Posted, watch: Stopwatch, unit: str | None) -> Answer | None:
        request = posted.quick()
        if request is None:
            return None
        try:
            return self._answer(request, watch, unit)
        except Doubt:
            return None

    def _answer(self, request: Request, watch: Stopwatch, unit: str | None) -> Answer:
        asked, candidates = request.asked, request.candidates
        request_id = asked.request_id or new_request_id()
        with _labelled(request_id):
            who = unit or request_id
            if self.interleaving is not None and self._concerns(self.interleaving.name, asked.model):
                return self._interleaved(self.interleaving, request, watch, request_id, who)
            reference = asked.model
            if self.split is not None and self._concerns(self.split.name, reference):
                reference = self.split.choose(who)
            model = self._find(reference, request)
            batch = candidates.read(model, self.lookup)
            watch.read()
            ranked = rank(asked, batch, model, self.settings.max_explained)
            watch.ranked()
            return Answer(request, request_id, who, model, model.version, batch, ranked, watch.timing())

    def _find(self, reference: str | None, request: Request) -> Model:
        try:
            return self.models.find(reference)
        except ApiError as error:
            # What is wrong with the candidates is said first, and nobody has looked at them.
            raise error if request.candidates.certain else Doubt from error

    def _concerns(self, name: str, reference: str | None) -> bool:
        """A request for the bare name, or for the default where that is the name."""
        return reference == name or (reference is None and self.models.default == name)

    def _interleaved(
        self, interleaving: Interleaving, request: Request, watch: Stopwatch, request_id: str, who: str
    ) -> Answer:
        if request.asked.explain:
            if not request.candidates.certain:
                raise Doubt
            raise invalid(
                "no_explanation", "an interleaved list has no contributions: name a version", path="explain"
            )
        models = [self._find(reference, request) for reference in interleaving.references]
        batches = [request.candidates.read(model, self.lookup) for model in models]
        watch.read()
        ranked = drafted(request.asked, batches, models, interleaving, who)
        watch.ranked()
        version = "+".join(model.version for model in models)
        return Answer(request, request_id, who, models[0], version, batches[0], ranked, watch.timing())


@contextmanager
def _labelled(request_id: str) -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        error.request_id = request_id
        raise
