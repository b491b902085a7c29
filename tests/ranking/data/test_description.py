"""What is said of a data set, on lists counted by hand."""

from __future__ import annotations

import json

import numpy as np

from ranking.data.dataset import RankingDataset
from ranking.data.description import describe

NAN = np.nan

DATA = RankingDataset(
    # bm25, always 7, never there, 7 or missing, half missing
    features=[
        [1, 7, NAN, 7, NAN],
        [2, 7, NAN, NAN, 1],
        [3, 7, NAN, 7, NAN],
        [4, 7, NAN, 7, 2],
        [5, 7, NAN, 7, NAN],
        [6, 7, NAN, 7, 3],
    ],
    labels=[0, 0, 2, 0.5, 2, 2],
    offsets=[0, 2, 3, 6],
    query_ids=["none relevant", "one document", "three"],
    feature_names=["bm25", "same", "absent", "seven", "half"],
)


def test_queries_documents_features_and_lengths_are_counted() -> None:
    found = describe(DATA)
    assert (found.queries, found.documents, found.features) == (3, 6, 5)
    assert found.list_lengths == {
        "least": 1,
        "quarter": 1.5,
        "median": 2,
        "three quarters": 2.5,
        "most": 3,
        "mean": 2,
    }


def test_labels_are_counted_by_their_shortest_number() -> None:
    assert describe(DATA).labels == {"0": 2, "0.5": 1, "2": 3}


def test_labels_that_differ_little_are_counted_apart() -> None:
    close = np.nextafter(np.float32(1), np.float32(2), dtype=np.float32)
    data = RankingDataset(features=np.zeros((2, 1)), labels=[1, close], offsets=[0, 2], query_ids=["q"])
    assert describe(data).labels == {"1": 1, "1.0000001": 1}


def test_queries_to_learn_nothing_from_are_counted() -> None:
    """The first has no relevant document; the first two have one label."""
    found = describe(DATA)
    assert found.queries_without_relevant == 1
    assert found.queries_with_one_label == 2


def test_missing_and_constant_features_are_named() -> None:
    """One that is 7 or missing tells documents apart, and is not constant."""
    found = describe(DATA)
    assert found.missing == {"absent": 1, "seven": 1 / 6, "half": 0.5}
    assert found.constant == ["same", "absent"]


def test_the_words_and_the_json_say_the_same() -> None:
    found = describe(DATA)
    assert json.loads(json.dumps(found.as_json()))["constant"] == ["same", "absent"]
    text = found.as_text()
    assert "constant features  same, absent" in text
    assert "  0.5              1   16.67%" in text
    assert "missing values  3 features" in text
    whole = describe(RankingDataset(features=[[1], [2]], labels=[0, 1], offsets=[0, 2], query_ids=["q"]))
    assert "missing values  none" in whole.as_text()
    assert "constant features  none" in whole.as_text()
