"""`rankwright ensemble`: several models as one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.cli.console import Cache, Json, Regroup, load, open_model, show, show_json
from ranking.cli.conventions import conventions_for

if TYPE_CHECKING:
    from ranking.training.combining import Combined

Valid = Annotated[
    list[str],
    typer.Option(
        "--valid", help="Held-out LETOR file that spreads and weights are taken from; may be repeated."
    ),
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
    """Add up several models, each over its spread, and write them as one model folder.

    They weigh the same, unless weights fitted on the lists are significantly better on queries they have not
    seen. Forests of one backend become one forest.
    """
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
    lines.append(f"{'all together':<40}                 {metric} {result.value:.4f}")
    show("\n".join([*lines, _weights_told(result), f"model  {out} ({result.ranker.kind})"]))


def _weights_told(result: Combined) -> str:
    weighing = result.weighing
    if weighing.difference is None or weighing.p is None:
        return "weights are equal: too few queries to tell whether fitted ones are better"
    how = "fitted" if weighing.fitted else "equal"
    return (
        f"weights are {how}: fitted ones {weighing.difference:+.4f} (p {weighing.p:.3f}) on queries they had "
        "not seen"
    )
