"""Search over real collections: both arms, training and fusion on queries that none of them has seen.

    python -m benchmarks.retrieval [--collections scifact,nfcorpus,vaswani] [--encoders hashed,static,minilm]
                                   [--parts quality,speed] [--cache DIR]

Reads the collections below RANKWRIGHT_DATA. Encoders whose packages are not there are left out, with a word.

quality  each engine is built by `ranking.retrieval.building.build` from training queries alone: BM25 tuned,
         towers trained and guarded, the fusion chosen; it is measured on the others, nDCG@10 over the whole
         corpus, linear gain. SciFact in five folds that share no relevant document (and in five random ones,
         where queries ask again for judged documents), Vaswani in five random folds, NFCorpus from train to
         validation. `base` is the dense arm before training. Differences are paired over queries, with a 95 %
         bootstrap interval
speed    encoding, documents a second of each encoder and of sentence-transformers (where it is there) on the
         same MiniLM; and building from cached embeddings beside bm25s' own tokenising and indexing of the
         same 10,000 texts. Hashed n-grams are fitted to the corpus in each build, which no cache keeps
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ranking.data.arrays import Float64, Int64
from ranking.errors import MissingExtraError
from ranking.metrics import Metric
from ranking.metrics.comparison import bootstrap_interval
from ranking.retrieval.building import BuildSettings, best_encoder, build
from ranking.retrieval.collections import Collection, Judgments, read_collection
from ranking.retrieval.encoders import Encoder, embed
from ranking.retrieval.engine import SearchEngine
from ranking.retrieval.folds import grouped_folds, random_folds
from ranking.retrieval.fusion import Fusion
from ranking.retrieval.index import ExactIndex
from ranking.retrieval.measuring import measured
from ranking.retrieval.towers import Towers

NDCG = Metric.parse("ndcg@10", gain="linear", empty="skip")
FOLDS = 5


def data_folder() -> Path:
    named = os.environ.get("RANKWRIGHT_DATA")
    if not named:
        sys.exit("RANKWRIGHT_DATA must name the folder of the collections")
    return Path(named)


def of_queries(judgments: Judgments, chosen: Int64) -> Judgments:
    return judgments.where(np.isin(judgments.queries, chosen))


def parts_of(collection: Collection, kind: str) -> Iterator[tuple[Collection, Judgments]]:
    """(the collection with training judgments alone, what to measure on), for each fold."""
    if kind == "validation":
        train = {"train": collection.split("train")}
        yield replace(collection, judgments=train), collection.split("validation")
        return
    (judgments,) = collection.judgments.values()
    queries = len(collection.queries)
    grouped = kind == "grouped"
    fold = grouped_folds(judgments, queries, FOLDS) if grouped else random_folds(queries, FOLDS)
    for one in range(FOLDS):
        train = {"train": of_queries(judgments, np.flatnonzero(fold != one))}
        yield replace(collection, judgments=train), of_queries(judgments, np.flatnonzero(fold == one))


def values(engine: SearchEngine, collection: Collection, judged: Judgments, method: Fusion) -> Float64:
    """nDCG@10 of each query with a relevant document."""
    found = measured(replace(engine, fusion=method), collection, judged, [NDCG])
    each = found.evaluation.per_query["ndcg@10"]
    return each[~np.isnan(each)]


def without_towers(engine: SearchEngine, vectors: np.ndarray) -> SearchEngine:  # type: ignore[type-arg]
    towers = Towers(engine.encoder.fingerprint)
    return replace(engine, towers=towers, dense=ExactIndex.of(vectors, towers.document_fingerprint))


def quality(name: str, kind: str, encoder: str, cache: Path) -> None:
    collection = read_collection(data_folder() / name)
    rows: dict[str, list[Float64]] = {"BM25": [], "base": [], "dense": [], "fused": []}
    chosen, kept = [], 0
    for training, held in parts_of(collection, kind):
        engine, _ = build(training, encoder, BuildSettings(), cache)
        vectors = embed(engine.encoder, training.documents.texts(), cache)
        base = without_towers(engine, vectors)
        for system, (made, method) in {
            "BM25": (engine, Fusion("lexical")), "base": (base, Fusion("dense")),
            "dense": (engine, Fusion("dense")), "fused": (engine, engine.fusion),
        }.items():  # fmt: skip
            rows[system].append(values(made, collection, held, method))
        chosen.append(str(engine.fusion))
        kept += not engine.towers.identity
    whole = {system: np.concatenate(found) for system, found in rows.items()}
    means = {system: float(found.mean()) for system, found in whole.items()}
    arm = max(("BM25", "dense"), key=means.__getitem__)
    told = [f"{means[system]:.4f}" for system in whole]
    told += [spread(whole["dense"] - whole["base"]), f"{kept} of {len(chosen)}"]
    told += [f"{arm} {spread(whole['fused'] - whole[arm])}", ", ".join(sorted(set(chosen)))]
    print(f"| {name} | {kind} | {encoder} | {len(whole['BM25'])} | {' | '.join(told)} |", flush=True)


def spread(gap: Float64) -> str:
    low, high = bootstrap_interval(gap)
    return f"{gap.mean():+.4f} [{low:+.4f}, {high:+.4f}]"


KINDS = {"scifact": ("grouped", "random"), "nfcorpus": ("validation",), "vaswani": ("random",)}


def quality_part(collections: list[str], encoders: list[str], cache: Path) -> None:
    print("\n| collection | folds | encoder | queries | BM25 | base | dense | fused | dense − base | kept | "
          "fused − better arm | chosen |")  # fmt: skip
    print("|" + "---|" * 12, flush=True)
    for name in collections:
        for kind in KINDS[name]:
            for encoder in encoders:
                quality(name, kind, encoder, cache)


def speed_part(encoders: list[str], cache: Path) -> None:
    texts = read_collection(data_folder() / "scifact").documents.texts()
    short = [" ".join(text.split()[:100]) for text in texts]
    print("\nencoding, documents of 100 words a second, median of 3 [least, most]\n")
    sides = {name: best_encoder(name, texts).encode for name in encoders}
    if find_spec("sentence_transformers") and "minilm" in encoders:
        sides["sentence-transformers on the same MiniLM"] = _theirs(best_encoder("minilm", texts))
    for name, encode in sides.items():
        count = 192 if "inilm" in name.lower() else 4000
        rates = []
        for _ in range(3):
            started = time.perf_counter()
            encode(short[:count])
            rates.append(count / (time.perf_counter() - started))
        print(f"  {name}: {statistics.median(rates):,.0f} [{min(rates):,.0f}, {max(rates):,.0f}]", flush=True)
    for name in encoders:
        if name != "minilm":
            building(name, texts, cache)


def _theirs(encoder: Encoder):  # type: ignore[no-untyped-def]
    from sentence_transformers import SentenceTransformer

    with tempfile.TemporaryDirectory() as place:
        encoder.save(Path(place))
        model = SentenceTransformer(place, device="cpu", local_files_only=True)
    return lambda texts: model.encode(texts, show_progress_bar=False)


def building(encoder: str, texts: list[str], cache: Path) -> None:
    """An engine of 10,000 documents without training, its embeddings cached, beside bm25s' indexing."""
    import bm25s
    import Stemmer

    from ranking.retrieval.collections import Documents, Queries

    whole = (texts * 2)[:10_000]
    numbered = [f"{text} copy {row}" for row, text in enumerate(whole)]
    documents = Documents([str(row) for row in range(len(whole))], {"text": numbered})
    collection = Collection("copies", documents, Queries([], []), {})
    build(collection, encoder, BuildSettings(train=False), cache)
    ratios = []
    for _ in range(3):
        started = time.perf_counter()
        tokens = bm25s.tokenize(numbered, stemmer=Stemmer.Stemmer("english"), show_progress=False)
        bm25s.BM25().index(tokens, show_progress=False)
        theirs = time.perf_counter() - started
        started = time.perf_counter()
        build(collection, encoder, BuildSettings(train=False), cache)
        ratios.append((time.perf_counter() - started) / theirs)
    print(f"\nbuilding 10,000 documents, embeddings cached ({encoder}), over bm25s' tokenising and indexing: "
          f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--collections", default=",".join(KINDS))
    parser.add_argument("--encoders", default="hashed,static,minilm")
    parser.add_argument("--parts", default="quality,speed")
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    encoders = []
    for name in options.encoders.split(","):
        try:
            best_encoder(name, ["a text"])
            encoders.append(name)
        except MissingExtraError as error:
            print(f"skipped: {name}: {error}")
    with tempfile.TemporaryDirectory() as fresh:
        cache = options.cache or Path(fresh)
        if "quality" in options.parts.split(","):
            quality_part(options.collections.split(","), encoders, cache)
        if "speed" in options.parts.split(","):
            speed_part(encoders, cache)


if __name__ == "__main__":
    main()
