"""What `search describe` counts, worked by hand on six judgments."""

from __future__ import annotations

import numpy as np
import pytest

from ranking.retrieval.collections import Collection, Documents, Judgments, Queries
from ranking.retrieval.collections.description import describe_collection


def judged(*pairs: tuple[int, int, float], unknown: int = 0) -> Judgments:
    queries, documents, grades = zip(*pairs, strict=True)
    lost = [("q", "none", f"f:{line}") for line in range(1, unknown + 1)]
    return Judgments(np.array(queries), np.array(documents), np.array(grades, np.float32), lost)


COLLECTION = Collection(
    "fruit",
    Documents(
        ["a", "b", "c", "d"],
        {"title": ["one two", "", " ", "one"], "text": ["x"] * 4},
        {"year": np.array([1999, np.nan, 2003, np.nan])},
    ),
    Queries(["q", "r", "s"], ["what is it", "who", "why not"]),
    # a is relevant for q, and for s in the other split; c for q alone, d for nobody.
    {"train": judged((0, 0, 1), (0, 2, 2), (1, 1, 1), (2, 3, 0), unknown=7), "test": judged((2, 0, 0.5))},
    "BEIR",
)


def test_fields_numbers_and_queries() -> None:
    found = describe_collection(COLLECTION).as_json()
    assert (found["name"], found["form"], found["documents"], found["queries"]) == ("fruit", "BEIR", 4, 3)
    assert found["fields"]["title"] == {"filled": 0.5, "words": 1.5}
    assert found["numbers"] == {"year": {"filled": 0.5, "least": 1999.0, "most": 2003.0}}
    assert found["words_per_query"] == 2.0


def test_judgments_of_each_split() -> None:
    found = describe_collection(COLLECTION).as_json()["splits"]
    train, test = found["train"], found["test"]
    assert (train["queries"], train["judgments"], test["queries"], test["judgments"]) == (3, 4, 1, 1)
    assert train["grades"] == {"0": 1, "1": 2, "2": 1}
    assert test["grades"] == {"0.5": 1}
    assert train["judged_per_query"] == {"least": 1, "median": 1, "mean": pytest.approx(4 / 3), "most": 2}
    assert (train["queries_without_relevant"], test["queries_without_relevant"]) == (1, 0)
    # Of q and r, q shares a with s; s has nothing relevant here, and in the other split shares a with q.
    assert (train["sharing_queries"], test["sharing_queries"]) == (0.5, 1.0)
    assert train["unknown_documents"] == 7
    assert [one[2] for one in train["first_unknown_documents"]] == ["f:1", "f:2", "f:3", "f:4", "f:5"]
    assert train["unknown_queries"] == 0


def test_one_query_in_two_splits_is_no_other_query() -> None:
    twice = Collection("c", COLLECTION.documents, COLLECTION.queries, {s: judged((0, 0, 1)) for s in "ab"})
    assert describe_collection(twice).splits["a"].sharing_queries == 0


def test_documents_alone_are_described() -> None:
    alone = Collection("c", COLLECTION.documents, Queries([], []), {})
    found = describe_collection(alone)
    assert (found.queries, found.words_per_query, found.splits) == (0, 0, {})
    assert "judgments  none" in found.as_text()


def test_a_split_whose_judgments_were_all_left_out() -> None:
    none = Judgments(
        np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32), [("q", "x", "f:1")]
    )
    found = describe_collection(Collection("c", COLLECTION.documents, COLLECTION.queries, {"all": none}))
    assert (found.splits["all"].queries, found.splits["all"].grades) == (0, {})
    assert "left out, of unknown documents  1" in found.as_text()
