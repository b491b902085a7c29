"""Tiny real models for the tests of the model folder, and ways to damage them."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import xgboost

from ranking.data.arrays import Float32
from ranking.models.folder import save_artifact
from ranking.models.manifest import FORMAT, SEAL, UNSEALED, FileFacts, digest_of
from ranking.trees.ranker import TreeRanker

KINDS = ("lightgbm", "xgboost")
NAMES = ("bm25", "age", "clicks", "length")


@cache
def rows() -> Float32:
    """240 documents of four features, some missing; the last one holds small whole numbers."""
    random_state = np.random.default_rng(5)
    features = random_state.normal(size=(240, len(NAMES))).astype(np.float32)
    features[:, 3] = random_state.integers(0, 40, 240)
    features[random_state.random(features.shape) < 0.1] = np.nan
    features.setflags(write=False)
    return features


@cache
def labels() -> Float32:
    filled = np.nan_to_num(rows())
    return np.clip(np.rint(filled[:, 0] + filled[:, 1] + filled[:, 3] % 3), 0, 4)


def lightgbm_model(**parameters: object) -> bytes:
    """Text of a model of three rounds."""
    settings = {
        "objective": "regression",
        "num_leaves": 7,
        "min_data_in_leaf": 5,
        "verbose": -1,
        "num_threads": 1,
    }
    data = lightgbm.Dataset(
        rows(), labels(), categorical_feature=parameters.pop("categorical_feature", "auto")
    )
    text: str = lightgbm.train(settings | parameters, data, 3).model_to_string()
    return text.encode()


def xgboost_model(**parameters: object) -> bytes:
    """UBJSON of a model of three rounds."""
    settings = {"max_depth": 3, "nthread": 1, "base_score": 0.0}
    return bytes(xgboost.train(settings | parameters, xgboost.DMatrix(rows(), labels()), 3).save_raw("ubj"))


@cache
def model_of(kind: str) -> bytes:
    return lightgbm_model() if kind == "lightgbm" else xgboost_model()


@cache
def ranker_of(kind: str) -> TreeRanker:
    return TreeRanker.from_bytes(kind, model_of(kind), feature_names=NAMES, missing="nan")


def saved(folder: Path, kind: str = "lightgbm") -> Path:
    """A model folder."""
    return save_artifact(folder, ranker_of(kind), facts={"rounds": 3}, golden=rows()[:24])


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Replace a file and, as an attacker who owns the manifest would, its hash there."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    facts = FileFacts.of(content)
    manifest["files"][name] = {"sha256": facts.sha256, "bytes": facts.size}
    write_manifest(folder, manifest)


def write_manifest(folder: Path, values: Mapping[str, Any], *, sealed: bool = True) -> None:
    """These values as the folder's manifest, with the hash that fits, or as format 1 had it."""
    values = {key: value for key, value in values.items() if key != SEAL}
    values = {**values, "format": FORMAT, SEAL: digest_of({**values, "format": FORMAT})} if sealed else {
        **values, "format": UNSEALED,
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(values))


def changed_manifest(folder: Path, changes: Mapping[str, Any], *, sealed: bool = True) -> None:
    """The folder's manifest with other values, written as `write_manifest` does."""
    write_manifest(folder, json.loads((folder / "manifest.json").read_text()) | changes, sealed=sealed)


def damaged(content: bytes, seed: int) -> bytes:
    """The content with one seeded damage; always different from the content."""
    draw = random.Random(seed)
    while True:
        found = _damage(content, draw)
        if found != content:
            return found


def _damage(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content))
    stop = min(len(content), at + draw.randrange(1, 48))
    kind = draw.choice(["cut", "flip", "zero", "double", "digit", "line", "word"])
    if kind == "cut":
        return content[:at]
    if kind == "flip":
        return content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :]
    if kind == "zero":
        return content[:at] + bytes(stop - at) + content[stop:]
    if kind == "double":
        return content[:stop] + content[at:]
    if kind == "digit":
        digits = [place for place, byte in enumerate(content) if 48 <= byte <= 57]
        place = draw.choice(digits)
        return content[:place] + bytes([48 + draw.randrange(10)]) + content[place + 1 :]
    if kind == "line":
        lines = content.split(b"\n")
        place = draw.randrange(len(lines))
        return b"\n".join(lines[: place + 1] + lines[place:])
    word = draw.choice([b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x7f\xc0\x00\x00", b"nan ", b"-1 2"])
    return content[:at] + word + content[at + 4 :]
