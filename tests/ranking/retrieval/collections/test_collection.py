"""The values of a collection: texts of fields, rows by id, slices by query."""

from __future__ import annotations

import numpy as np
import pytest

from ranking.errors import DataError, UsageError
from ranking.retrieval.collections import Collection, Documents, Judgments, Queries

DOCUMENTS = Documents(["a", "b"], {"title": ["One", ""], "text": ["first", "second"], "tags": ["x", ""]})
QUERIES = Queries(["q", "r", "s"], ["what", "who", "why"])
JUDGED = Judgments(np.array([0, 0, 2]), np.array([1, 0, 1]), np.array([1, 0, 2], np.float32))


def test_texts_join_the_fields_that_have_words() -> None:
    assert len(DOCUMENTS) == 2
    assert DOCUMENTS.texts() == ["One\nfirst\nx", "second"]
    assert DOCUMENTS.texts(["tags", "title"]) == ["x\nOne", ""]
    assert DOCUMENTS.texts(["text"]) == ["first", "second"]
    with pytest.raises(UsageError, match="unknown field 'titel'; did you mean 'title'"):
        DOCUMENTS.texts(["titel"])


def test_an_id_has_a_row() -> None:
    assert [DOCUMENTS.row("b"), QUERIES.row("s")] == [1, 2]
    with pytest.raises(DataError, match="no document has the id 'c'"):
        DOCUMENTS.row("c")
    with pytest.raises(DataError, match="no query has the id 'c'"):
        QUERIES.row("c")


def test_judgments_by_query_are_views() -> None:
    found = JUDGED.by_query()
    assert {query: (rows.tolist(), grades.tolist()) for query, (rows, grades) in found.items()} == {
        0: ([1, 0], [1, 0]),
        2: ([1], [2]),
    }
    assert all(np.shares_memory(rows, JUDGED.documents) for rows, _ in found.values())
    assert np.shares_memory(found[2][1], JUDGED.grades)


def test_the_only_split_needs_no_name() -> None:
    one = Collection("c", DOCUMENTS, QUERIES, {"all": JUDGED})
    assert one.split() is one.split("all") is JUDGED
    two = Collection("c", DOCUMENTS, QUERIES, {"train": JUDGED, "test": JUDGED})
    with pytest.raises(UsageError, match="c has the splits train, test: name one"):
        two.split()
    with pytest.raises(UsageError, match=r"unknown split 'tset'; did you mean 'test'"):
        two.split("tset")
