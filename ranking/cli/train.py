"""`rankwright train` and `rankwright cv`."""

from __future__ import annotations

from dataclasses import replace
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
from ranking.cli.options import RunOptions, takes_run_options
from ranking.errors import DataError

if TYPE_CHECKING:
    from ranking.data.dataset import RankingDataset
    from ranking.training.config import TrainConfig

Valid = Annotated[
    list[str] | None,
    typer.Option("--valid", help="Held-out LETOR file; without one a fifth of the queries is held out."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Continue the run that was killed; gives the same bytes.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def register(app: typer.Typer) -> None:
    app.command("train")(train)
    app.command("cv")(cv)


def _warm_up(settings: TrainConfig) -> None:
    """Check the names and parameters, and compile the objective, saying so where it takes a while."""
    settings.resolved()
    if settings.backend == "neural":
        from ranking.training.networks import check_device, teacher_for

        check_device(settings)
        teacher = teacher_for(settings)
        if teacher is None:
            return
        settings = teacher
    ours = {run.objective: run.training_objective for run in settings.runs if run.builtin is None}
    if ours:
        from ranking.objectives import warm_up

        with waiting("compiling the training objective for this machine (kept on disk for later runs) ..."):
            for objective in ours.values():
                warm_up(objective)
    compile_scorer(settings.backend)


@takes_run_options()
def train(
    data: DataFiles,
    out: Annotated[Path, typer.Option("--out", help="Folder the model is written to.")],
    run: RunOptions,
    valid: Valid = None,
    resume: Resume = False,
    against: Annotated[
        Path | None, typer.Option("--against", help="Another model to show in the report.")
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option("--teacher", help="A model whose scores are learned in place of the training labels."),
    ] = None,
    targets: Annotated[
        Path | None,
        typer.Option(
            "--targets",
            help="A teacher's scores of the training data, one number a row: learned in place of the labels.",
        ),
    ] = None,
    regroup: Regroup = False,
    cache: Cache = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a ranker and write it, with a one-page report, as a model folder."""
    taught = (teacher or targets) is not None and run.objective is None and run.config is None
    settings = run.settings(**({"objective": "margin_mse"} if taught else {}))
    _check_targets(settings, targets, teacher, regroup)
    run_training(
        settings, data, out, valid=valid, resume=resume, against=against, teacher=teacher, targets=targets,
        regroup=regroup, cache=cache, quiet=quiet, json=json,
    )  # fmt: skip


def run_training(
    settings: TrainConfig,
    data: list[str],
    out: Path,
    *,
    valid: list[str] | None,
    resume: bool,
    against: Path | None,
    teacher: Path | None,
    targets: Path | None,
    regroup: bool,
    cache: Path | None,
    quiet: bool,
    json: bool,
) -> None:
    """Train as the settings say, and tell how it goes and what came of it."""
    _warm_up(settings)  # names and parameters are checked before any data is read
    from ranking.models.folder import check_destination
    from ranking.training.run import train as train_ranker

    check_destination(out)
    read: dict[str, Any] = {"missing": settings.missing, "regroup": regroup, "cache": cache}
    other = None if against is None else open_model(against)
    lists = load(data, **read)
    taught_by = None if teacher is None else open_model(teacher)
    try:
        result = train_ranker(
            settings,
            _with_targets(lists, targets),
            None if not valid else load(valid, **read),
            out,
            resume=resume,
            against=other,
            teacher=taught_by,
            warnings=_seen_by(against, settings, lists),
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
    if result.failure is not None:
        say(f"rankwright: the training could not go on: {result.failure}")
        say("kept the best model before that, and the state after the last whole epoch for --resume")
        raise typer.Exit(DataError.exit_code)
    if result.interrupted:
        say("interrupted: kept the best model so far; --resume continues the run")
        raise typer.Exit(130)


def _seen_by(against: Path | None, settings: TrainConfig, lists: RankingDataset) -> list[str]:
    """Preset best is measured on its training lists, out of fold; another model may have seen all of them."""
    if against is None or settings.preset != "best":
        return []
    from ranking.data.overlap import seen_queries
    from ranking.models.folder import read_manifest

    return [f"--against {against}: {told}" for told in seen_queries(lists, read_manifest(against).facts)]


def _check_targets(settings: TrainConfig, targets: Path | None, teacher: Path | None, regroup: bool) -> None:
    """Refuse targets that would not be learned, or whose rows may not be those of the data."""
    from ranking.errors import UsageError

    if targets is None:
        return
    if teacher is not None:
        raise UsageError("--targets and --teacher are both what is learned: give one of them")
    if regroup:
        raise UsageError("--targets has a number a row, and --regroup moves rows: sort the files instead")
    if not settings.learns_real_numbers:
        raise UsageError(
            f"objective {settings.objective} learns from grades: --targets goes with margin_mse, or with kl "
            "(torch:kl for trees)"
        )


def _with_targets(data: RankingDataset, file: Path | None) -> RankingDataset:
    from ranking.data.targets import read_targets

    return data if file is None else replace(data, targets=read_targets(file, data.document_count))


def _rounds_of(config: TrainConfig) -> str:
    return "epochs" if config.backend == "neural" else "rounds"


def _summary(result: Any) -> str:
    from ranking.training.report import audit_lines

    lines = [
        f"{result.config.backend} {result.config.objective}: {result.rounds} {_rounds_of(result.config)} "
        f"in {result.seconds:.1f} s"
    ]
    evaluation = result.evaluation
    if evaluation is not None:
        for name, value in evaluation.means.items():
            low, high = evaluation.intervals[name]
            lines.append(f"  {name:<12} {value:.4f}  [{low:.4f}, {high:.4f}]")
    if result.out_of_fold:
        lines.append("  out of fold: each query by the members that have not seen it")
    lines += [f"audit  {name}: {told}" for name, told in audit_lines(getattr(result.ranker, "audit", {}))]
    lines.append(f"model  {result.folder}\nreport {result.folder / 'report.html'}")
    return "\n".join(lines)


@takes_run_options()
def cv(
    data: DataFiles,
    run: RunOptions,
    folds: Annotated[
        str, typer.Option(help="A number; `files`: each DATA file is a fold; or a file of `QUERY<TAB>FOLD`.")
    ] = "5",
    regroup: Regroup = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Cross-validate by query: each fold is tested once, and the fold before it stops the training."""
    settings = run.settings()
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
