"""An encoder by its name (`hashed`, `static`, `minilm`) or by its folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ranking.errors import ArtifactError, UsageError, unknown_name
from ranking.retrieval.encoders.encoder import FACTS, Encoder, read_facts


def _hashed() -> Encoder:
    from ranking.retrieval.encoders.hashed import HashedNGrams

    return HashedNGrams()


def _static() -> Encoder:
    from ranking.retrieval.encoders.static import StaticEncoder

    return StaticEncoder.installed()


def _minilm() -> Encoder:
    from ranking.retrieval.encoders.minilm import MiniLM

    return MiniLM.installed()


NAMED: dict[str, Callable[[], Encoder]] = {"hashed": _hashed, "static": _static, "minilm": _minilm}
"""Encoders that need no path. `hashed` is not yet fitted to a corpus."""


def encoder_named(text: str) -> Encoder:
    """The encoder of a name in `NAMED`, or in a folder: what `--encoder` says.

    Raises UsageError for what is neither, so also for the name of a model on a hub: nothing is fetched;
    MissingExtraError, saying what to install, where a package is missing; and what `load_encoder` raises.
    """
    if text in NAMED:
        return NAMED[text]()
    if Path(text).is_dir():
        return load_encoder(Path(text))
    raise unknown_name("encoder", text, [*NAMED, "PATH of a folder"])


def load_encoder(folder: Path) -> Encoder:
    """The encoder in a folder: one that was saved, or a model as others write it.

    These are BERTs with mean pooling (`config.json`, `model.safetensors`, `tokenizer.json`), token tables of
    model2vec, and whatever else sentence-transformers opens (`modules.json`).
    Raises UsageError where there is no folder, ArtifactError where there is none of these in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder}: expected the folder of an encoder, and nothing is there")
    kind = read_facts(folder)[0] if (folder / FACTS).exists() else _kind_of(folder)
    if kind == "hashed":
        from ranking.retrieval.encoders.hashed import HashedNGrams

        return HashedNGrams.load(folder)
    if kind == "static":
        from ranking.retrieval.encoders.static import StaticEncoder

        return StaticEncoder.load(folder)
    if kind == "minilm":
        from ranking.retrieval.encoders.minilm import MiniLM

        return MiniLM.load(folder)
    if kind == "sentence-transformers":
        from ranking.retrieval.encoders.sentence_transformers import SentenceTransformersEncoder

        return SentenceTransformersEncoder.load(folder)
    raise ArtifactError(
        f"{folder / FACTS}: an encoder of the unknown kind {kind!r}, perhaps of a later version"
    )


def _kind_of(folder: Path) -> str:
    """What the files in a folder that no `encoder.json` explains are."""
    config = _json(folder / "config.json")
    weights = (folder / "model.safetensors").is_file() and (folder / "tokenizer.json").is_file()
    if weights and config.get("model_type") == "bert" and _takes_the_mean(folder):
        return "minilm"
    if (folder / "modules.json").is_file():
        return "sentence-transformers"
    if weights and "num_hidden_layers" not in config:
        return "static"
    raise ArtifactError(
        f"{folder}: expected {FACTS} of a saved encoder, config.json, model.safetensors and tokenizer.json "
        "of a BERT or a token table, or modules.json of a sentence-transformers model"
    )


def _takes_the_mean(folder: Path) -> bool:
    """Does sentence-transformers do with it what `minilm` does: mean pooling, and no prompt before a text?"""
    modules = _json(folder / "modules.json") or []
    types = [str(module.get("type")).rpartition(".")[2] for module in modules]
    pooling = _json(folder / "1_Pooling" / "config.json")
    # Version 5 and earlier write one flag a mode, later ones the mode's name.
    modes = {name.removeprefix("pooling_mode_") for name, value in pooling.items() if value is True}
    modes = {pooling["pooling_mode"]} if "pooling_mode" in pooling else modes - {"include_prompt"}
    prompt = _json(folder / "config_sentence_transformers.json").get("default_prompt_name")
    lowered = _json(folder / "sentence_bert_config.json").get("do_lower_case")
    return (
        types in ([], ["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
        and modes <= {"mean", "mean_tokens"}
        and not prompt
        and not lowered
    )


def _json(file: Path) -> Any:
    """What a JSON file says; {} where it is not there."""
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ArtifactError(f"{file}: expected JSON: {error}") from error
