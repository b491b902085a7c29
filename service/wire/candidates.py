"""Candidates in JSON, read in one pass: `[{"id": …, "features": …}, …]`, ids and numbers at once.

It reads what is well formed and usual: objects of `id` and `features` in any order, all with lists of the
model's width, all with objects of its names, or all without features. A document of another dialect may have
a `text` as well, and all may be without ids. For anything else it says no, and the generic way reads the
request again. Numbers are read as `scan` reads them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ranking.compiled.decimals import UInt8
from ranking.compiled.digits import AFTER, BEFORE, address, bytes_equal, ones
from ranking.compiled.jit import compiled
from ranking.compiled.names import Int32, NameTable, name_table
from ranking.compiled.warming import warms
from ranking.data.arrays import Float32, Int64
from service.wire.ids import Ids, are_strings, ids_at, string_end
from service.wire.scan import USUAL, find_ends, named_row, new_lead, padded, read_values, skip_space

_LISTS, _MAPS, _NONE, _UNKNOWN = 1, 2, 3, 0
_QUOTE, _COMMA, _COLON = 34, 44, 58
_OPEN_LIST, _CLOSE_LIST, _OPEN_MAP, _CLOSE_MAP = 91, 93, 123, 125
_ID, _TEXT, _FEATURES = (np.frombuffer(word, np.uint8) for word in (b'id"', b'text"', b'features"'))


class Scanned(NamedTuple):
    """Ids; float32 [candidates, features], None where all came without, `named` where all came by name."""

    ids: Ids
    features: Float32 | None
    named: bool


def scan_candidates(text: Any, names: NameTable, most: int, *, documents: bool = False) -> Scanned | None:
    """The candidates in a JSON array, or None: at most `most`, whose ids may come twice.

    `documents` are those of other dialects; ids that none of them has count from "0".
    """
    buffer = padded([text])
    rows = min(int(_count(buffer, _OPEN_MAP)), most)
    matrix = np.empty((rows, len(names.starts) - 1), np.float32)
    spans = np.zeros((2, rows, 2), np.int64)
    form, count, plain = _scan(buffer, names.text, names.starts, names.slots, documents, matrix, spans)
    if form == _UNKNOWN:
        return None
    own, texts = spans[:, :count]
    ids = ids_at(buffer, own, plain=plain) if own[0, 0] > 0 else Ids.counted(count)
    if ids is None or (documents and not are_strings(buffer, texts[texts[:, 0] > 0])):
        return None
    return Scanned(ids, None if form == _NONE else matrix[:count], form == _MAPS)


@compiled
def _count(buffer: UInt8, byte: int) -> Any:
    """How often the byte stands in the buffer's content."""
    start = address(buffer)
    at, stop, count = start + BEFORE, start + len(buffer) - AFTER, np.int64(0)
    while at < stop:  # the room behind the content holds none
        count += ones(bytes_equal(at, byte))
        at += 64
    return count


@compiled
def _is_key(buffer: UInt8, at: Any, key: UInt8) -> bool:
    """Whether the key and its closing quote stand at this place."""
    same = True
    for i in range(len(key)):
        same &= buffer[at + i] == key[i]
    return same


@compiled
def _value_after(buffer: UInt8, at: Any) -> Any:
    """The place of the value whose key ended before `at`, or -1."""
    at = skip_space(buffer, at)
    return skip_space(buffer, at + 1) if buffer[at] == _COLON else np.int64(-1)


@compiled
def _string(buffer: UInt8, at: Any, span: Int64) -> tuple[Any, bool]:
    """(place after the string that begins with its quote at `at`, or -1; whether it is plain)."""
    if at < 0 or buffer[at] != _QUOTE or span[0] > 0:
        return np.int64(-1), False
    end, plain = string_end(buffer, at + 1)
    span[0], span[1] = at + 1, end
    return (end + 1 if end >= 0 else end), plain


@compiled
def _scan(
    buffer: UInt8, text: UInt8, starts: Int64, slots: Int32, documents: bool, matrix: Float32, spans: Int64
) -> tuple[int, int, bool]:
    """(form of all candidates or _UNKNOWN, how many, whether all ids are plain).

    Places of ids are in `spans[0]`, those of texts in `spans[1]`, 0 for none.
    """
    no = (_UNKNOWN, 0, False)
    width = matrix.shape[1]
    ends, lead = np.empty(width + USUAL, np.int64), new_lead(width)
    start = address(buffer)
    limit = start + len(buffer) - AFTER
    form, count, all_plain = _UNKNOWN, 0, True
    at: Any = skip_space(buffer, np.int64(BEFORE))
    if buffer[at] != _OPEN_LIST:
        return no
    while count == 0 or buffer[at] == _COMMA:
        at = skip_space(buffer, at + 1)
        if buffer[at] != _OPEN_MAP or count == len(matrix):
            return no
        found = _NONE
        while buffer[at] != _CLOSE_MAP:  # at a brace or a comma
            at = skip_space(buffer, at + 1)
            if buffer[at] != _QUOTE:
                return no
            if _is_key(buffer, at + 1, _ID):
                at, plain = _string(buffer, _value_after(buffer, at + 1 + len(_ID)), spans[0, count])
                all_plain &= plain
            elif documents and _is_key(buffer, at + 1, _TEXT):
                at, _ = _string(buffer, _value_after(buffer, at + 1 + len(_TEXT)), spans[1, count])
            elif found == _NONE and _is_key(buffer, at + 1, _FEATURES):
                at = _value_after(buffer, at + 1 + len(_FEATURES))
                if at < 0:
                    return no
                if buffer[at] == _OPEN_LIST:
                    found = _LISTS
                    after = find_ends(start + at + 1, limit, width, ends)
                    if after < 0 or not read_values(start + at + 1, ends, matrix[count]):
                        return no
                    at = after - start
                elif buffer[at] == _OPEN_MAP:
                    found = _MAPS
                    matrix[count] = np.nan
                    at = named_row(buffer, at, text, starts, slots, lead, matrix[count])
                else:
                    return no
            else:
                return no
            if at < 0:
                return no
            at = skip_space(buffer, at)
            if buffer[at] != _CLOSE_MAP and buffer[at] != _COMMA:
                return no
        has_id, all_have = spans[0, count, 0] > 0, spans[0, 0, 0] > 0
        if has_id != all_have or not (has_id or (documents and found != _NONE)):
            return no
        if count > 0 and found != form:
            return no
        form = found
        count += 1
        at = skip_space(buffer, at + 1)
    if buffer[at] != _CLOSE_LIST or skip_space(buffer, at + 1) != len(buffer) - AFTER:
        return no
    return form, count, all_plain


def _scan_each_form() -> None:
    names = name_table(("a",))
    scan_candidates(b'[{"id":"a","features":[0]}]', names, 1)
    scan_candidates(b'[{"text":"\\u00e9","features":{"a":0}}]', names, 1, documents=True)


CANDIDATES = warms("scanning of candidates", _scan_each_form)
