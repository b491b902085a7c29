"""`rankwright evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli.console import (
    Cache,
    DataFiles,
    Json,
    Model,
    Regroup,
    load,
    open_model,
    say,
    show,
    show_json,
    table,
)
from ranking.cli.conventions import conventions_for, say_others

if TYPE_CHECKING:
    from ranking.data.dataset import RankingDataset
    from ranking.metrics import Metric
    from ranking.metrics.evaluation import Evaluation
    from ranking.models.ranker import Ranker


Metrics = Annotated[
    list[str] | None, typer.Option("--metric", help="Such as ndcg@10, map, mrr@10; repeat for several.")
]
Against = Annotated[Path | None, typer.Option("--against", help="A second one, compared query by query.")]
PerQuery = Annotated[Path | None, typer.Option("--per-query", help="Write QUERY<TAB>METRIC... here.")]
TestSeed = Annotated[int, typer.Option("--seed", help="Of the bootstrap and the randomisation test.")]


def register(app: typer.Typer) -> None:
    app.command("evaluate")(evaluate)


def evaluate(
    model: Model,
    data: DataFiles,
    metric: Metrics = None,
    against: Against = None,
    per_query: PerQuery = None,
    empty: Annotated[
        str | None,
        typer.Option(
            help="What a query without a relevant document counts: zero, one or skip.  "
            "[as MODEL was measured]",
            show_default=False,
        ),
    ] = None,
    ties: Annotated[
        str | None,
        typer.Option(
            help="Equal scores: average, file, pessimistic or trec.  [as MODEL was measured]",
            show_default=False,
        ),
    ] = None,
    gain: Annotated[
        str | None,
        typer.Option(
            help="exponential (2^label - 1), linear, numbers by label, or FILE.py:FUNCTION.  "
            "[as MODEL was measured]",
            show_default=False,
        ),
    ] = None,
    discount: Annotated[
        str | None,
        typer.Option(
            help="log2 (1 / log2(1 + rank)), reciprocal, numbers from rank 1, or FILE.py:FUNCTION.  "
            "[as MODEL was measured]",
            show_default=False,
        ),
    ] = None,
    seed: TestSeed = 0,
    regroup: Regroup = False,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Measure a model on judged queries, with intervals, and against another model if one is named."""
    from ranking.data.places import check_file
    from ranking.metrics import Metric
    from ranking.metrics.evaluation import compare_evaluations, evaluate_scores
    from ranking.models.ranker import score_dataset

    flags = {"gain": gain, "discount": discount, "empty": empty, "ties": ties}
    if per_query is not None:
        check_file(per_query)
    ranker = open_model(model)
    conventions = conventions_for(model, flags)
    metrics = [Metric.parse(name, **conventions) for name in metric or ()]
    other = None if against is None else open_model(against)
    if against is not None and other is not None:
        _check_policy(ranker, other)
        say_others(against, conventions)
    dataset = load(data, missing=ranker.missing, regroup=regroup, cache=cache)
    if not metric:
        metrics = _default_metrics(dataset, conventions)

    def measured(one: Ranker) -> Evaluation:
        return evaluate_scores(score_dataset(one, dataset), dataset, metrics, seed)

    warnings = _say_seen(model, against, dataset)
    ours, theirs = measured(ranker), None if other is None else measured(other)
    comparison = None if theirs is None else compare_evaluations(ours, theirs, dataset.query_weights, seed)
    baseline = _feature_baseline(model, dataset, metrics, seed)
    if per_query is not None:
        write_per_query(per_query, ours, dataset)
    if json:
        show_json(content(ours, comparison, str(against), baseline, warnings))
    else:
        others = [] if theirs is None else [(str(against), theirs)]
        show(as_text([(str(model), ours), *others, *filter(None, [baseline])], comparison, str(against)))


def content(
    ours: Evaluation,
    comparison: Any,
    against: str,
    baseline: tuple[str, Evaluation] | None,
    warnings: list[str],
) -> dict[str, Any]:
    """The JSON object: what there is to say beside our own numbers, where there is any."""
    from ranking.metrics.evaluation import comparison_json

    told = ours.as_json()
    if comparison is not None:
        told["comparison"] = {"against": against, "metrics": comparison_json(comparison)}
    if baseline is not None:
        told["baseline"] = {"system": baseline[0], "metrics": dict(baseline[1].means)}
    if warnings:
        told["warnings"] = warnings
    return told


def _default_metrics(dataset: RankingDataset, conventions: Mapping[str, Any]) -> list[Metric]:
    """Those that these labels allow; what is left out is said."""
    from ranking.metrics import Metric
    from ranking.metrics.evaluation import default_metrics, left_out

    names = default_metrics(dataset)
    for note in left_out(names):
        say(f"note: {note}")
    return [Metric.parse(name, **conventions) for name in names]


def _say_seen(model: Path, against: Path | None, dataset: RankingDataset) -> list[str]:
    """Warnings of lists that either model was made from, said on stderr."""
    warnings = _seen(model, dataset)
    if against is not None:
        warnings += [f"{against}: {warning}" for warning in _seen(against, dataset)]
    for warning in warnings:
        say(f"warning: {warning}")
    return warnings


def _seen(model: Path, dataset: RankingDataset) -> list[str]:
    """What to tell of lists that the model was made from."""
    from ranking.data.overlap import seen_queries
    from ranking.models.folder import read_manifest

    return list(seen_queries(dataset, read_manifest(model).facts))


def _check_policy(ranker: Ranker, other: Ranker) -> None:
    from ranking.errors import UsageError

    if ranker.missing != other.missing:
        raise UsageError(
            "the two models read absent features differently "
            f"(missing={ranker.missing} and {other.missing}): evaluate each on its own"
        )


def _feature_baseline(
    model: Path, dataset: RankingDataset, metrics: list[Metric], seed: int
) -> tuple[str, Evaluation] | None:
    """The best single feature of training, which the manifest remembers, on these lists, with its name."""
    from ranking.metrics.evaluation import FeatureBaseline, evaluate_scores
    from ranking.models.folder import read_manifest

    manifest = read_manifest(model)
    kept = manifest.facts.get("baseline")
    if kept is None or kept["feature"] >= dataset.feature_count:
        return None
    baseline = FeatureBaseline(kept["feature"], kept["descending"])
    name = f"{manifest.feature_names[baseline.feature]} alone"
    return name, evaluate_scores(baseline.score(dataset.features), dataset, metrics, seed)


def as_text(systems: list[tuple[str, Evaluation]], comparison: Any, against: str) -> str:
    """A table of systems (ours first) by metrics, the comparison, and what the numbers mean."""
    ours = systems[0][1]
    names = list(ours.means)
    rows = [[system, *(f"{e.means[name]:.4f}" for name in names)] for system, e in systems]
    first = ["95 % interval", *("{:.4f}-{:.4f}".format(*ours.intervals[name]) for name in names)]
    lines = [
        f"{ours.queries} queries, {ours.documents} documents",
        table(["", *names], [rows[0], first, *rows[1:]]),
    ]
    if comparison is not None:
        cells = [
            [
                name,
                f"{c.difference:+.4f}",
                f"{c.interval[0]:+.4f} to {c.interval[1]:+.4f}",
                f"{c.p_holm:.4f}",
                f"{c.wins}/{c.ties}/{c.losses}",
            ]
            for name, c in comparison.items()
        ]
        lines += ["", f"against {against}, paired over queries"]
        lines.append(table(["", "difference", "95 % interval", "p (Holm)", "won/tied/lost"], cells))
    lines += ["", "conventions: " + ", ".join(f"{key}={value}" for key, value in ours.conventions.items())]
    return "\n".join(lines)


def write_per_query(file: Path, evaluation: Evaluation, dataset: RankingDataset) -> None:
    from ranking.errors import DataError

    columns = evaluation.per_query
    lines = ["\t".join(["query", *columns])]
    for row, query in enumerate(dataset.query_ids):
        lines.append("\t".join([query, *(repr(float(values[row])) for values in columns.values())]))
    try:
        file.write_text("\n".join(lines) + "\n", "utf-8", "surrogateescape")
    except OSError as error:
        raise DataError(f"cannot write {file}: {error.strerror}") from error
