"""`rankwright publish` and `models`: published versions and their aliases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranking.cli.console import Json, Model, show, show_json, table

RegistryFolder = Annotated[Path, typer.Option("--registry", help="Folder of published models.")]

models = typer.Typer(
    help="List, promote and roll back published models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    app.command("publish")(publish)
    app.add_typer(models, name="models")


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
