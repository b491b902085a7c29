"""Decimal numbers whose ends are known, many digits at a time: the text before a place, as lanes of a vector.

That the end is known is what makes it fast: no number waits for the one before it.

Places are addresses (`address` of a buffer, plus an index): arrays as arguments are counted at each call,
which takes longer than a number does. The buffer must be held by the caller, and have `BEFORE` bytes of room
before its content and `AFTER` bytes after it, since vectors are loaded from both sides of a number.

The spelling is JSON's: `-` or nothing, digits without a zero before others, a point only between digits, an
exponent. What is read equals `float(text)`, or `np.float32(float(text))`, to the bit; what is spelt
in another way, is beyond the type, or cannot be decided here is said to be not well, and left to the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ranking.compiled.decimals import UInt8
from ranking.compiled.jit import compiled

BEFORE, AFTER = 40, 96
"""32 lanes end at a number's end, or at its exponent; 64 bytes are compared from within the content."""

_PLUS, _MINUS, _DOT, _ZERO, _E = 43, 45, 46, 48, 101
_POWERS = np.array([float(f"1e{k}") for k in range(64)])
_MOST_DIGITS = 19
"""So many always fit into 64 bits."""
_SMALLEST_NORMAL, _LARGEST = 2.0**-126, float(np.finfo(np.float32).max)
_ONE, _TEN = np.uint64(1), np.uint64(10)
_HUGE: Any = 1 << 40
_DIGIT_ZERO, _LOWER_CASE = np.uint8(_ZERO), np.uint8(32)


# --- What Numba has no words for --------------------------------------------------------------------------

_I1, _I8, _I32, _I64, _I128 = (ir.IntType(bits) for bits in (1, 8, 32, 64, 128))


def _tuple(*kinds: Any) -> Any:
    made: Any = types.Tuple
    return made(kinds)


def _all(bits: int, lanes: int, value: int) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(bits), lanes), [value] * lanes)


def _in_all(builder: Any, value: Any, lanes: int) -> Any:
    """A vector with the value in each lane."""
    some = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = builder.insert_element(some, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, some, _all(32, lanes, 0))


def _load(builder: Any, address: Any, kind: Any) -> Any:
    loaded = builder.load(builder.inttoptr(address, kind.as_pointer()))
    loaded.align = 1
    return loaded


def _address(typing: Any, buffer: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.ptrtoint(array.data, _I64)

    return types.int64(buffer), generate


def _load_byte(typing: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(builder, arguments[0], _I8)

    return types.uint8(types.int64), generate


def _compare_bytes(typing: Any, at: Any, byte: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        there = _load(builder, arguments[0], ir.VectorType(_I8, 64))
        equal = builder.icmp_unsigned("==", there, _in_all(builder, arguments[1], 64))
        return builder.bitcast(equal, _I64)

    return types.uint64(types.int64, types.uint8), generate


def _compare_texts(typing: Any, one: Any, other: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first, second = (_load(builder, argument, ir.VectorType(_I8, 32)) for argument in arguments)
        equal = builder.bitcast(builder.icmp_unsigned("==", first, second), _I32)
        return builder.zext(equal, _I64)

    return types.uint64(types.int64, types.int64), generate


def _count_trailing_zeros(typing: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(_I1, 0))

    return types.int64(types.uint64), generate


def _count_leading_zeros(typing: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(_I1, 0))

    return types.int64(types.uint64), generate


def _count_ones(typing: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


def _multiply_wide(typing: Any, one: Any, other: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = builder.mul(*(builder.zext(argument, _I128) for argument in arguments))
        high = builder.trunc(builder.lshr(wide, ir.Constant(_I128, 64)), _I64)
        return context.make_tuple(builder, signature.return_type, (high, builder.trunc(wide, _I64)))

    return _tuple(types.uint64, types.uint64)(types.uint64, types.uint64), generate


def _join(builder: Any, value: Any, bits: int, lanes: int, base: int) -> Any:
    """Each two neighbours as one of twice the bits: the first times `base`, plus the second."""
    both = builder.bitcast(value, ir.VectorType(ir.IntType(2 * bits), lanes // 2))
    first = builder.and_(both, _all(2 * bits, lanes // 2, (1 << bits) - 1))
    second = builder.lshr(both, _all(2 * bits, lanes // 2, bits))
    return builder.add(builder.mul(first, _all(2 * bits, lanes // 2, base)), second)


def _digits_before(lanes: int) -> Any:
    def typed(typing: Any, end: Any, length: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            end, length = arguments
            mask, count = ir.IntType(lanes), ir.Constant(_I64, lanes)
            vector = ir.VectorType(_I8, lanes)
            lane, zeros = ir.Constant(vector, list(range(lanes))), _all(8, lanes, _ZERO)
            start = builder.sub(end, count)
            text = _load(builder, start, vector)
            # What stands before the number counts as zeros.
            outside = builder.sub(count, length)
            first = _in_all(builder, builder.trunc(outside, _I8), lanes)
            text = builder.select(builder.icmp_unsigned(">=", lane, first), text, zeros)
            # All before the point moves up by one lane, onto it; without one nothing does.
            points = builder.icmp_unsigned("==", text, _all(8, lanes, _DOT))
            points = builder.bitcast(points, mask)
            none = builder.icmp_unsigned("==", points, ir.Constant(mask, 0))
            found = builder.cttz(points, ir.Constant(_I1, 0))
            place = builder.select(none, ir.Constant(_I8, -1), _resized(builder, found, _I8))
            after = builder.icmp_signed(">", lane, _in_all(builder, place, lanes))
            places = ir.Constant(ir.VectorType(_I32, lanes), [lanes, *range(lanes - 1)])
            moved = builder.shuffle_vector(text, zeros, places)
            digits = builder.sub(builder.select(after, text, moved), zeros)
            other = builder.bitcast(builder.icmp_unsigned(">", digits, _all(8, lanes, 9)), mask)
            pairs = _join(builder, digits, 8, lanes, 10)
            fours = _join(builder, pairs, 16, lanes // 2, 100)
            eights = _join(builder, fours, 32, lanes // 4, 10_000)
            words = [builder.extract_element(eights, ir.Constant(_I32, i)) for i in range(lanes // 8)]
            mantissa = words[0]
            for word in words[1:]:
                mantissa = builder.add(builder.mul(mantissa, ir.Constant(_I64, 10**8)), word)
            point = builder.zext(found, _I64)
            last = ir.Constant(_I64, lanes - 1)
            fraction = builder.select(none, ir.Constant(_I64, 0), builder.sub(last, point))
            whole = builder.sub(builder.select(none, count, point), outside)
            well = [
                builder.icmp_unsigned("==", other, ir.Constant(mask, 0)),
                builder.or_(none, builder.icmp_signed("<", point, last)),
                builder.icmp_signed(">", whole, ir.Constant(_I64, 0)),
            ]
            if lanes == 32:  # at most 19 digits
                well.append(builder.icmp_unsigned("==", words[0], ir.Constant(_I64, 0)))
                well.append(builder.icmp_unsigned("<", words[1], ir.Constant(_I64, 1000)))
            fine = well[0]
            for condition in well[1:]:
                fine = builder.and_(fine, condition)
            return context.make_tuple(builder, signature.return_type, (mantissa, fraction, whole, fine))

        found = _tuple(types.uint64, types.int64, types.int64, types.boolean)
        return found(types.int64, types.int64), generate

    return typed


def _resized(builder: Any, value: Any, kind: Any) -> Any:
    return builder.trunc(value, kind) if value.type.width > kind.width else builder.zext(value, kind)


address: Callable[[UInt8], Any] = cast(Any, intrinsic(_address))
"""Where an array begins in memory, int64."""
byte_at: Callable[[Any], Any] = cast(Any, intrinsic(_load_byte))
bytes_equal: Callable[[Any, Any], Any] = cast(Any, intrinsic(_compare_bytes))
"""Which of the 64 bytes from a place on are this one: a bit for each, the first lowest."""
texts_equal: Callable[[Any, Any], Any] = cast(Any, intrinsic(_compare_texts))
"""Which of the 32 bytes from two places on are the same: a bit for each, the first lowest."""
trailing_zeros: Callable[[Any], Any] = cast(Any, intrinsic(_count_trailing_zeros))
"""Zero bits below the lowest set one; 64 for zero."""
ones: Callable[[Any], Any] = cast(Any, intrinsic(_count_ones))
"""How many bits are set."""
_leading_zeros: Callable[[Any], Any] = cast(Any, intrinsic(_count_leading_zeros))
_product: Callable[[Any, Any], Any] = cast(Any, intrinsic(_multiply_wide))
"""(high, low) 64 bits of a product."""
_digits16: Callable[[Any, Any], Any] = cast(Any, intrinsic(_digits_before(16)))
"""(mantissa, digits after the point, digits before it, well) of the `length` <= 16 bytes before `end`.

No sign, no exponent. Well: only digits, and a point between two of them or none.
"""
_digits32: Callable[[Any, Any], Any] = cast(Any, intrinsic(_digits_before(32)))
"""The same of up to 32 bytes; well if there are also no more than 19 digits after leading zeros."""


# --- Text to numbers --------------------------------------------------------------------------------------


@compiled(inline="always")
def float32_number(begin: Any, end: Any) -> tuple[Any, Any]:
    """(a double whose float32 is that of the number in [begin, end), all well); float32 can hold it."""
    negative = byte_at(begin) == _MINUS
    # Added, not branched on: signs are as good as random.
    first = begin + np.int64(negative)
    length = end - first
    value, well = np.float64(0), False
    if length <= 16:
        value, well = _short(first, end, length)
    elif length <= 32:
        value, well = _long(first, end, length, 0)
    if not well:
        value, well = _with_exponent(first, end)
        if not well:
            value, well = _exact(first, end)
            well = well & np.isfinite(np.float32(value))
    return _signed(value, negative), well


@compiled
def float64_number(begin: Any, end: Any) -> tuple[Any, Any]:
    """(the double of the number in [begin, end), all well); it is finite."""
    negative = byte_at(begin) == _MINUS
    first = begin + np.int64(negative)
    value, well = np.float64(0), False
    if end - first <= 16:
        value, well = _short(first, end, end - first)
    if not well:
        value, well = _exact(first, end)
    return _signed(value, negative), well


@compiled(inline="always")
def _short(begin: Any, end: Any, length: Any) -> tuple[Any, Any]:
    """(double, well) of at most 16 bytes.

    Sixteen digits are an integer, whose conversion rounds once; fifteen are an exact double, as is the power
    of ten, and one division rounds once.
    """
    mantissa, fraction, whole, well = _digits16(end, length)
    strict = (byte_at(begin) != _ZERO) | (whole == 1)
    # Signed, which takes one instruction to convert.
    return np.float64(np.int64(mantissa)) / _POWERS[np.uint64(fraction)], well & strict


@compiled(inline="always")
def _long(begin: Any, end: Any, length: Any, power: Any) -> tuple[Any, Any]:
    """(nearly the double of at most 32 bytes times 10^power, whether its float32 is certain).

    Mantissa, power and quotient are rounded once each: 2 units in the last place at most. So the float32 is
    right unless the double is that near to the middle between two (its low 29 bits, which the cast rounds
    away, are 2^28), or where float32 has fewer bits or none.
    """
    mantissa, fraction, whole, well = _digits32(end, length)
    strict = (byte_at(begin) != _ZERO) | (whole == 1)
    power = power - fraction
    value = np.float64(mantissa)
    scale = _POWERS[np.uint64(abs(power)) & np.uint64(63)]
    value = value * scale if power > 0 else value / scale
    middle = (np.float64(value).view(np.int64) & ((1 << 29) - 1)) - (1 << 28)
    certain = ((middle < -8) | (middle > 8)) & (value > _SMALLEST_NORMAL) & (value < _LARGEST)
    return value, well & strict & (power > -64) & (power < 64) & (certain | (mantissa == 0))


@compiled(inline="always")
def _with_exponent(begin: Any, end: Any) -> tuple[Any, Any]:
    """(as `_long`) of a number with an exponent of one or two digits, with or without a sign."""
    fourth = (byte_at(end - 4) | _LOWER_CASE) == _E
    third = (byte_at(end - 3) | _LOWER_CASE) == _E
    second = (byte_at(end - 2) | _LOWER_CASE) == _E
    cut = 4 if fourth else (3 if third else 2)
    sign = byte_at(end - cut + 1)
    signed = (sign == _MINUS) | (sign == _PLUS)
    digits = cut - 1 - np.int64(signed)
    units = np.int64(byte_at(end - 1)) - _ZERO
    tens = np.int64(byte_at(end - 2)) - _ZERO if digits == 2 else 0
    power = 10 * tens + units
    well = (fourth | third | second) & ((digits == 1) | (digits == 2))
    well &= (units >= 0) & (units < 10) & (tens >= 0) & (tens < 10)
    length = end - cut - begin
    well &= (length >= 1) & (length <= 32)
    value, certain = _long(begin, end - cut, length, -power if sign == _MINUS else power)
    return value, well & certain


@compiled
def _exact(begin: Any, end: Any) -> tuple[Any, Any]:
    """(double, well) of a number without sign, byte by byte."""
    at, mantissa, kept, exponent, rest = begin, np.uint64(0), 0, 0, False
    while at < end and _is_digit(at):
        if kept < _MOST_DIGITS:
            mantissa = mantissa * _TEN + np.uint64(byte_at(at) - _DIGIT_ZERO)
            kept += 1 if mantissa > 0 else 0
        else:
            exponent += 1
            rest |= byte_at(at) != _ZERO
        at += 1
    if at == begin or (byte_at(begin) == _ZERO and at - begin > 1):
        return 0.0, False
    if at < end and byte_at(at) == _DOT:
        at += 1
        first = at
        while at < end and _is_digit(at):
            if kept < _MOST_DIGITS:
                mantissa = mantissa * _TEN + np.uint64(byte_at(at) - _DIGIT_ZERO)
                kept += 1 if mantissa > 0 else 0
                exponent -= 1
            else:
                rest |= byte_at(at) != _ZERO
            at += 1
        if at == first:
            return 0.0, False
    if at < end and (byte_at(at) | _LOWER_CASE) == _E:
        at += 1
        minus = at < end and byte_at(at) == _MINUS
        if at < end and (minus or byte_at(at) == _PLUS):
            at += 1
        first, power = at, 0
        while at < end and _is_digit(at):
            power = min(power * 10 + np.int64(byte_at(at)) - _ZERO, _HUGE)
            at += 1
        if at == first:
            return 0.0, False
        exponent += -power if minus else power
    if at != end:
        return 0.0, False
    if mantissa == 0:
        return 0.0, True
    value, well = nearest(mantissa, exponent)
    if rest and well:
        # What was left off lies between these two: if they round alike, so does the number.
        above, well = nearest(mantissa + _ONE, exponent)
        well = well and above == value
    return value, well and np.isfinite(value)


@compiled(inline="always")
def _is_digit(at: Any) -> Any:
    return byte_at(at) - _DIGIT_ZERO < 10


# --- Mantissa and power of ten, exactly -------------------------------------------------------------------

_LOWEST_POWER, _HIGHEST_POWER = -342, 308
"""Beyond them every mantissa of 64 bits gives zero, or infinity."""


def _fives() -> tuple[Any, Any]:
    """The first 128 bits of 5^power, powers from the lowest on: uint64 high and low halves.

    Of positive powers they are cut off, of negative ones rounded up, as the algorithm wants them.
    """
    found = []
    for power in range(_LOWEST_POWER, _HIGHEST_POWER + 1):
        five = 5 ** abs(power)
        inverse = (1 << (five.bit_length() + 127)) // five + 1
        bits = inverse if power < 0 else five << 128
        found.append(bits >> (bits.bit_length() - 128))
    return (
        np.array([bits >> 64 for bits in found], np.uint64),
        np.array([bits & ((1 << 64) - 1) for bits in found], np.uint64),
    )


_FIVES_HIGH, _FIVES_LOW = _fives()
_FIVES_COUNT = len(_FIVES_HIGH)
_FULL = np.uint64(2**64 - 1)
_HIDDEN, _INFINITY = np.uint64(1 << 52), np.uint64(0x7FF << 52)


@compiled
def nearest(mantissa: Any, power: Any) -> tuple[Any, Any]:
    """(the double nearest to mantissa * 10^power, whether that is certain) of a mantissa above 0.

    Source: Lemire, "Number parsing at a gigabyte per second", 2021 (the algorithm of Eisel and Lemire).
    """
    if power < _LOWEST_POWER:
        return 0.0, True
    if power > _HIGHEST_POWER:
        return np.inf, True
    shift = _leading_zeros(mantissa)
    mantissa = mantissa << np.uint64(shift)
    place = np.uint64(power - _LOWEST_POWER)
    high, low = _product(mantissa, _FIVES_HIGH[place])
    # The bits below those that are kept are all set: what comes next in the table may carry into them.
    if high & np.uint64(0x1FF) == np.uint64(0x1FF):
        carry, _ = _product(mantissa, _FIVES_LOW[place])
        low += carry
        if low < carry:
            high += _ONE
    if low == _FULL and not -27 <= power <= 55:
        return 0.0, False
    upper = np.int64(high >> np.uint64(63))
    cut = np.uint64(upper + 9)
    bits = high >> cut
    # floor(power * log2(10)), by a product
    exponent = ((217706 * power) >> 16) + 63 + upper - shift + 1023
    if exponent <= 0:
        if exponent <= -63:
            return 0.0, True
        bits >>= np.uint64(1 - exponent)
        # A carry out of the subnormal ones gives the smallest normal one by itself.
        return _double((bits + (bits & _ONE)) >> _ONE), True
    # Exactly between two doubles, which only small powers can be: to the even one.
    if low <= _ONE and -4 <= power <= 23 and bits & np.uint64(3) == _ONE and bits << cut == high:
        bits &= ~_ONE
    bits = (bits + (bits & _ONE)) >> _ONE
    if bits >= _HIDDEN << _ONE:
        bits = _HIDDEN
        exponent += 1
    if exponent >= 0x7FF:
        return np.inf, True
    return _double((np.uint64(exponent) << np.uint64(52)) | (bits & ~_HIDDEN)), True


@compiled(inline="always")
def _signed(value: Any, negative: Any) -> Any:
    """-value or value, as JSON has it for zero too; not by a branch, which random signs would mispredict."""
    return np.int64(np.float64(value).view(np.int64) ^ (np.int64(negative) << 63)).view(np.float64)


@compiled
def _double(bits: Any) -> Any:
    return np.uint64(bits).view(np.float64)
