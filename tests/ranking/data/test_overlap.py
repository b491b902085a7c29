"""Queries that two sets of lists share: what is the same, and what is told of it."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ranking.data.dataset import RankingDataset
from ranking.data.overlap import query_digests, repeated_queries, seen_queries, shared_queries, sketch
from tests.lists import random_lists

LISTS = random_lists(queries=40, seed=3, features=4)


def renamed(data: RankingDataset, name: str = "other") -> RankingDataset:
    return replace(data, query_ids=[f"{name}{number}" for number in range(data.query_count)])


def turned(data: RankingDataset) -> RankingDataset:
    """Each list with its documents in the opposite order."""
    ends = zip(data.offsets, data.offsets[1:], strict=False)
    rows = np.concatenate([np.arange(stop - 1, start - 1, -1) for start, stop in ends])
    return replace(data, features=data.features[rows], labels=data.labels[rows])


def test_a_list_is_known_by_its_documents_alone() -> None:
    """Not by its name, its place, the order in it, columns of zeros, or how a missing value is written."""
    digests = query_digests(LISTS)
    assert len(set(digests.tolist())) == 40
    order = np.random.default_rng(0).permutation(40)
    np.testing.assert_array_equal(query_digests(renamed(turned(LISTS)).queries(order)), digests[order])
    for missing in ("zero", "nan"):
        np.testing.assert_array_equal(query_digests(LISTS.with_width(7, missing)), digests)


def by_hand(data: RankingDataset, query: int) -> int:
    """The digest of a list in whole numbers: sum of its documents' scrambled words times fixed factors."""
    full = 2**64
    factors = [int(f) | 1 for f in np.random.PCG64(20).random_raw(data.feature_count + 1)]

    def mixed(word: int) -> int:
        word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % full
        word = (word ^ word >> 27) * 0x94D049BB133111EB % full
        return word ^ word >> 31

    total = 0
    for row in range(data.offsets[query], data.offsets[query + 1]):
        numbers = [float(data.labels[row]), *data.features[row].tolist()]
        bits = [int.from_bytes(struct.pack("<f", number), "little") for number in numbers]
        total += mixed(sum((b ^ b >> 15) * f for b, f in zip(bits, factors, strict=True)) % full)
    return mixed(total % full)


def test_digests_are_those_of_other_days_and_machines() -> None:
    """A manifest keeps them."""
    assert query_digests(LISTS).tolist() == [by_hand(LISTS, query) for query in range(40)]
    assert int(query_digests(LISTS)[0]) == 16006305301599985498


@pytest.mark.parametrize("round_numbers", [False, True])
def test_any_other_value_label_or_pairing_is_another_list(round_numbers: bool) -> None:
    """Also where all are small whole numbers, whose low bits are zeros."""
    rng = np.random.default_rng(0)
    data = LISTS
    if round_numbers:
        data = replace(data, features=rng.integers(0, 5, data.features.shape).astype(np.float32))
    before = query_digests(data)
    first = data.offsets[:-1]
    features, labels = data.features.copy(), data.labels.copy()
    features[first, rng.integers(0, 4, 40)] += 1
    labels[first] += 1
    columns = data.features[:, [1, 0, 2, 3]]
    for other in ({"features": features}, {"labels": labels}, {"features": columns}):
        assert not np.isin(query_digests(replace(data, **other)), before).any()
    crossed = replace(data, labels=turned(data).labels)
    lists = list(zip(data.offsets, data.offsets[1:], strict=False))
    same = [(crossed.labels[a:b] == data.labels[a:b]).all() for a, b in lists]
    assert sum(same) < 30
    np.testing.assert_array_equal(np.isin(query_digests(crossed), before), same)


def test_what_is_shared_is_counted() -> None:
    """30 of the lists are training lists, 10 of them under other names; 3 have a name alone in common."""
    train = LISTS.queries(range(30))
    strangers = random_lists(queries=5, seed=9, features=4)
    held_out = RankingDataset.concatenate(
        [
            train.queries(range(20)),
            renamed(train.queries(range(20, 30))),
            replace(strangers, query_ids=STRANGE),
        ]
    )
    same, named = shared_queries(held_out, train, "valid")
    assert same.startswith("valid shares 30 of 35 queries with train (the same features and labels): what is")
    assert named.startswith(
        "valid shares the ids of 3 of 35 queries with train, with other features or labels:"
    )
    assert shared_queries(LISTS.queries(range(30, 40)), train, "valid") == ()


STRANGE = ["q25", "q26", "s", "t", "q27"]


def test_lists_in_two_folds_are_counted() -> None:
    """One twice in one fold is not in two."""
    data = RankingDataset.concatenate([LISTS, renamed(LISTS.queries([0, 1, 2]))])
    fold = np.append(np.arange(40) % 4, [3, 1, 3])
    (told,) = repeated_queries(data, fold)
    assert told.startswith("4 of 43 queries are in more than one fold")
    assert repeated_queries(LISTS, np.arange(40) % 4) == ()


def facts(**parts: RankingDataset) -> dict[str, Any]:
    return {"query_digests": {name: sketch(part) for name, part in parts.items()}}


def test_a_model_knows_the_lists_it_was_made_from() -> None:
    known = facts(train=LISTS.queries(range(30)), valid=LISTS.queries(range(30, 34)))
    trained, stopped = seen_queries(renamed(LISTS.queries(range(20, 40))), known)
    assert trained.startswith(
        "the model was trained on 10 of these 20 queries (the same features and labels)"
    )
    assert stopped.startswith("the model's training was stopped by 4 of these 20 queries")
    assert seen_queries(LISTS.queries(range(34, 40)), known) == ()


def test_of_many_queries_the_share_is_estimated() -> None:
    """2,000 lists, of which 512 digests are kept; half of those asked for are among them."""
    many = random_lists(queries=3000, seed=4, features=4)
    known = facts(train=many.queries(range(2000)))
    assert len(known["query_digests"]["train"]["smallest"]) == 512 * 16
    (told,) = seen_queries(many.queries(range(1000, 3000)), known)
    count = int(told.partition("trained on about ")[2].partition(" of these 2000")[0])
    assert 900 < count < 1100
    assert seen_queries(many.queries(range(2000, 3000)), known) == ()


def test_a_model_without_digests_knows_its_data_as_a_whole() -> None:
    known = {"data": {"train": LISTS.fingerprint(), "valid": None}}
    (told,) = seen_queries(LISTS, known)
    assert told.startswith("the model was trained on 40 of these 40 queries")
    assert seen_queries(LISTS.queries(range(39)), known) == ()


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"data": None},
        {"query_digests": None},
        {"query_digests": {"train": {"queries": 1, "smallest": "not hex"}}},
        {"query_digests": {"train": {"queries": 9, "smallest": ""}}},
        {"query_digests": {"train": {"queries": "9", "smallest": "00"}}},
    ],
)
def test_what_a_manifest_does_not_know_is_not_told(odd: dict[str, Any]) -> None:
    assert seen_queries(LISTS, odd) == ()
