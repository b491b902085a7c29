"""The compiled scan of features: what it reads equals the slow way to the bit; what is wrong it leaves."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranking.compiled.names import name_table
from service.wire.scan import scan_matrix, scan_rows

NAMES = ("bm25", "prix €", "a", "b" * 40)
TABLE = name_table(NAMES)
PYTHON = st.one_of(
    st.none(),
    st.integers(-(10**18), 10**18),
    st.floats(-(2.0**120), 2.0**120, allow_nan=False),
    st.floats(-1, 1, width=32),
    st.sampled_from([0.0, -0.0, 1e-38, 5e-324, 1e22, 1e-22, 0.1 + 0.2]),
)


def float32(values: list[Any]) -> Any:
    with np.errstate(over="ignore"):
        return np.array([math.nan if value is None else value for value in values], np.float32)


def same(found: Any, rows: list[list[Any]]) -> bool:
    expected = np.array([float32(row) for row in rows])
    return found is not None and np.array_equal(found.view(np.uint32), expected.view(np.uint32))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(PYTHON, min_size=4, max_size=4), min_size=1, max_size=5), st.sampled_from([None, 1]))
def test_numbers_equal_float_then_float32(rows: list[list[Any]], indent: int | None) -> None:
    """Dense, named and as a table; where the scan is not certain it says no, and that is rare."""
    texts = [json.dumps(row, indent=indent).encode() for row in rows]
    named = [json.dumps(dict(zip(NAMES, row, strict=True)), ensure_ascii=False).encode() for row in rows]
    whole = json.dumps(rows, indent=indent).encode()
    for found in (scan_rows(texts, TABLE), scan_rows(named, TABLE), scan_matrix(whole, len(rows), 4)):
        if found is not None:
            assert same(found, rows)


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "-0.0",
        "0.5",
        "-12.25",
        "1e3",
        "1E+3",
        "1e-3",
        "123456789012",
        "0.8444218515250481",
        "100.125",
        "null",
        "1e-45",
        "1e-200",
        "16777217.00000000000001",
        "12345678901234567890123",
    ],
)
def test_the_usual_numbers_are_read(text: str) -> None:
    """Not by the slow way."""
    value = msgspec.json.decode(text)
    assert same(scan_rows([f"[{text},1,2,3]".encode()], TABLE), [[value, 1, 2, 3]])


@pytest.mark.parametrize(
    "text",
    [
        "01", "-", "+1", ".5", "5.", "1.e5", "1e", "1e+", "--1", "1_0", "0x10", "NaN", "Infinity", "nul",
        "nulll",
        "true", '"1"', "[1]", "{}", "1 2", "", "1e999", "00", "-01", "1.5.2", "-null", "n", "null 1", "1e39",
        "3.4028235677973366e38", "- 1", "1,", "1\\n",
    ],
)  # fmt: skip
def test_what_is_no_json_number_is_left_to_the_slow_way(text: str) -> None:
    """Whether it is the last of a row or not."""
    assert scan_rows([f"[{text},1,2,3]".encode()], TABLE) is None
    assert scan_rows([f"[1,2,3,{text}]".encode()], TABLE) is None
    assert scan_rows([f'{{"a": {text}}}'.encode()], TABLE) is None
    assert scan_matrix(f"[[{text}]]".encode(), 1, 1) is None


@pytest.mark.parametrize(
    "text",
    [
        "[1,2,3]", "[1,2,3,4,5]", "[1,2,3,4", "[1,2,3,4]]", "[1,2,3,4],", "1,2,3,4]", "", "[]", "[1,,3,4]",
        "[1,2,3,4,]",
        '{"a":1', '{"a"}', '{"x":1}', '{"a":1,}', '{,"a":1}', '{"a":1 "b":2}', '{"a\\u0020":1}', '{"a":1}}',
        '{a:1}',
        '{"a', '{"', '{"a":1,"a":2,"a":3,"a":4,"a":5}',
    ],
)  # fmt: skip
def test_what_is_no_row_is_left_to_the_slow_way(text: str) -> None:
    """Width, brackets, commas, names with escapes, and text that ends early."""
    assert scan_rows([text.encode()], TABLE) is None


def test_an_empty_map_is_a_row_of_missing_values() -> None:
    """And the last of equal names counts, as with any JSON reader."""
    found = scan_rows([b"{}", b'{"a":1,"a":2}'], TABLE)
    assert same(found, [[None] * 4, [None, None, 2, None]])


@pytest.mark.parametrize("space", ["", " ", "  ", "\n", "\t \r\n ", " " * 70])
def test_space_may_stand_around_every_value(space: str) -> None:
    """Of any kind and length, and none of it elsewhere."""
    row = [1, -2.5, None, 0.8444218515250481]
    texts = ["1", "-2.5", "null", "0.8444218515250481"]
    dense = "[" + ",".join(f"{space}{text}{space}" for text in texts) + "]"
    members = (
        f'{space}"{name}"{space}:{space}{text}{space}' for name, text in zip(NAMES, texts, strict=True)
    )
    named = "{" + ",".join(members) + "}"
    for piece in (dense, named):
        assert same(scan_rows([f"{piece}{space}".encode()] * 2, TABLE), [row] * 2)
    whole = f"{space}[{space}{dense}{space},{space}{dense}{space}]{space}"
    assert same(scan_matrix(whole.encode(), 2, 4), [row] * 2)
    for other in ("\0", "\x0b", "\x1f", "\u00a0"):
        assert scan_rows([dense.replace("-2.5", f"-2.5{other}").encode()], TABLE) is None
        assert scan_rows([dense.replace("-2.5", f"{other}-2.5").encode()], TABLE) is None


@pytest.mark.parametrize("width", [1, 9, 10, 11, 31, 63, 64, 65, 136, 700])
@pytest.mark.parametrize("digits", [1, 6, 17])
def test_rows_of_any_width_are_read(width: int, digits: int) -> None:
    """Short values have more commas in 64 bytes than are usual, long rows go over many such pieces."""
    source = np.random.default_rng(width)
    rows = [[float(f"{value:.{digits}g}") for value in source.normal(size=width)] for _ in range(5)]
    table = name_table([f"f{column}" for column in range(width)])
    if digits == 1:
        rows = [[round(9 * value) for value in row] for row in rows]
    compact = [json.dumps(row, separators=(",", ":")).encode() for row in rows]
    assert same(scan_rows(compact, table), rows)
    assert same(scan_matrix(json.dumps(rows).encode(), 5, width), rows)
    for other in (width - 1, width + 1):
        assert scan_matrix(json.dumps(rows).encode(), 5, other) is None


def test_each_row_may_name_its_features_otherwise() -> None:
    """The text that led to a value in one row is only where the next one is looked for first."""
    pieces = [
        b'{"a": 1, "bm25": 2}',
        b'{"a": 3, "bm25": 4}',
        b'{"a":  5,"bm25" : 6}',
        b'{"bm25": 7, "a": 8}',
        b'{"a": 9}',
        b"{ }",
        '{"prix €": 10, "a": 11, "bm25": 12}'.encode(),
        b'{"a": 13, "bm25": 14, "' + b"b" * 40 + b'": 15}',
        b'{"a": 16, "bm25": 17, "' + b"b" * 40 + b'": null}',
    ]
    expected = [
        [2, None, 1, None], [4, None, 3, None], [6, None, 5, None], [7, None, 8, None], [None, None, 9, None],
        [None] * 4, [12, 10, 11, None], [14, None, 13, 15], [17, None, 16, None],
    ]  # fmt: skip
    assert same(scan_rows(pieces, TABLE), expected)


def test_a_name_that_begins_like_the_one_before_is_another() -> None:
    """All of the text up to the value is compared."""
    table = name_table(["x", "xy", "xz"])
    found = scan_rows([b'{"xy":1}', b'{"xz":2}', b'{"x":3}'], table)
    assert same(found, [[None, 1, None], [None, None, 2], [3, None, None]])
    assert scan_rows([b'{"xy":1}', b'{"xyz":2}'], table) is None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_survived(content: bytes) -> None:
    """Compiled code does not look beyond the end."""
    scan_rows([content], TABLE)
    scan_rows([b"[" + content], TABLE)
    scan_rows([b'{"' + content], TABLE)
    scan_matrix(b"[[" + content, 2, 2)
