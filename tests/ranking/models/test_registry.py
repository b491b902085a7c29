"""The registry: versions appear whole or not at all, aliases move in a line, names stay inside."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ranking.errors import ArtifactError, DataError, UsageError
from ranking.models import registry as room
from ranking.models.folder import read_artifact, read_manifest
from ranking.models.loading import load_ranker, open_artifact
from ranking.models.registry import ModelRef, Registry, UnknownModelError, published_digest
from ranking.models.verifying import verify
from tests.ranking.models.small import NAMES, changed_manifest, model_of, ranker_of, rewrite, rows, saved


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return saved(tmp_path / "model")


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry whose publishing starts no child process, which takes a second and has tests of its own."""
    monkeypatch.setattr(room, "open_artifact", lambda artifact, **_: open_artifact(artifact, probe=False))
    return Registry(tmp_path / "registry")


def test_a_published_model_loads_and_scores_as_before(tmp_path: Path, model: Path) -> None:
    """With the child process, as users publish."""
    registry = Registry(tmp_path / "registry")
    assert registry.publish(model, "movies", alias="production") == 1
    np.testing.assert_array_equal(registry.load("movies").score(rows()), ranker_of("lightgbm").score(rows()))
    assert registry.listing() == [{"name": "movies", "versions": [1], "aliases": {"production": 1}}]


def test_a_damaged_model_is_not_published(tmp_path: Path, model: Path) -> None:
    """Neither with its hash left alone nor with its hash made to fit."""
    registry = Registry(tmp_path / "registry")
    broken = model_of("lightgbm").replace(b"left_child=", b"left_child=9", 1)
    (model / "model.txt").write_bytes(broken)
    with pytest.raises(ArtifactError, match="the manifest says"):
        registry.publish(model, "movies")
    rewrite(model, "model.txt", broken)
    with pytest.raises(ArtifactError, match="no tree of"):
        registry.publish(model, "movies")
    assert registry.names() == []


def test_a_manifest_changed_in_the_registry_is_refused_though_its_own_hash_fits(
    registry: Registry, model: Path
) -> None:
    """The registry remembers what was published; without that memory (an older release) it is believed."""
    registry.publish(model, "movies")
    folder = registry.resolve("movies").folder
    assert published_digest(folder) == read_manifest(model).digest
    assert published_digest(model) is None
    changed_manifest(folder, {"feature_names": ["x", "age", "clicks", "length"]})
    with pytest.raises(ArtifactError, match=r"manifest\.json: it is not the one that was published"):
        registry.load("movies")
    assert not verify(folder, remembered=published_digest(folder))[0].ok
    remembered = registry.root / "movies/seals/1"
    remembered.write_text("0" * 63)
    with pytest.raises(ArtifactError, match=r"seals/1: 64 hexadecimal digits expected"):
        registry.load("movies")
    remembered.unlink()
    assert registry.load("movies").feature_names[0] == "x"


def test_a_folder_of_format_1_is_published_and_remembered(registry: Registry, model: Path) -> None:
    """From then on a change of its manifest is noticed."""
    changed_manifest(model, {}, sealed=False)
    registry.publish(model, "movies")
    assert registry.load("movies").feature_names == NAMES
    changed_manifest(registry.resolve("movies").folder, {"missing": "zero"}, sealed=False)
    with pytest.raises(ArtifactError, match="it is not the one that was published"):
        registry.load("movies")


def test_a_version_damaged_in_the_registry_does_not_load(registry: Registry, model: Path) -> None:
    """Its hash is checked at every opening."""
    registry.publish(model, "movies")
    with (registry.resolve("movies").folder / "model.txt").open("r+b") as file:
        file.write(b"x")
    with pytest.raises(ArtifactError, match="SHA-256"):
        registry.load("movies")


def test_references_name_a_version_an_alias_or_the_best_known(registry: Registry, model: Path) -> None:
    """A bare name is the production version where there is one, else the latest."""
    for _ in range(3):
        registry.publish(model, "movies")
    assert registry.resolve("movies").version == 3
    registry.promote("movies", 2)
    registry.promote("movies", "1", alias="canary")
    found = registry.resolve("movies")
    assert found == ModelRef("movies", 2, registry.root / "movies" / "versions" / "2")
    assert str(found) == "movies@2"
    assert registry.resolve("movies@3").version == 3
    assert registry.resolve("movies:canary").version == 1
    assert registry.aliases("movies") == {"production": 2, "canary": 1}


def test_what_is_not_there_is_an_error_that_lists_what_is(registry: Registry, model: Path) -> None:
    """Names, versions and aliases."""
    with pytest.raises(UnknownModelError, match=r"unknown model in .* 'movies' \(there are none\)"):
        registry.resolve("movies")
    registry.publish(model, "movies", alias="production")
    with pytest.raises(UnknownModelError, match=r"'movie'; did you mean 'movies'\? \(known: movies\)"):
        registry.resolve("movie")
    with pytest.raises(UnknownModelError, match=r"unknown version of movies '7' \(known: 1\)"):
        registry.resolve("movies@7")
    with pytest.raises(UnknownModelError, match=r"unknown version of movies '7'"):
        registry.promote("movies", 7)
    with pytest.raises(UnknownModelError, match=r"unknown alias of movies 'prod'.*known: production"):
        registry.resolve("movies:prod")
    with pytest.raises(UnknownModelError, match="unknown alias of movies 'canary'"):
        registry.rollback("movies", "canary")


def test_rollback_goes_back_through_the_versions_an_alias_had(registry: Registry, model: Path) -> None:
    """1, 3, 2, then back to 3 and 1, and no further; promoting to where it is adds nothing."""
    for _ in range(3):
        registry.publish(model, "movies")
    for version in (1, 3, 2, 2):
        registry.promote("movies", version)
    assert [registry.rollback("movies"), registry.rollback("movies")] == [3, 1]
    with pytest.raises(UsageError, match="movies:production has always been version 1"):
        registry.rollback("movies")
    assert registry.resolve("movies").version == 1


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "",
        "../movies",
        "a/b",
        "/etc",
        "a\\b",
        "a\0b",
        "%2e%2e",
        "Movies",
        "-x",
        ".x",
        "ä",
        "a" * 65,
        "a b",
        "a\n",
    ],
)
def test_names_that_could_lead_elsewhere_are_refused(registry: Registry, model: Path, name: str) -> None:
    """As a model and as an alias, before anything is looked up."""
    registry.publish(model, "movies")
    for attempt in (
        lambda: registry.publish(model, name),
        lambda: registry.publish(model, "movies", alias=name),
        lambda: registry.versions(name),
        lambda: registry.resolve(name),
        lambda: registry.resolve(f"{name}@1"),
        lambda: registry.resolve(f"movies@{name}"),
        lambda: registry.resolve(f"movies:{name}"),
        lambda: registry.promote("movies", name),
        lambda: registry.promote("movies", 1, alias=name),
    ):
        with pytest.raises(UsageError):
            attempt()
    assert registry.versions("movies") == [1]


def test_links_in_the_registry_are_refused(registry: Registry, model: Path, tmp_path: Path) -> None:
    """They would let a name lead outside."""
    registry.publish(model, "movies")
    (registry.root / "books").symlink_to(registry.root / "movies")
    with pytest.raises(DataError, match="books is a link"):
        registry.resolve("books")
    assert registry.names() == ["movies"]
    (registry.root / "movies" / "versions" / "2").symlink_to(model)
    with pytest.raises(UnknownModelError, match=r"unknown version of movies '2' \(known: 1\)"):
        registry.resolve("movies@2")


def test_a_full_disk_leaves_the_registry_as_it_was(
    registry: Registry, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cause and place are named, aliases and versions stay."""
    registry.publish(model, "movies", alias="production")
    before = registry.listing()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for writer in ("write_folder", "replace_file"):
        monkeypatch.setattr(room, writer, full)
    with pytest.raises(
        DataError, match=r"publishing movies in .* failed: No space left.*the registry is as it was"
    ):
        registry.publish(model, "movies")
    with pytest.raises(DataError, match="promoting movies"):
        registry.promote("movies", 1, alias="canary")
    assert registry.listing() == before
    assert [path.name for path in (registry.root / "movies" / "versions").iterdir()] == ["1"]


def test_a_root_that_cannot_be_written_is_an_error_with_the_cause(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here a file stands where the registry should be; a read-only disk ends the same way."""
    monkeypatch.setattr(room, "open_artifact", lambda artifact, **_: open_artifact(artifact, probe=False))
    with pytest.raises(DataError, match="failed: Not a directory"):
        Registry(model / "model.txt").publish(model, "movies")

    def read_only(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(DataError, match="failed: Read-only file system"):
        Registry(model.parent / "registry").publish(model, "movies")


def test_a_number_that_is_taken_is_never_overwritten(
    registry: Registry, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a lock does not hold and the listing is old: the next number is tried."""
    registry.publish(model, "movies")
    first = (registry.root / "movies/versions/1/manifest.json").stat().st_ino
    monkeypatch.setattr(Registry, "versions", lambda *_: [])
    assert registry.publish(model, "movies") == 2
    assert (registry.root / "movies/versions/1/manifest.json").stat().st_ino == first


def test_damaged_aliases_are_an_error_that_names_the_file(registry: Registry, model: Path) -> None:
    """And what to do."""
    registry.publish(model, "movies", alias="production")
    (registry.root / "movies" / "aliases.json").write_text('{"production": 7}')
    with pytest.raises(DataError, match=r"aliases\.json: damaged .* promote again"):
        registry.resolve("movies")


_PUBLISH = """
import sys
from pathlib import Path
from ranking.models.folder import read_artifact, read_manifest
from ranking.models.registry import Registry
registry, artifact = Registry(sys.argv[1]), read_artifact(Path(sys.argv[2]))
print("ready", flush=True)
for _ in range(int(sys.argv[3])):
    version = registry._store(artifact, "movies")
    registry.promote("movies", version)
    print(version, flush=True)
"""


def _publisher(root: Path, model: Path, times: int) -> subprocess.Popen[str]:
    """A process that publishes the model so many times, after the checks of `publish`."""
    command = [sys.executable, "-c", _PUBLISH, str(root), str(model), str(times)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_four_publishers_at_once_lose_and_overwrite_nothing(tmp_path: Path, model: Path) -> None:
    """20 versions, each number given out once; the alias remembers its 19 moves."""
    root = tmp_path / "registry"
    publishers = [_publisher(root, model, 5) for _ in range(4)]
    numbers = [int(word) for p in publishers for word in p.communicate(timeout=60)[0].split()[1:]]
    assert sorted(numbers) == list(range(1, 21))
    registry = Registry(root)
    assert registry.versions("movies") == list(range(1, 21))
    entry = json.loads((root / "movies" / "aliases.json").read_text())["production"]
    assert sorted([*entry["previous"], entry["version"]]) == list(range(1, 21))


def test_publishers_killed_at_any_moment_leave_whole_versions_only(tmp_path: Path, model: Path) -> None:
    """Ten of them; every listed version and the alias open, and what is left over is swept."""
    root, draw = tmp_path / "registry", random.Random(11)
    for _ in range(10):
        publisher = _publisher(root, model, 100_000)
        assert publisher.stdout is not None
        publisher.stdout.readline()
        time.sleep(draw.uniform(0, 0.05))
        publisher.send_signal(signal.SIGKILL)
        publisher.communicate()
    registry = Registry(root)
    versions = registry.versions("movies")
    assert versions == list(range(1, len(versions) + 1))
    assert len(versions) > 2  # some were published whole before the kill, however busy the machine
    for version in versions:
        read_artifact(registry.resolve(f"movies@{version}").folder)
    load_ranker(registry.resolve("movies:production").folder, probe=False)
    registry._store(read_artifact(model), "movies")
    for place in ("versions", "seals"):
        assert [path.name for path in (root / "movies" / place).iterdir() if path.name[0] == "."] == []


def test_leftovers_of_a_killed_publisher_are_not_listed_and_swept(registry: Registry, model: Path) -> None:
    """A hidden folder with half a model."""
    registry.publish(model, "movies")
    half = registry.root / "movies" / "versions" / ".next.0123.new"
    half.mkdir()
    (half / "model.txt").write_text("tre")
    assert registry.versions("movies") == [1]
    assert registry.publish(model, "movies") == 2
    assert not half.exists()
