"""Scoring tree ensembles beside the libraries that grew them, and beside ONNX Runtime.

    python -m benchmarks.scorer [--repeats 40]
                                [--parts lightgbm,xgboost,onnx,contributions,best,load,network]

One thread each; sides take turns in one process, on rows that change from call to call (the same row again
would flatter whoever branches on the data). A line gives the median ratio of neighbours in time, the least
and the greatest, and whether the scores are equal. Ensembles are grown on MSLR-shaped data, 136 features.

ONNX Runtime is in the extra `bench`.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import lightgbm
import numpy as np
import xgboost

from ranking.data.synthetic import mslr_shaped
from ranking.training.config import TrainConfig
from ranking.training.run import fit
from ranking.trees.ranker import TreeRanker
from ranking.trees.reading import read_forest
from ranking.trees.scoring import ForestEvaluator

FEATURES = 136
CALLS = 5
Side = Callable[[Any], Any]


def grown(trees: int, leaves: int, features: int = FEATURES) -> lightgbm.Booster:
    data = mslr_shaped(300, 1)
    settings = {"num_leaves": leaves, "verbose": -1, "learning_rate": 0.05, "num_threads": 2}
    settings |= {"objective": "regression", "min_data_in_leaf": 5}
    return lightgbm.train(settings, lightgbm.Dataset(data.features[:, :features], data.labels), trees)


def grown_by_xgboost(trees: int, leaves: int) -> xgboost.Booster:
    data = mslr_shaped(300, 1)
    settings = {"max_leaves": leaves, "max_depth": 0, "grow_policy": "lossguide", "eta": 0.05, "nthread": 2}
    booster = xgboost.train(
        settings | {"base_score": 0.0}, xgboost.DMatrix(data.features, data.labels), trees
    )
    booster.set_param({"nthread": 1})
    return booster


def rows(count: int) -> Iterator[Any]:
    """Matrices of `count` rows, another one each time."""
    pool = mslr_shaped(200, 2).features
    at = 0
    while True:
        if at + count > len(pool):
            at = 0
        yield np.ascontiguousarray(pool[at : at + count])
        at += count


def ratios(ours: Side, theirs: Side, count: int, repeats: int) -> Any:
    """(ratios, ours in seconds a call, theirs): in turn, each on the same rows; the order changes every time.

    A turn is `CALLS` calls in a row, each on other rows: a service scores with one side, not with both, and
    the first call after the other side's finds the caches full of the other's model.
    """
    given = rows(count)
    for side in (ours, theirs):
        side(next(given))
    times: dict[Side, list[float]] = {ours: [], theirs: []}
    for number in range(repeats):
        matrices = [next(given) for _ in range(CALLS)]
        for side in (ours, theirs) if number % 2 else (theirs, ours):
            started = time.perf_counter()
            for matrix in matrices:
                side(matrix)
            times[side].append((time.perf_counter() - started) / CALLS)
    mine, other = np.array(times[ours]), np.array(times[theirs])
    return mine / other, np.median(mine), np.median(other)


def line(what: str, bar: str, ours: Side, theirs: Side, count: int, repeats: int, equal: str) -> None:
    found, mine, other = ratios(ours, theirs, count, repeats)
    print(
        f"| {what} | {bar} | {np.median(found):.3f} | {found.min():.3f}-{found.max():.3f} "
        f"| {1e6 * mine:.0f} | {1e6 * other:.0f} | {equal} |",
        flush=True,
    )


def difference(ours: Side, theirs: Side, count: int) -> str:
    matrix = next(rows(count))
    gap = float(np.abs(np.asarray(ours(matrix), np.float64) - np.asarray(theirs(matrix)).reshape(-1)).max())
    return "equal" if gap == 0 else f"{gap:.0e} off"


def lightgbm_part(repeats: int) -> None:
    for trees, leaves, count, bar in (
        (500, 64, 100, "<= 0.09"), (500, 64, 1000, "<= 0.07"), (100, 31, 100, "<= 0.2"),
        (1000, 255, 1000, "<= 0.09"), (500, 64, 1, "<= 0.5"),
    ):  # fmt: skip
        booster = grown(trees, leaves)
        evaluator = ForestEvaluator.of(read_forest("lightgbm", booster.model_to_string().encode(), FEATURES))

        def theirs(matrix: Any, booster: Any = booster) -> Any:
            return booster.predict(matrix, num_threads=1)

        equal = difference(evaluator.score, theirs, count)
        what = f"{trees} x {leaves} leaves, {count} rows, over LightGBM"
        line(what, bar, evaluator.score, theirs, count, repeats, equal)


def xgboost_part(repeats: int) -> None:
    booster = grown_by_xgboost(500, 64)
    evaluator = ForestEvaluator.of(read_forest("xgboost", bytes(booster.save_raw("ubj")), FEATURES))

    def theirs(matrix: Any) -> Any:
        return booster.inplace_predict(matrix, predict_type="margin", missing=np.nan)

    for count, bar in ((100, "<= 0.2"), (1000, "")):
        equal = difference(evaluator.score, theirs, count)
        what = f"500 x 64 leaves, {count} rows, over XGBoost"
        line(what, bar, evaluator.score, theirs, count, repeats, equal)


def onnx_part(repeats: int) -> None:
    import onnxruntime
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    booster = grown(500, 64)
    evaluator = ForestEvaluator.of(read_forest("lightgbm", booster.model_to_string().encode(), FEATURES))
    kinds = [("rows", FloatTensorType([None, FEATURES]))]
    model = convert_lightgbm(booster, initial_types=kinds, zipmap=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def theirs(matrix: Any) -> Any:
        return session.run(None, {"rows": matrix})[0]

    equal = difference(evaluator.score, theirs, 100)
    line(
        "500 x 64 leaves, 100 rows, over ONNX Runtime",
        "<= 0.15",
        evaluator.score,
        theirs,
        100,
        repeats,
        equal,
    )


def contributions_part(repeats: int) -> None:
    for trees, leaves in ((300, 31), (500, 64)):
        booster = grown(trees, leaves)
        evaluator = ForestEvaluator.of(read_forest("lightgbm", booster.model_to_string().encode(), FEATURES))

        def theirs(matrix: Any, booster: Any = booster) -> Any:
            return booster.predict(matrix, pred_contrib=True, num_threads=1)

        matrix = next(rows(10))
        gap = np.abs(evaluator.contributions(matrix) - theirs(matrix)).max()
        what = f"contributions of 10 rows, {trees} x {leaves} leaves, over LightGBM"
        line(what, "<= 0.35", evaluator.contributions, theirs, 10, repeats, f"{gap:.0e} off")


def best_part(repeats: int) -> None:
    """The ten best of 1,000 with early exit, over scoring all and sorting."""
    booster = grown(500, 64)
    evaluator = ForestEvaluator.of(read_forest("lightgbm", booster.model_to_string().encode(), FEATURES))

    def ours(matrix: Any) -> Any:
        return evaluator.best(matrix, 10)[0]

    def theirs(matrix: Any) -> Any:
        return np.argsort(-evaluator.score(matrix), kind="stable")[:10]

    line(
        "ten best of 1000, early exit over all",
        "",
        ours,
        theirs,
        1000,
        repeats,
        difference(ours, theirs, 1000),
    )


def load_part(repeats: int) -> None:
    """Reading, checking and laying out a model, over what LightGBM takes to parse it unchecked."""
    text = grown(500, 64).model_to_string()
    names = tuple(str(i) for i in range(FEATURES))

    def ours(_: Any) -> Any:
        return TreeRanker.from_bytes("lightgbm", text.encode(), feature_names=names, missing="nan")

    def theirs(_: Any) -> Any:
        return lightgbm.Booster(model_str=text)

    line(f"loading 500 x 64 leaves, {len(text) / 1e6:.1f} MB", "", ours, theirs, 1, max(7, repeats // 4), "")


def network_part(repeats: int) -> None:
    """The network that `rankwright train --backend neural` makes, without torch, over a forest."""
    data = mslr_shaped(300, 1)
    for features, bar in ((30, "<= 2"), (FEATURES, "<= 6")):
        some = replace(data, features=np.ascontiguousarray(data.features[:, :features]), feature_names=None)
        for inputs in ("encoded", "quantile"):
            table = {"inputs": inputs, "teacher": None}
            network = fit(TrainConfig(backend="neural", rounds=1, threads=1, neural=table), some, None)
            text = grown(500, 64, features).model_to_string().encode()
            forest = ForestEvaluator.of(read_forest("lightgbm", text, features))

            def ours(matrix: Any, network: Any = network, features: int = features) -> Any:
                return network.score(np.ascontiguousarray(matrix[:, :features]))

            def theirs(matrix: Any, forest: Any = forest, features: int = features) -> Any:
                return forest.score(np.ascontiguousarray(matrix[:, :features]))

            what = f"network, {inputs} inputs, 100 x {features}, over a forest of 500 x 64 leaves"
            line(what, bar if inputs == "encoded" else "", ours, theirs, 100, repeats, "")


PARTS: dict[str, Callable[[int], None]] = {
    "lightgbm": lightgbm_part,
    "xgboost": xgboost_part,
    "onnx": onnx_part,
    "contributions": contributions_part,
    "best": best_part,
    "load": load_part,
    "network": network_part,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--parts", default=",".join(PARTS))
    options = parser.parse_args()
    libraries = ", ".join(f"{name} {version(name)}" for name in ("lightgbm", "xgboost-cpu", "numba"))
    print(f"{libraries}, Python {platform.python_version()}, {options.repeats} repeats\n")
    print("| what | bar | median | least-greatest | ours, us | theirs, us | scores |")
    print("|---|---|---|---|---|---|---|")
    for part in options.parts.split(","):
        PARTS[part](options.repeats)


if __name__ == "__main__":
    main()
