"""BM25 over the fields of a collection: the lexical arm of the search.

    score(q, d) = BM25(q, all fields of d as one text) + sum over fields f of weight_f · BM25(q, f of d)

    BM25(q, d)  = sum over the terms t of q, as often as they stand there, of
                  ln(1 + (N − n_t + ½) / (n_t + ½)) · tf / (tf + k1 (1 − b + b · length / mean length))

Fields count as one text first because a score of each field alone, with its own idf and lengths, loses what a
match across fields is worth: SciFact's title and text as one make .697 of nDCG@10, added as two at most .695,
added evenly .674. A title that counts once more, at a quarter, adds .003 to .005.

source  Robertson et al. 1994 (Okapi at TREC-3); Lucene's form of it (Kamphuis et al. 2020); kept by bm25s,
        scores computed at indexing (Lù 2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ranking.data.arrays import Float32, Int64
from ranking.errors import DataError, UsageError, unknown_name
from ranking.retrieval.candidates import Candidates
from ranking.retrieval.stored import read_index, unsound, write_index
from ranking.retrieval.terms import terms

KIND = "bm25"

TOGETHER = ""
"""The name of all fields as one text."""


@dataclass(frozen=True)
class BM25:
    """Settings of BM25.

    k1        how slowly a term's repetitions saturate, > 0
    b         how much the length of a document counts, 0 … 1
    weights   by field: what its own BM25 adds to that of all fields together, > 0; fields not named add none
    language  of Snowball's stemmers and of the stop words

    The defaults are near the best on SciFact, NFCorpus and Vaswani alike; Lucene's .9/.4 and 1.2/.75 lie
    within .01 of them.
    Raises UsageError for numbers outside these bounds.
    """

    k1: float = 1.2
    b: float = 0.5
    weights: Mapping[str, float] = field(default_factory=dict)
    language: str = "english"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.k1) and self.k1 > 0):
            raise UsageError(f"k1 of BM25 must be a number above 0, such as 1.2, got {self.k1}")
        if not 0 <= self.b <= 1:
            raise UsageError(f"b of BM25 must lie in 0 … 1, got {self.b}")
        for name, weight in self.weights.items():
            if not (math.isfinite(weight) and weight > 0):
                raise UsageError(
                    f"the weight of field {name!r} must be above 0, got {weight}: leave it out for 0"
                )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Postings:
    """The score of every term in every document that has it, for one text a document, as bm25s keeps them."""

    kept: Any

    @classmethod
    def of(cls, tokens: Tokens, settings: BM25) -> Postings:
        import bm25s

        kept = bm25s.BM25(k1=settings.k1, b=settings.b, method="lucene")
        kept.index((tokens.documents, tokens.numbers), create_empty_token=False, show_progress=False)
        return cls(kept)

    def save(self, folder: Path) -> None:
        self.kept.save(folder, show_progress=False)

    @classmethod
    def load(cls, folder: Path) -> Postings:
        import bm25s

        kept = bm25s.BM25.load(folder, mmap=True)
        # Plain views: a memmap's own indexing costs ten times as much.
        kept.scores |= {name: np.asarray(kept.scores[name]) for name in ("data", "indices", "indptr")}
        return cls(kept)

    def with_term(self, term: str) -> tuple[Any, Float32]:
        """(rows, scores) of the documents that have the term; rows rise."""
        number = self.kept.vocab_dict.get(term)
        start, stop = (0, 0) if number is None else self.kept.scores["indptr"][number : number + 2]
        return self.kept.scores["indices"][start:stop], self.kept.scores["data"][start:stop]


@dataclass(frozen=True, eq=False)
class Tokens:
    """Texts as numbers of terms: what `Postings` of any k1 and b are made of.

    documents  for each text the numbers of its terms
    numbers    by term, from 0, in the order in which they first appear
    """

    documents: list[list[int]]
    numbers: dict[str, int]

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]]) -> Tokens:
        numbers: dict[str, int] = {}
        return cls([[numbers.setdefault(term, len(numbers)) for term in text] for text in texts], numbers)


def tokenised(fields: Mapping[str, Sequence[str]], language: str) -> dict[str, Tokens]:
    """Each field's tokens by its name, and under `TOGETHER` those of all fields as one text.

    Raises DataError for no documents, fields of different lengths, or no term in any document.
    """
    sizes = {name: len(texts) for name, texts in fields.items()}
    if len(set(sizes.values())) != 1 or not all(sizes.values()):
        raise DataError(
            f"every field needs a text for every document, and one document at least, got {sizes}"
        )
    found = {name: [terms(text, language) for text in texts] for name, texts in fields.items()}
    together = [
        [term for text in document for term in text] for document in zip(*found.values(), strict=True)
    ]
    if not any(together):
        raise DataError(
            f"none of the {len(together)} documents has a term to find it by: all texts are empty"
        )
    whole = Tokens.of(together)
    if len(found) == 1:
        return dict.fromkeys([*found, TOGETHER], whole)
    return {**{name: Tokens.of(texts) for name, texts in found.items()}, TOGETHER: whole}


@dataclass(frozen=True, eq=False)
class LexicalIndex:
    """BM25 of a collection: an `Arm` whose queries are texts.

    count  documents
    parts  (weight, postings): all fields together, then each field that has a weight
    """

    settings: BM25
    count: int
    parts: Sequence[tuple[np.float32, Postings]]

    def __len__(self) -> int:
        return self.count

    def search(self, texts: Sequence[str], depth: int) -> Candidates:
        """The best documents of each query; documents without any of its terms are left out."""
        found = Candidates.empty(len(texts), depth)
        for query, text in enumerate(texts):
            total = np.zeros(self.count, np.float32)
            for rows, scores in self._postings(text):
                total[rows] += scores
            matching = np.flatnonzero(total)
            found.put(query, matching, total[matching])
        return found

    def scores(self, text: str, rows: Int64) -> Float32:
        """BM25 of these documents, float32 [rows], the numbers `search` gives; 0 without a common term."""
        total = np.zeros(len(rows), np.float32)
        for having, scores in self._postings(text):
            if len(having):
                at = np.minimum(np.searchsorted(having, rows), len(having) - 1)
                total += np.where(having[at] == rows, scores[at], np.float32(0))
        return total

    def _postings(self, text: str) -> Iterator[tuple[Any, Float32]]:
        """(rows, weighted scores) of each term of a query, in one order, so that sums come out alike."""
        asked = terms(text, self.settings.language)
        for weight, postings in self.parts:
            for term in asked:
                rows, scores = postings.with_term(term)
                yield rows, weight * scores

    def save(self, folder: Path) -> None:
        """A folder that `load` maps into memory; texts are not kept."""

        def fill(fresh: Path) -> None:
            for number, (_, postings) in enumerate(self.parts):
                postings.save(fresh / str(number))

        write_index(folder, KIND, {"settings": self.settings.as_json(), "documents": self.count}, fill)


def build(fields: Mapping[str, Sequence[str]], settings: BM25 | None = None) -> LexicalIndex:
    """BM25 of documents whose texts are given by field, one of each for every document.

    Raises DataError for fields of different lengths, no documents or none with a term; UsageError for a
    weight of a field that is not there or an unknown language.
    """
    settings = settings or BM25()
    return indexed(tokenised(fields, settings.language), settings)


def indexed(
    tokens: Mapping[str, Tokens],
    settings: BM25,
    postings: Callable[[str, BM25], Postings] | None = None,
) -> LexicalIndex:
    """The same from what `tokenised` gave for the language of these settings.

    `postings` may keep what it made of a field (by name) for these k1 and b.
    """
    made = postings or (lambda name, settings: Postings.of(tokens[name], settings))
    parts = [(np.float32(weight), made(name, settings)) for name, weight in _shares(tokens, settings)]
    return LexicalIndex(settings, len(tokens[TOGETHER].documents), parts)


def _shares(tokens: Mapping[str, Tokens], settings: BM25) -> list[tuple[str, float]]:
    """(name, weight) of what is indexed."""
    for name in settings.weights:
        if name not in tokens:
            raise unknown_name("field", name, set(tokens) - {TOGETHER})
        if not tokens[name].numbers:
            raise DataError(f"field {name!r} has a weight and no term in any document: leave its weight out")
    return [(TOGETHER, 1.0), *settings.weights.items()]


def load(folder: Path) -> LexicalIndex:
    """The index that `save` wrote, memory-mapped.

    Raises ArtifactError where a file is missing, damaged or of another kind.
    """
    manifest = read_index(folder, KIND)
    try:
        settings = BM25(**manifest["settings"])
        weights = [1.0, *settings.weights.values()]
        parts = [
            (np.float32(weight), Postings.load(folder / str(number))) for number, weight in enumerate(weights)
        ]
        return LexicalIndex(settings, int(manifest["documents"]), parts)
    except (KeyError, TypeError, ValueError, OSError, UsageError) as error:
        raise unsound(folder, error) from error
