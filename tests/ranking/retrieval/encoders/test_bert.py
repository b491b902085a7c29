"""BERT's forward pass against one of plain loops, one text and one head at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ranking.errors import ArtifactError
from ranking.retrieval.encoders.bert import Bert
from tests.ranking.retrieval.encoders.small import CONFIG, bert_tensors

HEADS, WIDTH = 4, 32


def norm(vector: np.ndarray, tensors: dict[str, np.ndarray], name: str) -> np.ndarray:
    centred = vector - vector.mean()
    scaled = centred / math.sqrt(float((centred**2).mean()) + 1e-12)
    return scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]


def dense(vector: np.ndarray, tensors: dict[str, np.ndarray], name: str) -> np.ndarray:
    return tensors[f"{name}.weight"] @ vector + tensors[f"{name}.bias"]


def gelu(vector: np.ndarray) -> np.ndarray:
    return np.array([x * 0.5 * (1 + math.erf(x / math.sqrt(2))) for x in vector])


def attended(hidden: list[np.ndarray], tensors: dict[str, np.ndarray], at: str) -> list[np.ndarray]:
    query, key, value = (
        [dense(token, tensors, f"{at}.attention.self.{part}") for token in hidden]
        for part in ("query", "key", "value")
    )
    found = []
    for i in range(len(hidden)):
        heads = []
        for head in range(HEADS):
            part = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
            scores = [query[i][part] @ key[j][part] / math.sqrt(WIDTH // HEADS) for j in range(len(hidden))]
            shares = np.exp(np.array(scores)) / np.exp(np.array(scores)).sum()
            heads.append(sum(share * value[j][part] for j, share in enumerate(shares)))
        found.append(np.concatenate(heads))
    return found


def slow(ids: list[int], tensors: dict[str, np.ndarray]) -> np.ndarray:
    """[tokens, width] of one text, in float64."""
    tensors = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    words, places, types = (
        tensors[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
    )
    hidden = [
        norm(words[token] + places[place] + types[0], tensors, "embeddings.LayerNorm")
        for place, token in enumerate(ids)
    ]
    for layer in range(2):
        at = f"encoder.layer.{layer}"
        seen = attended(hidden, tensors, at)
        for i in range(len(hidden)):
            out = dense(seen[i], tensors, f"{at}.attention.output.dense")
            first = norm(hidden[i] + out, tensors, f"{at}.attention.output.LayerNorm")
            inner = gelu(dense(first, tensors, f"{at}.intermediate.dense"))
            hidden[i] = norm(
                first + dense(inner, tensors, f"{at}.output.dense"), tensors, f"{at}.output.LayerNorm"
            )
    return np.array(hidden)


def bert(dtype: torch.dtype = torch.float32, prefix: str = "") -> Bert:
    tensors = {prefix + name: torch.from_numpy(tensor) for name, tensor in bert_tensors().items()}
    return Bert.of(CONFIG, tensors, dtype)


@pytest.mark.parametrize("prefix", ["", "bert."])
def test_it_is_the_forward_pass_of_plain_loops(prefix: str) -> None:
    """A short text stands padded beside a long one, with an id that must not matter."""
    texts = [[2, 4, 7, 8, 9, 10, 3], [2, 5, 3]]
    padded = torch.tensor([texts[0], texts[1] + [11] * 4])
    where = torch.tensor([[True] * 7, [True] * 3 + [False] * 4])
    found = bert(torch.float32, prefix)(padded, where).numpy()
    assert found[0] == pytest.approx(slow(texts[0], bert_tensors()), abs=2e-5)
    assert found[1, :3] == pytest.approx(slow(texts[1], bert_tensors()), abs=2e-5)
    assert bert()(padded[:1], where[:1]).numpy()[0] == pytest.approx(found[0], abs=2e-5)


def test_bfloat16_is_near() -> None:
    ids, where = torch.tensor([[2, 4, 7, 3]]), torch.ones(1, 4, dtype=torch.bool)
    found = bert(torch.bfloat16)(ids, where)
    assert found.dtype == torch.bfloat16
    exact = bert()(ids, where)
    assert torch.cosine_similarity(found.float(), exact, dim=-1).min() > 0.999


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "roberta"}, "expected model_type bert .* got roberta"),
        ({"hidden_act": "relu"}, "got bert, relu"),
        ({"position_embedding_type": "relative_key"}, "relative_key"),
        ({"num_hidden_layers": 3}, "not the settings and tensors of a BERT: .*encoder.layer.2"),
        ({"intermediate_size": 8}, r"intermediate.dense.weight is \(64, 32\), not \(8, 32\)"),
        ({"num_attention_heads": 5}, "a width of 32 does not fit 5 heads"),
    ],
)
def test_settings_that_do_not_fit(change: dict, message: str) -> None:
    tensors = {name: torch.from_numpy(tensor) for name, tensor in bert_tensors().items()}
    with pytest.raises(ArtifactError, match=message):
        Bert.of({**CONFIG, **change}, tensors, torch.float32)
