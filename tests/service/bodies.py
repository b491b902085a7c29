"""Bodies of rank requests, mostly good."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

numbers = st.one_of(
    st.none(),
    st.integers(-5, 5),
    st.floats(-1e6, 1e6),
    st.sampled_from([0.0, -0.0, 1e38, -1e38, 1e39, 10**300]),
)
junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
names = st.sampled_from(["bm25", "ctr", "price"])


def rarely(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The right thing most of the time, else anything."""
    return st.integers(0, 19).flatmap(lambda draw: junk if draw == 0 else good)


features = st.one_of(
    st.lists(rarely(numbers), min_size=3, max_size=3),
    st.lists(rarely(numbers), max_size=5),
    st.dictionaries(rarely(names).map(str), rarely(numbers), max_size=3),
)
candidates = st.lists(
    st.fixed_dictionaries({"id": rarely(st.text(max_size=3)), "features": rarely(features)}),
    min_size=1,
    max_size=6,
    unique_by=lambda candidate: str(candidate["id"]),
)
tables = st.integers(1, 4).flatmap(
    lambda rows: st.fixed_dictionaries(
        {
            "ids": rarely(st.just([f"d{i}" for i in range(rows)])),
            "columns": rarely(st.just(["ctr", "price"])),
            "matrix": rarely(
                st.lists(st.lists(rarely(numbers), min_size=2, max_size=2), min_size=rows, max_size=rows)
            ),
        }
    )
)
extras = st.fixed_dictionaries(
    {},
    optional={
        "model": rarely(st.sampled_from(["default", "default@0", None])),
        "request_id": rarely(st.text(min_size=1, max_size=5)),
        "query": rarely(st.fixed_dictionaries({"id": st.just("q")})),
        "top_k": rarely(st.integers(1, 9)),
        "explain": rarely(st.sampled_from([True, False, {"top_features": 2}])),
    },
)
bodies = st.tuples(st.one_of(st.fixed_dictionaries({"candidates": rarely(candidates)}), tables), extras).map(
    lambda parts: parts[0] | parts[1]
)
