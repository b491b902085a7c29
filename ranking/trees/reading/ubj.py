"""A small, safe reader of UBJSON, the binary form XGBoost saves its models in.

Every length is checked against the bytes that are left before anything is made of it, nesting and the
number of values are bounded, and repeated keys are refused, so that no input can crash the process or make
it allocate more than a small multiple of its size. Only what XGBoost writes is read: objects without a
count, arrays with one, numbers, strings and constants. Format: https://ubjson.org, big-endian throughout.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ranking.errors import ArtifactError

MAX_DEPTH = 16
"""An XGBoost tree lies seven levels deep."""

MAX_VALUES = 10_000_000
"""Values outside typed arrays; a model of 10,000 trees has 300,000."""

_NUMBERS = {b"i": ">i1", b"U": ">u1", b"I": ">i2", b"l": ">i4", b"L": ">i8", b"d": ">f4", b"D": ">f8"}
_DTYPES = {marker: np.dtype(code) for marker, code in _NUMBERS.items()}
_INTEGERS = {b"i": 1, b"U": 1, b"I": 2, b"l": 4, b"L": 8}
_CONSTANTS = {b"Z": None, b"T": True, b"F": False}


def read_ubj(data: bytes) -> Any:
    """The value these bytes hold: dict, list, numpy array (typed arrays), str, int, float, bool or None.

    Raises ArtifactError, with the byte where it happened, for anything malformed, repeated or left over.
    """
    reader = _Reader(data)
    value = reader.value(0)
    if reader.at != len(data):
        raise reader.error(f"{len(data) - reader.at} bytes after the end of the model")
    return value


class _Reader:
    """A cursor over the bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.values = data, 0, 0

    def error(self, reason: str) -> ArtifactError:
        return ArtifactError(f"byte {self.at}: {reason}")

    def take(self, count: int) -> bytes:
        if count < 0 or count > len(self.data) - self.at:
            raise self.error(f"{count} bytes announced, {len(self.data) - self.at} left")
        start, self.at = self.at, self.at + count
        return self.data[start : self.at]

    def skip(self, marker: bytes) -> bool:
        """Step over the marker where it is the next byte."""
        found = self.data[self.at : self.at + 1] == marker
        self.at += found
        return found

    def integer(self, marker: bytes) -> int:
        if marker not in _INTEGERS:
            raise self.error(f"an integer expected, got the marker {marker!r}")
        return int.from_bytes(self.take(_INTEGERS[marker]), "big", signed=marker != b"U")

    def length(self) -> int:
        count = self.integer(self.take(1))
        # Each thing counted takes at least a byte.
        if not 0 <= count <= len(self.data) - self.at:
            raise self.error(f"length {count}, with {len(self.data) - self.at} bytes left")
        return count

    def text(self) -> str:
        try:
            return self.take(self.length()).decode()
        except UnicodeDecodeError as error:
            raise self.error("a text that is not UTF-8") from error

    def value(self, depth: int) -> Any:
        self.values += 1
        if self.values > MAX_VALUES:
            raise self.error(f"more than {MAX_VALUES} values")
        if depth > MAX_DEPTH:
            raise self.error(f"nested deeper than {MAX_DEPTH} levels")
        marker = self.take(1)
        if marker == b"{":
            return self.object(depth)
        if marker == b"[":
            return self.array(depth)
        if marker == b"S":
            return self.text()
        if marker in _INTEGERS:
            return self.integer(marker)
        if marker in _DTYPES:
            return float(np.frombuffer(self.take(_DTYPES[marker].itemsize), _DTYPES[marker])[0])
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        raise self.error(f"unknown marker {marker!r}")

    def object(self, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not self.skip(b"}"):
            key = self.text()
            if key in result:
                raise self.error(f"key {key!r} appears twice")
            result[key] = self.value(depth + 1)
        return result

    def array(self, depth: int) -> Any:
        marker = self.take(1) if self.skip(b"$") else None
        if not self.skip(b"#"):
            raise self.error("an array without a count")
        count = self.length()
        if marker is None:
            return [self.value(depth + 1) for _ in range(count)]
        # A type without a size (null, true) would make a long array out of a few bytes.
        if marker not in _DTYPES:
            raise self.error(f"an array of the type {marker!r}")
        return np.frombuffer(self.take(count * _DTYPES[marker].itemsize), _DTYPES[marker])
