"""From a collection to an engine: BM25 tuned, texts encoded, towers trained, arms fused, where each pays.

Whatever is chosen is chosen on the judged queries of one split, cross-fitted, and says why. Without judgments
nothing is tuned or trained, and the arms are fused by the weight that such encoders had elsewhere.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ranking.data.arrays import Float32, Int64
from ranking.errors import DataError, MissingExtraError, UsageError, unknown_name
from ranking.retrieval import lexical
from ranking.retrieval.choosing import choose
from ranking.retrieval.collections import Collection, Documents
from ranking.retrieval.documents import stored
from ranking.retrieval.encoders import Encoder, embed, encoder_named
from ranking.retrieval.engine import POOL, SearchEngine, query_digest
from ranking.retrieval.folds import random_folds
from ranking.retrieval.fusion import Fusion, Pool, pooled
from ranking.retrieval.index import PRECISIONS, ExactIndex, Precision
from ranking.retrieval.judgments import Judgments
from ranking.retrieval.lexical_tuning import tuned
from ranking.retrieval.towers import Towers

if TYPE_CHECKING:
    from ranking.retrieval.fitting import Decision, Held, Settings

BEST_FIRST = ("minilm", "static", "hashed")
"""What `auto` tries."""

UNJUDGED = {"hashed": 0.1, "wordllama": 0.6}
"""The dense arm's weight where no judgment says it: what SciFact, NFCorpus and Vaswani choose, about."""
OTHERS = 0.75
"""That of encoders not named: MiniLM's, .65 to .85 there."""

_LINK = re.compile(r"https?://\S+")

_ENOUGH = 10
"""Judged queries with a relevant document, below which nothing is chosen by them."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class BuildSettings:
    """What decides an engine.

    split      the judgments to learn from: by default train, or the only one
    train      are towers to be trained?
    precision  of the vectors on disk
    folds      of the cross-fitting
    fitting    how towers are trained, None for the usual way

    Raises UsageError for an unknown precision and fewer than two folds.
    """

    split: str | None = None
    train: bool = True
    precision: Precision = "float32"
    folds: int = 5
    seed: int = 0
    fitting: Settings | None = None

    def __post_init__(self) -> None:
        # Before minutes of encoding, not after.
        if self.precision not in PRECISIONS:
            raise unknown_name("precision", self.precision, PRECISIONS)
        if self.folds < 2:
            raise UsageError(f"cross-fitting needs two folds at least, got {self.folds}")


@dataclass
class Report:
    """What was chosen and why, and how long each part took."""

    lines: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, part: str) -> Any:
        started = time.perf_counter()
        yield
        self.seconds[part] = round(time.perf_counter() - started, 3)

    def tell(self, part: str, line: str, facts: Any = None) -> None:
        self.lines.append(f"{part}: {line}")
        self.facts[part] = {"reason": line} if facts is None else facts

    def as_json(self) -> dict[str, Any]:
        return {**self.facts, "lines": self.lines, "seconds": self.seconds}


def best_encoder(name: str, documents: Sequence[str]) -> Encoder:
    """The encoder of a name, or, for `auto`, the best whose packages are there; fitted where it can be.

    Raises what `encoder_named` does.
    """
    if name == "auto":
        for one in BEST_FIRST:
            try:
                return best_encoder(one, documents)
            except MissingExtraError:
                continue
    encoder = encoder_named(name)
    fitted = getattr(encoder, "fitted", None)
    return encoder if fitted is None else fitted(documents)


def build(
    collection: Collection,
    encoder: str | Encoder = "auto",
    settings: BuildSettings | None = None,
    cache: Path | None = None,
    say: Say = lambda message: None,
) -> tuple[SearchEngine, Report]:
    """The engine of a collection, and what there is to tell of it.

    encoder  one, or a name, the folder of one, or auto
    cache    folder of embeddings kept by content

    Raises UsageError for an unknown split, encoder or setting, DataError where there is nothing to index.
    """
    settings = settings or BuildSettings()
    report = Report()
    documents, asked = collection.documents, _asked(collection, settings.split)
    names = searchable(documents)
    with report.timed("encoder"):
        texts = documents.texts(names)
        made = best_encoder(encoder, texts) if isinstance(encoder, str) else encoder
    report.tell("encoder", f"{made.name}, {made.width} numbers a text")
    with report.timed("bm25"):
        words = _lexical({name: documents.fields[name] for name in names}, asked, report)
    with report.timed("embeddings"):
        vectors = embed(made, texts, cache, _saying(say, "documents"))
        queries = embed(made, asked.texts, cache, _saying(say, "queries"))
    with report.timed("training"):
        decision = _trained(queries, vectors, asked.judgments, made.fingerprint, settings, report, say)
    towers = Towers(made.fingerprint) if decision is None else decision.towers
    dense = ExactIndex.of(towers.documents(vectors), towers.document_fingerprint, settings.precision)
    with report.timed("fusion"):
        fusion = _fused(words, dense, made, asked, queries, vectors, decision, settings, report)
    engine = SearchEngine(
        stored(documents), words, dense, made, towers, fusion, _facts(collection, made, asked, words)
    )
    return engine, report


def searchable(documents: Documents) -> list[str]:
    """The fields with words to search: those of links are for reading alone."""
    return [
        name
        for name, texts in documents.fields.items()
        if not all(_LINK.fullmatch(text.strip()) for text in texts if text.strip())
    ]


@dataclass(frozen=True)
class Asked:
    """The judged queries to learn from, numbered anew from 0."""

    split: str | None
    texts: list[str]
    judgments: Judgments

    @property
    def enough(self) -> bool:
        return len(np.unique(self.judgments.relevant.queries)) >= _ENOUGH


def _asked(collection: Collection, split: str | None) -> Asked:
    if not collection.judgments:
        if split is not None:
            raise UsageError(f"{collection.name} has no judgments, and so no split {split!r}")
        nothing = np.zeros(0, np.int64)
        return Asked(None, [], Judgments(nothing, nothing, np.zeros(0, np.float32)))
    name = split or ("train" if "train" in collection.judgments else None)
    found = collection.split(name)
    rows, numbers = np.unique(found.queries, return_inverse=True)
    texts = [collection.queries.texts[row] for row in rows.tolist()]
    chosen = name or next(iter(collection.judgments))
    return Asked(chosen, texts, Judgments(numbers, found.documents, found.grades))


def _lexical(fields: Any, asked: Asked, report: Report) -> lexical.LexicalIndex:
    if not asked.enough:
        report.tell("bm25", "the usual settings: too few judged queries to tune by")
        return lexical.build(fields)
    found = tuned(fields, asked.texts, asked.judgments)
    best = max(value for settings, value in found.tried if settings == found.settings)
    report.tell("bm25", f"{found.settings.as_json()}, nDCG@10 {best:.4f} on {asked.split}", found.as_json())
    return lexical.build(fields, found.settings)


def _trained(
    queries: Float32,
    vectors: Float32,
    judgments: Judgments,
    encoder: str,
    settings: BuildSettings,
    report: Report,
    say: Say,
) -> Decision | None:
    """None where the base is to stay."""
    why = _untrained(settings, judgments)
    if why is not None:
        report.tell("training", f"the base stays: {why}")
        return None
    from ranking.retrieval.fitting import Settings, guarded

    say("training towers on the embeddings …")
    decision = guarded(
        queries, vectors, judgments, settings.fitting or Settings(seed=settings.seed), encoder=encoder,
        folds=settings.folds, seed=settings.seed, progress=say,
    )  # fmt: skip
    report.tell("training", decision.reason, decision.as_json())
    if decision.audit.entries:
        report.lines.append(f"audit: {decision.audit.line()}; {decision.fitted.information}")
    return decision if decision.kept else None


def _untrained(settings: BuildSettings, judgments: Judgments) -> str | None:
    """Why nothing is trained, where nothing is."""
    if not settings.train:
        return "not asked for"
    if len(np.unique(judgments.relevant.queries)) < _ENOUGH:
        return "too few judged queries to train on"
    if find_spec("torch") is None:
        return "torch is not installed: pip install 'rankwright[neural]'"
    return None


def _fused(
    words: lexical.LexicalIndex,
    dense: ExactIndex,
    encoder: Encoder,
    asked: Asked,
    queries: Float32,
    vectors: Float32,
    decision: Decision | None,
    settings: BuildSettings,
    report: Report,
) -> Fusion:
    """Chosen on queries that neither the weight nor the towers have seen."""
    if not asked.enough:
        fusion = Fusion("convex", UNJUDGED.get(encoder.name, OTHERS))
        report.tell("fusion", f"{fusion}, as is usual: too few judged queries to choose by")
        return fusion
    if decision is None:
        fold = random_folds(len(queries), settings.folds, settings.seed)
        pool = pooled(words, dense, asked.texts, queries, POOL)
    else:
        fold = decision.whole.fold
        pool = _held_out(words, asked.texts, queries, vectors, decision.whole)
    choice = choose(pool, asked.judgments, fold, settings.seed)
    report.tell("fusion", choice.reason, choice.as_json())
    return choice.fusion


def _held_out(
    words: lexical.LexicalIndex, texts: Sequence[str], queries: Float32, vectors: Float32, held: Held
) -> Pool:
    """The pool of each fold by the towers that were trained without it."""
    parts: list[tuple[Int64, Pool]] = []
    for number, towers in enumerate(held.towers):
        rows = np.flatnonzero(held.fold == number)
        dense = ExactIndex.of(towers.documents(vectors), "held out")
        chosen = [texts[row] for row in rows.tolist()]
        parts.append((rows, pooled(words, dense, chosen, towers.queries(queries[rows]), POOL)))
    whole = Pool.empty(len(texts), max(pool.rows.shape[1] for _, pool in parts))
    for rows, pool in parts:
        width = pool.rows.shape[1]
        whole.rows[rows, :width] = pool.rows
        whole.lexical[rows, :width], whole.dense[rows, :width] = pool.lexical, pool.dense
    return whole


def _facts(
    collection: Collection, encoder: Encoder, asked: Asked, words: lexical.LexicalIndex
) -> dict[str, Any]:
    return {
        "collection": {
            "name": collection.name,
            "form": collection.form,
            "documents": len(collection.documents),
            "queries": len(collection.queries),
            "splits": list(collection.judgments),
        },
        "encoder": {"name": encoder.name, "width": encoder.width, "fingerprint": encoder.fingerprint},
        "bm25": words.settings.as_json(),
        "split": asked.split,
        "learned_queries": [query_digest(text) for text in asked.texts],
    }


def golden_queries(collection: Collection) -> list[str]:
    """Five queries of the collection, or the first words of five documents."""
    texts = [text for text in collection.queries.texts if text.strip()][:5]
    if texts:
        return texts
    words = (" ".join(text.split()[:6]) for text in collection.documents.texts())
    found = [text for text in words if text][:5]
    if not found:
        raise DataError("all documents are empty: there is nothing to search")
    return found


def _saying(say: Say, what: str) -> Callable[[int, int], None]:
    """Progress about every five seconds."""
    last = [time.monotonic()]

    def progress(done: int, total: int) -> None:
        now = time.monotonic()
        if now - last[0] >= 5 and total:
            last[0] = now
            say(f"{what}: {done} of {total} encoded")

    return progress
