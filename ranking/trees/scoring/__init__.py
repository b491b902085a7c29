"""Tree ensembles scored by compiled code of our own, as LightGBM and XGBoost score them, bit for bit.

    columns         thresholds to columns: rows as bytes
    layout          a forest as the kernels read it
    kernels         the compiled evaluation of blocks of rows
    walking         that of few rows
    contributions   TreeSHAP
    evaluator       all of it for one forest: score, best, contributions

No booster opens a model here: `ranking.trees.reading` reads it.
"""

from __future__ import annotations

from pkgutil import resolve_name

import numpy as np

from ranking.compiled.warming import PIECES, warms
from ranking.compiled.warming import warm_up as compile_pieces
from ranking.trees.backends import BACKENDS
from ranking.trees.forest import NAN_IS_MISSING, Forest
from ranking.trees.scoring.evaluator import WALKED, ForestEvaluator

__all__ = ["ForestEvaluator", "warm_up"]


def warm_up(kind: str, *, contributions: bool = False) -> None:
    """Compile what reads, scores (and explains) models of a kind, or find it on disk: at first 20 seconds."""
    dtype = BACKENDS[kind].dtype
    resolve_name(BACKENDS[kind].reader)  # its module registers what it compiles, if anything
    reading = [name for name in (f"reading {kind}",) if name in PIECES]
    compile_pieces(*reading, f"scoring {dtype}", *([f"contributions {dtype}"] if contributions else []))


def _stump(dtype: str) -> ForestEvaluator:
    stump = Forest(
        feature_count=1, first_split=np.array([0, 1]), first_leaf=np.array([0, 2]),
        feature=np.zeros(1, np.int32), threshold=np.zeros(1, np.float32),
        rule=np.full(1, NAN_IS_MISSING, np.uint8), default_left=np.zeros(1, np.bool_),
        left=np.full(1, -1, np.int32), right=np.full(1, -2, np.int32), sets=[],
        value=np.array([0, 1], dtype), split_cover=np.ones(1), leaf_cover=np.ones(2),
        gain=np.ones(1), rounds=1,
    )  # fmt: skip
    return ForestEvaluator.of(stump)


def _score(dtype: str) -> None:
    """Few rows are walked, more are not."""
    stump = _stump(dtype)
    for count in (1, WALKED + 1):
        stump.score(np.zeros((count, 1), np.float32))


_ROW = np.zeros((1, 1), np.float32)
warms("scoring float32", lambda: _score("float32"))
warms("scoring float64", lambda: _score("float64"))
warms("contributions float32", lambda: _stump("float32").contributions(_ROW))
warms("contributions float64", lambda: _stump("float64").contributions(_ROW))
