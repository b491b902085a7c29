"""`rankwright train` and `rankwright cv`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli.console import (
    Cache,
    DataFiles,
    Json,
    Regroup,
    compile_scorer,
    end_progress,
    load,
    open_model,
    progress,
    say,
    show,
    show_json,
    table,
    waiting,
)

if TYPE_CHECKING:
    from ranking.training.config import TrainConfig

Backend = Annotated[
    str | None, typer.Option(help="lightgbm, xgboost or neural.  [lightgbm]", show_default=False)
]
ObjectiveName = Annotated[
    str | None,
    typer.Option(
        help="A name of `rankwright objectives` (for neural: `rankwright losses`), FILE.py, or builtin, the "
        "booster's own.  [lambdarank]",
        show_default=False,
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        help="standard; fast: a third of the time; plain: the booster's own trees.  [standard]",
        show_default=False,
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any field, such as objective.truncation=20, booster.num_leaves=63 or neural.hidden=256,128.",
    ),
]
Rounds = Annotated[
    int | None, typer.Option(help="Trees at most, or epochs.  [500, neural: 40]", show_default=False)
]
MetricName = Annotated[
    str | None, typer.Option(help="What early stopping watches.  [ndcg@10]", show_default=False)
]
Gain = Annotated[
    str | None,
    typer.Option(
        help="What a label is worth, to metrics and objective: exponential (2^label - 1), linear, numbers by "
        "label (0,1,3), or FILE.py:FUNCTION.  [exponential]",
        show_default=False,
    ),
]
Discount = Annotated[
    str | None,
    typer.Option(
        help="What a rank is worth: log2 (1 / log2(1 + rank)), reciprocal, numbers from rank 1, or "
        "FILE.py:FUNCTION.  [log2]",
        show_default=False,
    ),
]
EarlyStopping = Annotated[
    int | None,
    typer.Option(
        help="Rounds without a better value before stopping; 0 never.  [100, neural: 8]", show_default=False
    ),
]
Seed = Annotated[
    int | None, typer.Option(help="The same seed and threads give the same bytes.  [1]", show_default=False)
]
Threads = Annotated[int | None, typer.Option(help="Threads to train with.  [all]", show_default=False)]
Device = Annotated[
    str | None,
    typer.Option(help="Where a network is trained: auto, cpu or cuda.  [auto]", show_default=False),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A TOML file; flags override it.")]
MissingPolicy = Annotated[
    str | None,
    typer.Option("--missing", help="What an absent feature is: zero or nan.  [zero]", show_default=False),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def register(app: typer.Typer) -> None:
    app.command("train")(train)
    app.command("cv")(cv)


def training_config(file: Path | None, sets: list[str] | None, **flags: Any) -> TrainConfig:
    """The run of these flags, over the file's, over the defaults; flags that are None were not given."""
    from ranking.metrics.conventions import written
    from ranking.training.config import WORTHS, TrainConfig

    flags |= {name: written(flags[name]) for name in WORTHS if flags.get(name) is not None}
    return TrainConfig.load(
        file, {key: value for key, value in flags.items() if value is not None}, sets or []
    )


def _warm_up(settings: TrainConfig) -> None:
    """Check the names and parameters, and compile the objective, saying so where it takes a while."""
    settings.resolved()
    if settings.backend == "neural":
        return
    if settings.builtin is None:
        from ranking.objectives import warm_up

        with waiting("compiling the training objective for this machine (kept on disk for later runs) ..."):
            warm_up(settings.training_objective)
    compile_scorer(settings.backend)


def train(
    data: DataFiles,
    out: Annotated[Path, typer.Option("--out", help="Folder the model is written to.")],
    valid: Annotated[
        list[str] | None,
        typer.Option("--valid", help="Held-out LETOR file; without one a fifth of the queries is held out."),
    ] = None,
    backend: Backend = None,
    objective: ObjectiveName = None,
    preset: Preset = None,
    sets: Sets = None,
    rounds: Rounds = None,
    metric: MetricName = None,
    gain: Gain = None,
    discount: Discount = None,
    early_stopping: EarlyStopping = None,
    seed: Seed = None,
    threads: Threads = None,
    config: ConfigFile = None,
    missing: MissingPolicy = None,
    device: Device = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run that was killed; gives the same bytes.")
    ] = False,
    against: Annotated[
        Path | None, typer.Option("--against", help="Another model to show in the report.")
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option("--teacher", help="A model whose scores are learned in place of the training labels."),
    ] = None,
    regroup: Regroup = False,
    cache: Cache = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a ranker and write it, with a one-page report, as a model folder."""
    if teacher is not None and objective is None and config is None:
        objective = "margin_mse"
    settings = training_config(
        config, _with_device(sets, device), backend=backend, objective=objective, preset=preset,
        rounds=rounds, metric=metric, gain=gain, discount=discount, early_stopping=early_stopping, seed=seed,
        threads=threads, missing=missing,
    )  # fmt: skip
    _warm_up(settings)  # names and parameters are checked before any data is read
    from ranking.models.folder import check_destination
    from ranking.training.run import train as run

    check_destination(out)
    read: dict[str, Any] = {"missing": settings.missing, "regroup": regroup, "cache": cache}
    other = None if against is None else open_model(against)
    taught_by = None if teacher is None else open_model(teacher)
    try:
        result = run(
            settings,
            load(data, **read),
            None if not valid else load(valid, **read),
            out,
            resume=resume,
            against=other,
            teacher=taught_by,
            progress=progress(settings.metric, quiet),
        )
    finally:
        end_progress(quiet)
    for note in result.notes:
        say(f"note: {note}")
    for warning in result.warnings:
        say(f"warning: {warning}")
    if json:
        show_json(result.as_json())
    else:
        show(_summary(result))
    if result.interrupted:
        say("interrupted: kept the best model so far; --resume continues the run")
        raise typer.Exit(130)


def _rounds_of(config: TrainConfig) -> str:
    return "epochs" if config.backend == "neural" else "rounds"


def _with_device(sets: list[str] | None, device: str | None) -> list[str]:
    return [*(sets or []), *([] if device is None else [f"neural.device={device}"])]


def _summary(result: Any) -> str:
    lines = [
        f"{result.config.backend} {result.config.objective}: {result.rounds} {_rounds_of(result.config)} "
        f"in {result.seconds:.1f} s"
    ]
    evaluation = result.evaluation
    if evaluation is not None:
        for name, value in evaluation.means.items():
            low, high = evaluation.intervals[name]
            lines.append(f"  {name:<12} {value:.4f}  [{low:.4f}, {high:.4f}]")
    audited = getattr(result.ranker, "audit", {}).get("epochs")
    if audited:
        first, last = audited[0], audited[-1]
        lines.append(
            f"audit  loss {first['loss']:.4g} to {last['loss']:.4g}, gradient norm "
            f"{last['gradient_norm']:.3g}, {last['active_pairs']:.0%} of pairs active, scores of a list "
            f"spread by {last['score_spread']:.3g}"
        )
    lines.append(f"model  {result.folder}\nreport {result.folder / 'report.html'}")
    return "\n".join(lines)


def cv(
    data: DataFiles,
    folds: Annotated[
        str, typer.Option(help="A number; `files`: each DATA file is a fold; or a file of `QUERY<TAB>FOLD`.")
    ] = "5",
    backend: Backend = None,
    objective: ObjectiveName = None,
    preset: Preset = None,
    sets: Sets = None,
    rounds: Rounds = None,
    metric: MetricName = None,
    gain: Gain = None,
    discount: Discount = None,
    early_stopping: EarlyStopping = None,
    seed: Seed = None,
    threads: Threads = None,
    config: ConfigFile = None,
    missing: MissingPolicy = None,
    device: Device = None,
    regroup: Regroup = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Cross-validate by query: each fold is tested once, and the fold before it stops the training."""
    settings = training_config(
        config, _with_device(sets, device), backend=backend, objective=objective, preset=preset,
        rounds=rounds, metric=metric, gain=gain, discount=discount, early_stopping=early_stopping, seed=seed,
        threads=threads, missing=missing,
    )  # fmt: skip
    _warm_up(settings)
    from ranking.training.crossvalidation import cross_validate, folds_from

    parts = [load([file], missing=settings.missing, regroup=regroup) for file in data]
    result = cross_validate(settings, folds_from(parts, folds, settings), None if quiet else say)
    for warning in result.warnings:
        say(f"warning: {warning}")
    if json:
        show_json(result.as_json())
    else:
        names = list(result.means)
        rows = [
            [f"fold {i + 1}", *(f"{fold.means[n]:.4f}" for n in names)] for i, fold in enumerate(result.folds)
        ]
        show(table(["", *names], [*rows, ["mean", *(f"{result.means[n]:.4f}" for n in names)]]))
