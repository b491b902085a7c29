"""The search's memory: an Optuna study in an SQLite file, shared by processes, resumed after a kill."""

from __future__ import annotations

import fcntl
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ranking.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    import optuna

NAME = "rankwright"
DEFAULT = "default"
"""The attribute of the trial that tries the default configuration."""

_WAIT_SECONDS = 60
_HEARTBEAT_SECONDS = 10
_RETRIES = 2
_STARTUP_TRIALS = 8


def library() -> Any:
    """Optuna, quiet. Raises MissingExtraError where it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("rankwright tune", "tune") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna marks what is used here (heartbeats, several processes) as experimental, at each use."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=library().exceptions.ExperimentalWarning)
        yield


def open_study(file: Path, identity: Mapping[str, Any], first: Mapping[str, Any], seed: int) -> optuna.Study:
    """The study of this file: made, with `first` as its first trial, or joined.

    `identity` is all that makes values comparable; joining a study of another one is a UsageError that says
    what differs. A trial whose process died is tried again.
    """
    found = library()
    with quiet(), _locked(file):
        storage = found.storages.RDBStorage(
            f"sqlite:///{file}",
            engine_kwargs={"connect_args": {"timeout": _WAIT_SECONDS}},
            heartbeat_interval=_HEARTBEAT_SECONDS,
            heartbeat_stale_trial_callback=found.storages.RetryHeartbeatStaleTrialCallback(
                max_retry=_RETRIES
            ),
        )
        known = {summary.study_name for summary in storage.get_all_studies() if summary.study_name == NAME}
        # A joining process draws other configurations than the one that made the study.
        draws = [seed, os.getpid()] if known else [seed]
        study: optuna.Study = found.create_study(
            study_name=NAME,
            storage=storage,
            direction="maximize",
            load_if_exists=True,
            sampler=found.samplers.TPESampler(
                seed=sum(draws) % (1 << 31), n_startup_trials=_STARTUP_TRIALS, constant_liar=True
            ),
            pruner=found.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS // 2),
        )
        if known:
            _check_same(file, json.loads(study.user_attrs["identity"]), identity)
        else:
            study.set_user_attr("identity", json.dumps(identity))
            study.enqueue_trial(dict(first), user_attrs={DEFAULT: True})
    return study


def _check_same(file: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    differing = [key for key in here if there.get(key) != json.loads(json.dumps(here[key]))]
    if differing:
        key = differing[0]
        raise UsageError(
            f"{file} is the study of another search: {key} was {there.get(key)!r}, now it is {here[key]!r}"
            f"{f' (and {len(differing) - 1} more differ)' if len(differing) > 1 else ''}; "
            "name another --study or --out, or search as before"
        )


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """One process at a time makes the tables."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f"{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
