"""`rankwright serve`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

from ranking.cli.console import show_json
from ranking.errors import UsageError


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)


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
