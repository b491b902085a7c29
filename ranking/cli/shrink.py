"""`rankwright shrink`: a model of fewer trees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.cli.console import (
    Cache,
    DataFiles,
    Json,
    Model,
    Regroup,
    load,
    say,
    show,
    show_json,
    table,
    waiting,
)
from ranking.cli.conventions import conventions_for

if TYPE_CHECKING:
    from ranking.training.shrinking import Shrunk

_SHOWN = 10
"""Lines of the curve."""


def register(app: typer.Typer) -> None:
    app.command("shrink")(shrink)


def shrink(
    model: Model,
    data: DataFiles,
    out: Annotated[Path, typer.Option("--out", help="Folder the smaller model is written to.")],
    trees: Annotated[int | None, typer.Option("--trees", help="Keep so many trees.")] = None,
    loss: Annotated[
        float | None,
        typer.Option("--loss", help="Keep the fewest trees that stay within such a loss, such as 0.001."),
    ] = None,
    metric: Annotated[str, typer.Option(help="What is measured by number of trees.")] = "ndcg@10",
    regroup: Regroup = False,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Cut a model of trees to fewer of them, by what each number of trees is worth on judged queries."""
    from ranking.metrics import Metric
    from ranking.models.folder import check_destination, read_manifest
    from ranking.training.shrinking import shrink as run

    check_destination(out)
    named = Metric.parse(metric, **conventions_for(model, {}))
    lists = load(data, missing=read_manifest(model).missing, regroup=regroup, cache=cache)
    with waiting("measuring; the first time on a machine the scorer is compiled (kept on disk) ..."):
        result = run(model, lists, named, out, trees=trees, loss=loss)
    for warning in result.warnings:
        say(f"warning: {warning}")
    if loss is not None:
        say("note: the number of trees was chosen on these lists: measure the model on others")
    if result.out_of_fold:
        say("note: each query was measured by the members that have not seen it")
    if json:
        show_json(result.as_json())
    else:
        show(_as_text(result))


def _as_text(result: Shrunk) -> str:
    (all_trees, kept), (value, after) = result.trees, result.values
    chosen = {round(i * (len(result.curve) - 1) / (_SHOWN - 1)) for i in range(_SHOWN)}
    shown = [point for at, point in enumerate(result.curve) if at in chosen or point[0] == kept]
    rows = [[f"{trees}{' *' if trees == kept else '  '}", f"{value:.4f}"] for trees, value in shown]
    lines = [
        table([f"trees of {all_trees}", result.metric], rows),
        "",
        f"trees    {all_trees} -> {kept}",
        f"size     {result.size[0]} -> {result.size[1]} bytes",
        f"{result.metric:<8} {value:.4f} -> {after:.4f} ({after - value:+.4f})",
        f"scoring  {result.speedup:.1f} times as fast",
        f"model    {result.folder}",
    ]
    if len(result.members) > 1:
        lines.insert(3, "members  " + ", ".join(f"{before} -> {left}" for before, left in result.members))
    return "\n".join(lines)
