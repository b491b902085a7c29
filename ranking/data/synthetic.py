"""Seeded collections with a known relevance model: something to learn from where no data may be shipped.

    search_collection   a product search in small: named features, missing values, grades 0-4 (`data/` is one)
    search_utility      its noise-free utility, recomputed from the features: the ceiling a ranker can reach
    mslr_shaped         the size, look and grade shares of MSLR-WEB, for measuring speed

`python -m ranking.data.synthetic FOLDER` writes the embedded collection (`data/README.md`).

Both are pure functions of their arguments. `search_collection` draws nothing but uniform doubles of PCG64,
whose stream NumPy has never changed, and rounds what it keeps, so the same seed gives the same files under
every NumPy version. `mslr_shaped` takes NumPy's faster float32 routines: equal for one
NumPy version on one kind of processor.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ranking.data.arrays import Float32, Float64, Int64
from ranking.data.dataset import RankingDataset
from ranking.errors import UsageError

SEARCH_SEED = 20100
"""The seed of the collection in `data/`."""

SEARCH_SPLITS = {"train": 240, "valid": 60, "test": 60}
"""Queries of each file in `data/`, in the order in which they are drawn."""

SEARCH_DECIMALS = {
    # the query: the same for all of its documents
    "query_length": 0,
    "query_frequency_30d": 0,
    "query_names_brand": 0,
    "query_click_entropy": 1,
    # the query and the document
    "bm25_title": 1,
    "bm25_body": 1,
    "title_coverage": 2,
    "title_exact_match": 0,
    "embedding_cosine": 2,
    "brand_match": 0,
    "category_match": 2,
    "attribute_match": 2,
    "query_ctr_30d": 3,
    # the document
    "price": 2,
    "price_to_category": 2,
    "discount": 2,
    "rating": 1,
    "review_count": 0,
    "sales_30d": 0,
    "ctr_30d": 3,
    "conversion_30d": 3,
    "return_rate": 2,
    "days_since_update": 0,
    "days_since_listing": 0,
    "in_stock": 0,
    "delivery_days": 0,
    "title_length": 0,
    "body_length": 0,
    "image_count": 0,
    "seller_rating": 1,
}
"""The features of `search_collection` in column order, each with the decimals it is rounded to."""

_CUTS = np.array([2.9, 3.7, 4.4, 5.0])
"""Utilities from which a document earns grade 1, 2, 3 and 4, before the shift of its query."""

_DUPLICATES = 0.04
"""Share of documents that repeat the features of the one before: the same listing by another seller."""

_SINGLE = 0.025
"""Share of queries that found one document only."""


def search_collection(
    queries: int = 360,
    seed: int = SEARCH_SEED,
    *,
    list_length: tuple[int, int] = (3, 40),
) -> RankingDataset:
    """Product searches with graded documents, 30 named features and missing values (NaN).

    Relevance model, of 13 of the 30 features. With sat(x, h) = x / (x + h) and a missing rating read as 3.6,
    a missing attribute_match as 0.4:

        match   = 0.40 sat(bm25_title, 7) + 0.15 sat(bm25_body, 12) + 0.25 category_match
                  + 0.20 attribute_match
        trust   = (rating - 3.6) sat(review_count, 15)
        utility = 5.2 match + 2.4 match trust                     quality counts for what matches
                  + names_brand (1.3 brand_match - 0.5)           only where the query names a brand
                  - 0.9 ln(price_to_category)^2                   neither suspiciously cheap nor dear
                  - 1.3 (1 - in_stock) + 0.5 exp(-days_since_update / 60)
                  + 0.5 sat(sales_30d, 40) [query_length <= 2]    popular goods answer short queries

    grade = number of cuts (2.9, 3.7, 4.4, 5.0) + shift_q that utility + noise reaches, where
    shift_q ~ N(0, 0.55) makes a grade mean something else in every query (some have no relevant document),
    and noise ~ N(0, 0.35 + 0.15 query_click_entropy) is larger where users do not agree. Features outside the
    formula are correlated with it (clicks, cosine, coverage) or noise.

    `list_length`: the shortest and the longest list; besides, one query in forty has a single document, and
    one document in 25 repeats the features of the one before it.

    Raises UsageError where `queries` < 1 or the lengths are not 1 <= shortest <= longest.
    """
    shortest, longest = list_length
    if queries < 1 or not 1 <= shortest <= longest:
        raise UsageError(
            "a collection needs queries >= 1 and 1 <= shortest <= longest list, "
            f"got queries={queries}, list_length={list_length}"
        )
    rng = np.random.Generator(np.random.PCG64(seed))
    skew = rng.random(queries) ** 1.4
    sizes = (shortest + skew * (longest - shortest + 1)).astype(np.int64)
    sizes[rng.random(queries) < _SINGLE] = 1
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    features = _search_features(rng, sizes)
    shift = 0.55 * _normal(rng, queries)
    spread = 0.35 + 0.15 * features["query_click_entropy"]
    noisy = _utility(features) + spread * _normal(rng, int(offsets[-1])) - np.repeat(shift, sizes)
    return RankingDataset(
        features=np.stack(list(features.values()), axis=1).astype(np.float32),
        labels=np.searchsorted(_CUTS, noisy, side="right").astype(np.float32),
        offsets=offsets,
        query_ids=[f"q{query:04d}" for query in range(1, queries + 1)],
        document_ids=[f"d{document:06d}" for document in range(1, int(offsets[-1]) + 1)],
        feature_names=list(SEARCH_DECIMALS),
    )


def search_utility(dataset: RankingDataset) -> Float64:
    """The noise-free utility of `search_collection`'s documents, float64 [documents], from their features."""
    if list(dataset.feature_names or ()) != list(SEARCH_DECIMALS):
        raise UsageError("the utility is known for the features of search_collection only, by their names")
    columns = dataset.features.astype(np.float64).T
    return _utility(dict(zip(SEARCH_DECIMALS, columns, strict=True)))


def _utility(f: dict[str, Float64]) -> Float64:
    rating = np.where(np.isnan(f["rating"]), 3.6, f["rating"])
    attributes = np.where(np.isnan(f["attribute_match"]), 0.4, f["attribute_match"])
    match = 0.40 * _sat(f["bm25_title"], 7) + 0.15 * _sat(f["bm25_body"], 12)
    match += 0.25 * f["category_match"] + 0.20 * attributes
    trust = (rating - 3.6) * _sat(f["review_count"], 15)
    return np.asarray(
        5.2 * match
        + 2.4 * match * trust
        + f["query_names_brand"] * (1.3 * f["brand_match"] - 0.5)
        - 0.9 * np.log(f["price_to_category"]) ** 2
        - 1.3 * (1 - f["in_stock"])
        + 0.5 * np.exp(-f["days_since_update"] / 60)
        + 0.5 * _sat(f["sales_30d"], 40) * (f["query_length"] <= 2)
    )


def _search_features(rng: np.random.Generator, sizes: Int64) -> dict[str, Float64]:
    """All columns [documents], rounded, with NaN where unknown, in the order of SEARCH_DECIMALS."""
    documents = int(sizes.sum())
    columns = _query_columns(rng, sizes)
    columns |= _document_columns(rng, documents)
    columns |= _match_columns(rng, columns)
    repeated = rng.random(documents) < _DUPLICATES
    repeated[np.cumsum(sizes) - sizes] = False  # the first of a list has none before it
    source = np.arange(documents) - repeated
    return {name: np.round(columns[name][source], digits) + 0.0 for name, digits in SEARCH_DECIMALS.items()}


def _query_columns(rng: np.random.Generator, sizes: Int64) -> dict[str, Float64]:
    queries = len(sizes)
    entropy = 0.3 + 3.2 * rng.random(queries) ** 1.5
    per_query = {
        "query_length": np.floor(1 + 5 * rng.random(queries) ** 1.6),
        "query_frequency_30d": np.floor(np.exp(4 + 1.6 * _normal(rng, queries))),
        "query_names_brand": _flags(rng, queries, 0.35),
        "query_click_entropy": entropy,
    }
    return {name: np.repeat(column, sizes) for name, column in per_query.items()}


def _document_columns(rng: np.random.Generator, documents: int) -> dict[str, Float64]:
    """What is known of a product whatever the query: two latent causes, quality and popularity."""
    quality, popularity = _normal(rng, documents), _normal(rng, documents)
    age = np.floor(np.exp(5.2 + 1.1 * _normal(rng, documents)))
    reviews = np.floor(np.exp(2.2 + 1.4 * popularity + 0.4 * np.log(age / 180)))
    in_stock = _flags(rng, documents, 0.86)
    relative = np.exp(0.45 * _normal(rng, documents))
    young = age < 30
    return {
        "price": np.maximum(1, np.exp(3.4 + 0.9 * _normal(rng, documents)) * relative),
        "price_to_category": np.clip(relative, 0.2, 5.0),
        "discount": np.maximum(0, 0.5 * rng.random(documents) - 0.3) * 2,
        "rating": np.where(reviews < 1, np.nan, np.clip(3.9 + 0.6 * quality, 1, 5)),
        "review_count": reviews,
        "sales_30d": np.floor(np.exp(2.0 + 1.2 * popularity + 0.4 * quality)),
        "ctr_30d": np.where(young, np.nan, _logistic(-3 + 0.5 * popularity + 0.4 * _normal(rng, documents))),
        "conversion_30d": np.where(
            young, np.nan, _logistic(-3.6 + 0.4 * quality + 0.5 * _normal(rng, documents))
        ),
        "return_rate": np.where(reviews < 3, np.nan, _logistic(-2.6 - 0.7 * quality)),
        "days_since_update": np.floor(np.minimum(age, np.exp(3.3 + 1.2 * _normal(rng, documents)))),
        "days_since_listing": age,
        "in_stock": in_stock,
        "delivery_days": np.where(in_stock == 0, np.nan, np.floor(1 + 9 * rng.random(documents) ** 2)),
        "title_length": np.floor(np.clip(9 + 3 * _normal(rng, documents), 2, 25)),
        "body_length": np.floor(np.exp(4.8 + 0.7 * _normal(rng, documents))),
        "image_count": np.floor(8 * rng.random(documents) ** 1.5),
        "seller_rating": np.clip(4.2 + 0.4 * _normal(rng, documents), 1, 5),
    }


def _match_columns(rng: np.random.Generator, known: dict[str, Float64]) -> dict[str, Float64]:
    """How document and query fit: one latent topicality, seen through several noisy measures."""
    words = known["query_length"]
    documents = len(words)
    topical = 0.55 * _normal(rng, documents)
    title = _logistic(1.6 * topical + 1.1 * _normal(rng, documents))
    coverage = np.round(title * words) / words
    branded = known["query_names_brand"] == 1
    shown_often = rng.random(documents) < _logistic(0.8 * np.log1p(known["query_frequency_30d"]) - 3.0)
    clicks = _logistic(
        -3.2 + 0.9 * topical + 8 * np.nan_to_num(known["ctr_30d"]) + 0.6 * _normal(rng, documents)
    )
    described = rng.random(documents) < 0.8
    return {
        "bm25_title": coverage * (3 + 2.4 * words) * (0.8 + 0.5 * rng.random(documents)),
        "bm25_body": np.maximum(0, 8 + 6 * topical + 4.5 * _normal(rng, documents)),
        "title_coverage": coverage,
        "title_exact_match": ((coverage == 1) & (rng.random(documents) < 0.5)).astype(np.float64),
        "embedding_cosine": np.clip(0.45 + 0.16 * topical + 0.10 * _normal(rng, documents), -1, 1),
        "brand_match": (branded & (rng.random(documents) < 0.45)).astype(np.float64),
        "category_match": _logistic(0.6 + 1.8 * topical + 1.2 * _normal(rng, documents)),
        "attribute_match": np.where(described, rng.random(documents), np.nan),
        "query_ctr_30d": np.where(shown_often, clicks, np.nan),
    }


def _sat(x: Float64, half: float) -> Float64:
    return x / (x + half)


def _logistic(x: Float64) -> Float64:
    return np.asarray(1 / (1 + np.exp(-x)))


def _flags(rng: np.random.Generator, count: int, share: float) -> Float64:
    return (rng.random(count) < share).astype(np.float64)


def _normal(rng: np.random.Generator, count: int) -> Float64:
    """Standard normals by Box and Muller, from uniforms alone (see the module's word on versions)."""
    radius = np.sqrt(-2 * np.log1p(-rng.random(count)))
    return np.asarray(radius * np.cos(2 * np.pi * rng.random(count)))


_MSLR_SHARES = np.array([0.52, 0.32, 0.13, 0.02, 0.01])
_MSLR_LONGEST = 1251
_LATENTS = 12
_CHUNK_ROWS = 8192


def mslr_shaped(
    queries: int, seed: int, documents_per_query: int = 120, features: int = 136
) -> RankingDataset:
    """Lists that look like MSLR-WEB to a booster: heavy tails, integers, zeros, grades 0-4.

    Every document has 12 latent causes, the last two shared by its query. A feature is a fixed mix of them
    with noise of its own, taken through the shape of one of MSLR's families in turn: covered terms, stream
    length, sums of term frequencies, normalised frequencies, ratios, BM25, language models, URL length, link
    and rank counts up to 16 million, sparse clicks. The utility is a saturated, interacting function of the
    causes, shifted by query, with noise; grades cut it at the quantiles that give MSLR's shares (52, 32, 13,
    2 and 1 %). Mixes do not depend on the seed, so two seeds are two samples of one population. List lengths
    are log-normal around `documents_per_query`, at most 1251 (MSLR's longest), or twice the mean if longer.

    Holds the features once and works in blocks of 8192 rows.

    Raises UsageError where a size is below 1.
    """
    if min(queries, documents_per_query, features) < 1:
        raise UsageError(
            "queries, documents_per_query and features must be at least 1, "
            f"got {queries}, {documents_per_query}, {features}"
        )
    rng = np.random.Generator(np.random.PCG64(seed))
    sizes = np.exp(0.45 * rng.standard_normal(queries) - 0.10) * documents_per_query
    sizes = np.clip(np.rint(sizes), 1, max(_MSLR_LONGEST, 2 * documents_per_query)).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    documents = int(offsets[-1])
    query_latents = np.repeat(rng.standard_normal((queries, 2), dtype=np.float32), sizes, axis=0)
    shift = np.repeat(0.5 * rng.standard_normal(queries, dtype=np.float32), sizes)
    matrix = np.empty((documents, features), np.float32)
    utility = np.empty(documents, np.float32)
    loadings = _mslr_loadings(features)
    for start in range(0, documents, _CHUNK_ROWS):
        rows = slice(start, min(start + _CHUNK_ROWS, documents))
        latents = rng.standard_normal((rows.stop - start, _LATENTS), dtype=np.float32)
        latents[:, -2:] = query_latents[rows]
        rng.standard_normal(out=matrix[rows], dtype=np.float32)
        matrix[rows] *= 0.6
        matrix[rows] += latents @ loadings
        _mslr_shape(matrix[rows])
        utility[rows] = _mslr_utility(latents) + rng.standard_normal(rows.stop - start, dtype=np.float32)
    cuts = np.quantile(utility - shift, np.cumsum(_MSLR_SHARES)[:-1])
    return RankingDataset(
        features=matrix,
        labels=np.searchsorted(cuts, utility - shift, side="right").astype(np.float32),
        offsets=offsets,
        query_ids=[f"q{query:04d}" for query in range(1, queries + 1)],
        trusted=True,
    )


def _mslr_loadings(features: int) -> Float32:
    """[latents, features]: each column leans on two causes, the same for every seed and width."""
    rng = np.random.Generator(np.random.PCG64(136))
    loadings = np.zeros((_LATENTS, features), np.float32)
    for column in range(features):
        causes = (rng.random(2) * _LATENTS).astype(np.int64)
        loadings[causes, column] = 0.4 + 0.5 * rng.random(2)
    return loadings


def _mslr_utility(latents: Float32) -> Float32:
    match, authority, clicks, length, novelty, spam = latents[:, :6].T
    return np.asarray(
        0.9 * np.tanh(match)
        + 0.5 * match * (authority > 0)
        + 0.6 * np.maximum(clicks, 0)
        - 0.3 * length**2
        + 0.4 * np.tanh(novelty) * latents[:, -2]
        - 0.7 * (spam > 1.2),
        np.float32,
    )


def _mslr_shape(z: Float32) -> None:
    """Turn standard scores [rows, features] into MSLR's families, in place; column j has family j mod 10."""
    z[:, 0::10] = np.clip(np.rint(2 + z[:, 0::10]), 0, 6)  # covered query terms
    z[:, 1::10] = np.floor(np.exp(5.5 + z[:, 1::10]))  # stream length
    z[:, 2::10] = np.floor(np.exp(1.2 + 1.3 * z[:, 2::10]))  # sum of term frequencies
    z[:, 3::10] = np.round(np.exp(-4 + z[:, 3::10]), 6)  # length-normalised frequency
    z[:, 4::10] = np.round(np.clip(0.6 + 0.5 * z[:, 4::10], 0, 1), 2)  # covered ratio
    z[:, 5::10] = np.round(np.maximum(0, 5 + 9 * z[:, 5::10]), 6)  # BM25, a third of it zero
    z[:, 6::10] = np.round(np.minimum(0, -20 + 5 * z[:, 6::10]), 6)  # language model
    z[:, 7::10] = np.floor(np.exp(3.8 + 0.45 * z[:, 7::10]))  # URL length
    z[:, 8::10] = np.minimum(np.floor(np.exp(7 + 2.6 * z[:, 8::10])), 16e6)  # links, ranks
    z[:, 9::10] = np.floor(np.exp(np.maximum(0, 3 * z[:, 9::10] - 2)) - 1)  # clicks, mostly none


def write_search_collection(folder: Path) -> None:
    """Write train.txt, valid.txt, test.txt (LETOR text, missing values left out) and features.txt."""
    from ranking.data.letor import write_letor

    collection = search_collection(sum(SEARCH_SPLITS.values()))
    folder.mkdir(parents=True, exist_ok=True)
    start = 0
    for name, count in SEARCH_SPLITS.items():
        write_letor(collection.queries(range(start, start + count)), folder / f"{name}.txt", missing="nan")
        start += count
    names = "".join(f"{number}\t{name}\n" for number, name in enumerate(SEARCH_DECIMALS, start=1))
    (folder / "features.txt").write_text(names, encoding="utf-8", newline="\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m ranking.data.synthetic FOLDER`."""
    parser = argparse.ArgumentParser(
        prog="python -m ranking.data.synthetic", description="Write the embedded search collection."
    )
    parser.add_argument("folder", type=Path, help="receives train.txt, valid.txt, test.txt and features.txt")
    folder = parser.parse_args(arguments).folder
    write_search_collection(folder)
    sys.stderr.write(f"wrote {', '.join(SEARCH_SPLITS)} and features to {folder}\n")


if __name__ == "__main__":
    main()
