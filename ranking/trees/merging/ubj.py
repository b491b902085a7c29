"""A small writer of UBJSON: the bytes that XGBoost writes of the same values.

Numbers take the smallest form that holds them, lengths always eight bytes. What `read_ubj` reads comes back:
arrays of numpy's dtypes as typed arrays, lists as lists. Format: https://ubjson.org, big-endian throughout.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_MARKERS = {"i1": b"i", "u1": b"U", "i2": b"I", "i4": b"l", "i8": b"L", "f4": b"d", "f8": b"D"}
_CONSTANTS: dict[Any, bytes] = {None: b"Z", True: b"T", False: b"F"}


def write_ubj(value: Any) -> bytes:
    """The bytes of a dict, list, numpy array, str, int, float, bool or None. Raises TypeError for others."""
    if isinstance(value, dict):
        return b"{" + b"".join(_sized(key.encode()) + write_ubj(one) for key, one in value.items()) + b"}"
    if isinstance(value, list):
        return b"[#" + _length(len(value)) + b"".join(map(write_ubj, value))
    if isinstance(value, np.ndarray):
        code = value.dtype.str[1:]
        return b"[$" + _MARKERS[code] + b"#" + _length(len(value)) + value.astype(f">{code}").tobytes()
    if isinstance(value, str):
        return b"S" + _sized(value.encode())
    if value is None or isinstance(value, bool):
        return _CONSTANTS[value]
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return b"d" + np.array(value, ">f4").tobytes()
    raise TypeError(f"UBJSON has no form for {type(value).__name__}")


def _length(count: int) -> bytes:
    return b"L" + count.to_bytes(8, "big")


def _sized(text: bytes) -> bytes:
    return _length(len(text)) + text


def _integer(value: int) -> bytes:
    for marker, size in ((b"i", 1), (b"I", 2), (b"l", 4)):
        # XGBoost leaves out the ends of each range.
        if abs(value) < 1 << (8 * size - 1):
            return marker + value.to_bytes(size, "big", signed=True)
    return b"L" + value.to_bytes(8, "big", signed=True)
