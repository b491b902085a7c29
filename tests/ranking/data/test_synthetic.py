"""Collections made for this project: repeatable, of the stated shape, and learnable by the stated model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ranking.data.dataset import RankingDataset
from ranking.data.letor import read_letor
from ranking.data.synthetic import (
    SEARCH_DECIMALS,
    SEARCH_SPLITS,
    main,
    mslr_shaped,
    search_collection,
    search_utility,
)
from ranking.errors import UsageError

DATA = Path(__file__).parents[3] / "data"


@pytest.fixture(scope="module")
def collection() -> RankingDataset:
    """The embedded collection."""
    return search_collection()


def ndcg(dataset: RankingDataset, scores: npt.NDArray[np.floating], k: int = 10) -> float:
    """Mean NDCG@k, a query without relevant documents counting 0; for scores without ties."""
    total = 0.0
    for start, stop in zip(dataset.offsets, dataset.offsets[1:], strict=False):
        gain = 2.0 ** dataset.labels[start:stop].astype(np.float64) - 1
        discount = np.where(np.arange(stop - start) < k, 1 / np.log2(np.arange(stop - start) + 2), 0)
        ideal = float(np.sort(gain)[::-1] @ discount)
        if ideal > 0:
            total += float(gain[np.argsort(-scores[start:stop])] @ discount) / ideal
    return total / dataset.query_count


def no_relevant(dataset: RankingDataset) -> int:
    """Queries whose every label is 0."""
    return int((np.maximum.reduceat(dataset.labels, dataset.offsets[:-1]) == 0).sum())


def test_committed_files_are_what_the_generator_writes(tmp_path: Path) -> None:
    """`python -m ranking.data.synthetic data` reproduces data/ byte for byte."""
    main([str(tmp_path)])
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["features.txt", "test.txt", "train.txt", "valid.txt"]
    for name in written:
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), f"data/{name} is out of date"


def test_committed_files_are_small() -> None:
    """The text of the three files together stays under two megabytes."""
    assert sum((DATA / f"{name}.txt").stat().st_size for name in SEARCH_SPLITS) < 2_000_000


def test_files_read_back_as_the_collection(collection: RankingDataset) -> None:
    """Labels, lists, ids, values and missing values survive the text, to the last bit."""
    start = 0
    for name, count in SEARCH_SPLITS.items():
        expected = collection.queries(range(start, start + count))
        got = read_letor(DATA / f"{name}.txt", missing="nan").with_width(expected.feature_count, "nan")
        np.testing.assert_array_equal(got.features, expected.features)
        np.testing.assert_array_equal(got.labels, expected.labels)
        np.testing.assert_array_equal(got.offsets, expected.offsets)
        assert list(got.query_ids) == list(expected.query_ids)
        assert got.document_ids is not None
        assert list(got.document_ids) == list(expected.document_ids or ())
        start += count


def test_features_file_names_every_column() -> None:
    """features.txt is `ID<TAB>NAME`, counting from 1 in column order."""
    lines = (DATA / "features.txt").read_text(encoding="utf-8").splitlines()
    assert lines == [f"{i}\t{name}" for i, name in enumerate(SEARCH_DECIMALS, start=1)]


def test_the_same_seed_gives_the_same_collection(collection: RankingDataset) -> None:
    """Twice the same seed is equal in every array; another seed is not."""
    assert search_collection().fingerprint() == collection.fingerprint()
    assert search_collection(seed=1).fingerprint() != collection.fingerprint()


def test_grades_are_skewed_and_all_present(collection: RankingDataset) -> None:
    """Most documents have grade 0 or 1, each higher grade is rarer, and grade 4 exists."""
    shares = np.bincount(collection.labels.astype(int), minlength=5) / collection.document_count
    assert len(shares) == 5
    assert shares[0] + shares[1] > 0.75
    assert np.all(np.diff(shares) < 0)
    assert shares[4] > 0.01


def test_lists_are_uneven_and_some_are_degenerate(collection: RankingDataset) -> None:
    """Lengths run from 3 to 40 beside a few lists of one; a few queries have nothing relevant."""
    sizes = collection.sizes
    assert set(sizes[sizes < 3]) == {1}
    assert sizes.max() == 40
    assert 3 <= (sizes == 1).sum() <= 20
    assert 3 <= no_relevant(collection) <= 0.12 * collection.query_count


def test_missing_values_and_duplicates_exist(collection: RankingDataset) -> None:
    """Some columns miss values, most do not, no row misses all; some neighbours have equal vectors."""
    missing = np.isnan(collection.features).mean(axis=0)
    partly = {name for name, share in zip(SEARCH_DECIMALS, missing, strict=True) if share > 0}
    assert {"rating", "ctr_30d", "attribute_match", "delivery_days"} <= partly
    assert missing.max() < 0.6
    assert len(partly) < 10
    rows = [row.tobytes() for row in collection.features]
    assert 100 < len(rows) - len(set(rows)) < 400


def test_query_features_are_constant_in_a_query(collection: RankingDataset) -> None:
    """The four columns of the query have one value in every list."""
    columns = collection.features[:, :4]
    first = np.repeat(columns[collection.offsets[:-1]], collection.sizes, axis=0)
    np.testing.assert_array_equal(columns, first)


def test_values_are_of_their_kind(collection: RankingDataset) -> None:
    """Flags are 0 or 1, ratings within 1 and 5, counts whole, prices at least 1, no negative zero."""
    column = dict(zip(SEARCH_DECIMALS, collection.features.T, strict=True))
    for flag in ("query_names_brand", "title_exact_match", "brand_match", "in_stock"):
        assert set(np.unique(column[flag])) == {0, 1}
    assert np.nanmin(column["rating"]) >= 1
    assert np.nanmax(column["rating"]) <= 5
    assert column["price"].min() >= 1
    for count in ("review_count", "sales_30d", "days_since_update", "title_length"):
        assert np.all(column[count] == np.floor(column[count]))
    assert not np.any(np.signbit(collection.features) & (collection.features == 0))


def test_utility_follows_its_formula_by_hand() -> None:
    """One document worked out from the docstring's formula."""
    values = dict.fromkeys(SEARCH_DECIMALS, 0.0) | {
        "bm25_title": 7.0,  # sat 1/2
        "bm25_body": 12.0,  # sat 1/2
        "category_match": 1.0,
        "attribute_match": float("nan"),  # reads as 0.4
        "rating": 4.6,  # trust (4.6 - 3.6) / 2
        "review_count": 15.0,
        "query_names_brand": 1.0,
        "brand_match": 1.0,
        "price_to_category": 1.0,
        "in_stock": 0.0,
        "days_since_update": 0.0,
        "sales_30d": 40.0,
        "query_length": 2.0,
    }
    one = RankingDataset(
        features=np.array([list(values.values())], np.float32),
        labels=np.zeros(1, np.float32),
        offsets=np.array([0, 1]),
        query_ids=["q"],
        feature_names=list(values),
    )
    match = 0.40 / 2 + 0.15 / 2 + 0.25 + 0.20 * 0.4
    expected = 5.2 * match + 2.4 * match * 0.5 + 0.8 - 1.3 + 0.5 + 0.25
    assert search_utility(one)[0] == pytest.approx(expected, rel=1e-6)


def test_utility_is_the_ceiling_no_single_feature_reaches(collection: RankingDataset) -> None:
    """The noise-free utility ranks far better than any one feature, and noise keeps it below 1."""
    jitter = np.random.default_rng(0).random(collection.document_count) * 1e-6  # breaks ties evenly
    ceiling = ndcg(collection, search_utility(collection) + jitter)
    columns = np.nan_to_num(collection.features.astype(np.float64))
    single = max(ndcg(collection, sign * column + jitter) for column in columns.T for sign in (1, -1))
    assert 0.78 < ceiling < 0.90
    assert 0.50 < single < 0.65


def test_lambdamart_learns_the_search_collection(collection: RankingDataset) -> None:
    """LightGBM's lambdarank beats every single feature clearly and stays below the ceiling's noise."""
    train, test = collection.queries(range(240)), collection.queries(range(240, 360))
    assert 0.72 < ndcg(test, lambdamart(train, test, rounds=70)) < 0.88


def lambdamart(train: RankingDataset, test: RankingDataset, rounds: int) -> npt.NDArray[np.float64]:
    """Scores of `test` by LightGBM with 31 leaves."""
    import lightgbm

    data = lightgbm.Dataset(train.features, train.labels, group=train.sizes)
    settings = {"objective": "lambdarank", "num_leaves": 31, "learning_rate": 0.05, "num_threads": 1}
    booster = lightgbm.train(settings | {"verbose": -1, "seed": 1}, data, rounds)
    return np.asarray(booster.predict(test.features))


@pytest.mark.parametrize(
    ("queries", "lengths"), [(0, (3, 40)), (5, (0, 4)), (5, (9, 4))], ids=["none", "empty list", "swapped"]
)
def test_impossible_sizes_are_refused(queries: int, lengths: tuple[int, int]) -> None:
    """No queries, empty lists and a shortest above the longest are usage errors that name what came."""
    with pytest.raises(UsageError, match=f"queries={queries}"):
        search_collection(queries, list_length=lengths)


def test_utility_of_foreign_features_is_refused() -> None:
    """The formula is not applied to columns it does not know."""
    with pytest.raises(UsageError, match="by their names"):
        search_utility(mslr_shaped(2, seed=1, documents_per_query=3, features=30))


def test_mslr_shares_and_lengths() -> None:
    """Grades come in MSLR's shares, lists are uneven around the asked mean, values are finite."""
    made = mslr_shaped(300, seed=5)
    shares = np.bincount(made.labels.astype(int)) / made.document_count
    np.testing.assert_allclose(shares, [0.52, 0.32, 0.13, 0.02, 0.01], atol=0.001)
    assert made.feature_count == 136
    assert 110 < made.sizes.mean() < 130
    assert made.sizes.max() > 2 * made.sizes.min()
    assert np.isfinite(made.features).all()


def test_mslr_features_look_like_counts_and_tails() -> None:
    """Many columns are whole numbers, some mostly zero, some reach millions, none is constant."""
    made = mslr_shaped(100, seed=6)
    whole = (made.features == np.floor(made.features)).all(axis=0)
    assert whole.sum() > 60
    assert (made.features == 0).mean(axis=0).max() > 0.6
    assert made.features.max() >= 1e6
    assert made.features.max() < 2**24
    assert np.all(np.ptp(made.features, axis=0) > 0)


def test_mslr_is_repeatable() -> None:
    """Equal seeds give equal bytes, another seed gives others."""
    made = mslr_shaped(20, seed=7, documents_per_query=10, features=20)
    again = mslr_shaped(20, seed=7, documents_per_query=10, features=20)
    assert made.fingerprint() == again.fingerprint()
    assert made.fingerprint() != mslr_shaped(20, seed=8, documents_per_query=10, features=20).fingerprint()


def test_mslr_seeds_are_samples_of_one_population() -> None:
    """A model trained on one seed ranks another seed's queries well above chance."""
    train, test = mslr_shaped(150, seed=1, features=60), mslr_shaped(60, seed=2, features=60)
    chance = ndcg(test, np.random.default_rng(0).random(test.document_count))
    assert ndcg(test, lambdamart(train, test, rounds=40)) > chance + 0.2


def test_mslr_sizes_below_one_are_refused() -> None:
    """A request for no features names what came."""
    with pytest.raises(UsageError, match="got 3, 120, 0"):
        mslr_shaped(3, seed=1, features=0)


def test_the_search_stream_is_pinned() -> None:
    """The labels of a small collection have a known digest: the stream does not drift unseen."""
    made = search_collection(20, seed=1)
    digest = hashlib.sha256(made.labels.astype(np.uint8).tobytes()).hexdigest()
    assert (made.document_count, digest[:16]) == (334, "a4154e1f3dcae9d7")
