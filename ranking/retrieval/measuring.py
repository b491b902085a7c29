"""What a search is worth: its results as judged lists, measured as everything else here is.

A list holds what was found, best first, down to the depth of the search, filled up with documents that nobody
judged where less was found, and, below that, what is relevant and was not found. So ideals are over all that
is judged, and nothing within the depth is gained by what was not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ranking.data.arrays import Float32
from ranking.data.dataset import RankingDataset
from ranking.errors import DataError
from ranking.metrics import Metric
from ranking.metrics.evaluation import Evaluation, evaluate_scores
from ranking.retrieval.candidates import Candidates
from ranking.retrieval.collections import Collection
from ranking.retrieval.engine import SearchEngine, query_digest
from ranking.retrieval.judgments import Judgments

DEPTH = 100
"""Documents of a list at least."""
WHOLE = 1000
"""Documents of a list where a metric has no cut-off."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What an engine found for the judged queries of a collection, and what that is worth.

    found       candidates of each judged query
    query_ids   of the same queries; ids are those of the engine's documents
    elsewhere   judgments that name a document that the engine has not
    learned     queries that the engine was made from
    """

    evaluation: Evaluation
    lists: RankingDataset
    found: Candidates
    query_ids: Sequence[str]
    ids: Sequence[str]
    elsewhere: int
    learned: int

    @property
    def warnings(self) -> list[str]:
        """What to tell a reader of these numbers."""
        told = []
        if self.learned:
            told.append(
                f"{self.learned} of {len(self.query_ids)} queries are those that this engine was made from: "
                "measured on them it is flattered"
            )
        if self.elsewhere:
            told.append(
                f"{self.elsewhere} judgments name documents that the engine has not: they count as not found"
            )
        return told

    def run(self, name: str) -> Iterator[str]:
        """The lines of a TREC run: `QUERY Q0 DOCUMENT RANK SCORE RUN`, best first."""
        for query, rows, scores in zip(
            self.query_ids, self.found.rows.tolist(), self.found.scores.tolist(), strict=True
        ):
            for rank, (row, score) in enumerate(zip(rows, scores, strict=True), 1):
                if row >= 0:
                    yield f"{query} Q0 {self.ids[row]} {rank} {score!r} {name}"


def measured(
    engine: SearchEngine, collection: Collection, judged: Judgments, metrics: Sequence[Metric], seed: int = 0
) -> Measured:
    """The engine on the queries of these judgments, which are by the collection's rows.

    Raises DataError where no query is judged.
    """
    rows, numbers = np.unique(judged.queries, return_inverse=True)
    if not len(rows):
        raise DataError(f"{collection.name}: no query of these is judged: there is nothing to measure")
    texts = [collection.queries.texts[row] for row in rows]
    query_ids = [collection.queries.ids[row] for row in rows]
    ids = engine.documents.ids()
    there, elsewhere = _rows_of(ids, judged.documents, collection.documents.ids)
    judgments = Judgments(numbers, there, judged.grades)
    found = engine.search(texts, _depth(metrics))
    lists, places = judged_lists(found, judgments, query_ids)
    learned = set(engine.facts["learned_queries"])
    return Measured(
        evaluate_scores(places, lists, list(metrics), seed), lists, found, query_ids, ids, elsewhere,
        sum(query_digest(text) in learned for text in texts),
    )  # fmt: skip


def judged_lists(
    found: Candidates, judgments: Judgments, query_ids: Sequence[str]
) -> tuple[RankingDataset, Float32]:
    """(a list of each query, a score for each place of it, float32), as the head of this module says.

    found, query_ids  of every query, by the rows that the judgments have
    """
    depth = found.rows.shape[1]
    by_query = judgments.by_query()
    labels: list[float] = []
    places: list[int] = []
    lengths: list[int] = []
    for query, rows in enumerate(found.rows.tolist()):
        documents, grades = by_query[query]
        grade = dict(zip(documents.tolist(), grades.tolist(), strict=True))
        listed = [row for row in rows if row >= 0]
        missed = [row for row in grade if grade[row] > 0 and row not in set(listed)]
        labels += [grade.get(row, 0.0) for row in listed] + [0.0] * (depth - len(listed))
        labels += [grade[row] for row in missed]
        places += [*range(depth, 0, -1), *([0] * len(missed))]
        lengths.append(depth + len(missed))
    lists = RankingDataset(
        features=np.zeros((len(labels), 1), np.float32),
        labels=np.array(labels, np.float32),
        offsets=np.cumsum([0, *lengths], dtype=np.int64),
        query_ids=list(query_ids),
    )
    return lists, np.array(places, np.float32)


def _depth(metrics: Sequence[Metric]) -> int:
    cutoffs = [metric.k for metric in metrics]
    return WHOLE if None in cutoffs else max([DEPTH, *(cutoff for cutoff in cutoffs if cutoff)])


def _rows_of(ids: Sequence[str], judged: Any, documents: Sequence[str]) -> tuple[Any, int]:
    """(the engine's row of each judged document, how many it has not).

    A document that the engine lacks gets a row that it never finds.
    """
    rows: dict[str, int] = {one: row for row, one in enumerate(ids)}
    there = np.array([rows.setdefault(documents[row], len(rows)) for row in judged.tolist()], np.int64)
    return there, int((there >= len(ids)).sum())
