"""`Encoder`: texts to unit vectors; what stands in a saved one's folder beside its weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ranking.data.arrays import Float32
from ranking.errors import ArtifactError

FACTS = "encoder.json"
"""Of a saved encoder: its kind, its parameters and its fingerprint."""


class Encoder(Protocol):
    """Turns texts into vectors whose dot product says how alike they are."""

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def width(self) -> int:
        """Numbers in a vector."""

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal digits, of its kind, its parameters and its weights' bytes.

        Vectors may be compared where it is the same.
        """

    def encode(self, texts: Sequence[str]) -> Float32:
        """float32 [texts, width], each row of length 1; zeros for a text without any token it knows."""

    def save(self, folder: Path) -> None:
        """Write it, whole, into an existing folder, for `load_encoder`."""


def fingerprint_of(kind: str, parameters: Mapping[str, Any], *contents: bytes | memoryview) -> str:
    """SHA-256 of a kind, its parameters and these contents in this order."""
    digest = hashlib.sha256(json.dumps([kind, parameters], sort_keys=True).encode())
    for content in contents:
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.hexdigest()


def unit(vectors: Float32) -> Float32:
    """Each row divided by its length, float32 [n, width]; a row of zeros stays one."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))[:, None]
    found = np.zeros(vectors.shape, np.float32)
    np.divide(vectors, lengths, out=found, where=lengths > 0)
    return found


def idf(document_frequency: Float32, documents: int) -> Float32:
    """What each feature is worth, float32: ln(1 + (documents − df + 1/2) / (df + 1/2)), BM25's, above 0."""
    return np.log1p((documents - document_frequency + 0.5) / (document_frequency + 0.5)).astype(np.float32)


def write_facts(folder: Path, kind: str, parameters: Mapping[str, Any], fingerprint: str) -> None:
    """Write what a folder says of the encoder in it."""
    facts = {"kind": kind, "parameters": dict(parameters), "fingerprint": fingerprint}
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def read_facts(folder: Path) -> tuple[str, dict[str, Any], str]:
    """(kind, parameters, fingerprint) of the encoder in a folder.

    Raises ArtifactError where they are damaged.
    """
    file = folder / FACTS
    try:
        facts = json.loads(file.read_bytes())
        kind, parameters, fingerprint = facts["kind"], facts["parameters"], facts["fingerprint"]
        if not (isinstance(kind, str) and isinstance(parameters, dict) and isinstance(fingerprint, str)):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{file}: expected kind, parameters and fingerprint of a saved encoder: save it again"
        ) from error
    return kind, parameters, fingerprint


def check_unchanged(encoder: Encoder, folder: Path, fingerprint: str) -> None:
    """Raises ArtifactError where the encoder in a folder is not the one that was saved there."""
    if encoder.fingerprint != fingerprint:
        raise ArtifactError(
            f"{folder}: its weights are not those that were saved: the fingerprint is "
            f"{encoder.fingerprint[:12]}…, {fingerprint[:12]}… stands in {FACTS}; save the encoder again"
        )
