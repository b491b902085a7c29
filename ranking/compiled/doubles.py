"""Compiled reading of decimal numbers as the nearest double, bit for bit as Python reads them.

For numbers as programs print them: where the digits, or the double, are out of the common the state says so,
and the caller converts the text otherwise. A buffer has `PAD` bytes of room after its content.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ranking.compiled.decimals import digits_value, leading_digits, word_at
from ranking.compiled.digits import nearest
from ranking.compiled.jit import compiled

PAD = 16

_MINUS, _PLUS, _DOT = 45, 43, 46
_INTEGER_POWERS = np.array([10**k for k in range(9)], np.uint64)
_ROOM = np.array([10 ** (19 - k) for k in range(9)], np.uint64)
"""What is below it has room for so many more digits."""
_POWERS = np.array([float(f"1e{k}") for k in range(23)])
_EXACT_POWER, _EXACT_MANTISSA = 22, np.uint64(2**53)

_U0, _U8 = np.uint64(0), np.uint64(8)


@compiled(inline="always")
def _digits(buffer: Any, at: Any, mantissa: Any) -> Any:  # pragma: no cover - compiled
    """(end of the digits here, the number they make behind `mantissa`, whether it has at most 19)."""
    well = True
    more = True
    while more:
        word = word_at(buffer, at)
        count = leading_digits(word)
        well = well and mantissa < _ROOM[count]
        # The first digit of eight by itself: digits_value takes seven.
        more = count == _U8
        if more:
            first = np.uint64(word & np.uint64(15))
            mantissa = (mantissa * np.uint64(10) + first) * _INTEGER_POWERS[7]
            mantissa = mantissa + digits_value(word >> _U8, np.uint64(7))
        else:
            mantissa = mantissa * _INTEGER_POWERS[count] + digits_value(word, count)
        at += np.int64(count)
    return at, mantissa, well


@compiled(inline="always")
def double_at(buffer: Any, at: Any) -> Any:  # pragma: no cover - compiled
    """(end, value, whether it is certain) of the number here: 1, -1, 5., 0.5, 1e-3, 2E+10."""
    negative = buffer[at] == _MINUS
    at += np.int64(negative)
    begin = at
    at, mantissa, well = _digits(buffer, at, _U0)
    well = well and at > begin
    exponent = np.int64(0)
    if buffer[at] == _DOT:
        begin = at + 1
        at, mantissa, fits = _digits(buffer, begin, mantissa)
        well = well and fits
        exponent = begin - at
    if buffer[at] | 32 == 101:
        at += 1
        sign = buffer[at]
        at += np.int64((sign == _MINUS) | (sign == _PLUS))
        count = np.int64(leading_digits(word_at(buffer, at)))
        well = well and 1 <= count <= 3
        power = np.int64(0)
        for _ in range(count):
            power = power * 10 + np.int64(buffer[at]) - 48
            at += 1
        exponent += -power if sign == _MINUS else power
    if mantissa == _U0:
        value = 0.0
    elif mantissa <= _EXACT_MANTISSA and -_EXACT_POWER <= exponent <= _EXACT_POWER:
        # Both are exact doubles: one operation rounds once.
        value = np.float64(mantissa)
        value = value * _POWERS[exponent] if exponent >= 0 else value / _POWERS[-exponent]
    else:
        value, certain = nearest(mantissa, exponent)
        well = well and certain and np.isfinite(value)
    return at, (-value if negative else value), well


@compiled(inline="always")
def integer_at(buffer: Any, at: Any) -> Any:  # pragma: no cover - compiled
    """(end, value, whether this is it) of the integer here, of at most 18 digits."""
    negative = buffer[at] == _MINUS
    at += np.int64(negative)
    begin = at
    at, mantissa, well = _digits(buffer, at, _U0)
    value = np.int64(mantissa)
    return at, (-value if negative else value), well and at > begin and mantissa < _ROOM[1]
