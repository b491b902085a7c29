"""How a model is measured: as the flags say, else as it was measured before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ranking.cli.console import say

_USUAL = {"gain": "exponential", "discount": "log2", "empty": "zero", "ties": "average"}


def conventions_for(model: Path, flags: Mapping[str, str | None]) -> dict[str, Any]:
    """What the flags say, else how the model was measured, which is said where it is not the usual."""
    from ranking.metrics.conventions import written

    given: dict[str, Any] = {key: value for key, value in flags.items() if value is not None}
    given |= {key: written(given[key]) for key in ("gain", "discount") if key in given}
    own = {key: value for key, value in _measured_with(model).items() if key not in given}
    for key, value in own.items():
        _check_not_own_code(model, key, value)
    unusual = [f"{key}={value}" for key, value in own.items() if value != _USUAL[key]]
    if unusual:
        say(f"note: {', '.join(unusual)}, as {model} was trained and measured; flags choose others")
    return {**_USUAL, **own, **given}


def _measured_with(model: Path) -> dict[str, Any]:
    """The conventions its manifest states."""
    from ranking.models.folder import read_manifest

    stated = read_manifest(model).facts.get("conventions")
    return {key: stated[key] for key in _USUAL if key in stated} if isinstance(stated, dict) else {}


def _check_not_own_code(model: Path, key: str, value: Any) -> None:
    """A manifest may name a function of its trainer's; only a flag runs a file."""
    from ranking.compiled.own_code import is_file_name
    from ranking.errors import UsageError

    if isinstance(value, str) and is_file_name(value):
        raise UsageError(
            f"{model} was measured with the {key} {value}, code that is not in its folder: give "
            f"--{key} {value} to run that file here, or choose another {key}"
        )


def say_others(against: Path, ours: Mapping[str, Any]) -> None:
    """Say where the other model was measured with other conventions than these."""
    there = _measured_with(against)
    other = [f"{key}={value}" for key, value in there.items() if value != ours[key]]
    if other:
        here = ", ".join(f"{key}={value}" for key, value in ours.items())
        say(f"note: {against} was measured with {', '.join(other)}; here both are with {here}")
