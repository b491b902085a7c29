"""Batches larger than memory: the gradient of the whole batch's loss, one chunk of it encoded at a time.

Adding up gradients of small batches is no substitute: their queries see only their own few negatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def cached_backward(
    encode: Callable[[Any], Tensor], chunks: Sequence[Any], loss: Callable[[Tensor], Tensor]
) -> Tensor:
    """Adds to the parameters' `.grad` what `loss(cat(encode(chunk) for chunk in chunks)).backward()` would.

    First every chunk is encoded without a graph; the loss of all embeddings gives the gradient of each; then
    each chunk is encoded again, with the random state of its first time (so that dropout drops the same), and
    that gradient is passed on. Memory is that of one chunk's graph. `encode` must depend on nothing but its
    chunk: no batch norm. Returns the loss, without a graph.

    source  Gao et al. 2021 (GradCache).
    """
    states, embedded = [], []
    with torch.no_grad():
        for chunk in chunks:
            states.append(_random_state())
            embedded.append(encode(chunk))
    whole = torch.cat(embedded).requires_grad_()
    value = loss(whole)
    (gradient,) = torch.autograd.grad(value, whole)
    after = _random_state()
    parts = torch.split(gradient, [len(part) for part in embedded])
    for chunk, state, part in zip(chunks, states, parts, strict=True):
        _restore(state)
        torch.autograd.backward(encode(chunk), part)
    _restore(after)
    return value.detach()


def _random_state() -> tuple[Tensor, list[Tensor]]:
    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return torch.get_rng_state(), on_gpus


def _restore(state: tuple[Tensor, list[Tensor]]) -> None:
    torch.set_rng_state(state[0])
    if state[1]:
        torch.cuda.set_rng_state_all(state[1])
