"""Booster parameters tried on a few rows of the data's width before the training, the one at fault named.

Boosters look at a parameter only where they use it, and say what is wrong in their own words; what is wrong
with the data must not be told as a wrong parameter, nor the other way round.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ranking.data.arrays import Float32
from ranking.errors import UsageError

ROWS = 64

SEVERAL = "it gives several scores a document, and a ranker has one"
"""The reason against what trains well, and is no ranker."""

_one_at_a_time = threading.Lock()

Attempt = Callable[[Mapping[str, Any]], str | None]
"""Parameters to why a booster cannot train with them, None where it can."""


def rows_of(width: int) -> tuple[Float32, Float32]:
    """(features [ROWS, width], labels 0 and 1 in turns): something that every parameter can be tried on."""
    features = np.random.default_rng(0).normal(size=(ROWS, width)).astype(np.float32)
    return features, np.tile(np.array([0, 1], np.float32), ROWS // 2)


def try_out(
    booster: str, own: Mapping[str, Any], objective: str | None, trial: Callable[..., str | None], usual: str
) -> None:
    """Raise UsageError for an objective, or a parameter of `own`, that the booster cannot train with.

    `trial(objective, parameters)` says why not; `usual` are examples of the booster's own objectives. One is
    tried at a time: what a trial silences or catches belongs to the whole process.
    """
    with _one_at_a_time:
        _try_out(booster, own, objective, trial, usual)


def _try_out(
    booster: str, own: Mapping[str, Any], objective: str | None, trial: Callable[..., str | None], usual: str
) -> None:
    reason = trial(objective, own)
    if reason is None:
        return
    if reason.startswith("Unknown objective"):
        raise UsageError(
            f"{booster} has no objective {objective!r}: builtin:NAME takes one of its own: {usual}"
        )
    if reason == SEVERAL:
        raise UsageError(f"builtin:{objective} with these parameters: {SEVERAL}")
    # Labels that an objective cannot take say nothing of the parameters.
    checked = objective if trial(objective, {}) is None else None
    _refuse_wrong(booster, own, lambda given: trial(checked, given))


def _refuse_wrong(booster: str, own: Mapping[str, Any], attempt: Attempt) -> None:
    """The parameter that the booster cannot train with, by name and value."""
    reason = attempt(own)
    if reason is None:
        return
    for name, value in own.items():
        alone = attempt({name: value})
        if alone is not None:
            raise UsageError(f"{booster} refuses booster.{name}={value!r}: {alone}")
    # Each is fine alone: the one without which the others work.
    culprit = next((name for name in own if attempt(_without(own, name)) is None), next(iter(own)))
    raise UsageError(f"{booster} refuses booster.{culprit}={own[culprit]!r} beside the others: {reason}")


def _without(own: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in own.items() if key != name}


def reason_of(error: Exception) -> str:
    """What a booster says is wrong, without its clock and the places in its own sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    text = re.sub(r"^\[\d\d:\d\d:\d\d\] \S+:\d+: ", "", lines[0])
    text = re.sub(r" at /\S+, line \d+ ?\.?$", "", text)
    bound = re.fullmatch(r"Check failed: \((\w+)\) ?(<=|>=|<|>) ?\(([^()]*)\)", text)
    return f"{bound[1]} must be {bound[2]} {bound[3]}" if bound else text


@contextmanager
def quiet() -> Iterator[None]:
    """No stderr for the whole process, where LightGBM writes the errors it raises as well."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
