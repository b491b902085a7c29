"""How much JSON holds, counted in its bytes before any of it becomes an object.

Two bytes of a body can become a hundred of memory: `{},` an object, `0,` a float and its place in a list.
What has a limit is counted here first, and what has none is decoded in parts. Strings are stepped over, so
that commas and brackets in them count for nothing. The text need not be sound: the count is never below what
a decoder makes of it before it finds the fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ranking.compiled.decimals import UInt8
from ranking.compiled.jit import compiled
from ranking.compiled.warming import warms
from ranking.data.arrays import Int64
from service.errors import ApiError, invalid

SMALL = 512 * 1024
"""Bytes that are decoded uncounted: whatever they hold, it stays below some 15 MB."""
PART = 1000
"""Elements decoded at once of what may hold any number of them."""

_QUOTE, _COMMA, _BACKSLASH = 34, 44, 92
_OPEN_LIST, _CLOSE_LIST, _OPEN_MAP, _CLOSE_MAP = 91, 93, 123, 125
# A bracket of a map is that of a list with 32 more: `byte | 32` is either's.
_TURNS = np.zeros(256, np.bool_)
_TURNS[[_QUOTE, _OPEN_LIST, _CLOSE_LIST, _OPEN_MAP, _CLOSE_MAP]] = True
"""The bytes that change where we are; numbers and the commas between them do not."""


def elements(text: Any) -> int:
    """How many elements the JSON array, or members the object, holds; 0 for anything else."""
    return int(_cuts(np.frombuffer(text, np.uint8), 0, np.empty(0, np.int64)))


def head(text: Any, size: int) -> Any:
    """The first `size` elements as JSON, or the text where it is small or has no more. It has to be sound."""
    if len(text) <= SMALL:
        return text
    cut = np.zeros(1, np.int64)
    _cuts(np.frombuffer(text, np.uint8), size, cut)
    content = memoryview(text)
    return bytes(content[: cut[0]]) + bytes(content[-1:]) if cut[0] else text


def parts(text: Any, size: int = PART) -> Iterator[bytes]:
    """The JSON array or object again as several of at most `size` elements. The text has to be sound."""
    content = bytes(text).strip()
    cuts = np.empty(max(elements(content) - 1, 0) // size, np.int64)
    _cuts(np.frombuffer(content, np.uint8), size, cuts)
    first, last = content[:1], content[-1:]
    at = 0
    for number, cut in enumerate(map(int, cuts)):
        yield (first if number else b"") + content[at:cut] + last
        at = cut + 1
    yield (first if len(cuts) else b"") + content[at:]


class Shape(NamedTuple):
    """Members of an object; the most elements that a list directly in it has, and the most objects in one."""

    members: int
    longest: int
    objects: int


def shape_of(body: bytes) -> Shape:
    return Shape(*(int(count) for count in _shape(np.frombuffer(body, np.uint8))))


def too_many_candidates(count: int, limit: int, path: str) -> ApiError:
    return invalid(
        "too_many_candidates",
        f"{count} candidates, at most {limit} are ranked in one request",
        path=path,
        limit=limit,
    )


def too_many_requests(count: int, limit: int) -> ApiError:
    return invalid(
        "too_many_requests",
        f"{count} requests, at most {limit} are answered in one batch",
        path="requests",
        limit=limit,
    )


@compiled
def after_string(buffer: UInt8, at: Any) -> Any:
    """The place after the closing quote of the string whose opening quote is before `at`."""
    while at < len(buffer) and buffer[at] != _QUOTE:
        at += 2 if buffer[at] == _BACKSLASH else 1
    return at + 1


@compiled
def _turn(buffer: UInt8, at: Any) -> Any:
    """The place of the next byte that changes where we are."""
    while at < len(buffer) and not _TURNS[buffer[at]]:
        at += 1
    return at


@compiled
def _cuts(buffer: UInt8, size: int, cuts: Int64) -> int:
    """The number of elements; `cuts` is filled with the places of the commas after every `size` of them."""
    at: Any = np.int64(0)
    depth = commas = cut = 0
    empty = True
    while (at := _turn(buffer, at) if depth > 1 else at) < len(buffer):
        byte = buffer[at]
        if byte <= 32:
            at += 1
            continue
        if depth == 0 and byte | 32 != _OPEN_MAP:
            return 0
        if byte | 32 == _CLOSE_MAP:
            depth -= 1
            if depth == 0:
                break
        elif depth > 0:
            empty = False
        if byte == _QUOTE:
            at = after_string(buffer, at + 1)
            continue
        if byte | 32 == _OPEN_MAP:
            depth += 1
        elif byte == _COMMA and depth == 1:
            commas += 1
            if cut < len(cuts) and commas == (cut + 1) * size:
                cuts[cut] = at
                cut += 1
        at += 1
    return 0 if empty else commas + 1


@compiled
def _shape(buffer: UInt8) -> tuple[int, int, int]:
    at: Any = np.int64(0)
    depth = members = commas = objects = most = most_objects = 0
    in_list = empty = False
    while (at := _turn(buffer, at) if depth > 2 else at) < len(buffer):
        byte = buffer[at]
        if byte <= 32:
            at += 1
            continue
        if byte | 32 == _CLOSE_MAP:
            depth -= 1
            if depth == 0:
                break
            if depth == 1:
                in_list = False
        elif in_list and empty:
            empty = False
            most = max(most, 1)
        if byte == _QUOTE:
            at = after_string(buffer, at + 1)
            continue
        if byte | 32 == _OPEN_MAP:
            if depth == 1:
                in_list, empty = byte == _OPEN_LIST, True
                commas = objects = 0
            elif depth == 2 and in_list and byte == _OPEN_MAP:
                objects += 1
                most_objects = max(most_objects, objects)
            depth += 1
        elif byte == _COMMA and depth == 1:
            members += 1
        elif byte == _COMMA and depth == 2 and in_list:
            commas += 1
            most = max(most, commas + 1)
        at += 1
    return members + 1, most, most_objects


def _count_each_way() -> None:
    elements(b"[]")
    shape_of(b"{}")


COUNTING = warms("bounds of requests", _count_each_way)
