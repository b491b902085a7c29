"""Numbers whose ends are known equal Python's to the bit, and what is no number of JSON is not read."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from ranking.compiled.digits import AFTER, BEFORE, float32_number, float64_number

COUNT = 400
"""Strings of each kind."""
LARGEST = float(np.finfo(np.float32).max)


def read(reader: Any, text: str, before: bytes = b"7", after: bytes = b"7") -> tuple[float, bool]:
    """(value, well) of the text between others, which must not matter."""
    content = text.encode()
    room = before * BEFORE, after * AFTER
    buffer = np.frombuffer(b"".join([room[0], content, room[1]]), np.uint8)
    begin = buffer.ctypes.data + BEFORE
    value, well = reader(begin, begin + len(content))
    return value, bool(well)


def digits(source: random.Random, count: int) -> str:
    return "".join(source.choice("0123456789") for _ in range(count))


def plain(source: random.Random) -> str:
    whole = source.choice(["0", str(source.randint(1, 9)) + digits(source, source.randint(0, 12))])
    fraction = "." + digits(source, source.randint(1, 22))
    return source.choice(["", "-"]) + whole + source.choice(["", fraction, fraction])


def with_exponent(source: random.Random) -> str:
    power = str(source.randint(0, source.choice([9, 60, 340]))).zfill(source.choice([1, 2, 3]))
    return plain(source) + source.choice("eE") + source.choice(["", "+", "-"]) + power


def printed_double(source: random.Random) -> str:
    """As Python writes any finite one."""
    return repr(finite(source, 64))


def printed_single(source: random.Random) -> str:
    value = finite(source, 32)
    forms = [repr, "{:.9g}".format, "{:.17g}".format, "{:.6g}".format]
    return source.choice(forms)(value)


def small(source: random.Random) -> str:
    return "0." + "0" * source.randint(0, 25) + digits(source, source.randint(1, 17))


def middle_of_singles(source: random.Random) -> str:
    return middle(source, 32, 23, source.randint(90, 150))


def middle_of_subnormal_singles(source: random.Random) -> str:
    return middle(source, 32, 23, 0)


def middle_of_doubles(source: random.Random) -> str:
    return middle(source, 64, 52, source.randint(960, 1080))


def middle_of_subnormal_doubles(source: random.Random) -> str:
    return middle(source, 64, 52, 0)


KINDS: dict[str, Callable[[random.Random], str]] = {
    kind.__name__: kind
    for kind in (
        plain, with_exponent, printed_double, printed_single, small, middle_of_singles,
        middle_of_subnormal_singles, middle_of_doubles, middle_of_subnormal_doubles,
    )
}  # fmt: skip
BORDERS = (
    "0", "-0", "-0.0", "0e5", "0.0e-400", "0.000000", "1e22", "1e23", "8.5e22", "1e-400",
    "4.9406564584124654e-324",
    "2.4703282292062327e-324", "2.4703282292062328e-324", "2.2250738585072011e-308", "1.7976931348623157e308",
    "9007199254740993", "9007199254740992.5", "9999999999999999", "99999999999999999", "9999999999999999999",
    "99999999999999999999", "16777217", "16777217.0000000001", "16777219", "33554433.999999999999",
    "3.4028234663852886e38", "3.4028235677973362e38", "1.1754943508222875e-38", "1.1754942106924411e-38",
    "1.401298464324817e-45", "7.006492321624085e-46", "7.0064923216240853e-46", "7.006492321624086e-46",
    "0.00000000000000000000000000000001", "1E+03", "1e-07", "12345678901234567890123456789012345678",
)  # fmt: skip
NO_NUMBERS = (
    "", "-", "+1", "--1", "01", "00", "-01", "00.5", "01e5", ".5", "-.5", "5.", "1.e5", "1.5.2", ".", "e5",
    "1e", "1e+", "1e-", "1e5.5", "1ee5", "1e+-5", "1 ", " 1", "1 2", "1_0", "0x10", "null", "-null", "NaN",
    "Infinity", "1,2", "1/2", "1:2", "12345678901234567890a", "000000000000000000001", "0123456789012345678",
    "1e5e", "\x801", "1\xff",
)  # fmt: skip
BEYOND_SINGLE = ("1e39", "-1e39", "3.4028235677973366e38", "1e308", "4" + "0" * 38)
BEYOND_DOUBLE = ("1e309", "-1e309", "1e999999999999999999999", "1.7976931348623159e308", "9" * 310)


def finite(source: random.Random, bits: int) -> float:
    while True:
        value = number_of(source.getrandbits(bits), bits)
        if math.isfinite(value):
            return value


def number_of(pattern: int, bits: int) -> float:
    integer, real = ("I", "f") if bits == 32 else ("Q", "d")
    value: float = struct.unpack(real, struct.pack(integer, pattern))[0]
    return value


def middle(source: random.Random, bits: int, mantissa: int, exponent: int) -> str:
    """Half-way between neighbours, where the even one is right; or cut there, which lies next to it."""
    pattern = exponent << mantissa | source.getrandbits(mantissa)
    between = (Decimal(number_of(pattern, bits)) + Decimal(number_of(pattern + 1, bits))) / 2
    exact = format(between, "e" if exponent == 0 else "f")
    return source.choice([exact, format(between, f".{source.randint(15, 20)}g")])


def bits_of(value: float, kind: Any) -> bytes:
    with np.errstate(over="ignore"):
        return bytes(kind(value).tobytes())


@pytest.mark.parametrize("kind", KINDS)
def test_random_numbers_equal_pythons(kind: str) -> None:
    """What is read is right to the bit; what is not, is beyond float32 or has more digits than are kept."""
    source = random.Random(kind)
    for _ in range(COUNT):
        text = KINDS[kind](source)
        expected = float(text)
        many = sum(map(str.isdigit, text)) > 19
        value, well = read(float64_number, text)
        assert well or many or math.isinf(expected), text
        assert not well or bits_of(value, np.float64) == bits_of(expected, np.float64), text
        value, well = read(float32_number, text)
        assert well or many or abs(expected) > LARGEST, text
        assert not well or bits_of(value, np.float32) == bits_of(expected, np.float32), text


@pytest.mark.parametrize("text", BORDERS)
def test_numbers_on_borders_equal_pythons(text: str) -> None:
    """Signed zeros, ties, and the ends of both types; what cannot be decided is only what has many digits."""
    value, well = read(float64_number, text)
    assert well
    assert bits_of(value, np.float64) == bits_of(float(text), np.float64)
    if abs(float(text)) < 3.5e38:
        value, well = read(float32_number, text)
        assert well
        assert bits_of(value, np.float32) == bits_of(float(text), np.float32)


@pytest.mark.parametrize("text", NO_NUMBERS)
@pytest.mark.parametrize("beside", [b"7", b".", b"e", b" ", b"\0"])
def test_what_json_does_not_call_a_number_is_not_read(text: str, beside: bytes) -> None:
    """Whatever stands beside it."""
    for reader in (float32_number, float64_number):
        assert not read(reader, text, beside, beside)[1]


@pytest.mark.parametrize("text", BEYOND_SINGLE)
def test_what_float32_cannot_hold_is_not_read_as_one(text: str) -> None:
    """It would be infinite."""
    assert not read(float32_number, text)[1]
    assert read(float64_number, text) == (float(text), True)


@pytest.mark.parametrize("text", BEYOND_DOUBLE)
def test_what_float64_cannot_hold_is_not_read(text: str) -> None:
    """Nor as a float32."""
    assert not read(float32_number, text)[1]
    assert not read(float64_number, text)[1]


def test_what_stands_beside_a_number_does_not_matter() -> None:
    """Vectors reach over both ends."""
    for text in ("1", "-2.5", "0.8444218515250481", "1e-05", "123456789.0123456789e3"):
        found = {
            read(reader, text, before, after)
            for reader in (float32_number,)
            for before in (b"0", b"9", b".", b"e", b",", b"\0", b"\xff")
            for after in (b"0", b"9", b".", b"e", b"]", b"\0", b"\xff")
        }
        assert len(found) == 1
