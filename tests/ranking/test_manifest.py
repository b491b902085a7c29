"""The manifest is read with suspicion."""

import json
from pathlib import Path
from typing import Any

import pytest

from ranking.errors import ArtifactError, UsageError
from ranking.manifest import FORMAT, FileFacts, Manifest, platform_versions

WHERE = Path("model/manifest.json")
GOOD: dict[str, Any] = {
    "format": FORMAT,
    "kind": "lightgbm",
    "model": "model.txt",
    "feature_count": 2,
    "feature_names": ["bm25", "age"],
    "missing": "zero",
    "files": {name: {"sha256": "0" * 64, "bytes": 1} for name in ("model.txt", "golden.npz")},
    "versions": {"python": "3.11"},
    "metrics": {"ndcg@10": 0.5},
}


def _read(changes: dict[str, Any]) -> Manifest:
    return Manifest.from_json(json.dumps(GOOD | changes).encode(), WHERE)


def test_a_manifest_survives_its_file() -> None:
    """All keys come back, those of training as facts; names may be any text."""
    manifest = _read({"feature_names": ["bm25", "ä\udcff"]})
    assert Manifest.from_json(manifest.to_json(), WHERE) == manifest
    assert manifest.facts == {"metrics": {"ndcg@10": 0.5}}
    assert manifest.feature_count == 2
    assert manifest.as_json()["files"]["model.txt"] == {"sha256": "0" * 64, "bytes": 1}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": 2}, "format 1 expected, got 2"),
        ({"kind": 7}, "kind must be a text"),
        ({"feature_names": ["a"]}, "feature_count must be the 1"),
        ({"feature_names": "ab"}, "feature_names must be a list"),
        ({"feature_names": []}, "feature_names must be a list"),
        ({"missing": "mean"}, "missing must be zero or nan, got 'mean'"),
        ({"model": "other.txt"}, "files must list the model"),
        ({"model": ["model.txt"]}, "files must list the model"),
        ({"files": []}, "files must be an object"),
        ({"files": {**GOOD["files"], "../../etc/passwd": {"sha256": "0" * 64, "bytes": 1}}}, "no path"),
        ({"files": {**GOOD["files"], "a/b": {"sha256": "0" * 64, "bytes": 1}}}, "no path"),
        ({"files": {**GOOD["files"], ".hidden": {"sha256": "0" * 64, "bytes": 1}}}, "no path"),
        ({"files": {**GOOD["files"], "manifest.json": {"sha256": "0" * 64, "bytes": 1}}}, "no path"),
        ({"files": {**GOOD["files"], "x": {"sha256": "0" * 64, "bytes": 1 << 40}}}, "bytes must be"),
        ({"files": {**GOOD["files"], "x": {"sha256": "0" * 63, "bytes": 1}}}, "no SHA-256"),
        ({"files": {**GOOD["files"], "x": {"sha256": "0" * 64}}}, "sha256 and bytes expected"),
        ({"versions": {"python": 3}}, "versions must be texts"),
    ],
)
def test_a_wrong_value_is_refused_with_file_reason_and_remedy(changes: dict[str, Any], reason: str) -> None:
    """One wrong value each."""
    with pytest.raises(ArtifactError, match=rf"model/manifest\.json: .*{reason}.*; restore the folder"):
        _read(changes)


@pytest.mark.parametrize("key", [key for key in GOOD if key != "metrics"])
def test_each_key_is_needed(key: str) -> None:
    """Without it the reason names it."""
    content = json.dumps({k: v for k, v in GOOD.items() if k != key}).encode()
    with pytest.raises(ArtifactError, match=key):
        Manifest.from_json(content, WHERE)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"format": 1, "format": 1}', "'format' appears twice"),
        (b'{"format": NaN}', "NaN is not a finite number"),
        (b'{"format": 1e999}', "1e999 is not a finite number"),
        (b"[]", "a JSON object expected"),
        (b"", "Expecting value"),
        (b"\xff", "can't decode"),
        (b"[" * 100_000, "recursion"),
    ],
)
def test_what_is_not_plain_json_is_refused(content: bytes, reason: str) -> None:
    """Repeated keys too, of which a reader would see only one."""
    with pytest.raises(ArtifactError, match=reason):
        Manifest.from_json(content, WHERE)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [({"kind": "x"}, "'kind' is one of"), ({"loss": float("nan")}, "finite"), ({"x": {1}}, "JSON")],
)
def test_facts_that_cannot_be_written_are_refused(facts: dict[str, Any], reason: str) -> None:
    """Our own keys, NaN, and what JSON has no form for."""
    manifest = _read({})
    with pytest.raises(UsageError, match=reason):
        Manifest(**{**manifest.__dict__, "facts": facts}).to_json()


def test_versions_name_the_library_and_machine_and_decide_how_golden_scores_compare() -> None:
    """Equal library and machine: to the bit."""
    now = platform_versions("lightgbm")
    assert {"python", "machine", "numpy", "lightgbm"} <= now.keys()
    assert _read({"versions": now}).same_platform
    assert not _read({"versions": now | {"lightgbm": "0.1"}}).same_platform
    assert _read({"versions": now | {"numpy": "0.1"}}).same_platform


def test_file_facts_are_hash_and_length() -> None:
    """SHA-256 of nothing is a known value."""
    assert FileFacts.of(b"").sha256.startswith("e3b0c44298fc1c14")
    assert FileFacts.of(b"abc").size == 3
