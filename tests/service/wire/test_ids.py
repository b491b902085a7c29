"""Ids: strings, and the JSON text of each."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.wire.ids import Ids, ids_at

NAMES = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=20), min_size=1, max_size=8)


def texts(ids: Ids) -> list[str]:
    return [ids.text[begin:end].tobytes().decode() for begin, end in ids.spans.tolist()]


@given(NAMES, st.booleans())
def test_the_texts_are_the_strings_in_json(names: list[str], ascii_only: bool) -> None:
    ids = Ids.of(names)
    assert [json.loads(f'"{text}"') for text in texts(ids)] == names == list(ids)
    body = json.dumps(names, ensure_ascii=ascii_only, separators=(",", ":")).encode()
    again = Ids(names, np.frombuffer(body, np.uint8), ids.spans)
    if len(body) == len(ids.text):
        assert texts(again) == texts(ids)


@given(NAMES)
def test_texts_in_a_buffer_are_read(names: list[str]) -> None:
    written = Ids.of(names)
    plain = not any("\\" in text for text in texts(written))
    found = ids_at(written.text, written.spans, plain=plain)
    assert found is not None
    assert list(found) == names


@pytest.mark.parametrize("content", [b"\xff", b"\\ud800", b"\\x", b"a" * 513, "é".encode() * 513])
def test_what_is_no_id_is_not_read(content: bytes) -> None:
    buffer, spans = np.frombuffer(content, np.uint8), np.array([[0, len(content)]])
    assert ids_at(buffer, spans, plain=b"\\" not in content) is None


@pytest.mark.parametrize("count", [0, 1, 11, 10_001])
def test_counted_ids_are_the_numbers_from_0(count: int) -> None:
    ids = Ids.counted(count)
    assert list(ids) == texts(ids) == [str(i) for i in range(count)]
