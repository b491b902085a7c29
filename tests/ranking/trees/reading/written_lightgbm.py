"""Parameters whose models LightGBM writes in every form there is."""

from __future__ import annotations

import numpy as np

from tests.ranking.models.small import labels

WRITTEN: dict[str, dict[str, object]] = {
    "constant": {"min_data_in_leaf": 1000},
    "categorical": {
        "categorical_feature": [3],
        "min_data_per_group": 2,
        "cat_smooth": 1,
        "max_cat_to_onehot": 1,
    },
    "dart": {"boosting": "dart"},
    "random forest": {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    "zero as missing": {"zero_as_missing": True},
    "monotone": {"monotone_constraints": [1, 0, -1, 0]},
    "quantized": {"use_quantized_grad": True},
    "own objective": {"objective": lambda scores, _: (scores - labels(), np.ones(len(scores)))},
}
