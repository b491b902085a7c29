"""Hashed n-grams: words, pairs of words and character 4-grams under a random projection; no weights to fetch.

    x = sum over words w of (1 + ln count(w)) v(w)  +  1/10 sum over pairs of neighbours p of idf(p) r(p)
    v(w) = idf(stem) r(stem)  +  sum over the 4-grams g of <w> of idf(g) r(g) / sqrt(their number)

r(f) in {-1, 1}^width are bits of a hash of the bucket that the feature falls into: there is no table to keep.
A dot product is that of the sparse vectors to about 1 / sqrt(width). This encoder is always there, and weaker
than BM25.

source  Weinberger et al. 2009 (hashing), Achlioptas 2003 (projection by signs).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save
from scipy.sparse import csr_array
from Stemmer import Stemmer, algorithms

from ranking.data.arrays import Float32, Float64, Int64
from ranking.errors import ArtifactError, UsageError, unknown_name
from ranking.retrieval.encoders.encoder import (
    check_unchanged,
    fingerprint_of,
    idf,
    read_facts,
    unit,
    write_facts,
)

KIND = "hashed"
FILE = "idf.safetensors"

_PAIR = 0.1
"""Pairs are many and seldom shared: at 1/2 their noise, in a vector so short, costs a third of the nDCG."""
_TEXTS = 256
"""Texts taken together: their pairs' signs are some 30 MB."""
_KEPT_WORDS = 1 << 16
"""Words whose vectors are kept: 64 MB at width 256."""
_WORD_OF, _PAIR_OF, _GRAM_OF = (np.uint64(n) for n in (1, 2, 3))
"""What sets the hashes of the three kinds of features apart."""

UInt64 = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class HashedNGrams:
    """Texts as hashed n-grams, lower-cased and stemmed; `fitted` learns what each is worth.

    buckets   features share these, a power of two
    width     numbers in a vector, a multiple of 8
    seed      of the signs
    language  of the stemmer, one of PyStemmer's
    weights   float32 [buckets], the idf of each; None: 1

    Raises UsageError for parameters out of range.
    """

    buckets: int = 1 << 18
    width: int = 256
    seed: int = 0
    language: str = "english"
    weights: Float32 | None = None
    name: str = KIND

    def __post_init__(self) -> None:
        if self.buckets < 1 or self.buckets & (self.buckets - 1):
            raise UsageError(f"buckets must be a power of two, got {self.buckets}")
        if self.width < 8 or self.width % 8:
            raise UsageError(f"width must be a multiple of 8, got {self.width}")
        if self.language not in algorithms():
            raise unknown_name("language", self.language, algorithms())
        if self.weights is not None and self.weights.shape != (self.buckets,):
            raise UsageError(f"weights must be [{self.buckets}], got {self.weights.shape}")

    def fitted(self, texts: Iterable[str]) -> HashedNGrams:
        """The same encoder with the idf of these texts: what is in most of them counts little."""
        frequency, documents, stream = np.zeros(self.buckets, np.float32), 0, iter(texts)
        grams: dict[str, Int64] = {}
        while part := list(islice(stream, _TEXTS)):
            words, ends = _words(part)
            distinct, numbers = _numbered(words)
            crcs = self._crcs(distinct)
            for word in distinct:
                if word not in grams:
                    grams[word] = self._bucket_of(_gram_crcs(word), _GRAM_OF)
            own, (pairs, pair_ends) = self._bucket_of(crcs, _WORD_OF), self._pairs(crcs[numbers], ends)
            for text in range(len(part)):
                inside = slice(ends[text], ends[text + 1])
                features = [own[numbers[inside]], pairs[pair_ends[text] : pair_ends[text + 1]]]
                features += [grams[word] for word in set(words[inside])]
                frequency[np.unique(np.concatenate(features))] += 1
            documents += len(part)
        return replace(self, weights=idf(frequency, documents))

    def encode(self, texts: Sequence[str]) -> Float32:
        """float32 [texts, width], each row of length 1; zeros for a text without a word."""
        out = np.zeros((len(texts), self.width), np.float32)
        for start in range(0, len(texts), _TEXTS):
            out[start : start + _TEXTS] = unit(self._sums(texts[start : start + _TEXTS]))
        return out

    @cached_property
    def fingerprint(self) -> str:
        weights = b"" if self.weights is None else self.weights.tobytes()
        return fingerprint_of(KIND, self._parameters, weights)

    def save(self, folder: Path) -> None:
        """Write `encoder.json` and, if fitted, the idf (float32) as `idf.safetensors`."""
        write_facts(folder, KIND, {**self._parameters, "name": self.name}, self.fingerprint)
        if self.weights is not None:
            (folder / FILE).write_bytes(save({"idf": self.weights}))

    @classmethod
    def load(cls, folder: Path) -> HashedNGrams:
        """The encoder that was saved there. Raises ArtifactError where it is damaged."""
        _, parameters, fingerprint = read_facts(folder)
        file = folder / FILE
        try:
            weights = load(file.read_bytes())["idf"] if file.exists() else None
            found = cls(**parameters, weights=weights)
        except (OSError, SafetensorError, KeyError, TypeError, UsageError) as error:
            raise ArtifactError(f"{folder}: not a sound hashed encoder: {error}") from error
        check_unchanged(found, folder, fingerprint)
        return found

    @property
    def _parameters(self) -> dict[str, Any]:
        names = ("buckets", "width", "seed", "language")
        return {name: getattr(self, name) for name in names}

    @cached_property
    def _signs(self) -> npt.NDArray[np.uint8]:
        """Bits, uint8 [buckets, width / 8]: 1 is +1."""
        size = self.buckets * self.width // 8
        numbers = np.arange(-(-size // 8), dtype=np.uint64)
        bits = _mixed(numbers + _mixed(np.array([self.seed], np.uint64)))
        return bits.astype("<u8").view(np.uint8)[:size].reshape(self.buckets, self.width // 8)

    @cached_property
    def _kept(self) -> dict[str, tuple[int, Float32]]:
        """(hash of the stem, vector) by word."""
        return {}

    @cached_property
    def _stemmer(self) -> Any:
        return Stemmer(self.language)

    def _sums(self, texts: Sequence[str]) -> Float32:
        """float32 [texts, width]: the sums x."""
        words, ends = _words(texts)
        distinct, numbers = _numbered(words)
        crcs, vectors = self._of_words(distinct)
        ones, shape = np.ones(len(numbers), np.float32), (len(texts), len(distinct))
        counts = csr_array((ones, numbers, ends), shape, copy=True)
        counts.sum_duplicates()
        counts.data = 1 + np.log(counts.data)
        pairs = self._projected(*self._pairs(crcs[numbers], ends))
        return np.asarray(counts @ vectors + np.float32(_PAIR) * pairs, np.float32)

    def _of_words(self, words: Sequence[str]) -> tuple[UInt64, Float32]:
        """(hashes of the stems, uint64 [words]; vectors v, float32 [words, width])."""
        kept = self._kept
        found = {word: kept.get(word) for word in words}
        missing = [word for word, one in found.items() if one is None]
        if missing:
            crcs = self._crcs(missing)
            fresh = dict(
                zip(missing, zip(crcs.tolist(), self._vectors(missing, crcs), strict=True), strict=True)
            )
            found |= fresh
            if len(kept) + len(fresh) <= _KEPT_WORDS:
                kept |= fresh
        vectors = np.zeros((len(words), self.width), np.float32)
        hashes = np.zeros(len(words), np.uint64)
        for row, one in enumerate(found.values()):
            assert one is not None
            hashes[row], vectors[row] = one
        return hashes, vectors

    def _vectors(self, words: Sequence[str], crcs: UInt64) -> Float32:
        """float32 [words, width]: each word's v."""
        grams = [_gram_crcs(word) for word in words]
        sizes = np.array([len(one) for one in grams])
        ends = np.concatenate([[0], np.cumsum(sizes)])
        own = self._projected(self._bucket_of(crcs, _WORD_OF), np.arange(len(words) + 1))
        inside = self._bucket_of(np.concatenate(grams), _GRAM_OF)
        return own + self._projected(inside, ends, np.repeat(1 / np.sqrt(sizes), sizes))

    def _projected(self, buckets: Int64, ends: Int64, counts: Float64 | float = 1.0) -> Float32:
        """float32 [rows, width]: in each row the sum over its features of count · idf · signs."""
        values = np.broadcast_to(counts, len(buckets)) * (
            1.0 if self.weights is None else self.weights[buckets]
        )
        distinct, places = np.unique(buckets, return_inverse=True)
        rows = csr_array((values.astype(np.float32), places, ends), (len(ends) - 1, len(distinct)))
        bits = np.unpackbits(self._signs[distinct], axis=1).astype(np.float32)
        # With bits b the signs are 2 b − 1.
        return np.asarray(2 * (rows @ bits) - rows.sum(1)[:, None], np.float32)

    def _crcs(self, words: Sequence[str]) -> UInt64:
        return np.array([_crc(stem) for stem in self._stemmer.stemWords(words)], np.uint64)

    def _bucket_of(self, hashes: UInt64, kind: np.uint64) -> Int64:
        return (_mixed(hashes + (kind << np.uint64(60))) & np.uint64(self.buckets - 1)).astype(np.int64)

    def _pairs(self, crcs: UInt64, ends: Int64) -> tuple[Int64, Int64]:
        """(the buckets of each word with the next of its text, where each text's begin)."""
        text_of = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
        inside = text_of[:-1] == text_of[1:]
        buckets = self._bucket_of(_mixed((crcs[:-1] << np.uint64(32)) | crcs[1:]), _PAIR_OF)[inside]
        sizes = np.bincount(text_of[:-1][inside], minlength=len(ends) - 1)
        return buckets, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _words(texts: Sequence[str]) -> tuple[list[str], Int64]:
    """(the words of all texts, where each text's begin: int64 [texts + 1])."""
    split = [re.findall(r"\w+", text.lower()) for text in texts]
    ends = np.concatenate([[0], np.cumsum([len(words) for words in split])]).astype(np.int64)
    return [word for words in split for word in words], ends


def _numbered(words: Sequence[str]) -> tuple[list[str], Int64]:
    """(the distinct words, the number of each word among them)."""
    numbers: dict[str, int] = {}
    found = np.array([numbers.setdefault(word, len(numbers)) for word in words], np.int64)
    return list(numbers), found


def _crc(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def _gram_crcs(word: str) -> UInt64:
    """Hashes of the 4-grams of <word>; of the whole where it is shorter."""
    marked = f"<{word}>"
    return np.array([_crc(marked[at : at + 4]) for at in range(max(1, len(marked) - 3))], np.uint64)


def _mixed(numbers: UInt64) -> UInt64:
    """The finalizer of splitmix64: every bit of the number reaches every bit of the result."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
