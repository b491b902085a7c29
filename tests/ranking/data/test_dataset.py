"""RankingDataset: what it refuses, and how lists are cut, joined, widened and named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ranking.data.arrays import Strings
from ranking.data.dataset import RankingDataset
from ranking.errors import DataError
from tests.lists import random_lists


def lists(**more: Any) -> RankingDataset:
    """Queries a (2 documents), b (1) and c (3) of two features."""
    fields: dict[str, Any] = {
        "features": np.arange(12, dtype=np.float32).reshape(6, 2),
        "labels": np.array([1, 0, 2, 0, 1, 0], np.float32),
        "offsets": np.array([0, 2, 3, 6]),
        "query_ids": ["a", "b", "c"],
    }
    return RankingDataset(**(fields | more))


def with_value(row: int, column: int, value: float) -> Any:
    features = np.zeros((6, 2), np.float32)
    features[row, column] = value
    return features


# --- What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.zeros(6)}, r"features must be \[documents, features\], got shape \(6,\)"),
        ({"features": [["x", "y"]] * 6}, "features must be an array of numbers"),
        ({"features": with_value(4, 1, np.inf)}, "document 4, feature 2 is inf: features must be finite"),
        ({"features": np.full((6, 2), -1e300)}, "document 0, feature 1 is -inf"),
        (
            {"features": with_value(4, 1, np.inf), "feature_names": ["bm25", "age"]},
            "document 4, feature age is inf",
        ),
        ({"offsets": [1, 2, 3, 6]}, "offsets must run from 0 to the 6 documents"),
        ({"offsets": [0, 2, 3, 5]}, "offsets must run from 0 to the 6 documents"),
        ({"offsets": []}, "offsets must run from 0"),
        ({"offsets": [0, 2, 2, 6]}, "query number 1 has no documents: leave it out"),
        ({"offsets": [0, 3, 2, 6]}, "query number 1 has no documents"),
        ({"labels": np.zeros(5)}, "labels must have 6 entries, got 5"),
        ({"labels": np.zeros((6, 1))}, r"labels must be \[6\], got shape \(6, 1\)"),
        ({"labels": [0, 1, -1, 0, 0, 0]}, "labels must be finite and >= 0, entry 2 is -1.0"),
        ({"labels": [0, 1, 0, np.nan, 0, 0]}, "labels must be finite and >= 0, entry 3 is nan"),
        ({"query_ids": ["a", "b"]}, "query_ids must have 3 entries, got 2"),
        ({"query_ids": ["a", "b", "a"]}, "query id 'a' stands for two lists: ids must be distinct"),
        ({"document_ids": ["d"]}, "document_ids must have 6 entries, got 1"),
        ({"feature_names": ["x"]}, "feature_names must have 2 entries, got 1"),
        ({"positions": [1]}, "positions must have 6 entries, got 1"),
        ({"targets": [0.5]}, "targets must have 6 entries, got 1"),
        ({"targets": [0, -1, 2, 0, np.inf, 0]}, r"targets must be finite, that of row 4 \(query c\) is inf"),
        ({"positions": [1, 2, 1, 0, 2, 3]}, "positions count from 1, entry 3 is 0"),
        ({"weights": np.ones(4)}, r"weights must be one per query \(3\) or one per document \(6\)"),
        ({"weights": [1, np.inf, 1]}, "weights must be finite and >= 0, entry 1 is inf"),
    ],
)
def test_a_shape_or_value_of_another_form_is_refused_with_its_place(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        lists(**change)


def test_an_infinity_far_down_is_found_with_its_row() -> None:
    """Beyond the first block of rows that is scanned."""
    features = np.zeros((10_000, 1), np.float32)
    features[9_999] = -np.inf
    with pytest.raises(DataError, match="document 9999, feature 1 is -inf"):
        RankingDataset(
            features=features, labels=np.zeros(10_000, np.float32), offsets=[0, 10_000], query_ids=["q"]
        )


def test_nan_is_a_missing_value_and_is_taken() -> None:
    assert np.isnan(lists(features=with_value(3, 0, np.nan)).features[3, 0])


# --- Types and memory -------------------------------------------------------------------------------


def test_arrays_come_out_in_the_types_that_are_promised() -> None:
    data = lists(
        features=[[1, 2]] * 6, labels=[True, False] * 3, weights=[1, 2, 3], positions=[1, 2, 1, 1, 2, 3]
    )
    types = [
        a.dtype
        for a in (data.features, data.labels, data.offsets, data.weights, data.positions)
        if a is not None
    ]
    assert types == [np.float32, np.float32, np.int64, np.float32, np.int64]
    assert data.features.flags.c_contiguous


def test_memory_mapped_arrays_are_not_copied(tmp_path: Path) -> None:
    """So that data larger than memory can be held."""
    features = np.memmap(tmp_path / "features", np.float32, "w+", shape=(6, 2))
    labels = np.memmap(tmp_path / "labels", np.float32, "w+", shape=(6,))
    data = lists(features=features, labels=labels)
    assert np.shares_memory(data.features, features)
    assert np.shares_memory(data.labels, labels)


def test_facts_count_documents_queries_and_features() -> None:
    data = lists()
    assert (data.document_count, data.query_count, data.feature_count) == (6, 3, 2)
    assert data.sizes.tolist() == [2, 1, 3]
    assert [data.query_of(row) for row in range(6)] == ["a", "a", "b", "c", "c", "c"]
    assert data.name_of(1) == "2"
    assert lists(feature_names=["bm25", "age"]).name_of(1) == "age"


# --- Weights ----------------------------------------------------------------------------------------


def test_weights_are_one_a_query_or_one_a_document() -> None:
    assert (lists().query_weights, lists().document_weights) == (None, None)
    by_query = lists(weights=[1, 2, 3])
    assert by_query.query_weights is not None
    assert (by_query.query_weights.tolist(), by_query.document_weights) == ([1, 2, 3], None)
    by_document = lists(weights=[1, 3, 5, 0, 3, 6])
    assert by_document.query_weights is not None
    assert by_document.document_weights is not None
    assert by_document.query_weights.tolist() == [2, 5, 3]
    assert by_document.document_weights.tolist() == [1, 3, 5, 0, 3, 6]


# --- Choosing queries -------------------------------------------------------------------------------


def test_chosen_queries_keep_all_their_columns_in_the_order_asked_for() -> None:
    data = lists(
        document_ids=list("uvwxyz"),
        positions=[1, 2, 1, 3, 2, 1],
        targets=[-1, 0.5, 2, 3, -4, 5],
        weights=[1, 2, 3, 4, 5, 6],
        feature_names=["bm25", "age"],
    )
    part = data.queries([2, 0])
    assert part.query_ids == ["c", "a"]
    assert part.offsets.tolist() == [0, 3, 5]
    assert part.features[:, 0].tolist() == [6, 8, 10, 0, 2]
    assert part.labels.tolist() == [0, 1, 0, 1, 0]
    assert part.document_ids == list("xyzuv")
    assert part.positions is not None
    assert part.positions.tolist() == [3, 2, 1, 1, 2]
    assert part.targets is not None
    assert part.targets.tolist() == [3, -4, 5, -1, 0.5]
    assert part.weights is not None
    assert part.weights.tolist() == [4, 5, 6, 1, 2]
    assert part.feature_names == ["bm25", "age"]
    weighted = lists(weights=[1, 2, 3]).queries([2, 0])
    assert weighted.weights is not None
    assert weighted.weights.tolist() == [3, 1]


def test_holding_out_splits_the_queries_by_the_seed() -> None:
    data = random_lists(queries=20)
    rest, held = data.hold_out(0.25, seed=3)
    assert (rest.query_count, held.query_count) == (15, 5)
    assert sorted([*rest.query_ids, *held.query_ids]) == sorted(data.query_ids)
    assert held.query_ids == data.hold_out(0.25, seed=3)[1].query_ids
    assert held.query_ids != data.hold_out(0.25, seed=4)[1].query_ids


@pytest.mark.parametrize(("fraction", "held"), [(0.001, 1), (0.999, 2)])
def test_holding_out_leaves_at_least_one_query_on_each_side(fraction: float, held: int) -> None:
    assert [part.query_count for part in lists().hold_out(fraction, seed=1)] == [3 - held, held]


def test_one_query_cannot_be_split() -> None:
    with pytest.raises(DataError, match="at least two of them, got 1: name a --valid file"):
        lists().queries([0]).hold_out(0.5, seed=1)


# --- Width and names --------------------------------------------------------------------------------


@pytest.mark.parametrize(("missing", "fill"), [("zero", 0.0), ("nan", np.nan)])
def test_absent_columns_are_filled_by_the_missing_policy(missing: Any, fill: float) -> None:
    wide = lists().with_width(4, missing)
    assert wide.features.shape == (6, 4)
    np.testing.assert_array_equal(wide.features[:, 2:], np.full((6, 2), fill))
    np.testing.assert_array_equal(wide.features[:, :2], lists().features)


def test_data_wider_than_the_model_is_refused() -> None:
    with pytest.raises(DataError, match="the data has 2 features, the model was trained on 1"):
        lists().with_width(1, "zero")


def test_data_of_the_right_width_is_handed_on_as_it_is() -> None:
    data = lists()
    assert data.with_width(2, "zero") is data


@pytest.mark.parametrize("names", [["age", "bm25"], ["bm25", "clicks"], ["age", "bm25", "clicks"]])
def test_columns_in_another_order_are_refused(names: list[str]) -> None:
    """They would be scored as what they are not."""
    data = lists(feature_names=["bm25", "age"])
    with pytest.raises(DataError, match=rf"of the data is '.*' where '({names[0]}|clicks)' is expected"):
        data.with_width(len(names), "zero", names)


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (None, ["bm25", "age"]),
        (["bm25", "age"], None),
        (["bm25", "age"], ["1", "2"]),
        (["1", "2"], ["bm25", "age"]),
        (["bm25", "age"], ["bm25", "age"]),
    ],
)
def test_numbers_and_no_names_fit_any_names(mine: list[str] | None, theirs: list[str] | None) -> None:
    data = lists(feature_names=mine)
    assert data.with_width(2, "zero", theirs) is data


def test_numbered_columns_in_another_order_are_refused() -> None:
    with pytest.raises(DataError, match="feature 1 of the data is '2' where '1' is expected"):
        lists(feature_names=["2", "1"]).with_width(2, "zero", ["1", "2"])


@pytest.mark.parametrize(
    ("theirs", "remedy"),
    [(["age", "Bm25"], "put the columns into the same order"), (["bm25", "age"], "leave out 'Bm25', which")],
)
def test_the_remedy_fits_the_columns(theirs: list[str], remedy: str) -> None:
    """An order is put right where the names are the same; no order helps where one is not known."""
    with pytest.raises(DataError, match=remedy):
        lists(feature_names=["Bm25", "age"]).with_width(2, "zero", theirs)


# --- Fingerprint ------------------------------------------------------------------------------------


def test_equal_data_has_one_fingerprint_and_any_change_another() -> None:
    data = lists()
    assert data.fingerprint() == lists().fingerprint()
    assert data.fingerprint().startswith("sha256:")
    others = [
        lists(features=with_value(0, 0, 1)),
        lists(labels=[1, 0, 2, 0, 1, 1]),
        lists(offsets=[0, 1, 3, 6]),
        lists(query_ids=["a", "b", "d"]),
        lists(weights=[1, 1, 2]),
    ]
    assert len({data.fingerprint(), *(other.fingerprint() for other in others)}) == 6


def test_data_without_features_has_a_fingerprint() -> None:
    assert lists(features=np.zeros((6, 0), np.float32)).fingerprint().startswith("sha256:")


# --- Joining ----------------------------------------------------------------------------------------


def renamed(data: RankingDataset) -> RankingDataset:
    return replace(data, query_ids=[f"{query}'" for query in data.query_ids])


def test_joining_is_the_inverse_of_choosing() -> None:
    data = lists(document_ids=list("uvwxyz"), weights=[1, 2, 3], feature_names=["bm25", "age"])
    joined = RankingDataset.concatenate([data.queries([0]), data.queries([1, 2])])
    assert joined.fingerprint() == data.fingerprint()
    assert joined.document_ids == data.document_ids
    assert joined.feature_names == data.feature_names


def test_parts_without_weights_or_ids_get_ones_and_empty_ids() -> None:
    """No weight means 1: nothing that was given is lost."""
    joined = RankingDataset.concatenate(
        [lists(weights=[2, 3, 4], document_ids=list("uvwxyz")), renamed(lists())]
    )
    assert joined.weights is not None
    assert joined.weights.tolist() == [2, 3, 4, 1, 1, 1]
    assert joined.document_ids == [*"uvwxyz", *[""] * 6]


def test_weights_by_query_and_by_document_join_by_document() -> None:
    by_query, by_document = lists(weights=[2, 3, 4]), renamed(lists(weights=[1, 2, 3, 4, 5, 6]))
    joined = RankingDataset.concatenate([by_query, by_document])
    assert joined.weights is not None
    assert joined.weights.tolist() == [2, 2, 3, 4, 4, 4, 1, 2, 3, 4, 5, 6]


def test_positions_are_joined_only_where_all_parts_have_them() -> None:
    shown = lists(positions=[1, 2, 1, 1, 2, 3])
    assert RankingDataset.concatenate([shown, renamed(lists())]).positions is None
    joined = RankingDataset.concatenate([shown, renamed(shown)])
    assert joined.positions is not None
    assert joined.positions.tolist() == [1, 2, 1, 1, 2, 3] * 2


def test_targets_are_those_of_all_parts_or_of_none() -> None:
    """And are what is learned in place of labels."""
    taught = lists(targets=[-1, 0.5, 2, 3, -4, 5])
    with pytest.raises(
        DataError, match="part 1 has targets and part 2 has none: give them to all or to none"
    ):
        RankingDataset.concatenate([taught, renamed(lists())])
    with pytest.raises(DataError, match="part 2 has targets and part 1 has none"):
        RankingDataset.concatenate([lists(), renamed(taught)])
    joined = RankingDataset.concatenate([taught, renamed(taught)])
    assert joined.lessons.tolist() == [-1, 0.5, 2, 3, -4, 5] * 2
    assert lists().lessons.tolist() == lists().labels.tolist()


def test_targets_are_in_the_fingerprint_and_are_no_weights() -> None:
    numbers = [1, 0.5, 2, 3, 4, 5]
    prints = {lists(**more).fingerprint() for more in ({}, {"targets": numbers}, {"weights": numbers})}
    assert len(prints) == 3


def test_targets_stay_with_their_documents() -> None:
    """In both parts of a split, and where columns are added."""
    taught = lists(targets=[-1, 0.5, 2, 3, -4, 5])
    rest, held = taught.hold_out(0.4, seed=1)
    both = dict(
        zip([*rest.features[:, 0], *held.features[:, 0]], [*rest.lessons, *held.lessons], strict=True)
    )
    assert both == dict(zip(taught.features[:, 0], taught.lessons, strict=True))
    assert taught.with_width(5, "zero").lessons.tolist() == taught.lessons.tolist()


def test_one_part_is_joined_as_it_is() -> None:
    data = lists()
    assert RankingDataset.concatenate([data]) is data


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (lists(), "query id 'a' stands for two lists"),
        (renamed(lists(features=np.zeros((6, 3)))), "part 2 has 3 features, the first one 2"),
        (renamed(lists(feature_names=["age", "bm25"])), "feature 1 of the data is 'age' where 'bm25'"),
    ],
)
def test_parts_that_do_not_fit_are_refused(second: RankingDataset, message: str) -> None:
    with pytest.raises(DataError, match=message):
        RankingDataset.concatenate([lists(feature_names=["bm25", "age"]), second])


# --- Rows and data frames ---------------------------------------------------------------------------


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"qid": ["a", "a", "b"], "label": [1, 0, 2], "bm25": [0.5, 0.25, 0.125]} | columns)


def test_a_frame_becomes_lists_of_every_other_column() -> None:
    data = RankingDataset.from_pandas(frame(age=pd.array([1, None, 3], "Int64"), new=[True, False, True]))
    assert data.query_ids == ["a", "b"]
    assert data.offsets.tolist() == [0, 2, 3]
    assert data.feature_names == ["bm25", "age", "new"]
    np.testing.assert_array_equal(data.features, [[0.5, 1, 1], [0.25, np.nan, 0], [0.125, 3, 1]])


def test_a_frame_gives_ids_weights_and_positions_by_named_columns() -> None:
    given = frame(doc=["x", None, "z"], w=[1, 2, 3], at=[2, 1, 1])
    data = RankingDataset.from_pandas(given, document="doc", weight="w", position="at", features=["bm25"])
    assert data.document_ids == ["x", "", "z"]
    assert data.weights is not None
    assert data.weights.tolist() == [1, 2, 3]
    assert data.positions is not None
    assert data.positions.tolist() == [2, 1, 1]
    assert data.feature_count == 1


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (frame(), {"query": "query"}, "no column 'query' in the frame; it has: qid, label, bm25"),
        (frame(), {"features": ["tf"]}, "no column 'tf' in the frame"),
        (frame(title=["x", "y", "z"]), {}, r"features must be numbers; these columns are not: \{'title'"),
        (frame(label=["good", "bad", "good"]), {}, "column 'label' must hold numbers"),
        (frame(label=[1, None, 0]), {}, "labels must be finite and >= 0, entry 1 is nan"),
        (frame(qid=["a", None, "b"]), {}, "row 1 has no 'qid': every document belongs to a query"),
        (frame(w=["x", "y", "z"]), {"weight": "w"}, "column 'w' must hold numbers"),
        (frame(at=[1, None, 2]), {"position": "at"}, "positions count from 1, entry 1"),
        (frame(t=[1, None, 2]), {"target": "t"}, r"targets must be finite, .* row 1 \(query a\) is nan"),
        (frame(bm25=[1.0, 2.0, 1e300]), {}, "document 2, feature bm25 is inf"),
        (frame(qid=["a", "b", "a"]), {}, "row 2: query 'a' was already closed by another query; .* regroup"),
    ],
)
def test_a_frame_that_cannot_be_lists_is_refused(
    given: pd.DataFrame, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        RankingDataset.from_pandas(given, **options)


def test_regrouping_brings_the_rows_of_a_query_together() -> None:
    """In order of first appearance, the order inside each query kept, every column along."""
    given = pd.DataFrame(
        {
            "qid": ["b", "a", "b", "a"],
            "label": [0, 1, 2, 3],
            "x": [0.0, 1.0, 2.0, 3.0],
            "doc": list("stuv"),
            "w": [0, 1, 2, 3],
            "at": [1, 2, 3, 4],
            "t": [-1, -2, -3, -4],
        }
    )
    data = RankingDataset.from_pandas(
        given, document="doc", weight="w", position="at", target="t", regroup=True
    )
    assert data.query_ids == ["b", "a"]
    assert data.labels.tolist() == data.features[:, 0].tolist() == [0, 2, 1, 3]
    assert data.document_ids == list("sutv")
    assert data.weights is not None
    assert data.weights.tolist() == [0, 2, 1, 3]
    assert data.positions is not None
    assert data.positions.tolist() == [1, 3, 2, 4]
    assert data.targets is not None
    assert data.targets.tolist() == [-1, -3, -2, -4]


def test_a_frame_and_back_is_the_same_data() -> None:
    data = random_lists(
        queries=5, document_ids=[f"d{i}" for i in range(random_lists(queries=5).document_count)]
    )
    data = replace(
        data,
        features=np.where(data.features > 1, np.nan, data.features),
        positions=np.concatenate([np.arange(1, size + 1) for size in data.sizes]),
        weights=np.arange(data.document_count, dtype=np.float32),
        targets=-0.5 * np.arange(data.document_count, dtype=np.float32),
    )
    back = RankingDataset.from_pandas(
        data.to_pandas(), document="document", weight="weight", position="position", target="target"
    )
    assert back.fingerprint() == data.fingerprint()
    assert back.document_ids == data.document_ids
    assert back.positions is not None
    np.testing.assert_array_equal(back.positions, data.positions)


def test_a_query_s_weight_stands_in_each_of_its_rows() -> None:
    assert lists(weights=[1, 2, 3]).to_pandas()["weight"].tolist() == [1, 1, 2, 3, 3, 3]


# --- Strings ----------------------------------------------------------------------------------------


def test_strings_are_a_sequence_of_the_texts() -> None:
    texts = ["", "d1", "größe", "文書", "\udcff"]
    column = Strings.of(texts)
    assert column == texts
    assert list(column) == texts
    assert (column[1], column[-2], column[1:3], len(column)) == ("d1", "文書", ["d1", "größe"], 5)
    assert "größe" in column
    assert Strings.of(column) is column
    assert column != texts[:4]
    assert repr(column) == "Strings(5 texts)"


def test_strings_end_where_they_end() -> None:
    column = Strings.of(["a"])
    for index in (1, -2):
        with pytest.raises(IndexError):
            column[index]


def test_strings_have_no_hash_since_they_equal_a_list() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Strings.of(["a"]))
