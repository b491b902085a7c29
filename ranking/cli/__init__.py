"""The `rankwright` command: thin commands over the rooms.

train, tune, ensemble, distil       models from lists, and from other models
shrink                              a model of fewer trees
evaluate, predict                   what they are worth, and their scores
conventions                         how a model is measured
folder, registry                    model folders, published models
serve                               over HTTP
data, features, log                 lists, stores, journals
search                              collections of texts
objectives, losses                  what there is to train on, described and examined
keys                                keys of the service
options                             what decides a training run
console                             what all of them say, and how

Results go to stdout, messages to stderr; `--json` prints exactly one JSON object. Exit codes: 0 ok,
1 unexpected, 2 usage or config, 3 missing extra, 4 bad data, 5 a check or threshold failed,
130 interrupted. Heavy rooms are imported inside the commands, so that `--help` is quick.
"""

from __future__ import annotations

import os
import sys

import typer

from ranking.cli import (
    data,
    distil,
    ensemble,
    evaluate,
    features,
    folder,
    keys,
    log,
    losses,
    objectives,
    predict,
    registry,
    search,
    serve,
    shrink,
    train,
    tune,
)
from ranking.compiled.cpus import limit_openmp
from ranking.errors import RankwrightError

__all__ = ["app", "main"]

app = typer.Typer(
    name="rankwright",
    help="Train rankers on judged queries, measure them, and serve them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for one in (train, ensemble, distil, tune, shrink, evaluate, predict, folder, registry, serve):
    one.register(app)
app.add_typer(data.app, name="data")
app.add_typer(features.app, name="features")
app.add_typer(log.app, name="log")
app.add_typer(keys.app, name="keys")
app.add_typer(objectives.app, name="objectives")
app.add_typer(losses.app, name="losses")
app.add_typer(search.app, name="search")


def main() -> None:
    """Run the command line and end with its exit code."""
    limit_openmp()
    try:
        _run()
    except RankwrightError as error:
        print(f"rankwright: {error}", file=sys.stderr)  # noqa: T201 - the command line speaks on stderr
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe went away (`| head`): nothing is wrong, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _run() -> None:
    try:
        app(prog_name="rankwright")
    except SystemExit as end:
        # Typer ends with 1 where the reader of a pipe went away.
        if isinstance(end.__context__, BrokenPipeError):
            raise end.__context__ from None
        # Not left to the interpreter's end, where a broken pipe could no longer be met.
        sys.stdout.flush()
        raise
