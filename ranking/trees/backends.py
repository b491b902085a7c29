"""What there is to know of each library that grows trees: one record a backend.

A backend is a row here and the modules that it names, which are opened when they are needed: every command
knows the backends, and only training opens a library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ranking.trees.ranges import OneOf, Range, Scale, Share, Whole


@dataclass(frozen=True)
class Backend:
    """One library of tree ensembles.

    model_file   what a model is saved as
    packages     the distributions that may bring the library, whose version a manifest names
    dtype        of leaf values, and of the sums over trees
    reader       module:function (bytes, feature_count) -> `ranking.trees.forest.Forest`, checked
    booster      the module that trains: `boost`, `first_rounds`, `stateful`, `rescales`
                 (`ranking.trees.boosting` says what each does)
    merger       module:function (parts) -> bytes of the model of all these trees (`ranking.trees.merging`)
    builtin      the library's own LambdaMART objective, for which the objective name `builtin` stands
    defaults     parameters of a run, by the library's own names, below a preset's and those asked for
    presets      parameters by preset (`ranking.training.presets`)
    search       the range of each parameter that `tune` searches, and its default value
    objective    parameters of our objectives that are others here than in `ranking.objectives`
    """

    model_file: str
    packages: tuple[str, ...]
    dtype: Literal["float32", "float64"]
    reader: str
    booster: str
    merger: str
    builtin: str
    defaults: Mapping[str, Any]
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    search: Mapping[str, tuple[Range, Any]] = field(default_factory=dict)
    objective: Mapping[str, Any] = field(default_factory=dict)


_PENALTY = OneOf([0.0, 0.1, 1.0, 3.0, 10.0, 30.0, 100.0])
_BINS = OneOf([63, 127, 255])

BACKENDS: dict[str, Backend] = {
    "lightgbm": Backend(
        model_file="model.txt",
        packages=("lightgbm",),
        dtype="float64",
        reader="ranking.trees.reading.lightgbm:read_lightgbm",
        booster="ranking.trees.boosting.lightgbm",
        merger="ranking.trees.merging.lightgbm:summed",
        builtin="lambdarank",
        defaults={"learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 20, "max_bin": 255},
        presets={
            "standard": {"feature_fraction_bynode": 0.3},
            "best": {"feature_fraction_bynode": 0.3},
            "fast": {
                "max_bin": 63,
                "bin_construct_sample_cnt": 20_000,
                "feature_fraction": 0.3,
                "bagging_fraction": 0.5,
                "bagging_freq": 1,
            },
        },
        search={
            "num_leaves": (Whole(7, 127), 31),
            "learning_rate": (Scale(0.01, 0.2), 0.05),
            "max_bin": (_BINS, 255),
            "min_data_in_leaf": (Whole(5, 200), 20),
            "lambda_l2": (_PENALTY, 0.0),
            "feature_fraction_bynode": (Share(0.2), 1.0),
            "extra_trees": (OneOf([False, True]), False),
        },
    ),
    "xgboost": Backend(
        model_file="model.ubj",
        packages=("xgboost", "xgboost-cpu"),
        dtype="float32",
        reader="ranking.trees.reading.xgboost:read_xgboost",
        booster="ranking.trees.boosting.xgboost",
        merger="ranking.trees.merging.xgboost:summed",
        builtin="rank:ndcg",
        # Trees grown as LightGBM's are; XGBoost's own defaults are depth-wise and regularised.
        defaults={
            "learning_rate": 0.05,
            "max_leaves": 31,
            "max_depth": 0,
            "grow_policy": "lossguide",
            "tree_method": "hist",
            "max_bin": 255,
            "min_child_weight": 0.001,
            "reg_lambda": 0.0,
        },
        presets={"fast": {"max_bin": 63, "colsample_bytree": 0.3, "subsample": 0.5}},
        search={
            "max_leaves": (Whole(7, 127), 31),
            "learning_rate": (Scale(0.01, 0.2), 0.05),
            "max_bin": (_BINS, 255),
            "min_child_weight": (Scale(0.001, 10.0), 0.001),
            "reg_lambda": (_PENALTY, 0.0),
            "colsample_bynode": (Share(0.2), 1.0),
        },
        # Its own ranking objectives double the hessian: with the same here, a rate means the same step.
        objective={"hessian_scale": 2.0},
    ),
}
"""Each kind of tree model by its name."""
