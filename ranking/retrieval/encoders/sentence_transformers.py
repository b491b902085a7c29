"""Any sentence-transformers model, by its folder, through that package: those that `minilm` cannot open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ranking.data.arrays import Float32
from ranking.errors import ArtifactError, MissingPackageError, UsageError
from ranking.retrieval.encoders.encoder import (
    FACTS,
    check_unchanged,
    fingerprint_of,
    read_facts,
    unit,
    write_facts,
)

KIND = "sentence-transformers"
MODULES = "modules.json"


@dataclass(frozen=True, eq=False)
class SentenceTransformersEncoder:
    """A model that sentence-transformers opens from a folder, in float32 on the CPU.

    Nothing is downloaded, no code of the folder is run, and weights are safetensors, never pickles.
    Raises UsageError for a place that is no such folder, MissingPackageError without the package.
    """

    folder: Path
    name: str = KIND

    def __post_init__(self) -> None:
        if not (self.folder / MODULES).is_file():
            raise UsageError(
                f"{self.folder}: expected the folder of a sentence-transformers model, with {MODULES}; "
                "models are opened by path, and never fetched by name"
            )
        _ = self._model

    @cached_property
    def width(self) -> int:
        return len(self._model.encode("width", convert_to_numpy=True, show_progress_bar=False))

    @classmethod
    def load(cls, folder: Path) -> SentenceTransformersEncoder:
        """The model in this folder. Raises ArtifactError where it is not the one that was saved there."""
        if not (folder / FACTS).exists():
            return cls(folder, folder.name)
        _, parameters, fingerprint = read_facts(folder)
        found = cls(folder, str(parameters.get("name", KIND)))
        check_unchanged(found, folder, fingerprint)
        return found

    def encode(self, texts: Sequence[str]) -> Float32:
        """float32 [texts, width], each row of length 1; zeros for a blank text."""
        out = np.zeros((len(texts), self.width), np.float32)
        written = [number for number, text in enumerate(texts) if text.strip()]
        if written:
            found = self._model.encode(
                [texts[number] for number in written], convert_to_numpy=True, show_progress_bar=False
            )
            out[written] = np.asarray(found, np.float32)
        return unit(out)

    @cached_property
    def fingerprint(self) -> str:
        """Of all files in the folder and their names."""
        files = self._files()
        names = [file.relative_to(self.folder).as_posix() for file in files]
        return fingerprint_of(KIND, {"files": names}, *(file.read_bytes() for file in files))

    def save(self, folder: Path) -> None:
        """Copy the folder's files, and write `encoder.json`."""
        for file in self._files():
            copy = folder / file.relative_to(self.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
        write_facts(folder, KIND, {"name": self.name}, self.fingerprint)

    def _files(self) -> list[Path]:
        """What the model is made of; other forms of its weights (ONNX, pickles) are left out."""
        kinds = {".json", ".safetensors", ".txt", ".model"}
        found = (file for file in self.folder.rglob("*") if file.suffix in kinds and file.name != FACTS)
        inside = (
            file for file in found if file.relative_to(self.folder).parts[0] not in ("onnx", "openvino")
        )
        return sorted(file for file in inside if file.is_file())

    @cached_property
    def _model(self) -> Any:
        try:
            from sentence_transformers import SentenceTransformer
        except ModuleNotFoundError as error:
            raise MissingPackageError(f"the encoder in {self.folder}", "sentence-transformers") from error
        try:
            return SentenceTransformer(
                str(self.folder.resolve()),
                device="cpu",
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
            raise ArtifactError(f"{self.folder}: sentence-transformers cannot open it: {error}") from error
