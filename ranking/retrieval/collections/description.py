"""What is in a collection, before anything is searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ranking.data.arrays import Int64
from ranking.retrieval.collections.collection import Collection
from ranking.retrieval.judgments import Judgments, Unknown

_LISTED = 5


@dataclass(frozen=True)
class FieldDescription:
    """A field of texts."""

    filled: float
    """share of documents with a word in it"""
    words: float
    """mean over those"""


@dataclass(frozen=True)
class NumberDescription:
    """A column of numbers."""

    filled: float
    """share of documents that have it"""
    least: float
    most: float


@dataclass(frozen=True)
class SplitDescription:
    """The judgments of a split; a document is relevant above grade 0."""

    queries: int
    """with a judgment"""
    judgments: int
    grades: Mapping[str, int]
    """judgments by grade"""
    judged_per_query: Mapping[str, float]
    queries_without_relevant: int
    """of those with a judgment"""
    sharing_queries: float
    """Of the queries with a relevant document, the share with one that is relevant for another query too, of
    whatever split: what is learned from the one query tells about the other."""
    unknown_documents: int
    """judgments left out, of documents that are not there"""
    unknown_queries: int
    first_unknown_documents: Sequence[Unknown]
    """(query id, document id, FILE:LINE)"""
    first_unknown_queries: Sequence[Unknown]


@dataclass(frozen=True)
class CollectionDescription:
    """Counts and shares of a collection."""

    name: str
    form: str
    documents: int
    fields: Mapping[str, FieldDescription]
    numbers: Mapping[str, NumberDescription]
    queries: int
    words_per_query: float
    splits: Mapping[str, SplitDescription]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def as_text(self) -> str:
        lines = [
            f"{self.name}  ({self.form})",
            f"documents  {self.documents}",
            *(
                f"  {name:<16} {one.filled:7.1%} of documents  {one.words:9.1f} words"
                for name, one in self.fields.items()
            ),
            *(
                f"  {name:<16} {one.filled:7.1%} of documents  from {one.least:g} to {one.most:g}"
                for name, one in self.numbers.items()
            ),
            f"queries    {self.queries}" + (f"  {self.words_per_query:.1f} words" if self.queries else ""),
        ]
        for name, split in self.splits.items():
            lines += ["", f"judgments  {name}", *_split_lines(split)]
        if not self.splits:
            lines.append("judgments  none")
        return "\n".join(lines)


def describe_collection(collection: Collection) -> CollectionDescription:
    """Count; a word is what stands between white space."""
    documents = collection.documents
    pairs = {name: _relevant_pairs(one, len(documents)) for name, one in collection.judgments.items()}
    asked = _queries_by_document(pairs, len(documents))
    query_words = [len(text.split()) for text in collection.queries.texts]
    return CollectionDescription(
        name=collection.name,
        form=collection.form,
        documents=len(documents),
        fields={name: _field(texts) for name, texts in documents.fields.items()},
        numbers={
            name: NumberDescription(
                float((~np.isnan(values)).mean()),
                float(np.fmin.reduce(values)),
                float(np.fmax.reduce(values)),
            )
            for name, values in documents.numbers.items()
        },
        queries=len(query_words),
        words_per_query=float(np.mean(query_words)) if query_words else 0.0,
        splits={
            name: _split(one, _sharing(pairs[name], asked, len(documents)))
            for name, one in collection.judgments.items()
        },
    )


def _field(texts: Sequence[str]) -> FieldDescription:
    words = np.array([len(text.split()) for text in texts])
    filled = words[words > 0]
    return FieldDescription(filled.size / len(texts), float(filled.mean()) if filled.size else 0.0)


def _split(judgments: Judgments, sharing: float) -> SplitDescription:
    _, sizes = np.unique(judgments.queries, return_counts=True)
    grades, counts = np.unique(judgments.grades, return_counts=True)
    return SplitDescription(
        queries=sizes.size,
        judgments=len(judgments),
        grades={f"{grade:g}": int(count) for grade, count in zip(grades, counts, strict=True)},
        judged_per_query={
            "least": float(sizes.min()) if sizes.size else 0.0,
            "median": float(np.median(sizes)) if sizes.size else 0.0,
            "mean": float(sizes.mean()) if sizes.size else 0.0,
            "most": float(sizes.max(initial=0)),
        },
        queries_without_relevant=sizes.size - np.unique(judgments.queries[judgments.grades > 0]).size,
        sharing_queries=sharing,
        unknown_documents=len(judgments.unknown_documents),
        unknown_queries=len(judgments.unknown_queries),
        first_unknown_documents=judgments.unknown_documents[:_LISTED],
        first_unknown_queries=judgments.unknown_queries[:_LISTED],
    )


def _relevant_pairs(judgments: Judgments, count: int) -> Int64:
    """query x documents + document of each relevant pair."""
    relevant = judgments.grades > 0
    return judgments.queries[relevant] * count + judgments.documents[relevant]


def _queries_by_document(pairs: Mapping[str, Int64], count: int) -> Int64:
    """For how many queries each document is relevant, in any split."""
    every = np.unique(np.concatenate([np.empty(0, np.int64), *pairs.values()]))
    return np.bincount(every % count, minlength=count)


def _sharing(pairs: Int64, asked: Int64, count: int) -> float:
    queries, shared = pairs // count, asked[pairs % count] > 1
    with_relevant = np.unique(queries).size
    return np.unique(queries[shared]).size / with_relevant if with_relevant else 0.0


def _split_lines(split: SplitDescription) -> list[str]:
    judged = ", ".join(f"{name} {value:g}" for name, value in split.judged_per_query.items())
    lines = [
        f"  {split.judgments} of {split.queries} queries",
        f"  judged documents a query  {judged}",
        *(
            f"  grade {grade:<6} {count:>9}  {count / split.judgments:7.2%}"
            for grade, count in split.grades.items()
        ),
        f"  queries without a relevant document  {split.queries_without_relevant}",
        f"  queries that share a relevant document with another  {split.sharing_queries:.1%}",
    ]
    for kind, count, first in (
        ("documents", split.unknown_documents, split.first_unknown_documents),
        ("queries", split.unknown_queries, split.first_unknown_queries),
    ):
        if count:
            lines.append(f"  left out, of unknown {kind}  {count}")
            lines += [f"    {place}  query {query}, document {one}" for query, one, place in first]
            lines += ["    ..."] if count > len(first) else []
    return lines
