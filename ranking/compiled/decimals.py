"""Compiled reading of decimal numbers, eight bytes at a time.

A buffer has `PAD` bytes of room after its content. Numbers equal `np.float32(float(text))` to the bit: where
that is not certain from double arithmetic the state says so, and the caller converts the text otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ranking.compiled.jit import compiled

UInt8 = npt.NDArray[np.uint8]

PAD = 16

EXACT, DOUBTFUL, MALFORMED = 0, 1, 2

_PLUS, _MINUS, _DOT = 43, 45, 46
_POWERS = np.array([float(f"1e{k}") for k in range(64)])
_INTEGER_POWERS = np.array([10**k for k in range(9)], np.uint64)
_ROOM = np.uint64(10**18)
"""Below it one more digit fits."""
_EXACT_POWER, _EXACT_MANTISSA = 22, np.uint64(2**53)
_SMALLEST_NORMAL, _LARGEST = 2.0**-126, float(np.finfo(np.float32).max)

_ZEROS = np.uint64(0x3030303030303030)
_OVER_NINE = np.uint64(0x7676767676767676)
_HIGH_BITS = np.uint64(0x8080808080808080)
_PAIRS, _EVERY_FOURTH = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x000000FF000000FF)
_HUNDREDS, _ONES_PLACE = np.uint64(100 + (1000000 << 32)), np.uint64(1 + (10000 << 32))
_U3, _U7, _U8, _U10, _U16, _U32, _U56, _BYTE = (np.uint64(n) for n in (3, 7, 8, 10, 16, 32, 56, 255))


def _load_word(typing: Any, buffer: Any, at: Any) -> Any:
    """The eight bytes at a place that need not be aligned, the first one lowest."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        loaded = builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()))
        loaded.align = 1
        return loaded

    return types.uint64(buffer, types.int64), generate


def _count_trailing_zeros(typing: Any, word: Any) -> Any:
    """Zero bits below the lowest set one; 64 for zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


word_at: Callable[[UInt8, int], Any] = cast(Any, intrinsic(_load_word))
_trailing_zeros: Callable[[Any], Any] = cast(Any, intrinsic(_count_trailing_zeros))


@compiled
def leading_digits(word: Any) -> Any:
    """How many of the eight bytes, from the first, are digits."""
    spread = word ^ _ZEROS
    return _trailing_zeros(((spread + _OVER_NINE) | spread) & _HIGH_BITS) >> _U3


@compiled
def digits_value(word: Any, count: Any) -> Any:
    """The number that the first `count` <= 7 bytes spell, all digits: eight at a time, by three products.

    Source: Lemire, "Quickly parsing eight digits", 2018.
    """
    return _eight_digits(((word ^ _ZEROS) << _U8) << (_U56 - (count << _U3)))


@compiled
def _eight_digits(value: Any) -> Any:
    """The number of eight bytes 0-9, the first one lowest in the word."""
    value = ((value * _U10) + (value >> _U8)) & _PAIRS
    return (((value & _EVERY_FOURTH) * _HUNDREDS) + (((value >> _U16) & _EVERY_FOURTH) * _ONES_PLACE)) >> _U32


@compiled
def _decimal(mantissa: Any, exponent: int) -> tuple[float, int]:
    """mantissa * 10^exponent as a double, and whether its float32 is certain.

    With a mantissa and a power that are both exact doubles one operation rounds once, as float() does.
    Otherwise the double is within 2 units in its last place of the right one, so its float32 is right unless
    it lies that near to the middle between two float32 (the low 29 bits are 2^28), or beyond the normal ones.
    """
    if mantissa == 0:
        return 0.0, EXACT
    value = np.float64(mantissa)
    if not -64 < exponent < 64:
        return value, DOUBTFUL
    value = value * _POWERS[exponent] if exponent >= 0 else value / _POWERS[-exponent]
    if mantissa <= _EXACT_MANTISSA and -_EXACT_POWER <= exponent <= _EXACT_POWER:
        return value, EXACT
    if not _SMALLEST_NORMAL < value < _LARGEST:
        return value, DOUBTFUL
    # The last 29 bits of the mantissa: what the cast to float32 rounds away.
    middle = np.float64(value).view(np.int64) & ((1 << 29) - 1)
    return value, (DOUBTFUL if -8 <= middle - (1 << 28) <= 8 else EXACT)


@compiled
def _long_number(buffer: UInt8, at: int) -> tuple[int, float, int]:
    """(end, value, state) of any decimal number, byte by byte; no sign."""
    mantissa, kept, digits, exponent = np.uint64(0), 0, 0, 0
    in_fraction = False
    while True:
        byte = buffer[at]
        if byte == _DOT and not in_fraction:
            in_fraction = True
        elif 48 <= byte <= 57:
            digits += 1
            if kept < 19:
                mantissa = mantissa * _U10 + np.uint64(byte - 48)
                kept += 1 if mantissa > 0 else 0
                exponent -= in_fraction
            else:
                exponent += not in_fraction
        else:
            break
        at += 1
    if digits == 0:
        return at, 0.0, MALFORMED
    if byte | 32 == 101:
        sign, at, power, digits = 1, at + 1, 0, 0
        if buffer[at] == _MINUS or buffer[at] == _PLUS:
            sign = -1 if buffer[at] == _MINUS else 1
            at += 1
        while 48 <= buffer[at] <= 57:
            power = min(power * 10 + int(buffer[at] - 48), 1 << 40)
            digits += 1
            at += 1
        if digits == 0:
            return at, 0.0, MALFORMED
        exponent += sign * power
    value, state = _decimal(mantissa, exponent)
    return at, value, state


@compiled
def _fraction(buffer: UInt8, at: Any, whole: Any, word: Any) -> tuple[int, float, int]:
    """(end, value, state) of a fraction whose first eight digits are `word`: a printed double, as a rule.

    `whole` <= 999 stands before the point. MALFORMED for what needs the long way.
    """
    mantissa: Any = whole * _INTEGER_POWERS[8] + _eight_digits(word ^ _ZEROS)
    at += 8
    word = word_at(buffer, at)
    more = leading_digits(word)
    digits = 8 + np.int64(more)
    if more <= _U7:
        mantissa = mantissa * _INTEGER_POWERS[more] + digits_value(word, more)
    else:
        mantissa = mantissa * _INTEGER_POWERS[8] + _eight_digits(word ^ _ZEROS)
    at += np.int64(more)
    while 48 <= buffer[at] <= 57 and mantissa < _ROOM:
        mantissa = mantissa * _U10 + np.uint64(buffer[at] - 48)
        digits += 1
        at += 1
    if 48 <= buffer[at] <= 57 or buffer[at] | 32 == 101:
        return at, 0.0, MALFORMED
    value, state = _decimal(mantissa, -int(digits))
    return at, value, state


@compiled
def number(buffer: UInt8, at: Any) -> tuple[int, float, int]:
    """(end, value, state) of the decimal number here: 1, -1, +1, .5, 5., 1e-3."""
    byte = buffer[at]
    negative = byte == _MINUS
    # Added, not branched on: signs are as good as random.
    at += np.int64(negative | (byte == _PLUS))
    # Up to seven digits on each side of the point: below 2^53, so that one division is exact.
    word = word_at(buffer, at)
    whole = leading_digits(word)
    if whole <= _U7:
        end: Any = at + np.int64(whole)
        mantissa = digits_value(word, whole)
        value: Any = np.float64(mantissa)
        part = np.uint64(0)
        byte = buffer[end]
        if byte == _DOT:
            word = word_at(buffer, end + 1)
            part = leading_digits(word)
            if part <= _U7:
                end += 1 + np.int64(part)
                mantissa = mantissa * _INTEGER_POWERS[part] + digits_value(word, part)
                value = np.float64(mantissa) / _POWERS[part]
                byte = buffer[end]
        if part <= _U7:
            if whole + part > 0 and (byte | 32) != 101:
                return end, (-value if negative else value), EXACT
        elif whole <= _U3:
            end, value, state = _fraction(buffer, end + 1, mantissa, word)
            if state != MALFORMED:
                return end, (-value if negative else value), state
    end, value, state = _long_number(buffer, at)
    return end, (-value if negative else value), state
