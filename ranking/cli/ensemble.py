"""`rankwright ensemble`: several models as one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranking.cli.console import Cache, Json, Regroup, load, open_model, show, show_json
from ranking.cli.conventions import conventions_for

Valid = Annotated[
    list[str], typer.Option("--valid", help="Held-out LETOR file the weights are fitted on; may be repeated.")
]


def register(app: typer.Typer) -> None:
    app.command("ensemble")(ensemble)


def ensemble(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Two or more model folders.")],
    valid: Valid,
    out: Annotated[Path, typer.Option("--out", help="Folder the ensemble is written to.")],
    metric: Annotated[
        str, typer.Option(help="What is shown of the members and of all together.")
    ] = "ndcg@10",
    regroup: Regroup = False,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Weigh several models by held-out lists and write them as one model folder."""
    from ranking.metrics import Metric
    from ranking.models.folder import check_destination
    from ranking.training.combining import combine

    check_destination(out)
    named = Metric.parse(metric, **conventions_for(models[0], {}))
    members = {str(folder): open_model(folder) for folder in models}
    first = next(iter(members.values()))
    lists = load(valid, missing=first.missing, regroup=regroup, cache=cache)
    result = combine(members, lists, named, out)
    if json:
        show_json(result.as_json())
        return
    lines = [
        f"{name:<40} weight {weight:7.3f}  {metric} {value:.4f}" for name, weight, value in result.members
    ]
    show(
        "\n".join([*lines, f"{'ensemble':<40}                 {metric} {result.value:.4f}", f"model  {out}"])
    )
