"""What a request says beside its rows, decoded while the rows are left as text.

The rows (an array that stands under one of a few top-level keys) are the bulk of a body. A number that nobody
else knows is put in their place, and the small rest is decoded as usual, with all that this means for types,
unknown keys and keys that come twice. Whatever is not as usual is left to the generic way, which decodes the
whole body.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from ranking.compiled.decimals import UInt8
from ranking.compiled.jit import compiled
from ranking.compiled.warming import warms
from service.wire.bounds import SMALL, after_string

Rest = TypeVar("Rest")

_STAND_IN = b"0." + str(secrets.randbits(256)).encode()
"""In the place of the rows; random, so that no client can send the same."""
_QUOTE, _COMMA, _COLON = 34, 44, 58
_OPEN_MAP, _CLOSE_MAP = 123, 125
_OPEN_LIST, _CLOSE_LIST = 91, 93


class Envelope(NamedTuple):
    """The key that the rows stand under, their text, and the body with a stand-in for them."""

    key: str
    rows: memoryview
    rest: bytes


class Keys:
    """The keys that rows may stand under. Those of `numbers` hold no strings inside: their end is known."""

    def __init__(self, names: Sequence[str], numbers: Sequence[str] = ()) -> None:
        self.names, self._numbers = tuple(names), frozenset(numbers)
        self._text = np.frombuffer(b"".join(f'{name}"'.encode() for name in names), np.uint8)
        self._starts = np.cumsum([0, *(len(name) + 1 for name in names)])

    def open(self, body: bytes) -> Envelope | None:
        """The envelope of a body, or None where it is not plain what stands where."""
        key, begin = _find_rows(np.frombuffer(body, np.uint8), self._text, self._starts)
        if key < 0:
            return None
        name = self.names[key]
        # Without strings the array ends before the next quote; else what follows is taken to hold no bracket.
        stop = body.find(b'"', begin) if name in self._numbers else -1
        end = body.rfind(b"]", begin, len(body) if stop < 0 else stop) + 1
        if end <= begin or len(body) - (end - begin) > SMALL:
            return None
        rest = b"".join((body[:begin], _STAND_IN, body[end:]))
        return Envelope(name, memoryview(body)[begin:end], rest)


def decoded_rest(envelope: Envelope, decoder: msgspec.json.Decoder[Rest]) -> Rest | None:
    """The rest of a body, or None where it does not fit; the rows' place has to be `is_stand_in`."""
    try:
        return decoder.decode(envelope.rest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def is_stand_in(value: Any) -> bool:
    """Whether a member is the one that was replaced: a key that comes twice has the last one's value."""
    return bytes(value) == _STAND_IN


@compiled
def _skip_space(buffer: UInt8, at: Any) -> Any:
    while at < len(buffer) and (buffer[at] == 32 or 9 <= buffer[at] <= 10 or buffer[at] == 13):
        at += 1
    return at


@compiled
def _after_value(buffer: UInt8, at: Any) -> Any:
    """The place after the value at `at`, looked into for strings and brackets only."""
    depth = 0
    while at < len(buffer):
        byte = buffer[at]
        if depth == 0 and byte in (_COMMA, _CLOSE_MAP, _CLOSE_LIST):
            return at
        if byte == _QUOTE:
            at = after_string(buffer, at + 1)
            continue
        if byte in (_OPEN_LIST, _OPEN_MAP):
            depth += 1
        elif byte in (_CLOSE_LIST, _CLOSE_MAP):
            depth -= 1
        at += 1
    return at


@compiled
def _key_at(buffer: UInt8, at: Any, text: UInt8, starts: npt.NDArray[np.int64]) -> int:
    """Which of the keys (each with its closing quote) stands at this place; -1 for none."""
    for key in range(len(starts) - 1):
        length = starts[key + 1] - starts[key]
        same = at + length <= len(buffer)
        i = 0
        while same and i < length:
            same = buffer[at + i] == text[starts[key] + i]
            i += 1
        if same:
            return key
    return -1


@compiled
def _find_rows(buffer: UInt8, text: UInt8, starts: npt.NDArray[np.int64]) -> tuple[int, int]:
    """(which of the keys stands first in the object, where its value begins); -1 where that is unusual."""
    no = (-1, 0)
    at: Any = _skip_space(buffer, np.int64(0))
    if at >= len(buffer) or buffer[at] != _OPEN_MAP:
        return no
    while True:
        at = _skip_space(buffer, at + 1)
        if at >= len(buffer) or buffer[at] != _QUOTE:
            return no
        key = _key_at(buffer, at + 1, text, starts)
        at = _skip_space(buffer, after_string(buffer, at + 1))
        if at >= len(buffer) or buffer[at] != _COLON:
            return no
        at = _skip_space(buffer, at + 1)
        if key >= 0:
            if at >= len(buffer) or buffer[at] != _OPEN_LIST:
                return no
            return key, at
        at = _skip_space(buffer, _after_value(buffer, at))
        if at >= len(buffer) or buffer[at] != _COMMA:
            return no


def _open_one() -> None:
    Keys(("a",)).open(b'{"a":[]}')


ENVELOPES = warms("envelopes of requests", _open_one)
