"""Static embeddings: a table of token vectors, summed over a text's tokens; a thousand times MiniLM's speed.

    x = sum over tokens t of weight(t) table[t]

With weights of 1 this is mean pooling; `idf_weighted` makes them the idf of a corpus, for tables that were
not trained for the mean (WordLlama's was, and loses by it). Files are as model2vec writes them: one
safetensors file with a table [tokens, width] and perhaps `weights` [tokens], and `tokenizer.json`.

Texts are taken in lower case: tables that know case know little of capitals, and queries come in any. nDCG@10
on Vaswani, whose queries are all capitals, is .344 and not .061; on SciFact, NFCorpus and CISI it changes by
-.005, +.013 and -.004.

source  Arora, Liang, Ma 2017 (weighted sums of word vectors); model2vec; WordLlama (MIT), whose wheel holds a
        table distilled from a language model's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save
from scipy.sparse import csr_array

from ranking.data.arrays import Float32
from ranking.errors import ArtifactError
from ranking.retrieval.encoders.encoder import (
    FACTS,
    check_unchanged,
    fingerprint_of,
    idf,
    read_facts,
    unit,
    write_facts,
)
from ranking.retrieval.encoders.packages import folder_of_package
from ranking.retrieval.encoders.tokens import Tokens, special_ids

KIND = "static"
TABLE = "model.safetensors"
TOKENIZER = "tokenizer.json"

_TEXTS = 1024


@dataclass(frozen=True, eq=False)
class StaticEncoder:
    """A token table and its tokenizer.

    table      float32 or float16 [tokens, width]
    tokenizer  the bytes of `tokenizer.json`
    weights    float32 [tokens], what each token counts; None: 1
    name       what reports call it

    Raises ArtifactError where they do not fit together, MissingExtraError without `tokenizers`.
    """

    table: np.ndarray
    tokenizer: bytes
    weights: Float32 | None = None
    name: str = KIND

    def __post_init__(self) -> None:
        tokens = self._tokens.tokenizer.get_vocab_size(with_added_tokens=True)
        if self.table.ndim != 2 or len(self.table) < tokens:
            raise ArtifactError(
                f"{self.name}: the tokenizer has {tokens} tokens, the table is {list(self.table.shape)}: "
                "they are not of one model"
            )
        if self.weights is not None and self.weights.shape != (len(self.table),):
            raise ArtifactError(
                f"{self.name}: expected weights [{len(self.table)}], got {list(self.weights.shape)}"
            )

    @property
    def width(self) -> int:
        return int(self.table.shape[1])

    @classmethod
    def of_files(cls, table: Path, tokenizer: Path, name: str = KIND) -> StaticEncoder:
        """The encoder in a safetensors file with one table, and a `tokenizer.json`.

        Raises ArtifactError for files that are something else.
        """
        try:
            arrays = load(table.read_bytes())
            content = tokenizer.read_bytes()
        except (OSError, SafetensorError) as error:
            raise ArtifactError(
                f"{table.parent}: expected a token table and its tokenizer, got: {error}"
            ) from error
        weights = arrays.pop("weights", None)
        found = list(arrays.items())
        if len(found) != 1 or found[0][1].ndim != 2 or found[0][1].dtype.kind != "f":
            shapes = {key: list(array.shape) for key, array in found}
            raise ArtifactError(f"{table}: expected one table [tokens, width], got {shapes}")
        return cls(found[0][1], content, None if weights is None else weights.astype(np.float32), name)

    @classmethod
    def installed(cls) -> StaticEncoder:
        """WordLlama's table of width 256, from the installed package `wordllama`, which is not imported.

        Raises MissingPackageError where it is not installed.
        """
        folder = folder_of_package("wordllama", "the encoder 'static'", "--no-deps wordllama")
        tables = sorted((folder / "weights").glob("*_256.safetensors"))
        tokenizers = sorted((folder / "tokenizers").glob("*.json"))
        if not tables or not tokenizers:
            raise ArtifactError(
                f"{folder}: expected weights/*_256.safetensors and tokenizers/*.json of wordllama 0.4"
            )
        return cls.of_files(tables[0], tokenizers[0], "wordllama")

    def idf_weighted(self, texts: Iterable[str]) -> StaticEncoder:
        """The same encoder with the idf of these texts as weights: tokens of most of them count little."""
        frequency, documents, stream = np.zeros(len(self.table), np.float32), 0, iter(texts)
        while part := list(islice(stream, _TEXTS)):
            for ids in self._ids(part):
                frequency[list(set(ids))] += 1
            documents += len(part)
        return replace(self, weights=idf(frequency, documents))

    def encode(self, texts: Sequence[str]) -> Float32:
        """float32 [texts, width], each row of length 1; zeros for a text without a known token."""
        out = np.zeros((len(texts), self.width), np.float32)
        for start in range(0, len(texts), _TEXTS):
            ids = self._ids(texts[start : start + _TEXTS])
            ends = np.concatenate([[0], np.cumsum([len(one) for one in ids])]).astype(np.int64)
            flat = np.fromiter((token for one in ids for token in one), np.int64, count=int(ends[-1]))
            rows = csr_array((self._counts[flat], flat, ends), (len(ids), len(self.table)))
            out[start : start + _TEXTS] = unit(rows @ self._vectors)
        return out

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return self._tokens.ids([text.lower() if text.strip() else "" for text in texts])

    @cached_property
    def fingerprint(self) -> str:
        weights = b"" if self.weights is None else self.weights.tobytes()
        told = {"shape": list(self.table.shape), "dtype": str(self.table.dtype), "lower": True}
        return fingerprint_of(
            KIND, told, np.ascontiguousarray(self.table).data.cast("B"), weights, self.tokenizer
        )

    def save(self, folder: Path) -> None:
        """Write `encoder.json`, `model.safetensors` and `tokenizer.json`."""
        arrays = {"embeddings": np.ascontiguousarray(self.table)}
        if self.weights is not None:
            arrays["weights"] = self.weights
        write_facts(folder, KIND, {"name": self.name}, self.fingerprint)
        (folder / TABLE).write_bytes(save(arrays))
        (folder / TOKENIZER).write_bytes(self.tokenizer)

    @classmethod
    def load(cls, folder: Path) -> StaticEncoder:
        """The encoder that was saved in a folder, or that model2vec wrote there.

        Raises ArtifactError where it is damaged.
        """
        if not (folder / FACTS).exists():
            return cls.of_files(folder / TABLE, folder / TOKENIZER, folder.name)
        _, parameters, fingerprint = read_facts(folder)
        found = cls.of_files(folder / TABLE, folder / TOKENIZER, str(parameters.get("name", KIND)))
        check_unchanged(found, folder, fingerprint)
        return found

    @cached_property
    def _tokens(self) -> Tokens:
        return Tokens(self.tokenizer, self.name)

    @cached_property
    def _vectors(self) -> Float32:
        return np.ascontiguousarray(self.table, np.float32)

    @cached_property
    def _counts(self) -> Float32:
        """float32 [tokens]: the weights; 0 of what stands for no text."""
        counts = np.ones(len(self.table), np.float32) if self.weights is None else self.weights.copy()
        counts[list(special_ids(self._tokens.tokenizer))] = 0
        return counts
