"""Which objective a name stands for: a compiled one, or any torch loss as `torch:NAME`.

Torch and its losses are opened only for a name that needs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ranking.errors import MissingExtraError, UsageError
from ranking.objectives import objective_named

if TYPE_CHECKING:
    from ranking.objectives import Objective

TORCH_PREFIX = "torch:"


def objective_for(name: str, parameters: Mapping[str, object]) -> Objective:
    """The objective for trees of a name with these parameters changed.

    `torch:NAME` is the torch loss of that name, or its compiled twin where it has one; `torch:FILE.py` a loss
    of one's own. Raises UsageError for an unknown name or parameter, MissingExtraError without torch.
    """
    if not name.startswith(TORCH_PREFIX):
        try:
            return objective_named(name, parameters)
        except UsageError as error:
            raise _told_of_torch(name, error) from error
    inner = name.removeprefix(TORCH_PREFIX)
    if has_twin(name):
        return objective_named(inner, parameters)
    own = {key: value for key, value in parameters.items() if key in ("hessian_scale", "noise_seed")}
    changes = {key: value for key, value in parameters.items() if key not in own}
    settings: dict[str, Any] = {**own, "changes": changes}
    try:
        from ranking.losses.trees import TorchObjective
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"--objective {name}", "neural") from error
    return TorchObjective(loss_name=inner, **settings)


def has_twin(name: str) -> bool:
    """Is this `torch:NAME` of a name that is compiled too?"""
    from ranking.compiled.own_code import is_file_name

    inner = name.removeprefix(TORCH_PREFIX)
    if inner == name or is_file_name(inner):
        return False
    try:
        objective_named(inner)
    except UsageError:
        return False
    return True


def _told_of_torch(name: str, error: UsageError) -> UsageError:
    """The error of an unknown objective, with the way to it where torch alone has it."""
    try:
        from ranking.losses import LOSSES
    except ModuleNotFoundError:
        return error
    if name.removeprefix("gumbel:") not in LOSSES or has_twin(TORCH_PREFIX + name):
        return error
    return UsageError(f"{name} has no compiled form: --objective {TORCH_PREFIX}{name} trains trees on it")
