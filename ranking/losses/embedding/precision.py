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
        given = [_ready(name, value) for name, value in zip(names, args, strict=False)]
        named = {name: _ready(name, value) for name, value in kwargs.items()}
        tensors = (one for one in (*given, *named.values()) if isinstance(one, Tensor))
        where = next((one.device.type for one in tensors), "cpu")
        with torch.autocast(where, enabled=False):
            return loss(*given, **named)

    return call


def _ready(name: str, value: Any) -> Any:
    if not (isinstance(value, Tensor) and value.is_floating_point()):
        return value
    wide = value.float() if value.dtype in _HALF else value
    seen = wide.detach()
    # A sum is one pass without a mask; it may overflow by itself, which the second look tells apart.
    if not torch.isfinite(seen.sum()) and not (finite := torch.isfinite(seen)).all():
        place = tuple(torch.nonzero(~finite)[0].tolist())
        raise DataError(
            f"{name} must be finite: {float(seen[place])} at {list(place)}, {int((~finite).sum())} such "
            f"numbers of {seen.numel()}. A learning rate too high is the usual reason"
        )
    return wide
