"""Compile what serving uses, into NUMBA_CACHE_DIR: run when an image is built.

On a machine with another kind of processor the code is compiled anew at the first start.
"""

from __future__ import annotations

import lightgbm
import numpy as np
import xgboost

from ranking.trees.ranker import TreeRanker
from service.models.table import warmed

rows = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
labels = rows[:, 0] + rows[:, 1]
grown = {
    "lightgbm": lightgbm.train(
        {"verbosity": -1, "num_threads": 1}, lightgbm.Dataset(rows, labels), 2
    ).model_to_string().encode(),
    "xgboost": bytes(xgboost.train({"nthread": 1}, xgboost.DMatrix(rows, labels), 2).save_raw("ubj")),
}  # fmt: skip
for kind, content in grown.items():
    warmed(TreeRanker.from_bytes(kind, content, feature_names=("a", "b", "c"), missing="nan"))
