"""The guard: trained towers are kept only where they are surely better than the encoder alone.

A tower that memorises its documents looks good on random folds, and is worth nothing on new topics; trained
for too long it is worse than nothing. So the encoder stays unless the gain on queries whose documents no
training judgment names is above 0 with 97.5 % confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ranking.data.arrays import Float32, Float64, Int64
from ranking.losses import TrainingAudit
from ranking.metrics.comparison import Comparison, compare
from ranking.retrieval.fitting.loop import Fitted, Progress, fit
from ranking.retrieval.fitting.settings import Settings
from ranking.retrieval.fitting.splits import How, Split, leak_free, random_splits, sharing
from ranking.retrieval.judgments import Judgments
from ranking.retrieval.towers import Towers


@dataclass(frozen=True, eq=False)
class Held:
    """Trained (a) against the encoder alone (b) on held-out queries, nDCG@10.

    how         the folds were made, as `ranking.retrieval.fitting.splits` has it
    folds       held-out queries in each
    comparison  paired over all of them
    fold        int64 [queries], the fold in which each was held out, -1 for none
    towers      of each fold, trained without its queries
    """

    how: How
    folds: list[int]
    comparison: Comparison
    fold: Int64
    towers: list[Towers]

    def as_json(self) -> dict[str, Any]:
        return {"how": self.how, "folds": self.folds, "comparison": asdict(self.comparison)}

    def __str__(self) -> str:
        low, high = self.comparison.interval
        return (
            f"nDCG@10 {self.comparison.mean_b:.4f} -> {self.comparison.mean_a:.4f}, "
            f"{self.comparison.difference:+.4f} [{low:+.4f}, {high:+.4f}] over {sum(self.folds)} queries"
        )


@dataclass(frozen=True, eq=False)
class Decision:
    """What to use, and why.

    towers   the trained ones where they are kept, else the identity
    kept     are they?
    new      on documents that no training judgment names: what decides
    again    on folds at random, where held-out queries ask for documents of training again; None where no two
             queries share a relevant document
    sharing  queries that share a relevant document with another
    fitted   the towers trained on all queries
    """

    towers: Towers
    kept: bool
    new: Held
    again: Held | None
    sharing: int
    fitted: Fitted

    @property
    def whole(self) -> Held:
        """Folds that are held out against the whole collection: of new documents where these divide."""
        return self.new if self.again is None or self.new.how == "grouped" else self.again

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, of the difference on new documents."""
        return self.new.comparison.interval

    @property
    def audit(self) -> TrainingAudit:
        return self.fitted.audit

    @property
    def reason(self) -> str:
        """In words, with the numbers."""
        if self.kept:
            verdict = "the trained towers are kept"
        elif self.fitted.towers.identity and self.interval[0] > 0:
            verdict = "the encoder stays as it is: on all queries no epoch was better than none"
        else:
            verdict = "the encoder stays as it is: the gain is not sure to be above 0"
        told = f"{verdict}. New documents ({self.new.how} folds {self.new.folds}): {self.new}"
        if self.again is not None:
            told += (
                f". Documents asked for again ({self.sharing} queries share one; random folds): {self.again}"
            )
        return told

    def as_json(self) -> dict[str, Any]:
        return {
            "kept": self.kept,
            "reason": self.reason,
            "new_documents": self.new.as_json(),
            "documents_asked_again": None if self.again is None else self.again.as_json(),
            "sharing": self.sharing,
            "fitted": self.fitted.as_json(),
            "fingerprint": self.towers.fingerprint,
        }


def guarded(
    query_vectors: Float32,
    document_vectors: Float32,
    judgments: Judgments,
    settings: Settings,
    *,
    encoder: str,
    folds: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
) -> Decision:
    """The towers that `fit` trains on all queries, if trained so on folds they beat the encoder alone.

    Each fold is fitted as a whole, its epochs chosen within its training queries. Grouped folds where they
    divide, else crossed ones (`ranking.retrieval.fitting.splits`). Raises as `fit` does.
    """
    told = progress or (lambda line: None)

    def held(how: How, splits: Sequence[Split]) -> Held:
        base, trained = (np.full(len(query_vectors), np.nan) for _ in range(2))
        fold, of_folds, sizes = np.full(len(query_vectors), -1), [], []
        for number, split in enumerate(splits, 1):
            fitted = fit(query_vectors, *split.seen(document_vectors), settings, encoder=encoder)
            before, after = (
                split.ndcg(query_vectors, document_vectors, towers)
                for towers in (Towers(encoder), fitted.towers)
            )
            asked = ~np.isnan(before)
            base[asked], trained[asked] = before[asked], after[asked]
            sizes.append(int(asked.sum()))
            of_folds.append(fitted.towers)
            fold[asked] = number - 1
            told(f"{how} fold {number} of {len(splits)}: {fitted.best} epochs, {_gain(before, after)}")
        (comparison,) = compare({"ndcg": trained}, {"ndcg": base}, seed=seed).values()
        return Held(how, sizes, comparison, fold, of_folds)

    new = held(*leak_free(judgments, len(query_vectors), len(document_vectors), folds, seed))
    shared = sharing(judgments)
    again = held("random", random_splits(judgments, len(query_vectors), folds, seed)) if shared else None
    fitted = fit(query_vectors, document_vectors, judgments, settings, encoder=encoder, progress=progress)
    kept = new.comparison.interval[0] > 0 and not fitted.towers.identity
    return Decision(fitted.towers if kept else Towers(encoder), kept, new, again, shared, fitted)


def _gain(before: Float64, after: Float64) -> str:
    return f"nDCG@10 {np.nanmean(before):.4f} -> {np.nanmean(after):.4f}"
