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

    def __init__(self, encoder: nn.Module, momentum: float = 0.999) -> None:
        super().__init__()
        if not 0 <= momentum <= 1:
            raise UsageError(f"momentum must be in [0, 1], got {momentum!r}")
        self.momentum = momentum
        self.copy = copy.deepcopy(encoder).requires_grad_(False)

    @torch.no_grad()
    def follow(self, encoder: nn.Module) -> None:
        """One step towards the encoder: after each of the optimizer's."""
        for mine, theirs in zip(self.copy.parameters(), encoder.parameters(), strict=True):
            mine.lerp_(theirs, 1 - self.momentum)
        for kept, theirs_now in zip(self.copy.buffers(), encoder.buffers(), strict=True):
            kept.copy_(theirs_now)

    @torch.no_grad()
    def forward(self, *inputs: Tensor) -> Tensor:
        """Keys, without a gradient."""
        keys: Tensor = self.copy(*inputs)
        return keys


class KeyQueue(nn.Module):
    """The keys of the last steps, oldest dropped first, with an id each.

    It starts empty and gives out only what was put in: a queue that starts with random vectors offers them as
    negatives in its first steps.

    size  keys at most;  width  of each
    """

    keys: Tensor
    ids: Tensor
    put_in: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        if size < 1:
            raise UsageError(f"the queue must have room for at least one key, got size={size}")
        self.register_buffer("keys", torch.zeros(size, width))
        self.register_buffer("ids", torch.full((size,), -1, dtype=torch.int64))
        self.register_buffer("put_in", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        return min(int(self.put_in), len(self.keys))

    @torch.no_grad()
    def put(self, keys: Tensor, ids: Tensor | None = None) -> None:
        """Keep these keys [batch, width], without their gradients; ids int [batch], −1 for none."""
        kept = keys.detach()[-len(self.keys) :].to(self.keys)
        places = (int(self.put_in) + len(keys) - len(kept) + torch.arange(len(kept))) % len(self.keys)
        self.keys[places] = kept
        self.ids[places] = -1 if ids is None else ids[-len(kept) :].to(self.ids)
        self.put_in += len(keys)

    def held(self) -> tuple[Tensor, Tensor]:
        """(keys [n, width], ids [n]) that were put in, as `info_nce` takes them; n = len(queue)."""
        size = len(self)
        return self.keys[:size].clone(), self.ids[:size].clone()
