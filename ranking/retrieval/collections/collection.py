"""A test collection in memory: documents, queries, and what people judged of the two.

Rows count from 0. Judgments point at rows, so that nothing is looked up by id after reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ranking.data.arrays import Float64
from ranking.errors import DataError, UsageError, unknown_name
from ranking.retrieval.judgments import Judgments


@dataclass(frozen=True, eq=False)
class Documents:
    """Documents in the order of their files."""

    ids: Sequence[str]
    fields: Mapping[str, Sequence[str]]
    """texts by field, title first; "" where a document has none"""
    numbers: Mapping[str, Float64] = field(default_factory=dict)
    """float64 [documents] by name; NaN where a document has none"""

    def __len__(self) -> int:
        return len(self.ids)

    def texts(self, names: Sequence[str] | None = None) -> list[str]:
        """One text a document: these fields, or all, in order, one a line; those without words left out.

        Raises UsageError for an unknown field.
        """
        chosen = list(self.fields) if names is None else list(names)
        for name in chosen:
            if name not in self.fields:
                raise unknown_name("field", name, self.fields)
        if len(chosen) == 1:
            return list(self.fields[chosen[0]])
        columns = [self.fields[name] for name in chosen]
        return ["\n".join(filter(None, texts)) for texts in zip(*columns, strict=True)]

    def row(self, document: str) -> int:
        """The row of an id. Raises DataError where there is none of it."""
        return _row(self._rows, document, "document")

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {one: row for row, one in enumerate(self.ids)}


@dataclass(frozen=True, eq=False)
class Queries:
    """Queries in the order of their files."""

    ids: Sequence[str]
    texts: Sequence[str]

    def __len__(self) -> int:
        return len(self.ids)

    def row(self, query: str) -> int:
        """The row of an id. Raises DataError where there is none of it."""
        return _row(self._rows, query, "query")

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {one: row for row, one in enumerate(self.ids)}


@dataclass(frozen=True, eq=False)
class Collection:
    """Documents, queries, and judgments by split: train, dev, test as the files are named, or one, all."""

    name: str
    documents: Documents
    queries: Queries
    judgments: Mapping[str, Judgments]
    form: str = "memory"
    """BEIR, TREC, SMART, tables; memory for what was not read"""

    def split(self, name: str | None = None) -> Judgments:
        """The judgments of a split; without a name, of the only one.

        Raises UsageError for an unknown name, and where there are several and none is named; DataError where
        there are no judgments at all.
        """
        if not self.judgments:
            raise DataError(f"{self.name} has no judgments: only its documents and queries can be used")
        if name is None:
            if len(self.judgments) > 1:
                raise UsageError(f"{self.name} has the splits {', '.join(self.judgments)}: name one")
            return next(iter(self.judgments.values()))
        if name not in self.judgments:
            raise unknown_name("split", name, self.judgments)
        return self.judgments[name]


def _row(rows: Mapping[str, int], wanted: str, kind: str) -> int:
    try:
        return rows[wanted]
    except KeyError:
        raise DataError(f"no {kind} has the id {wanted!r}") from None
