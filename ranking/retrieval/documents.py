"""What hits are shown with: documents as JSON Lines, any of them read by its row without the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ranking.data.arrays import Int64
from ranking.retrieval.collections import Documents
from ranking.retrieval.stored import read_index, unsound, write_index

KIND = "documents"


@dataclass(frozen=True, eq=False)
class StoredDocuments:
    """Bytes in memory or mapped: document `row` is `lines[starts[row] : starts[row + 1]]`, a JSON object."""

    lines: Any
    starts: Int64

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> dict[str, Any]:
        """The document's `_id`, its texts by field and its numbers, without those that are absent."""
        found: dict[str, Any] = json.loads(bytes(self.lines[self.starts[row] : self.starts[row + 1]]))
        return found

    def ids(self) -> list[str]:
        """Of every document, by row."""
        return [self[row]["_id"] for row in range(len(self))]

    def save(self, folder: Path) -> None:
        """A folder that `open_documents` maps into memory."""

        def fill(fresh: Path) -> None:
            np.save(fresh / "lines.npy", self.lines)
            np.save(fresh / "starts.npy", self.starts)

        write_index(folder, KIND, {"documents": len(self)}, fill)


def stored(documents: Documents) -> StoredDocuments:
    """The documents of a collection."""
    lines = [json.dumps(one, ensure_ascii=False).encode() for one in _as_json(documents)]
    starts = np.cumsum([0, *map(len, lines)], dtype=np.int64)
    return StoredDocuments(np.frombuffer(b"".join(lines), np.uint8), starts)


def open_documents(folder: Path) -> StoredDocuments:
    """What `save` wrote. Raises ArtifactError where it is damaged."""
    facts = read_index(folder, KIND)
    try:
        lines, starts = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("lines", "starts"))
    except (OSError, ValueError, EOFError) as error:
        raise unsound(folder, error) from error
    if lines.dtype != np.uint8 or starts.dtype != np.int64 or len(starts) != facts["documents"] + 1:
        raise unsound(folder, "lines and starts do not fit")
    return StoredDocuments(lines, np.asarray(starts))


def _as_json(documents: Documents) -> Iterator[dict[str, Any]]:
    for row, one in enumerate(documents.ids):
        texts = {name: column[row] for name, column in documents.fields.items() if column[row]}
        numbers = {name: float(column[row]) for name, column in documents.numbers.items()}
        yield {"_id": one, **texts, **{name: x for name, x in numbers.items() if not np.isnan(x)}}
