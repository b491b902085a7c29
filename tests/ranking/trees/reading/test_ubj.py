"""The UBJSON reader takes what XGBoost writes and nothing that lies about its size."""

import random
import tracemalloc

import numpy as np
import pytest

from ranking.errors import ArtifactError
from ranking.trees.reading.ubj import MAX_DEPTH, read_ubj


def test_values_are_read_as_the_format_says() -> None:
    """One of each, written by hand."""
    data = b"{i\x01aU\xc8i\x01bI\x01\x00i\x01cSi\x02hii\x01d[#i\x02TZi\x01ed\x3f\x80\x00\x00}"
    assert read_ubj(data) == {"a": 200, "b": 256, "c": "hi", "d": [True, None], "e": 1.0}


def test_typed_arrays_become_numpy_arrays() -> None:
    """Two big-endian 32-bit integers."""
    found = read_ubj(b"[$l#i\x02\x00\x00\x00\x07\xff\xff\xff\xff")
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [7, -1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "1 bytes announced, 0 left"),
        (b"{i\x01ai\x01i\x01ai\x02}", "'a' appears twice"),
        (b"i\x01i\x01", "2 bytes after the end"),
        (b"[$l#L\x7f\xff\xff\xff\xff\xff\xff\xff", "length 9223372036854775807"),
        (b"[$d#i\x04\x00\x00\x00\x00", "16 bytes announced, 4 left"),
        (b"[$Z#l\x00\x00\x00\x02\x00\x00", "array of the type b'Z'"),
        (b"[#i\xff", "length -1"),
        (b"[i\x01]", "without a count"),
        (b"Si\x02\xff\xfe", "not UTF-8"),
        (b"H", "unknown marker b'H'"),
        (b"[#i\x01" * (MAX_DEPTH + 2) + b"Z", "nested deeper"),
    ],
)
def test_malformed_bytes_are_refused_with_the_reason(data: bytes, reason: str) -> None:
    """Each is one lie."""
    with pytest.raises(ArtifactError, match=reason):
        read_ubj(data)


def test_random_bytes_end_in_a_value_or_in_our_error_and_in_little_memory() -> None:
    """20,000 strings over the format's own markers."""
    draw = random.Random(3)
    tracemalloc.start()
    for _ in range(20_000):
        data = bytes(draw.choices(b"{}[]$#iUIlLdDSZTF\x00\x01\x02\x7f\xff", k=draw.randrange(40)))
        try:
            read_ubj(data)
        except ArtifactError:
            continue
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
