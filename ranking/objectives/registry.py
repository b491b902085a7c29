"""Every objective by its name."""

from __future__ import annotations

from collections.abc import Mapping

from ranking.compiled.own_code import is_file_name
from ranking.errors import UsageError, unknown_name
from ranking.objectives.blend import Blend
from ranking.objectives.custom import from_file
from ranking.objectives.members import MEMBERS
from ranking.objectives.protocol import Objective
from ranking.objectives.stochastic import Gumbel

GUMBEL_PREFIX = "gumbel"

OBJECTIVES: dict[str, Objective] = {**MEMBERS, "blend": Blend()}
"""Each name's objective with default parameters."""


def objective_named(name: str, parameters: Mapping[str, object] | None = None) -> Objective:
    """The objective of a name with these parameters changed.

    A name is one of the registry, `gumbel:NAME` for it over perturbed scores (whose parameters then are the
    noise's and its own), or a file `FILE.py` with a pair loss or a pair weight. A pairwise objective takes
    the parameters of its parts, and which they are: `Pairwise.with_parameters`.
    Raises UsageError for an unknown name or parameter.

    >>> objective_named("lambdarank", {"truncation": 10}).truncation
    10
    >>> objective_named("hinge", {"metric": "ndcg", "margin": 2.0}).formula
    'sum over y_i > y_j of |ΔNDCG_ij| · max(0, margin − (s_i − s_j))'
    >>> objective_named("gumbel:ranknet", {"strength": 0.5}).strength
    0.5
    """
    try:
        return _by_name(name).with_parameters(parameters or {})
    except TypeError as error:
        raise UsageError(f"objective {name}: {error}") from error


def warm_up(objective: Objective) -> None:
    """Compile what training with this objective runs, or find it compiled on disk.

    The first time on a machine this takes some 15 seconds; a user's own file is compiled in every process,
    when it first runs.
    """
    objective.warm_up()


def _by_name(name: str) -> Objective:
    prefix, colon, inner = name.partition(":")
    if is_file_name(name):
        return from_file(name)
    if colon and prefix == GUMBEL_PREFIX:
        return Gumbel(objective=_by_name(inner))
    if name not in OBJECTIVES:
        raise unknown_name("objective", name, [*OBJECTIVES, f"{GUMBEL_PREFIX}:NAME", "FILE.py"])
    return OBJECTIVES[name]
