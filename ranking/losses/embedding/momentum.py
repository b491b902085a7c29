"""MoCo: keys from a slowly moving copy of the encoder, kept in a queue as negatives of later steps."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ranking.errors import UsageError


class MomentumEncoder(nn.Module):
    """A copy of an encoder whose parameters follow it: theta_k <- m theta_k + (1 − m) theta_q.

    Its parameters take no gradients; buffers (a norm's statistics) are copied as they are. 0.999 in the
    paper, where 0.9 fails. Batch norms leak which key belongs to which query: use layer norms.

    source  He et al. 2020 (MoCo).
    """

    def __init__(self, model: nn.Module, momentum: float = 0.999) -> None:
        super().__init__()
        if not 0 <= momentum <= 1:
            raise UsageError(f"momentum must be in [0, 1], got {momentum!r}")
        self.momentum = momentum
        self.copy = copy.deepcopy(model).requires_grad_(False)
        # In a tuple: its parameters are not this module's, to be saved or moved with it.
        self._followed = (model,)

    @torch.no_grad()
    def update(self) -> None:
        """One step towards the encoder: after each of the optimizer's."""
        (model,) = self._followed
        for mine, theirs in zip(self.copy.parameters(), model.parameters(), strict=True):
            mine.lerp_(theirs, 1 - self.momentum)
        for kept, theirs_now in zip(self.copy.buffers(), model.buffers(), strict=True):
            kept.copy_(theirs_now)

    @torch.no_grad()
    def forward(self, *inputs: Tensor) -> Tensor:
        """Keys, without a gradient."""
        keys: Tensor = self.copy(*inputs)
        return keys


class NegativeQueue(nn.Module):
    """The keys of the last steps, oldest dropped first, with an id each.

    It starts empty and gives out only what was put in: a queue that starts with random vectors offers them as
    negatives in its first steps.

    size  keys at most;  d  numbers of each
    """

    stored: Tensor
    stored_ids: Tensor
    pushed: Tensor

    def __init__(self, size: int, d: int) -> None:
        super().__init__()
        if size < 1:
            raise UsageError(f"the queue must have room for at least one key, got size={size}")
        self.register_buffer("stored", torch.zeros(size, d))
        self.register_buffer("stored_ids", torch.full((size,), -1, dtype=torch.int64))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        return min(int(self.pushed), len(self.stored))

    @torch.no_grad()
    def push(self, keys: Tensor, ids: Tensor | None = None) -> None:
        """Keep these keys [batch, d], without their gradients; ids int [batch], −1 for none."""
        kept = keys.detach()[-len(self.stored) :].to(self.stored)
        places = (int(self.pushed) + len(keys) - len(kept) + torch.arange(len(kept))) % len(self.stored)
        self.stored[places] = kept
        self.stored_ids[places] = -1 if ids is None else ids[-len(kept) :].to(self.stored_ids)
        self.pushed += len(keys)

    @property
    def keys(self) -> Tensor:
        """[len(queue), d]: what was put in, as `info_nce` takes it."""
        return self.stored[: len(self)].clone()

    @property
    def ids(self) -> Tensor:
        """int64 [len(queue)], −1 where a key has none."""
        return self.stored_ids[: len(self)].clone()
