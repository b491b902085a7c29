"""Queries that two sets of lists share: what was learned must not be what is measured.

A list is known again by a digest of its documents' features and labels, whatever their order and whatever the
query is called. 0 and a missing value count as the same, so that it is known under either missing policy and
with columns of zeros added.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ranking.data.arrays import Float32, Int64
from ranking.data.dataset import RankingDataset

UInt64 = npt.NDArray[np.uint64]

_ROWS = 4096
_SEED = 20
_KEPT = 512
"""Digests a sketch keeps: of more queries than that, a share is known."""

_PARTS = {
    "train": "the model was trained on",
    "valid": "the model's training was stopped by",
    "weights": "the ensemble's weights were fitted on",
    "cut": "the model's number of trees was chosen on",
}


def query_digests(dataset: RankingDataset) -> UInt64:
    """uint64 [queries]: equal for lists of the same documents and labels, the same on every machine."""
    # The raw stream of a generator is fixed; its distributions may change with numpy.
    factors = np.random.PCG64(_SEED).random_raw(dataset.feature_count + 1) | np.uint64(1)
    rows = np.empty(dataset.document_count, np.uint64)
    for start in range(0, len(rows), _ROWS):
        block = slice(start, start + _ROWS)
        labels, features = _words(dataset.labels[block]), _words(dataset.features[block])
        rows[block] = _mixed(labels * factors[0] + features @ factors[1:])
    if not len(rows):
        return rows
    return _mixed(np.add.reduceat(rows, dataset.offsets[:-1]))


def _words(values: Float32) -> UInt64:
    """The bits of the numbers, high ones spread to the low, which are zeros in round numbers."""
    bits = np.where(np.isnan(values), np.float32(0), values + np.float32(0)).view(np.uint32)  # -0.0 is 0.0
    return (bits ^ (bits >> np.uint32(15))).astype(np.uint64)


def _mixed(words: UInt64) -> UInt64:
    """Each word scrambled (splitmix64's finish), so that a sum of them is that of no others."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        words = (words ^ (words >> np.uint64(shift))) * np.uint64(factor)
    return words ^ (words >> np.uint64(31))


def shared_queries(held_out: RankingDataset, train: RankingDataset, name: str) -> tuple[str, ...]:
    """What to tell of the queries that the lists called `name` share with the training lists, if any."""
    same = np.isin(query_digests(held_out), query_digests(train))
    ids = set(train.query_ids)
    named = np.fromiter((query in ids for query in held_out.query_ids), bool, held_out.query_count) & ~same
    told = []
    if same.any():
        told.append(
            f"{name} shares {same.sum()} of {len(same)} queries with train (the same features and labels): "
            "what is measured on them is no held-out quality; take them out of one of the two"
        )
    if named.any():
        told.append(
            f"{name} shares the ids of {named.sum()} of {len(same)} queries with train, with other features "
            "or labels: if they are the same queries, take them out of one of the two; "
            "if each file numbers its own, all is well"
        )
    return tuple(told)


def repeated_queries(dataset: RankingDataset, fold: Int64) -> tuple[str, ...]:
    """What to tell of the queries whose list is in more than one fold, int64 [queries], if any."""
    _, number = np.unique(query_digests(dataset), return_inverse=True)
    least, most = np.full(dataset.query_count, len(fold)), np.full(dataset.query_count, -1)
    np.minimum.at(least, number, fold)
    np.maximum.at(most, number, fold)
    repeated = (least < most)[number].sum()
    if not repeated:
        return ()
    return (
        f"{repeated} of {dataset.query_count} queries are in more than one fold under several ids (the same "
        "features and labels): what is measured on them is no held-out quality; leave one of each",
    )


def sketch(dataset: RankingDataset) -> dict[str, Any]:
    """What a manifest keeps of the lists, to know them again: the smallest digests, each 16 hex digits."""
    smallest = np.sort(query_digests(dataset))[:_KEPT]
    return {"queries": dataset.query_count, "smallest": smallest.astype(">u8").tobytes().hex()}


def seen_queries(dataset: RankingDataset, facts: Mapping[str, Any]) -> tuple[str, ...]:
    """What to tell of these lists by what a manifest's facts keep of those that the model was made from.

    Of more than 512 queries the number is an estimate. Of a model that keeps no digests it is known only
    whether these are all its lists, by their fingerprint.
    """
    if "query_digests" in facts:
        found, kept = query_digests(dataset), facts["query_digests"]
        counts = {part: _count(found, kept, part) for part in _PARTS}
    else:
        prints = facts.get("data")
        same = dataset.fingerprint()
        whole = [part for part in _PARTS if isinstance(prints, Mapping) and prints.get(part) == same]
        counts = dict.fromkeys(whole, str(dataset.query_count))
    return tuple(
        f"{_PARTS[part]} {count} of these {dataset.query_count} queries (the same features and labels): "
        "what is measured on them is no held-out quality; evaluate on others"
        for part, count in counts.items()
        if count is not None
    )


def _count(found: UInt64, kept: Any, part: str) -> str | None:
    """How many of the digests are of this part, in words; None for none and where it is not known."""
    try:
        smallest = np.frombuffer(bytes.fromhex(kept[part]["smallest"]), ">u8")
        whole = kept[part]["queries"] <= len(smallest)
        known = found if whole else found[found <= smallest.max()]
    except (KeyError, TypeError, ValueError):  # no such part, or not kept by us
        return None
    shared = int(np.isin(known, smallest).sum())
    if not shared:
        return None
    return str(shared) if whole else f"about {round(shared / len(known) * len(found))}"
