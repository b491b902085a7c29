"""The network in torch, for training: cross layers, a trunk of layers, self-attention over the list, a score.

    x_0 = features;  x_{l+1} = x_0 ⊙ (W_l x_l + b_l) + x_l        cross layers (DCN-v2)
    h = dropout(relu(norm(W h + b)))                              trunk, on x_0 and the last cross
    h = h + attention(layernorm(h));  h = h + mlp(layernorm(h))   blocks; keys are the documents of the list
    score = w h + b

Nothing knows the place of a document in its list, so that permuting the list permutes the scores. The norm of
the trunk is over the documents of the batch (batch norm), padding left out; after training it is a part of
the weights. `ranking.neural.scoring` is the same in numpy.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from ranking.neural.settings import NeuralSettings

_WIDER = 2
"""How much wider than the block its inner layer is."""


class Block(nn.Module):
    """One self-attention block over the documents of each list, norms first."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.second_norm = nn.LayerNorm(width)
        self.wider = nn.Linear(width, _WIDER * width)
        self.narrower = nn.Linear(_WIDER * width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, where: Tensor) -> Tensor:
        """[lists, list, width] to the same; `where` bool [lists, list]."""
        lists, size, width = hidden.shape
        parts = self.queries_keys_values(self.norm(hidden)).view(
            lists, size, 3, self.heads, width // self.heads
        )
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=where[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
        )  # fmt: skip
        hidden = hidden + self.drop(self.mixed(mixed.transpose(1, 2).reshape(lists, size, width)))
        out: Tensor = hidden + self.drop(self.narrower(torch.relu(self.wider(self.second_norm(hidden)))))
        return out


class Network(nn.Module):
    """Scores of lists of documents."""

    def __init__(self, width: int, settings: NeuralSettings) -> None:
        super().__init__()
        assert settings.cross is not None
        assert settings.blocks is not None
        self.cross = nn.ModuleList(nn.Linear(width, width) for _ in range(settings.cross))
        widths = (width * (2 if settings.cross else 1), *settings.hidden)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm1d(b) for b in settings.hidden)
        self.blocks = nn.ModuleList(
            Block(settings.hidden[-1], settings.heads, settings.dropout) for _ in range(settings.blocks)
        )
        self.score = nn.Linear(settings.hidden[-1], 1)
        self.drop = nn.Dropout(settings.dropout)

    def forward(self, rows: Tensor, where: Tensor) -> Tensor:
        """float [lists, list] of scores, 0 at padding.

        rows   [documents, width], those of the lists one after the other, no padding
        where  bool [lists, list], True at `documents` places
        """
        crossed = rows
        for layer in self.cross:
            crossed = rows * layer(crossed) + crossed
        hidden = torch.cat([rows, crossed], -1) if len(self.cross) else rows
        for layer, norm in zip(self.layers, self.norms, strict=True):
            hidden = self.drop(torch.relu(norm(layer(hidden))))
        if len(self.blocks):
            padded = hidden.new_zeros((*where.shape, hidden.shape[-1]))
            padded[where] = hidden
            for block in self.blocks:
                padded = block(padded, where)
            hidden = padded[where]
        scores = hidden.new_zeros(where.shape)
        scores[where] = self.score(hidden)[:, 0]
        return scores

    @torch.no_grad()
    def weights(self) -> dict[str, Tensor]:
        """What scoring needs, float32 by name, the norms of the trunk folded into its layers."""
        found: dict[str, Tensor] = {}
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            assert isinstance(norm, nn.BatchNorm1d)
            assert isinstance(layer, nn.Linear)
            assert norm.running_var is not None
            assert norm.running_mean is not None
            factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            found[f"layers.{number}.weight"] = layer.weight * factor[:, None]
            found[f"layers.{number}.bias"] = (layer.bias - norm.running_mean) * factor + norm.bias
        other = ("cross.", "blocks.", "score.")
        found |= {name: value for name, value in self.state_dict().items() if name.startswith(other)}
        return {name: value.detach().float().cpu().contiguous() for name, value in found.items()}
