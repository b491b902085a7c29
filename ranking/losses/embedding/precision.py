"""In which arithmetic losses on vectors are computed, whatever the embeddings and the surroundings are."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from ranking.errors import DataError

_P = ParamSpec("_P")
_R = TypeVar("_R")

_HALF = (torch.bfloat16, torch.float16)


def full_precision(loss: Callable[_P, _R]) -> Callable[_P, _R]:
    """The function with its floating tensors in float32 at least, no autocast around it, and none not finite.

    Sums over a batch have two digits in bfloat16, and |x|² overflows float16 from 256 on; under autocast a
    product of float32 vectors is one of half-precision ones. Raises DataError where a tensor holds NaN or an
    infinity, by the name of the argument and the place: a mean would spread it over the whole model.
    """
    names = list(inspect.signature(loss).parameters)

    @functools.wraps(loss)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        given = [_wide(value) for value in args]
        named = {name: _wide(value) for name, value in kwargs.items()}
        tensors = (one for one in (*given, *named.values()) if isinstance(one, Tensor))
        where = next((one.device.type for one in tensors), "cpu")
        try:
            with torch.autocast(where, enabled=False):
                value = loss(*given, **named)
        except RuntimeError:
            _refuse_not_finite({**dict(zip(names, given, strict=False)), **named})
            raise
        # NaN goes on into a loss, which is quicker to look at than what it is of.
        if not (isinstance(value, Tensor) and bool(torch.isfinite(value.detach()).all())):
            _refuse_not_finite({**dict(zip(names, given, strict=False)), **named})
        return value

    return call


def _wide(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in _HALF else value


def _refuse_not_finite(arguments: dict[str, Any]) -> None:
    for name, value in arguments.items():
        if not (isinstance(value, Tensor) and value.is_floating_point()):
            continue
        finite = torch.isfinite(value.detach())
        if not finite.all():
            place = tuple(torch.nonzero(~finite)[0].tolist())
            raise DataError(
                f"{name} must be finite: {float(value.detach()[place])} at {list(place)}, "
                f"{int((~finite).sum())} such numbers of {finite.numel()}. A learning rate too high is the "
                "usual reason"
            )
