"""The forward pass of BERT in torch, from the tensors of a Hugging Face folder.

    h = LayerNorm(words[ids] + positions[0 …] + types[0])
    each layer: h = LayerNorm(h + W_o attention(h));  h = LayerNorm(h + W_2 gelu(W_1 h))

source  Devlin et al. 2019 (BERT); the names of tensors and settings are those of Hugging Face transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding, gelu, layer_norm, linear, scaled_dot_product_attention

from ranking.errors import ArtifactError

Pair = tuple[Tensor, Tensor]
"""(weight, bias)"""


@dataclass(frozen=True)
class _Layer:
    projections: Pair
    """of queries, keys and values together, [3 width, width]"""
    output: Pair
    output_norm: Pair
    inner: Pair
    outer: Pair
    outer_norm: Pair


@dataclass(frozen=True)
class Bert:
    """A BERT encoder's weights, all of one dtype, and its forward pass."""

    words: Tensor
    positions: Tensor
    types: Tensor
    norm: Pair
    layers: tuple[_Layer, ...]
    heads: int
    epsilon: float

    @property
    def width(self) -> int:
        return self.words.shape[1]

    @property
    def longest(self) -> int:
        """Tokens of a text at most."""
        return self.positions.shape[0]

    @classmethod
    def of(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], dtype: torch.dtype) -> Bert:
        """From a `config.json` and its tensors, with or without the prefix `bert.`.

        Raises ArtifactError for another architecture, missing tensors and shapes that do not fit.
        """
        activation = config.get("hidden_act", "gelu")
        position = config.get("position_embedding_type", "absolute")
        if (config.get("model_type"), activation, position) != ("bert", "gelu", "absolute"):
            raise ArtifactError(
                "expected model_type bert with gelu and absolute positions, got "
                f"{config.get('model_type')}, {activation}, {position}"
            )
        named = {name.removeprefix("bert."): tensor for name, tensor in tensors.items()}
        try:
            found = cls._of(config, named, dtype)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"not the settings and tensors of a BERT: {error!r}") from error
        if found.width % found.heads or found.types.shape[1] != found.width:
            raise ArtifactError(f"a width of {found.width} does not fit {found.heads} heads")
        return found

    @classmethod
    def _of(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], dtype: torch.dtype) -> Bert:
        width, inner = int(config["hidden_size"]), int(config["intermediate_size"])

        def tensor(name: str, *shape: int) -> Tensor:
            found = tensors[name]
            if shape and tuple(found.shape) != shape:
                raise ValueError(f"{name} is {tuple(found.shape)}, not {shape}")
            return found.to(dtype)

        def pair(name: str, *shape: int) -> Pair:
            return tensor(f"{name}.weight", *shape), tensor(f"{name}.bias", shape[0])

        def layer(number: int) -> _Layer:
            at = f"encoder.layer.{number}"
            parts = [pair(f"{at}.attention.self.{p}", width, width) for p in ("query", "key", "value")]
            return _Layer(
                projections=(torch.cat([w for w, _ in parts]), torch.cat([b for _, b in parts])),
                output=pair(f"{at}.attention.output.dense", width, width),
                output_norm=pair(f"{at}.attention.output.LayerNorm", width),
                inner=pair(f"{at}.intermediate.dense", inner, width),
                outer=pair(f"{at}.output.dense", width, inner),
                outer_norm=pair(f"{at}.output.LayerNorm", width),
            )

        return cls(
            words=tensor("embeddings.word_embeddings.weight", int(config["vocab_size"]), width),
            positions=tensor("embeddings.position_embeddings.weight"),
            types=tensor("embeddings.token_type_embeddings.weight"),
            norm=pair("embeddings.LayerNorm", width),
            layers=tuple(layer(number) for number in range(int(config["num_hidden_layers"]))),
            heads=int(config["num_attention_heads"]),
            epsilon=float(config.get("layer_norm_eps", 1e-12)),
        )

    def __call__(self, ids: Tensor, where: Tensor) -> Tensor:
        """The last layer's vectors [texts, tokens, width].

        ids    int64 [texts, tokens], anything where a shorter text is padded
        where  bool [texts, tokens], true at its tokens; padding is never attended to
        """
        texts, tokens = ids.shape
        mask = None if bool(where.all()) else where[:, None, None, :]
        hidden = embedding(ids, self.words) + self.positions[:tokens] + self.types[0]
        hidden = self._normed(hidden, self.norm)
        for layer in self.layers:
            parts = linear(hidden, *layer.projections).view(texts, tokens, 3, self.heads, -1)
            query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
            seen = scaled_dot_product_attention(query, key, value, attn_mask=mask)
            seen = seen.transpose(1, 2).reshape(texts, tokens, -1)
            hidden = self._normed(hidden + linear(seen, *layer.output), layer.output_norm)
            inner = gelu(linear(hidden, *layer.inner))
            hidden = self._normed(hidden + linear(inner, *layer.outer), layer.outer_norm)
        return hidden

    def _normed(self, hidden: Tensor, norm: Pair) -> Tensor:
        return layer_norm(hidden, hidden.shape[-1:], *norm, eps=self.epsilon)
