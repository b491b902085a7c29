"""Batches larger than memory: the gradient of the whole batch's loss, one chunk of it encoded at a time.

Adding up gradients of small batches is no substitute: their queries see only their own few negatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ranking.errors import UsageError


def cached_step(
    encode: Callable[[Any], Tensor], batches: Sequence[Any], loss: Callable[..., Tensor], chunk: int
) -> Tensor:
    """Adds to the parameters' `.grad` what `loss(*map(encode, batches)).backward()` would.

    First every batch is encoded, `chunk` rows at a time, without a graph; the loss of all embeddings gives
    the gradient of each; then each chunk is encoded again, with the random state of its first time (so that
    dropout drops the same), and that gradient is passed on. Memory is that of one chunk's graph. `encode`
    must depend on nothing but its rows: no batch norm. Returns the loss, without a graph.

    batches   such as (queries, keys), each a tensor or a list that can be sliced; `loss` has an argument for
              each
    Raises UsageError for a chunk of no row.

    source  Gao et al. 2021 (GradCache).
    """
    if chunk < 1:
        raise UsageError(f"chunk must be at least 1, got {chunk}")
    parts = [[batch[i : i + chunk] for i in range(0, len(batch), chunk)] for batch in batches]
    states, embedded = [], []
    with torch.no_grad():
        for rows in parts:
            encoded = []
            for part in rows:
                states.append(_random_state())
                encoded.append(encode(part))
            embedded.append(torch.cat(encoded))
    wholes = [whole.requires_grad_() for whole in embedded]
    value = loss(*wholes)
    gradients = torch.autograd.grad(value, wholes)
    after, remembered = _random_state(), iter(states)
    for rows, gradient in zip(parts, gradients, strict=True):
        for part, piece in zip(rows, torch.split(gradient, chunk), strict=True):
            _restore(next(remembered))
            torch.autograd.backward(encode(part), piece)
    _restore(after)
    return value.detach()


def _random_state() -> tuple[Tensor, list[Tensor]]:
    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return torch.get_rng_state(), on_gpus


def _restore(state: tuple[Tensor, list[Tensor]]) -> None:
    torch.set_rng_state(state[0])
    if state[1]:
        torch.cuda.set_rng_state_all(state[1])
