"""`rankwright keys`: keys for the service's callers."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated

import typer

from ranking.cli.console import Json, show, show_json
from ranking.errors import UsageError

app = typer.Typer(
    help="Make API keys for the service.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def keys() -> None:
    """Make API keys for the service."""


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Whose key it is: one word.")],
    scope: Annotated[str, typer.Option(help="read, or admin (stored features too).")] = "read",
    json: Json = False,
) -> None:
    """Print a new key, once, and the line for the service's keys file, which holds only its SHA-256."""
    if scope not in ("read", "admin") or not name or any(c.isspace() or c == "," for c in name):
        raise UsageError("a key needs a name of one word and the scope read or admin")
    key = f"rw_{secrets.token_urlsafe(32)}"
    line = f"{name} {scope} {hashlib.sha256(key.encode()).hexdigest()}"
    if json:
        show_json({"key": key, "line": line})
    else:
        show(f"key:   {key}\nline:  {line}")
