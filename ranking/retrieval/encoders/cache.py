"""Embeddings kept by what was embedded and by what: a text is encoded once, by any process.

    FOLDER/FINGERPRINT/NUMBER.index    20 bytes a vector: BLAKE2b-128 of the text, and the CRC-32 of that hash
                                       and the vector
    FOLDER/FINGERPRINT/NUMBER.vectors  the vectors in that order, float32, memory-mapped when read

Files only grow, and a process writes to the first pair that no other holds locked: there are as many pairs as
there once were writers at a time. A vector is written before its entry, in chunks, so that a killed run loses
one chunk: what it left half-written is never read, and cut off by the next writer. A vector whose CRC-32 does
not fit is encoded again, and logged as a warning.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ranking.data.arrays import Float32
from ranking.errors import DataError
from ranking.retrieval.encoders.encoder import Encoder

_CHUNK = 256
"""Texts encoded before they are written: some seconds of MiniLM."""
_ENTRY = np.dtype([("text", "V16"), ("crc", "<u4")])
_log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with (distinct texts done, distinct texts)."""


def embed(
    encoder: Encoder, texts: Sequence[str], cache: Path | None = None, progress: Progress | None = None
) -> Float32:
    """The encoder's vectors, float32 [texts, width], in the order given.

    cache     a folder to look in first and to keep them in; None: neither
    progress  called after what was kept is read, and after each chunk

    A text that stands several times is encoded once; texts of like lengths are encoded together, the longest
    first. Raises DataError where the cache cannot be read or written.
    """
    keys = [_key(text) for text in texts]
    distinct = dict(zip(keys, texts, strict=True))
    rows = {key: row for row, key in enumerate(distinct)}
    vectors = np.zeros((len(distinct), encoder.width), np.float32)
    try:
        with ExitStack() as open_files:
            shard = None
            missing = dict(distinct)
            if cache is not None:
                folder = cache / encoder.fingerprint
                for key in _read(folder, rows, vectors):
                    del missing[key]
                if missing:
                    shard = open_files.enter_context(_shard(folder, encoder.width))
            if progress is not None:
                progress(len(distinct) - len(missing), len(distinct))
            for chunk in _chunks(missing):
                found = _checked(encoder, [missing[key] for key in chunk])
                vectors[[rows[key] for key in chunk]] = found
                if shard is not None:
                    _append(shard, chunk, found)
                for key in chunk:
                    del missing[key]
                if progress is not None:
                    progress(len(distinct) - len(missing), len(distinct))
    except OSError as error:
        raise DataError(
            f"expected a cache of embeddings that can be read and written, got {error.strerror} at "
            f"{error.filename or cache}; name another folder, or embed without a cache"
        ) from error
    return vectors[[rows[key] for key in keys]]


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _crc(key: bytes, vector: Float32) -> int:
    return zlib.crc32(vector.data, zlib.crc32(key))


def _chunks(missing: Mapping[bytes, str]) -> Iterator[list[bytes]]:
    """The keys of these texts, the longest first, some together."""
    ordered = sorted(missing, key=lambda key: -len(missing[key]))
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]


def _checked(encoder: Encoder, texts: Sequence[str]) -> Float32:
    """The encoder's vectors of these texts. Raises DataError for a wrong shape and what is not finite."""
    found, shape = np.ascontiguousarray(encoder.encode(texts), "<f4"), (len(texts), encoder.width)
    if found.shape != shape:
        raise DataError(f"{encoder.name}: expected vectors {list(shape)}, got {list(found.shape)}")
    if not np.isfinite(found).all():
        raise DataError(f"{encoder.name}: expected finite vectors, got NaN or infinities")
    return found


def _read(folder: Path, rows: Mapping[bytes, int], vectors: Float32) -> set[bytes]:
    """Fill the rows of the texts that are kept there; the keys of these."""
    found: set[bytes] = set()
    for file in sorted(folder.glob("*.index")):
        entries, kept = _opened(file, vectors.shape[1])
        damaged = 0
        texts, crcs = entries["text"].tolist(), entries["crc"].tolist()
        for place, key in enumerate(texts):
            if key not in rows or key in found:
                continue
            vector = np.array(kept[place])
            if _crc(key, vector) == crcs[place]:
                vectors[rows[key]] = vector
                found.add(key)
            else:
                damaged += 1
        if damaged:
            _log.warning("%s: %d damaged vectors are encoded again", file.with_suffix(".vectors"), damaged)
    return found


def _opened(index: Path, width: int) -> tuple[np.ndarray, np.ndarray]:
    """(entries, vectors [entries, width], mapped) of a pair of files, as many as are whole in both."""
    content = index.read_bytes()
    vectors = index.with_suffix(".vectors")
    size = min(
        len(content) // _ENTRY.itemsize, vectors.stat().st_size // (4 * width) if vectors.exists() else 0
    )
    entries = np.frombuffer(content, _ENTRY, count=size)
    if not size:
        return entries, np.zeros((0, width), "<f4")
    return entries, np.memmap(vectors, "<f4", mode="r", shape=(size, width))


@contextmanager
def _shard(folder: Path, width: int) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """(index, vectors) to append to, locked against other writers, half-written ends cut off."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in count():
        file = folder / f"{number:04d}.index"
        with file.open("ab") as index:
            try:
                fcntl.flock(index, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            with file.with_suffix(".vectors").open("ab") as vectors:
                size = min(os.fstat(index.fileno()).st_size // _ENTRY.itemsize, vectors.tell() // (4 * width))
                index.truncate(size * _ENTRY.itemsize)
                vectors.truncate(size * 4 * width)
                yield index, vectors
                return


def _append(shard: tuple[BinaryIO, BinaryIO], keys: Sequence[bytes], found: Float32) -> None:
    """Write vectors, then their entries: an entry without its vector is never there."""
    index, vectors = shard
    vectors.write(found.tobytes())
    vectors.flush()
    entries = [(key, _crc(key, vector)) for key, vector in zip(keys, found, strict=True)]
    index.write(np.array(entries, _ENTRY).tobytes())
    index.flush()
