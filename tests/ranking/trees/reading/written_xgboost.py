"""Parameters whose models XGBoost writes in every form there is."""

from __future__ import annotations

WRITTEN: dict[str, dict[str, object]] = {
    "constant": {"gamma": 1e9},
    "pruned": {"tree_method": "exact", "gamma": 20.0, "max_depth": 6},
    "leaf by leaf": {"grow_policy": "lossguide", "max_leaves": 6, "max_depth": 0},
    "forest": {"num_parallel_tree": 2, "subsample": 0.5},
    "dart": {"booster": "dart", "rate_drop": 0.5},
    "poisson": {"objective": "count:poisson", "base_score": 0.5},
    "own base score": {"base_score": -1.5e-7},
}
