"""`rankwright inspect` and `verify`: what a model folder is, and whether it is whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ranking.cli.console import Json, Model, open_model, show, show_json, table, waiting
from ranking.errors import UsageError
from ranking.models.kinds import KINDS

_TOP_FEATURES = 15


def register(app: typer.Typer) -> None:
    app.command("inspect")(inspect)
    app.command("verify")(verify)


def inspect(model: Model, json: Json = False) -> None:
    """Say what a model is: kind, objective, features, metrics, data, versions."""
    from ranking.models.folder import read_manifest

    manifest = read_manifest(model)
    ranker: Any = open_model(model)
    gains = ranker.importance()
    ranked = sorted(zip(manifest.feature_names, gains.tolist(), strict=True), key=lambda pair: -pair[1])
    if json:
        show_json({**manifest.as_json(), "importance": dict(ranked)})
        return
    facts = manifest.facts
    total = sum(gains.tolist()) or 1.0
    lines = [
        f"kind       {manifest.kind}",
        f"objective  {_pairs(facts.get('objective', {}))}",
        f"rounds     {facts.get('rounds')}",
        f"features   {manifest.feature_count}, an absent one is {manifest.missing}",
        *_measured(facts.get("metrics", {})),
        f"versions   {_pairs(manifest.versions)}",
        f"config     {_pairs(facts.get('config', {}))}",
        f"data       {_pairs(facts.get('data', {}))}",
        KINDS[manifest.kind].importance,
        *(f"  {name:<28} {gain / total:7.2%}" for name, gain in ranked[:_TOP_FEATURES] if gain > 0),
    ]
    show("\n".join(lines))


def _measured(metrics: Mapping[str, Any]) -> list[str]:
    """A line for each part that was measured."""
    told = " (out of fold: by the members that have not seen the query)" if metrics.get("out_of_fold") else ""
    parts = [(part, values) for part, values in metrics.items() if isinstance(values, Mapping)]
    return [f"{part:<10} {_pairs(values)}{told}" for part, values in parts]


def _pairs(values: Any) -> str:
    return ", ".join(f"{k}={v:.4f}" if isinstance(v, float) else f"{k}={v}" for k, v in dict(values).items())


def verify(
    model: Model,
    reseal: Annotated[
        bool,
        typer.Option("--reseal", help="Give a folder of format 1 that passes a manifest under its own hash."),
    ] = False,
    json: Json = False,
) -> None:
    """Check a model folder: sizes, hashes, structure, a load in a child process, golden scores."""
    from ranking.errors import CheckFailedError
    from ranking.models.folder import read_manifest
    from ranking.models.registry import published_digest
    from ranking.models.verifying import verify as run

    with waiting("checking; the first time on a machine the scorer is compiled (kept on disk) ..."):
        checks = run(model, remembered=published_digest(model))
    good = all(check.ok for check in checks)
    sealed = good and read_manifest(model).sealed
    resealed = reseal and good and not sealed
    if resealed:
        _seal(model)
    if json:
        show_json(
            {
                "model": str(model),
                "ok": good,
                "sealed": sealed or resealed,
                "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in checks],
            }
        )
    else:
        show(table(["check", "", "detail"], [[c.name, "ok" if c.ok else "FAILED", c.detail] for c in checks]))
        if reseal and good:
            show("sealed: its manifest now holds its own hash" if resealed else "it is sealed already")
    if not good:
        raise CheckFailedError(f"{model} did not verify: do not serve it; train or fetch it again")


def _seal(model: Path) -> None:
    from ranking.models.folder import seal
    from ranking.models.registry import published_digest

    if published_digest(model) is not None:
        raise UsageError(
            f"{model} is a published version, whose manifest the registry remembers: seal the folder "
            "it was published from, and publish that one"
        )
    seal(model)
