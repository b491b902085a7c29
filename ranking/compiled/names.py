"""Strings to their numbers, by compiled code: feature names to columns, document ids to rows.

Open addressing over FNV-1a hashes; a table is three arrays, so that it can lie in a memory-mapped file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ranking.compiled.decimals import PAD, UInt8, word_at
from ranking.compiled.jit import compiled

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

_FNV_START, _FNV_PRIME = np.uint64(14695981039346656037), np.uint64(1099511628211)
_NONE, _BYTE_BITS = np.uint64(0), np.uint64(8)


class NameTable(NamedTuple):
    """UTF-8 of all names on end with `PAD` bytes after it, int64 starts [names + 1], int32 slots."""

    text: UInt8
    starts: Int64
    slots: Int32


def name_table(names: Sequence[str]) -> NameTable:
    """A table that gives each name its place; of equal names one is found."""
    text, starts = encoded(names)
    # At least half empty, so that a search ends soon.
    slots = np.full(1 << (2 * len(names)).bit_length(), -1, np.int32)
    _fill(text, starts, slots)
    return NameTable(text, starts, slots)


def encoded(names: Sequence[str]) -> tuple[UInt8, Int64]:
    """(UTF-8 on end with `PAD` bytes after it, starts int64 [names + 1])."""
    pieces = [name.encode(errors="surrogatepass") for name in names]
    starts = np.zeros(len(pieces) + 1, np.int64)
    np.cumsum([len(piece) for piece in pieces], out=starts[1:])
    return np.frombuffer(b"".join(pieces) + bytes(PAD), np.uint8), starts


def places(names: Sequence[str], table: NameTable) -> Int64:
    """The place of each name, int64 [names]; -1 for one that is not in the table."""
    text, starts = encoded(names)
    found = np.empty(len(names), np.int64)
    _find_all(text, starts, table.text, table.starts, table.slots, found)
    return found


@compiled
def hash_start() -> Any:
    return _FNV_START


@compiled
def hash_step(state: Any, byte: Any) -> Any:
    return (state ^ np.uint64(byte)) * _FNV_PRIME


@compiled
def _slot(state: Any, size: Any) -> Any:
    return np.int64((state ^ (state >> np.uint64(32))) & np.uint64(size - 1))


@compiled
def is_name(buffer: UInt8, at: Any, length: Any, text: UInt8, starts: Int64, place: Any) -> bool:
    """Whether the name at `place` stands at `at` of a buffer, with this length; eight bytes at a time."""
    start = starts[place]
    if starts[place + 1] - start != length:
        return False
    for i in range(0, length, 8):
        different = word_at(buffer, at + i) ^ word_at(text, start + i)
        if length - i < 8:
            different <<= _BYTE_BITS * np.uint64(8 - length + i)
        if different != _NONE:
            return False
    return True


@compiled
def find(buffer: UInt8, at: Any, length: Any, state: Any, text: UInt8, starts: Int64, slots: Int32) -> Any:
    """The place of the name at `at` whose bytes hash to `state`; -1 where there is none."""
    slot = _slot(state, len(slots))
    while slots[slot] >= 0:
        if is_name(buffer, at, length, text, starts, slots[slot]):
            return np.int64(slots[slot])
        slot = (slot + 1) & (len(slots) - 1)
    return np.int64(-1)


@compiled
def _fill(text: UInt8, starts: Int64, slots: Int32) -> None:
    for place in range(len(starts) - 1):
        state: Any = _FNV_START
        for at in range(starts[place], starts[place + 1]):
            state = hash_step(state, text[at])
        slot = _slot(state, len(slots))
        while slots[slot] >= 0:
            slot = (slot + 1) & (len(slots) - 1)
        slots[slot] = place


@compiled
def _find_all(buffer: UInt8, bounds: Int64, text: UInt8, starts: Int64, slots: Int32, found: Int64) -> None:
    for i in range(len(found)):
        state: Any = _FNV_START
        for at in range(bounds[i], bounds[i + 1]):
            state = hash_step(state, buffer[at])
        found[i] = find(buffer, bounds[i], bounds[i + 1] - bounds[i], state, text, starts, slots)
