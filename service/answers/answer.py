"""An answer: what was ranked and how, for those who watch, and as the client gets it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from service.answers.batch import Batch
from service.answers.requests import Request
from service.answers.reranking import Ranked
from service.models.table import Model
from service.wire.dialects import Foreign
from service.wire.messages import RankReply, Result, Timing
from service.wire.results import results_json

_FEW = 16
"""So many results are as fast as objects."""
_HOLE = b'"results":[]'


@dataclass(frozen=True)
class Answer:
    """`unit` is who an experiment was split by, `version` whose answer it is: both's in a mixed list."""

    request: Request
    request_id: str
    unit: str
    model: Model
    version: str
    batch: Batch
    ranked: Ranked
    timing: Timing

    def foreign(self) -> tuple[RankReply, Foreign]:
        """The reply, and how another dialect wants it said."""
        assert self.request.foreign is not None, "a request of another dialect"
        return self.reply(), self.request.foreign

    def reply(self) -> RankReply:
        return self._reply(self._results())

    def encoded(self) -> bytes:
        """The reply as JSON."""
        ranked = self.ranked
        if len(ranked.shown) <= _FEW or ranked.contributions is not None or ranked.teams is not None:
            return msgspec.json.encode(self.reply())
        head, hole, tail = msgspec.json.encode(self._reply([])).rpartition(_HOLE)
        results = results_json(self.batch.ids, ranked.shown, ranked.answered)
        return b"".join((head, hole[:-2], results, tail))

    def _reply(self, results: list[Result]) -> RankReply:
        return RankReply(
            self.request_id, self.model.name, self.version, results, self.batch.warnings, self.timing
        )

    def _results(self) -> list[Result]:
        ranked, ids = self.ranked, self.batch.ids.names
        shown, scores = ranked.shown.tolist(), ranked.answered.tolist()
        results = [
            Result(ids[index], index, place, score)
            for place, (index, score) in enumerate(zip(shown, scores, strict=True), 1)
        ]
        if ranked.contributions is not None:
            for result, contributions in zip(results, ranked.contributions, strict=True):
                result.contributions = contributions
        if ranked.teams is not None:
            for result, team in zip(results, ranked.teams, strict=True):
                result.team = team
        return results
