"""The manifest is read with suspicion."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ranking.errors import ArtifactError, UsageError
from ranking.models.manifest import FORMAT, FileFacts, Manifest, digest_of, platform_versions

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


def _sealed(values: dict[str, Any]) -> bytes:
    return json.dumps({**values, "sha256": digest_of(values)}).encode()


def _read(changes: dict[str, Any]) -> Manifest:
    return Manifest.from_json(_sealed(GOOD | changes), WHERE)


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
        ({"format": 3}, "format 2 expected, got 3"),
        ({"format": True}, "format 2 expected, got True"),
        ({"feature_names": ["a", "a"]}, "feature_names must differ: 'a' stands there 2 times"),
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
    content = _sealed({k: v for k, v in GOOD.items() if k != key})
    with pytest.raises(ArtifactError, match=key):
        Manifest.from_json(content, WHERE)


def test_the_hash_is_of_the_values_and_a_file_may_be_laid_out_otherwise() -> None:
    """Worked by hand: SHA-256 of the JSON with sorted keys and nothing between them."""
    assert digest_of({"b": [1, 0.5], "a": "ä", "sha256": "x"}) == (
        hashlib.sha256(rb'{"a":"\u00e4","b":[1,0.5]}').hexdigest()
    )
    plain = json.loads(_read({}).to_json())
    assert plain["sha256"] == _read({}).digest
    turned = dict(reversed(plain.items()))
    assert Manifest.from_json(json.dumps(turned, indent=7).encode(), WHERE) == _read({})


def test_every_change_of_one_byte_is_noticed() -> None:
    """Each byte of the file, all eight bits: refused, or the same values (a space turned into a tab)."""
    good = _read({})
    content = good.to_json()
    read = 0
    for place in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            try:
                found = Manifest.from_json(bytes(changed), WHERE)
            except ArtifactError:
                continue
            assert found == good
            assert found.sealed
            read += 1
    assert read < content.count(b" ") + content.count(b"\n") + 1


def test_a_manifest_of_format_1_is_read_and_says_that_it_is_not_sealed() -> None:
    """But not one that had a hash before its format was changed."""
    older = GOOD | {"format": 1}
    found = Manifest.from_json(json.dumps(older).encode(), WHERE)
    assert not found.sealed
    assert found.as_json() == older
    assert replace(found, sealed=True) == _read({})
    with pytest.raises(ArtifactError, match="format 2 expected, got 1"):
        Manifest.from_json(_sealed(GOOD).replace(b'"format": 2', b'"format": 1'), WHERE)


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
    [
        ({"kind": "x"}, "'kind' is one of"),
        ({"sha256": "x"}, "'sha256' is one of"),
        ({"loss": float("nan")}, "finite"),
        ({"x": {1}}, "JSON"),
    ],
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
