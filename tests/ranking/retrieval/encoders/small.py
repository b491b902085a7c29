"""Models of a few words: a BERT of random weights, a token table, tokenizers like BERT's and Llama's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "blue", "sea", "##side", "of", "the", "a")


def wordpiece() -> dict[str, Any]:
    """`tokenizer.json` of a BERT that knows `WORDS`."""
    ends = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    ends.append({"SpecialToken": {"id": "[SEP]", "type_id": 0}})
    return {
        "version": "1.0",
        "truncation": {"max_length": 5, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": None,
        "added_tokens": [_added(number, WORDS[number]) for number in range(4)],
        "normalizer": {
            "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
            "strip_accents": None, "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": ends,
            "pair": ends,
            "special_tokens": {
                token: {"id": token, "ids": [WORDS.index(token)], "tokens": [token]}
                for token in ("[CLS]", "[SEP]")
            },
        },
        "decoder": None,
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": {word: number for number, word in enumerate(WORDS)},
        },
    }  # fmt: skip


def sentencepiece(*further: str) -> dict[str, Any]:
    """`tokenizer.json` like Llama's: no pre-tokenizer, bytes for what is unknown; `further` are merges."""
    merges = ["▁ a", "▁ s", "▁s e", "▁se a", "a b", "▁ ▁", "▁▁ ▁▁", "s e", "▁a b", *further]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"abdes"]
    tokens += dict.fromkeys(merge.replace(" ", "") for merge in merges)
    spaces = [{"type": "Prepend", "prepend": "▁"}]
    spaces.append({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})  # type: ignore[dict-item]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [_added(number, tokens[number]) for number in range(3)],
        "normalizer": {"type": "Sequence", "normalizers": spaces},
        "pre_tokenizer": None, "post_processor": None, "decoder": None,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(tokens)}, "merges": merges,
        },
    }  # fmt: skip


def _added(number: int, content: str) -> dict[str, Any]:
    facts = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": content, **facts, "special": True}


CONFIG = {
    "model_type": "bert", "hidden_act": "gelu", "hidden_size": 32, "intermediate_size": 64,
    "layer_norm_eps": 1e-12, "max_position_embeddings": 16, "num_attention_heads": 4, "num_hidden_layers": 2,
    "type_vocab_size": 2, "vocab_size": len(WORDS),
}  # fmt: skip


def bert_tensors() -> dict[str, np.ndarray]:
    """Random weights of `CONFIG`, large enough for attention to matter."""
    rng = np.random.default_rng(3)
    shapes = {
        "embeddings.word_embeddings.weight": (len(WORDS), 32),
        "embeddings.position_embeddings.weight": (16, 32),
        "embeddings.token_type_embeddings.weight": (2, 32),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(2):
        at = f"encoder.layer.{layer}"
        square = [f"attention.self.{part}" for part in ("query", "key", "value")] + ["attention.output.dense"]
        shapes |= {f"{at}.{name}.weight": (32, 32) for name in square}
        shapes |= {f"{at}.{name}.bias": (32,) for name in square}
        shapes |= {f"{at}.intermediate.dense.weight": (64, 32), f"{at}.intermediate.dense.bias": (64,)}
        shapes |= {f"{at}.output.dense.weight": (32, 64), f"{at}.output.dense.bias": (32,)}
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
    shapes |= {f"{norm}.{part}": (32,) for norm in norms for part in ("weight", "bias")}
    return {name: (0.4 * rng.normal(size=shape)).astype(np.float32) for name, shape in shapes.items()}


def bert_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text(json.dumps(wordpiece()))
    save_file(bert_tensors(), folder / "model.safetensors")
    return folder


def table_folder(folder: Path, width: int = 8) -> Path:
    """A token table of `WORDS`, as model2vec writes one."""
    folder.mkdir(parents=True)
    table = np.random.default_rng(5).normal(size=(len(WORDS), width)).astype(np.float32)
    save_file({"embeddings": table}, folder / "model.safetensors")
    (folder / "tokenizer.json").write_text(json.dumps(wordpiece()))
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec"}))
    return folder
