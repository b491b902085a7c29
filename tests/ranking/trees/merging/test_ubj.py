"""What is written is what XGBoost writes, and what `read_ubj` reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranking.trees.merging.ubj import write_ubj
from ranking.trees.reading.ubj import read_ubj
from tests.ranking.trees.merging.members import FORMS, pair


@pytest.mark.parametrize("form", [form for kind, form in FORMS if kind == "xgboost"])
def test_a_model_comes_out_as_xgboost_wrote_it(form: str) -> None:
    for member in pair("xgboost", form):
        assert write_ubj(read_ubj(member.model)) == member.model


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1)
        | st.floats(width=32, allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=12,
    )
)  # fmt: skip
def test_values_come_back(value: Any) -> None:
    assert read_ubj(write_ubj(value)) == value


@pytest.mark.parametrize("code", ["i1", "u1", "i2", "i4", "i8", "f4", "f8"])
def test_arrays_come_back_in_their_dtype(code: str) -> None:
    found = read_ubj(write_ubj(np.array([0, 1, 127], code)))
    assert found.dtype == np.dtype(f">{code}")
    assert found.tolist() == [0, 1, 127]


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError, match="UBJSON has no form for set"):
        write_ubj({"a": {1}})
