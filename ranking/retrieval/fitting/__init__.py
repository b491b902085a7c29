"""Training of towers on an encoder's frozen vectors, and whether they are worth it.

settings   everything that can be chosen
negatives  known positives, and hard negatives mined with the towers of the moment
towers     the towers in torch
losses     what a step minimises, by name
splits     training and held-out judgments that share no document
loop       epochs, and which was the best
guard      the towers are kept only where they are surely better
"""

from __future__ import annotations

from ranking.retrieval.fitting.guard import Decision, Held, guarded
from ranking.retrieval.fitting.loop import Epoch, Fitted, fit
from ranking.retrieval.fitting.negatives import Known, Mined, mine
from ranking.retrieval.fitting.settings import VECTOR_LOSSES, Settings
from ranking.retrieval.fitting.splits import Split, leak_free, random_splits

__all__ = [
    "VECTOR_LOSSES",
    "Decision",
    "Epoch",
    "Fitted",
    "Held",
    "Known",
    "Mined",
    "Settings",
    "Split",
    "fit",
    "guarded",
    "leak_free",
    "mine",
    "random_splits",
]
