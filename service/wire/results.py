"""The results of an answer as JSON: ids as the text they came in, no object for each.

What `msgspec` makes of a list of `Result`s without contributions and teams, but for escapes in ids, which
stay as the client wrote them.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from ranking.compiled.decimals import UInt8
from ranking.compiled.jit import compiled
from ranking.compiled.warming import warms
from ranking.data.arrays import Float32, Int64
from service.wire.ids import Ids

_ID, _INDEX, _RANK, _SCORE = (
    np.frombuffer(text, np.uint8) for text in (b'{"id":"', b'","index":', b',"rank":', b',"score":')
)
_COMMA, _CLOSE_LIST, _CLOSE_MAP, _ZERO = 44, 93, 125, 48
_ROOM = 80
"""Bytes of a result beside its id and score: the texts above, and two numbers of at most 19 digits."""


def results_json(ids: Ids, shown: Int64, scores: Float32) -> bytes:
    """The JSON array of results; `shown` are their candidates in order, int64, `scores` theirs, float32."""
    numbers = np.frombuffer(msgspec.json.encode(scores.tolist()), np.uint8)
    spans = ids.spans
    length = int((spans[:, 1] - spans[:, 0]).sum())
    content = np.empty(length + len(numbers) + _ROOM * len(shown) + 2, np.uint8)
    return content[: _write(ids.text, spans, shown, numbers, content)].tobytes()


@compiled
def _put(content: UInt8, at: Any, text: UInt8) -> Any:
    for i in range(len(text)):
        content[at + i] = text[i]
    return at + len(text)


@compiled
def _put_number(content: UInt8, at: Any, number: Any) -> Any:
    digits, power = 1, 10
    while power <= number:
        power *= 10
        digits += 1
    for i in range(digits - 1, -1, -1):
        content[at + i] = _ZERO + number % 10
        number //= 10
    return at + digits


@compiled
def _write(text: UInt8, spans: Int64, shown: Int64, numbers: UInt8, content: UInt8) -> Any:
    content[0] = 91
    at, number = np.int64(1), 1
    for place in range(len(shown)):
        if place > 0:
            content[at] = _COMMA
            at += 1
        index = shown[place]
        at = _put(content, at, _ID)
        for i in range(spans[index, 0], spans[index, 1]):
            content[at] = text[i]
            at += 1
        at = _put_number(content, _put(content, at, _INDEX), index)
        at = _put_number(content, _put(content, at, _RANK), place + 1)
        at = _put(content, at, _SCORE)
        while numbers[number] != _COMMA and numbers[number] != _CLOSE_LIST:
            content[at] = numbers[number]
            at += 1
            number += 1
        number += 1
        content[at] = _CLOSE_MAP
        at += 1
    content[at] = _CLOSE_LIST
    return at + 1


def _write_one() -> None:
    results_json(Ids.of(["a"]), np.zeros(1, np.int64), np.zeros(1, np.float32))


RESULTS = warms("results of answers", _write_one)
