"""Ids of candidates: as strings, and as the JSON text that an answer repeats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, overload

import msgspec
import numpy as np

from ranking.compiled.decimals import UInt8
from ranking.compiled.jit import compiled
from ranking.compiled.warming import warms
from ranking.data.arrays import Int64
from service.wire.messages import MAX_ID, Identifier

_QUOTE, _COMMA, _BACKSLASH, _NEWLINE = 34, 44, 92, 10
_DECODER = msgspec.json.Decoder(list[Identifier])
_STRINGS = msgspec.json.Decoder(list[str])


class Ids(Sequence[str]):
    """The ids in the order of the request, and of each the JSON text between its quotes.

    The text of id i is `text[spans[i, 0] : spans[i, 1]]`; text uint8, spans int64 [ids, 2].
    """

    __slots__ = ("names", "spans", "text")

    def __init__(self, names: list[str], text: UInt8, spans: Int64) -> None:
        self.names, self.text, self.spans = names, text, spans

    @classmethod
    def of(cls, names: list[str]) -> Ids:
        """Ids of which only the strings are there."""
        text = np.frombuffer(msgspec.json.encode(names), np.uint8)
        spans = np.empty((len(names), 2), np.int64)
        _find_strings(text, spans)
        return cls(names, text, spans)

    @classmethod
    def counted(cls, count: int) -> Ids:
        """ "0", "1", …"""
        if count > _KEPT:
            return cls.of([str(row) for row in range(count)])
        kept = _numbers()
        return cls(kept.names[:count], kept.text, kept.spans[:count])

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        return self.names[place]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)


def ids_at(buffer: UInt8, spans: Int64, *, plain: bool) -> Ids | None:
    """The ids whose texts stand in these places of a buffer, `plain` if without escapes; or None.

    None where a text is not UTF-8, an escape is wrong or an id is longer than ids may be.
    """
    text = np.empty(int((spans[:, 1] - spans[:, 0]).sum()) + 3 * len(spans) + 1, np.uint8)
    try:
        if plain:
            length = _gather(buffer, spans, text)
            names = text[:length].tobytes().decode().split("\n")[:-1]
            return None if max(map(len, names)) > MAX_ID else Ids(names, buffer, spans)
        length = _list_of(buffer, spans, text)
        return Ids(_DECODER.decode(text[:length].tobytes()), buffer, spans)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def are_strings(buffer: UInt8, spans: Int64) -> bool:
    """Whether the texts in these places of a buffer, which hold no bare quotes, are sound JSON strings."""
    if len(spans) == 0:
        return True
    text = np.empty(int((spans[:, 1] - spans[:, 0]).sum()) + 3 * len(spans) + 1, np.uint8)
    try:
        _STRINGS.decode(text[: _list_of(buffer, spans, text)].tobytes())
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


@compiled
def string_end(buffer: UInt8, at: Any) -> tuple[Any, Any]:
    """(place of the closing quote or -1, whether there are no escapes) of the string that begins at `at`."""
    plain = True
    while buffer[at] != _QUOTE:
        if buffer[at] < 32:
            return np.int64(-1), False
        if buffer[at] == _BACKSLASH:
            plain = False
            at += 1
            if buffer[at] < 32:
                return np.int64(-1), False
        at += 1
    return at, plain


@compiled
def _find_strings(text: UInt8, spans: Int64) -> None:
    """Places of the strings in a JSON array of strings without space."""
    at: Any = np.int64(1)
    for i in range(len(spans)):
        end, _ = string_end(text, at + 1)
        spans[i, 0], spans[i, 1] = at + 1, end
        at = end + 2


@compiled
def _gather(buffer: UInt8, spans: Int64, text: UInt8) -> int:
    """The length of the texts with a newline after each."""
    to = 0
    for i in range(len(spans)):
        for at in range(spans[i, 0], spans[i, 1]):
            text[to] = buffer[at]
            to += 1
        text[to] = _NEWLINE
        to += 1
    return to


@compiled
def _list_of(buffer: UInt8, spans: Int64, text: UInt8) -> int:
    """The length of the texts as a JSON array."""
    text[0] = 91
    to = 1
    for i in range(len(spans)):
        text[to] = _QUOTE
        to += 1
        for at in range(spans[i, 0], spans[i, 1]):
            text[to] = buffer[at]
            to += 1
        text[to] = _QUOTE
        text[to + 1] = _COMMA if i + 1 < len(spans) else 93
        to += 2
    return to


_KEPT = 10_000


@lru_cache(1)
def _numbers() -> Ids:
    return Ids.of([str(row) for row in range(_KEPT)])


def _find_each_way() -> None:
    ids = Ids.of(["é"])
    for plain in (True, False):
        ids_at(ids.text, ids.spans, plain=plain)


IDS = warms("ids of candidates", _find_each_way)
