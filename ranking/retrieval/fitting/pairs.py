"""Pairs that need no judge: whatever is known to ask for a document, such as its own title.

They say nothing of the judged queries, so they may be trained on in every fold without leaking.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ranking.data.arrays import Float32, Int64
from ranking.errors import DataError
from ranking.retrieval.judgments import Judgments


@dataclass(frozen=True, eq=False)
class Pairs:
    """Vectors that ask for documents.

    vectors    float32 [pairs, width], of the same encoder
    documents  int64 [pairs], the row of the document each asks for

    Raises DataError where they are not of one length.
    """

    vectors: Float32
    documents: Int64

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or self.documents.shape != self.vectors.shape[:1]:
            raise DataError(
                "expected pairs as vectors [pairs, width] and documents [pairs], got shapes "
                f"{self.vectors.shape} and {self.documents.shape}"
            )

    def beside(self, queries: Float32, judgments: Judgments) -> tuple[Float32, Judgments]:
        """(queries, judgments) with each pair as one more query of grade 1."""
        numbers = len(queries) + np.arange(len(self.documents))
        return np.concatenate([queries, self.vectors]), Judgments(
            np.concatenate([judgments.queries, numbers]),
            np.concatenate([judgments.documents, self.documents]),
            np.concatenate([judgments.grades, np.ones(len(numbers), np.float32)]),
        )
