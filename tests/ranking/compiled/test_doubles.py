"""Numbers as programs print them, to the bit, or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranking.compiled.doubles import PAD, double_at, integer_at
from ranking.compiled.jit import compiled


@compiled
def _double(buffer: Any) -> Any:
    return double_at(buffer, 0)


@compiled
def _integer(buffer: Any) -> Any:
    return integer_at(buffer, 0)


def read(reader: Any, text: str) -> Any:
    return reader(np.frombuffer(text.encode() + bytes(PAD), np.uint8))


def assert_read(text: str, *, surely: bool = True) -> None:
    end, value, well = read(_double, text)
    assert well or not surely, text
    if well:
        assert (end, np.float64(value).tobytes()) == (len(text), np.float64(text).tobytes()), text


@settings(max_examples=400, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_printed_doubles_are_read_to_the_bit(value: float) -> None:
    """All normal ones, with 17 digits and with the fewest that do."""
    for text in (f"{value:.17g}", repr(value), f"{value:.6g}", f"{value:.16e}"):
        assert_read(text, surely=value == 0 or 1e-320 < abs(value) < 1e308)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 10**19 - 1), st.integers(-330, 310))
def test_any_19_digits_and_power_are_read_to_the_bit_or_left(mantissa: int, power: int) -> None:
    assert_read(f"{mantissa}e{power}", surely=mantissa == 0 or 1e-280 < float(f"{mantissa}e{power}") < 1e308)


def test_many_drawn_numbers_and_those_just_between_two_doubles() -> None:
    draw = np.random.default_rng(11)
    for value in np.exp(draw.uniform(-690, 690, 20_000)):
        assert_read(f"{value:.17g}")
    for odd in draw.integers(2**52, 2**53, 3000).tolist():
        # A whole number of 54 bits whose last is set lies just between two doubles.
        assert_read(str(2 * odd + 1))
        assert_read(f"{(2 * odd + 1) * 5}e-1")
        assert_read(f"{2 * odd + 1}e1")
    for power in range(-290, 290):
        assert_read(f"1e{power}")
        assert_read(f"9007199254740993e{power}")


@pytest.mark.parametrize("text", ["", "-", ".", ".5", "+1", "e5", "1e", "1e+", "1e1000", "inf", "nan"])
def test_what_is_unusual_is_left(text: str) -> None:
    assert not read(_double, text)[2]


@pytest.mark.parametrize("text", ["0", "-0", "007", "-12345678", "123456789012345678", "-999999999999999999"])
def test_integers_are_read(text: str) -> None:
    assert read(_integer, text) == (len(text), int(text), True)


@pytest.mark.parametrize("text", ["", "-", "--1", "1234567890123456789", "99999999999999999999999", "x"])
def test_what_is_no_integer_is_left(text: str) -> None:
    assert not read(_integer, text)[2]
