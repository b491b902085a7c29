"""`rankwright inspect`, `verify`, `publish`, `models` and `serve`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

from ranking.cli.console import Json, open_model, show, show_json, table, waiting
from ranking.errors import UsageError
from ranking.models.kinds import KINDS

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")]
RegistryFolder = Annotated[Path, typer.Option("--registry", help="Folder of published models.")]

_TOP_FEATURES = 15

models = typer.Typer(
    help="List, promote and roll back published models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    app.command("inspect")(inspect)
    app.command("verify")(verify)
    app.command("publish")(publish)
    app.add_typer(models, name="models")
    app.command("serve")(serve)


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
        *(f"{part:<10} {_pairs(values)}" for part, values in facts.get("metrics", {}).items()),
        f"versions   {_pairs(manifest.versions)}",
        f"config     {_pairs(facts.get('config', {}))}",
        f"data       {_pairs(facts.get('data', {}))}",
        KINDS[manifest.kind].importance,
        *(f"  {name:<28} {gain / total:7.2%}" for name, gain in ranked[:_TOP_FEATURES] if gain > 0),
    ]
    show("\n".join(lines))


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


def publish(
    model: Model,
    registry: RegistryFolder,
    name: Annotated[str, typer.Option("--name", help="Name to publish under.")],
    alias: Annotated[
        str | None, typer.Option("--alias", help="Point this alias, such as production, at the new version.")
    ] = None,
    json: Json = False,
) -> None:
    """Copy a verified model into the registry as the next version of its name."""
    from ranking.models.registry import Registry

    models_there = Registry(registry)
    models_there.check_writable(name)
    version = models_there.publish(model, name, alias=alias)
    if json:
        show_json({"name": name, "version": version, "alias": alias})
    else:
        show(f"{name}@{version}" + (f" is now {name}:{alias}" if alias else ""))


@models.command("list")
def list_models(registry: RegistryFolder, json: Json = False) -> None:
    """Names, versions and aliases."""
    from ranking.models.registry import Registry

    listing = Registry(registry).listing()
    if json:
        show_json({"models": listing})
        return
    rows = []
    for entry in listing:
        by_version: dict[int, list[str]] = {}
        for alias, version in entry["aliases"].items():
            by_version.setdefault(version, []).append(alias)
        rows += [
            [entry["name"], str(version), ", ".join(by_version.get(version, []))]
            for version in entry["versions"]
        ]
    show(table(["name", "version", "aliases"], rows) if rows else f"no models in {registry}")


@models.command("promote")
def promote(
    name: Annotated[str, typer.Argument()],
    version: Annotated[int, typer.Argument()],
    registry: RegistryFolder,
    alias: Annotated[str, typer.Option("--alias")] = "production",
    json: Json = False,
) -> None:
    """Point an alias at a version."""
    from ranking.models.registry import Registry

    Registry(registry).promote(name, version, alias)
    _say_alias(name, alias, version, json)


@models.command("rollback")
def rollback(
    name: Annotated[str, typer.Argument()],
    registry: RegistryFolder,
    alias: Annotated[str, typer.Option("--alias")] = "production",
    json: Json = False,
) -> None:
    """Point an alias back at the version it had before."""
    from ranking.models.registry import Registry

    _say_alias(name, alias, Registry(registry).rollback(name, alias), json)


def _say_alias(name: str, alias: str, version: int, json: bool) -> None:
    if json:
        show_json({"name": name, "alias": alias, "version": version})
    else:
        show(f"{name}:{alias} is {name}@{version}")


def serve(
    model: Annotated[Path | None, typer.Option("--model", help="A model folder.")] = None,
    registry: Annotated[
        Path | None, typer.Option("--registry", help="A registry; its models are served by name.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--default", help="Registry: the model of requests that name none.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="[127.0.0.1]", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one.  [8000]", show_default=False)] = None,
    workers: Annotated[int | None, typer.Option(help="Processes.  [1]", show_default=False)] = None,
    features: Annotated[
        str | None, typer.Option("--features", help="A feature store, for candidates that come by id.")
    ] = None,
    journal: Annotated[
        Path | None, typer.Option("--journal", help="A folder that keeps what was shown, and feedback.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="A TOML file of settings.")] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting of --show-config.")
    ] = None,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print the settings in force, and do not serve.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with the URL on stdout when ready.")
    ] = False,
) -> None:
    """Serve rankers over HTTP: POST /v1/rank; /docs describes it.

    Settings come from these flags and --set, then RANKWRIGHT_* variables, then the file of --config.
    """
    # The service stands above this room: it is opened only when it is asked to run.
    from service.server.run import serve as run
    from service.settings import load_settings

    flags: dict[str, Any] = {"model": model, "registry": registry, "default_model": name}
    flags |= {"host": host, "port": port, "workers": workers, "config": config}
    flags |= {"features": features, "journal": journal}
    given = {key: value for key, value in flags.items() if value is not None}
    settings = load_settings(**dict(_setting(pair) for pair in sets or []), **given)
    if show_config:
        show_json(settings.shown())
        return
    run(settings, (lambda url: show_json({"url": url})) if json else None)


def _setting(pair: str) -> tuple[str, Any]:
    """KEY=VALUE; a value that is JSON is read as such, anything else is a text."""
    key, equals, text = pair.partition("=")
    if not equals:
        raise UsageError(f"--set {pair}: write KEY=VALUE")
    try:
        return key, json_module.loads(text)
    except ValueError:
        return key, text
