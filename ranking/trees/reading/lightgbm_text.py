"""The trees of LightGBM text, compiled: for text as LightGBM writes it, where no split is categorical.

It reads what the plain reader (`ranking.trees.reading.lightgbm`) reads, as that one would, or nothing: keys
byte for byte in LightGBM's order, every count, the range of every index, nodes that form one tree. Whatever
is not as expected, sound or not, it leaves to the plain reader, which has the words for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ranking.compiled.doubles import PAD, double_at, integer_at
from ranking.compiled.jit import compiled
from ranking.compiled.warming import warms
from ranking.trees.forest import Array, Forest, not_above
from ranking.trees.nodes import MAX_DEPTH

_LINES = (
    b"Tree=", b"\nnum_leaves=", b"\nnum_cat=0\nsplit_feature=", b"split_gain=", b"threshold=",
    b"decision_type=", b"left_child=", b"right_child=", b"leaf_value=", b"leaf_weight=", b"leaf_count=",
    b"internal_value=", b"internal_weight=", b"internal_count=", b"is_linear=0\nshrinkage=", b"\n\n\n",
)  # fmt: skip
"""What stands before each number or list of them, and after the last."""
(
    _TREE, _LEAVES, _FEATURE, _GAIN, _THRESHOLD, _DECISION, _LEFT, _RIGHT, _VALUE, _LEAF_WEIGHT, _LEAF_COUNT,
    _SPLIT_VALUE, _SPLIT_WEIGHT, _SPLIT_COUNT, _SHRINKAGE, _END,
) = range(16)  # fmt: skip
_LINE_TEXT = np.frombuffer(b"".join(_LINES), np.uint8)
_LINE_STARTS = np.cumsum([0, *map(len, _LINES)])

_FLOATING = np.array([byte in b"-+.eE0123456789" for byte in range(256)])
_SPACE, _NEWLINE, _MINUS, _ZERO, _I, _N, _F = b" \n-0inf"
_CATEGORICAL, _DEFAULT_LEFT, _MISSING_BITS = 1, 2, 3 << 2
_ONES, _TO_SPACE, _ENDS, _LOW_BITS, _HIGH_BITS = (
    np.uint64(byte * 0x0101010101010101) for byte in (1, 0x80 - 0x20, 0x0A, 0x7F, 0x80)
)
_LEAST_LEAF_BYTES = 24
"""Eleven or twelve numbers with what parts them."""


def unusual_bytes(text: bytes) -> bool:
    """Is any byte beyond ASCII, or a control character but the end of a line?

    Eight at a time, and what is left at the end once more, behind spaces.
    """
    last = text[len(text) // 8 * 8 :].rjust(8)
    words = np.frombuffer(text, np.uint64, len(text) // 8)
    return bool(_unusual(words) or _unusual(np.frombuffer(last, np.uint64)))


@compiled
def _unusual(words: Any) -> bool:  # pragma: no cover - compiled
    """In a word of eight bytes each has room for the carry of its lower seven bits."""
    found = np.uint64(0)
    for word in words:
        low = word & _LOW_BITS
        control = ~(low + _TO_SPACE) & ((low ^ _ENDS) + _LOW_BITS)
        found |= word | control | (low + _ONES)
    return bool((found & _HIGH_BITS) != 0)


def forest_in(body: bytes | memoryview, sizes: Array, feature_count: int, *, average: bool) -> Forest | None:
    """The forest of the trees of these sizes, int64, that `body` begins with; None where they are unusual."""
    room = len(body) // _LEAST_LEAF_BYTES + 1
    integers, floats = np.empty((6, room), np.int64), np.empty((3, room))
    starts = np.zeros((2, len(sizes) + 1), np.int64)
    if not _read(np.frombuffer(body, np.uint8), sizes, feature_count, integers, floats, starts):
        return None
    splits, leaves = starts[:, -1]
    feature, decision, left, right, split_cover = integers[:5, :splits]
    gain, threshold = floats[:2, :splits]
    return Forest(
        feature_count=feature_count,
        first_split=starts[0],
        first_leaf=starts[1],
        feature=feature.astype(np.int32),
        threshold=not_above(threshold),
        rule=((decision & _MISSING_BITS) >> 2).astype(np.uint8),
        default_left=(decision & _DEFAULT_LEFT) != 0,
        left=left.astype(np.int32),
        right=right.astype(np.int32),
        sets=[],
        value=floats[2, :leaves].copy(),
        split_cover=split_cover.astype(np.float64),
        leaf_cover=integers[5, :leaves].astype(np.float64),
        gain=gain.copy(),
        rounds=len(sizes),
        tiny_is_zero=True,
        average=average,
    )


@compiled
def _read(
    buffer: Any, sizes: Any, feature_count: int, integers: Any, floats: Any, starts: Any
) -> bool:  # pragma: no cover - compiled
    """Fill in the numbers of all trees; False as soon as one is not as expected."""
    begin: Any = np.int64(0)
    for tree in range(len(sizes)):
        size = sizes[tree]
        # Each tree ends in three ends of lines, which nothing below reads over, and has room behind it.
        if not _LEAST_LEAF_BYTES < size <= len(buffer) - PAD - begin:
            return False
        for i in range(begin + size - 3, begin + size):
            if buffer[i] != _NEWLINE:
                return False
        at, number, well = _counted(buffer, begin, _TREE)
        if not well or number != tree:
            return False
        at, leaves, well = _counted(buffer, at, _LEAVES)
        split, leaf = starts[0, tree], starts[1, tree]
        # Each takes more bytes than that, so that no more can follow than there is room for.
        if not well or leaves < 2 or leaves > (begin + size - at) // _LEAST_LEAF_BYTES + 1:
            return False
        splits = leaves - 1
        if leaf + leaves > integers.shape[1]:
            return False
        here, there = slice(split, split + splits), slice(leaf, leaf + leaves)
        at = _integers(buffer, at, _FEATURE, integers[0, here])
        at = _doubles(buffer, at, _GAIN, floats[0, here])
        at = _doubles(buffer, at, _THRESHOLD, floats[1, here])
        at = _integers(buffer, at, _DECISION, integers[1, here])
        at = _integers(buffer, at, _LEFT, integers[2, here])
        at = _integers(buffer, at, _RIGHT, integers[3, here])
        at = _doubles(buffer, at, _VALUE, floats[2, there])
        at = _unread(buffer, at, _LEAF_WEIGHT, leaves)
        at = _integers(buffer, at, _LEAF_COUNT, integers[5, there])
        at = _unread(buffer, at, _SPLIT_VALUE, splits)
        at = _unread(buffer, at, _SPLIT_WEIGHT, splits)
        at = _integers(buffer, at, _SPLIT_COUNT, integers[4, here])
        at = _behind(buffer, at, _SHRINKAGE)
        if at < 0:
            return False
        at, _, well = double_at(buffer, at)
        if not well or _behind(buffer, at, _END) != begin + size:
            return False
        if not _sound(integers[0, here], integers[1, here], feature_count):
            return False
        if not _one_tree(integers[2, here], integers[3, here]):
            return False
        starts[0, tree + 1], starts[1, tree + 1] = split + splits, leaf + leaves
        begin += size
    return True


@compiled
def _behind(buffer: Any, at: int, line: int) -> int:  # pragma: no cover - compiled
    """The place after this text, which must be here; −1 where it is not, or before there was no place."""
    if at < 0:
        return -1
    for i in range(_LINE_STARTS[line], _LINE_STARTS[line + 1]):
        if buffer[at] != _LINE_TEXT[i]:
            return -1
        at += 1
    return at


@compiled
def _counted(buffer: Any, at: int, line: int) -> Any:  # pragma: no cover - compiled
    """(end, number, whether it is one as a program prints it) behind a key."""
    at = _behind(buffer, at, line)
    if at < 0:
        return at, 0, False
    begin = at
    at, value, well = integer_at(buffer, at)
    plain = buffer[begin] != _MINUS and (buffer[begin] != _ZERO or at == begin + 1)
    return at, value, well and plain


@compiled
def _parted(buffer: Any, at: int, last: bool) -> bool:  # pragma: no cover - compiled
    return bool(buffer[at] == (_NEWLINE if last else _SPACE))


@compiled
def _integers(buffer: Any, at: int, line: int, found: Any) -> int:  # pragma: no cover - compiled
    """The place after the line of these numbers, or −1."""
    at = _behind(buffer, at, line)
    if at < 0:
        return -1
    for i in range(len(found)):
        at, value, well = integer_at(buffer, at)
        if not well or not _parted(buffer, at, i == len(found) - 1):
            return -1
        found[i] = value
        at += 1
    return at


@compiled
def _doubles(buffer: Any, at: int, line: int, found: Any) -> int:  # pragma: no cover - compiled
    """The place after the line of these numbers, or −1; a threshold may be `inf`."""
    at = _behind(buffer, at, line)
    if at < 0:
        return -1
    for i in range(len(found)):
        if line == _THRESHOLD and buffer[at] == _I and buffer[at + 1] == _N and buffer[at + 2] == _F:
            value, well = np.inf, True
            at += 3
        else:
            at, value, well = double_at(buffer, at)
        if not well or not _parted(buffer, at, i == len(found) - 1):
            return -1
        found[i] = value
        at += 1
    return at


@compiled
def _unread(buffer: Any, at: int, line: int, count: int) -> int:  # pragma: no cover - compiled
    """The place after a line of so many words of the characters of numbers, or −1."""
    at = _behind(buffer, at, line)
    if at < 0:
        return -1
    for i in range(count):
        begin = at
        while _FLOATING[buffer[at]]:
            at += 1
        if at == begin or not _parted(buffer, at, i == count - 1):
            return -1
        at += 1
    return at


@compiled
def _sound(feature: Any, decision: Any, feature_count: int) -> bool:  # pragma: no cover - compiled
    """Splits on a feature there is, by a threshold, with a kind of missing value that is known."""
    for i in range(len(feature)):
        rule = decision[i]
        if not 0 <= feature[i] < feature_count or not 0 <= rule < 16 or rule & _CATEGORICAL:
            return False
        if rule & _MISSING_BITS == _MISSING_BITS:
            return False
    return True


@compiled
def _one_tree(left: Any, right: Any) -> bool:  # pragma: no cover - compiled
    """Is each node but the root a child once, and of a split numbered before it, as LightGBM numbers them?

    There are as many links as such nodes, so that all are reached, and no way goes in circles.
    """
    splits = len(left)
    level = np.full(splits, -1)
    level[0] = 0
    seen = np.zeros(splits + 1, np.bool_)
    for i in range(splits):
        for child in (left[i], right[i]):
            if child >= splits or child < -splits - 1 or 0 <= child <= i:
                return False
            if child < 0:
                if seen[-child - 1]:
                    return False
                seen[-child - 1] = True
            else:
                if level[child] >= 0:
                    return False
                level[child] = level[i] + 1
        # Levels of splits, and that of the leaves below the last.
        if level[i] + 2 > MAX_DEPTH:
            return False
    return True


def _stump() -> bytes:
    values = [b"0", b"2", b"0", *[b"1"] * 2, b"2", b"-1", b"-2", *[b"0.1 1"] * 2, b"1 1", *[b"1"] * 4]
    ends = [b"", b"", *[b"\n"] * 12, b""]
    parts = [line + value + end for line, value, end in zip(_LINES[:-1], values, ends, strict=True)]
    return b"".join([*parts, _LINES[-1]])


_STUMP = _stump()


def _read_stump() -> None:
    unusual_bytes(_STUMP)
    forest_in(_STUMP + bytes(PAD), np.array([len(_STUMP)], np.int64), 1, average=False)


READING = warms("reading lightgbm", _read_stump)
