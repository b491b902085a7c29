"""`rankwright tune`."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli.console import DataFiles, Json, Regroup, end_progress, load, say, show, show_json
from ranking.cli.options import RunOptions, takes_run_options
from ranking.cli.train import Quiet
from ranking.errors import UsageError

if TYPE_CHECKING:
    from ranking.training.config import TrainConfig
    from ranking.training.tuning import TuneResult

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_PLAIN_EVERY_SECONDS = 10.0


def register(app: typer.Typer) -> None:
    app.command("tune")(tune)


@takes_run_options(without=("objective", "device"))
def tune(
    data: DataFiles,
    out: Annotated[Path, typer.Option("--out", help="Folder for best.toml, the report and the study.")],
    run: RunOptions,
    objective: Annotated[
        str | None,
        typer.Option(help="Names with commas between.  [blend, lambdarank, ranknet and others]"),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Configurations to try, over all processes.  [50]")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--time", metavar="TIME", help="Stop after this: 90s, 10m, 2h.")
    ] = None,
    folds: Annotated[
        str, typer.Option(help="A number; `files`: each DATA file is a fold; or a file of `QUERY<TAB>FOLD`.")
    ] = "3",
    study: Annotated[
        Path | None, typer.Option(help="SQLite file to share or resume.  [OUT/study.db]", show_default=False)
    ] = None,
    regroup: Regroup = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Search for a better configuration by cross-validation over queries (give no test queries).

    The same command goes on after a kill; run in several terminals they share the search. What --set or
    --config fixes is not searched.
    """
    start = run.settings(objective=None if objective is None else objective.split(",")[0])
    seconds = None if budget is None else _seconds(budget)
    if trials is None and seconds is None:
        trials = 50
    space = _space(start, objective, named=objective is not None or run.config is not None)
    from ranking.data.overlap import repeated_queries
    from ranking.data.places import check_folder
    from ranking.training.crossvalidation import folds_from
    from ranking.training.tuning import tune as search

    check_folder(out)
    if study is not None:
        check_folder(study.parent, study.name)
    parts = [load([file], missing=start.missing, regroup=regroup) for file in data]
    dealt = folds_from(parts, folds, start)
    for warning in repeated_queries(dealt.dataset, dealt.fold):
        say(f"warning: {warning}")
    try:
        result = search(
            space,
            dealt,
            out,
            trials=trials,
            seconds=seconds,
            study_file=study,
            progress=None if quiet else _progress(start.metric),
        )
    finally:
        end_progress(quiet)
    if json:
        show_json(result.as_json())
    else:
        show(_summary(result, out))
    if result.interrupted:
        say("interrupted: the same command goes on with the search")
        raise typer.Exit(130)


def _space(start: TrainConfig, objective: str | None, *, named: bool) -> Any:
    from ranking.training.tuning.space import SEARCHED_OBJECTIVES, Space
    from ranking.training.written import BEST

    if objective is not None:
        return Space(start, tuple(name.strip() for name in objective.split(",")))
    fixed = named or start.preset == BEST or start.objective_parameters
    return Space(start, (start.objective,) if fixed else SEARCHED_OBJECTIVES)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if not found or float(found[1]) == 0:
        raise UsageError(f"--time takes a duration such as 90s, 10m or 2h, got {text!r}")
    return float(found[1]) * _UNITS[found[2]]


def _progress(metric: str) -> Any:
    """One rewritten line on a terminal, else a line now and then."""
    terminal = sys.stderr.isatty()
    started, last = time.monotonic(), [-_PLAIN_EVERY_SECONDS]

    def report(
        ended: int, of: int | None, fold: int, folds: int, best: float | None, left: float | None
    ) -> None:
        now = time.monotonic()
        if not terminal and now - last[0] < _PLAIN_EVERY_SECONDS:
            return
        last[0] = now
        if of and ended and left is None:
            left = (now - started) / ended * (of - ended)
        parts = [f"trial {ended + 1}{f'/{of}' if of else ''}", f"fold {fold + 1}/{folds}"]
        if best is not None:
            parts.append(f"best {metric} {best:.4f}")
        if left is not None:
            parts.append(f"about {max(left, 0):.0f} s left")
        text = "  ".join(parts)
        if terminal:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
        else:
            say(text)

    return report


def _summary(result: TuneResult, out: Path) -> str:
    metric, found = result.best_config.metric, result.difference()
    pruned = sum(trial.state == "pruned" for trial in result.trials)
    lines = [f"{len(result.trials)} trials ({pruned} pruned) in {result.seconds:.0f} s"]
    lines.append(f"  best     {metric} {result.best.value:.4f}  (trial {result.best.number})")
    if result.default is not None:
        lines.append(f"  default  {metric} {result.default.value:.4f}")
    if found is not None:
        low, high = found["interval"]
        lines.append(f"  gain     {found['mean']:+.4f} [{low:+.4f}, {high:+.4f}]  p {found['p']:.3f}")
    lines.append(f"config  {out / 'best.toml'}   (rankwright train DATA --config {out / 'best.toml'} ...)")
    lines.append(f"report  {out / 'report.html'}")
    return "\n".join(lines)
