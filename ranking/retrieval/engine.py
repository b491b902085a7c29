"""An engine of search as a folder: both arms, what fuses them, and the documents, opened and asked.

engine/  manifest.json     what it was made from, what was chosen and why, the hash of every file
         documents/        what a hit is shown with, one JSON object a line
         lexical/          BM25
         vectors/          the documents' vectors, after their tower
         encoder/  towers/ what turns a query into a vector
         golden.json       queries with the scores that both arms gave when it was built
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ranking.data.arrays import Float32
from ranking.errors import ArtifactError, UsageError
from ranking.retrieval import index, lexical, towers
from ranking.retrieval.candidates import Candidates
from ranking.retrieval.documents import StoredDocuments, open_documents
from ranking.retrieval.encoders import Encoder, load_encoder
from ranking.retrieval.fusion import Fusion, pooled
from ranking.retrieval.stored import read_index, write_index

KIND = "search"
GOLDEN = "golden.json"
POOL = 100
"""Candidates of each arm."""

_LEXICAL_DIGITS, _DENSE_DIGITS = 1e-4, 1e-2
"""How far golden scores may be off: sums of float32, and of bfloat16 on another processor."""


@dataclass(frozen=True, eq=False)
class SearchEngine:
    """Texts in, documents out."""

    documents: StoredDocuments
    lexical: lexical.LexicalIndex
    dense: index.ExactIndex
    encoder: Encoder
    towers: towers.Towers
    fusion: Fusion
    facts: Mapping[str, Any]

    def vectors(self, texts: Sequence[str]) -> Float32:
        """Queries as the dense arm takes them, float32 [queries, width]."""
        return self.towers.queries(self.encoder.encode(texts))

    def search(self, texts: Sequence[str], depth: int = 10) -> Candidates:
        """The best documents of each query, best first, equal ones by row.

        A method that needs one arm asks that one alone: no query is encoded for BM25.
        """
        if self.fusion.method == "lexical":
            return self.lexical.search(texts, depth)
        vectors = self.vectors(texts)
        if self.fusion.method == "dense":
            return self.dense.search(vectors, depth)
        pool = pooled(self.lexical, self.dense, texts, vectors, max(depth, POOL))
        return self.fusion.best(pool, depth)

    def hits(self, text: str, top: int = 10) -> list[dict[str, Any]]:
        """`{"rank", "id", "score", "document"}` of one query's best, best first.

        Raises UsageError for a query without any text.
        """
        if not text.strip():
            raise UsageError("an empty query finds nothing: give it some words")
        found = self.search([text], top)
        rows, scores = found.rows[0].tolist(), found.scores[0].tolist()
        return [
            {"rank": rank, "id": document["_id"], "score": score, "document": document}
            for rank, (row, score) in enumerate(zip(rows, scores, strict=True), 1)
            if row >= 0
            for document in [self.documents[row]]
        ]


def query_digest(text: str) -> str:
    """What an engine remembers of a query that it learned from."""
    return hashlib.blake2b(text.strip().lower().encode(), digest_size=8).hexdigest()


def save_engine(folder: Path, engine: SearchEngine, golden: Sequence[str], extra: Mapping[str, Any]) -> None:
    """Write an engine, whole or not at all; `extra` are further JSON files by name."""

    def fill(fresh: Path) -> None:
        (fresh / "encoder").mkdir()
        engine.documents.save(fresh / "documents")
        engine.lexical.save(fresh / "lexical")
        engine.dense.save(fresh / "vectors")
        engine.encoder.save(fresh / "encoder")
        engine.towers.save(fresh / "towers")
        for name, value in {**extra, GOLDEN: _golden(engine, golden)}.items():
            (fresh / name).write_text(json.dumps(value, indent=1, allow_nan=False) + "\n")

    write_index(folder, KIND, {**engine.facts, "fusion": engine.fusion.as_json()}, fill)


def open_engine(folder: Path) -> SearchEngine:
    """The engine that `save_engine` wrote, checked by its hashes and its golden queries.

    Raises ArtifactError where it is not whole, not as it was written, or scores its golden queries otherwise;
    MissingExtraError where its encoder needs a package that is not there.
    """
    facts = read_index(folder, KIND)
    encoder, applied = load_encoder(folder / "encoder"), towers.load(folder / "towers")
    if applied.encoder != encoder.fingerprint:
        raise ArtifactError(f"{folder}: its towers are of another encoder than the one beside them")
    engine = SearchEngine(
        open_documents(folder / "documents"),
        lexical.load(folder / "lexical"),
        index.load(folder / "vectors", applied.document_fingerprint),
        encoder,
        applied,
        Fusion(**facts["fusion"]),
        facts,
    )
    _check_golden(folder, engine, json.loads((folder / GOLDEN).read_text()))
    return engine


def _golden(engine: SearchEngine, texts: Sequence[str]) -> list[dict[str, Any]]:
    found = engine.search(texts, 5)
    entries = []
    for text, vector, rows in zip(texts, engine.vectors(texts), found.rows, strict=True):
        rows = rows[rows >= 0]
        entries.append(
            {
                "query": text,
                "rows": rows.tolist(),
                "lexical": engine.lexical.scores(text, rows).tolist(),
                "dense": engine.dense.scores(vector, rows).tolist(),
            }
        )
    return entries


def _check_golden(folder: Path, engine: SearchEngine, golden: Sequence[Mapping[str, Any]]) -> None:
    vectors = engine.vectors([entry["query"] for entry in golden])
    for entry, vector in zip(golden, vectors, strict=True):
        rows = np.array(entry["rows"], np.int64)
        got = {
            "lexical": (engine.lexical.scores(entry["query"], rows), _LEXICAL_DIGITS),
            "dense": (engine.dense.scores(vector, rows), _DENSE_DIGITS),
        }
        for arm, (scores, digits) in got.items():
            if not np.allclose(scores, entry[arm], rtol=digits, atol=digits):
                raise ArtifactError(
                    f"{folder}: the {arm} arm scores the golden query {entry['query']!r} otherwise than when "
                    "it was built: other versions of its libraries? Build it again"
                )
