"""`rankwright distil`: a model that scores as another one does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranking.cli.console import Cache, DataFiles, Json, Regroup
from ranking.cli.options import RunOptions, takes_run_options
from ranking.cli.train import Quiet, Resume, Valid, run_training


def register(app: typer.Typer) -> None:
    app.command("distil")(distil)


@takes_run_options()
def distil(
    teacher: Annotated[Path, typer.Argument(metavar="TEACHER", help="The model folder to learn from.")],
    data: DataFiles,
    out: Annotated[Path, typer.Option("--out", help="Folder the model is written to.")],
    run: RunOptions,
    valid: Valid = None,
    resume: Resume = False,
    regroup: Regroup = False,
    cache: Cache = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a model on the scores that TEACHER gives DATA, and show it beside its teacher.

    Labels stop the training and are what is measured; the lists to learn from need none but 0.
    """
    from ranking.models.folder import check_destination, read_manifest

    check_destination(out)
    changes: dict[str, str] = {}
    if run.missing is None and run.config is None:
        changes["missing"] = read_manifest(teacher).missing
    if run.objective is None and run.config is None:
        changes["objective"] = "margin_mse"
    run_training(
        run.settings(**changes), data, out, valid=valid, resume=resume, against=teacher, teacher=teacher,
        targets=None, regroup=regroup, cache=cache, quiet=quiet, json=json,
    )  # fmt: skip
