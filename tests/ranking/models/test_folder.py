"""The model folder: written whole, read once, and what was hashed is what is used."""

import io
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from ranking.data import atomic
from ranking.errors import ArtifactError, DataError, UsageError
from ranking.models import folder as artifact
from ranking.models.folder import (
    Golden,
    check_destination,
    golden_rows,
    read_artifact,
    read_golden,
    read_manifest,
    save_artifact,
    seal,
)
from ranking.models.loading import load_ranker
from tests.ranking.models.small import (
    KINDS,
    NAMES,
    changed_manifest,
    damaged,
    model_of,
    ranker_of,
    rewrite,
    rows,
    saved,
)


def full_disk(*_: object) -> None:
    raise OSError(28, "No space left on device")


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_folder_reads_back(tmp_path: Path, kind: str) -> None:
    """Model bytes, names, missing policy, facts, golden rows and their scores."""
    folder = saved(tmp_path / "model", kind)
    found = read_artifact(folder)
    manifest, model, golden = found.manifest, found.model, found.golden
    assert model == model_of(kind)
    assert (manifest.kind, manifest.feature_names, manifest.missing) == (kind, NAMES, "nan")
    assert manifest.facts == {"rounds": 3}
    assert read_manifest(folder) == manifest
    np.testing.assert_array_equal(golden.features, rows()[:24])
    np.testing.assert_array_equal(golden.scores, ranker_of(kind).score(rows()[:24]))


def test_two_equal_savings_are_equal_to_the_byte(tmp_path: Path) -> None:
    """No time stamp is in any file, the zip of the golden rows included."""
    first, second = saved(tmp_path / "a"), saved(tmp_path / "b")
    assert _contents(first) == _contents(second)
    with zipfile.ZipFile(first / "golden.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_extra_files_are_hashed_too(tmp_path: Path) -> None:
    """A changed report is noticed."""
    extra = {"report.html": b"<p>fine</p>"}
    folder = save_artifact(tmp_path / "m", ranker_of("lightgbm"), facts={}, golden=rows()[:3], extra=extra)
    assert read_artifact(folder).contents["report.html"] == extra["report.html"]
    (folder / "report.html").write_bytes(b"<p>fake</p>")
    with pytest.raises(ArtifactError, match=r"report\.html: its SHA-256"):
        read_artifact(folder)


def test_an_older_model_folder_and_an_empty_one_are_replaced(tmp_path: Path) -> None:
    """Nothing of the old one stays, inside or beside."""
    folder = saved(tmp_path / "model", "xgboost")
    saved(folder, "lightgbm")
    assert sorted(_contents(folder)) == ["golden.npz", "manifest.json", "model.txt"]
    (tmp_path / "empty").mkdir()
    saved(tmp_path / "empty")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "model"]


def test_anything_else_is_not_replaced(tmp_path: Path) -> None:
    """A folder of other files, or a file."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("years of work")
    for place in (tmp_path / "notes", tmp_path / "notes" / "thesis.txt"):
        with pytest.raises(UsageError, match="is no model folder: choose another place"):
            check_destination(place)
        with pytest.raises(UsageError, match="is no model folder"):
            saved(place)
    assert (tmp_path / "notes" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("failing", ["write_folder", "sync_folder"])
def test_a_failure_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Disk full while writing, here and for temporary files: the old model is there, and nothing else."""
    folder = saved(tmp_path / "model", "xgboost")
    before = _contents(folder)
    monkeypatch.setattr(artifact if failing == "write_folder" else atomic, failing, full_disk)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with pytest.raises(DataError, match=r"writing .*model failed: No space .*Free space there, and run this"):
        saved(folder, "lightgbm")
    assert _contents(folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "temporary"]
    assert not any((tmp_path / "temporary").iterdir())


def test_a_model_that_cannot_be_written_is_kept_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk of the destination is full, that of the temporary files is not."""
    whole = _contents(saved(tmp_path / "whole", "lightgbm"))
    write = artifact.write_folder

    def full_there(folder: Path, contents: Mapping[str, bytes]) -> None:
        if folder.parent == tmp_path:
            raise OSError(28, "No space left on device")
        write(folder, contents)

    monkeypatch.setattr(artifact, "write_folder", full_there)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with pytest.raises(DataError, match="No space left on device") as failed:
        saved(tmp_path / "model", "lightgbm")
    kept = re.search(r"The model is kept in (\S+): move it", str(failed.value))
    assert kept is not None
    assert _contents(Path(kept[1])) == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["temporary", "whole"]


def test_a_failing_rename_puts_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old one had stepped aside already."""
    folder = saved(tmp_path / "model", "xgboost")
    before = _contents(folder)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.suffix == ".new":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(DataError, match="Input/output error; what was there before is as it was"):
        saved(folder, "lightgbm")
    assert _contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_damages_of_the_model_are_all_refused_by_size_or_hash(tmp_path: Path, kind: str) -> None:
    """The manifest still has the hash of the model that was saved."""
    folder = saved(tmp_path / "model", kind)
    name = read_manifest(folder).model
    for seed in range(120):
        (folder / name).write_bytes(damaged(model_of(kind), seed))
        with pytest.raises(ArtifactError, match=rf"{name}: (its SHA-256|the manifest says)"):
            read_artifact(folder)


def test_damages_of_manifest_and_golden_rows_end_in_our_error(tmp_path: Path) -> None:
    """Or change nothing but spaces."""
    folder = saved(tmp_path / "model")
    good = read_manifest(folder)
    for name in ("manifest.json", "golden.npz"):
        content = (folder / name).read_bytes()
        for seed in range(150):
            (folder / name).write_bytes(damaged(content, seed))
            try:
                found = read_artifact(folder)
            except ArtifactError:
                continue
            assert name == "manifest.json"
            assert found.manifest == good
        (folder / name).write_bytes(content)


def test_golden_rows_have_gaps_so_that_another_missing_policy_shows(tmp_path: Path) -> None:
    """Some as given, the same with gaps, one all missing; `zero` for `nan` is refused by the scores."""
    full = np.nan_to_num(rows())
    golden = golden_rows(full, seed=3)
    assert golden.shape == (33, len(NAMES))
    assert not np.isnan(golden[:16]).any()
    gaps = np.isnan(golden[16:32])
    assert 0.2 < gaps.mean() < 0.5
    np.testing.assert_array_equal(golden[16:32][~gaps], golden[:16][~gaps])
    assert np.isnan(golden[32]).all()
    np.testing.assert_array_equal(golden_rows(full, seed=3), golden)
    assert golden_rows(full[:5], seed=0).shape == (11, len(NAMES))
    folder = save_artifact(tmp_path / "m", ranker_of("xgboost"), facts={}, golden=golden)
    changed_manifest(folder, {"missing": "zero"})
    with pytest.raises(ArtifactError, match=r"golden row (1[6-9]|2[0-9]|3[0-2]) scores"):
        load_ranker(folder, probe=False)


def test_a_folder_of_format_1_is_sealed_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its values stay; a write that fails leaves it as it was; one that is sealed already stays the same."""
    folder = saved(tmp_path / "model")
    good, content = read_manifest(folder), (folder / "manifest.json").read_bytes()
    changed_manifest(folder, {}, sealed=False)
    older = _contents(folder)
    assert not read_manifest(folder).sealed
    with monkeypatch.context() as patch:
        patch.setattr(artifact, "replace_file", full_disk)
        with pytest.raises(UsageError, match=r"cannot be written \(No space left on device\): seal a copy"):
            seal(folder)
    assert _contents(folder) == older
    seal(folder)
    assert (folder / "manifest.json").read_bytes() == content
    assert read_manifest(folder) == good
    assert sorted(_contents(folder)) == sorted(older)


def test_golden_rows_whose_hash_was_made_to_fit_end_in_our_error_too() -> None:
    """300 damages of the zip file, its headers and its arrays."""
    buffer = io.BytesIO()
    np.savez(buffer, features=rows()[:4], scores=np.zeros(4, np.float32))
    for seed in range(300):
        try:
            golden = read_golden(damaged(buffer.getvalue(), seed), len(NAMES), Path("golden.npz"))
        except ArtifactError:
            continue
        assert golden.features.shape == (4, len(NAMES))


def _npz(compressed: bool = False, **arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_npz(features=rows()[:4], scores=np.zeros(3, np.float32)), "one score a row"),
        (_npz(features=rows()[:4], scores=np.full(4, np.nan, np.float32)), "must be finite"),
        (_npz(features=rows()[:4].astype(float), scores=np.zeros(4, np.float32)), "float32 array expected"),
        (_npz(features=rows()[:4]), "features and scores expected"),
        (_npz(True, features=rows()[:4], scores=np.zeros(4, np.float32)), "compressed"),
        (_npz(features=np.array([{}]), scores=np.zeros(4, np.float32)), "float32 array expected"),
        (_npz(features=rows()[:0], scores=np.zeros(0, np.float32)), "one score a row"),
    ],
    ids=["count", "nan", "dtype", "missing", "compressed", "objects", "empty"],
)
def test_golden_rows_of_another_form_are_refused(content: bytes, reason: str) -> None:
    """Compressed ones could grow without limit, objects could be code."""
    with pytest.raises(ArtifactError, match=reason):
        read_golden(content, len(NAMES), Path("golden.npz"))


def test_links_pipes_and_absent_files_are_refused(tmp_path: Path) -> None:
    """A link may lead anywhere, a pipe would wait for ever."""
    folder = saved(tmp_path / "model")
    (folder / "notes").symlink_to("/etc/hostname")
    with pytest.raises(ArtifactError, match="notes: a link inside a model folder"):
        read_artifact(folder)
    (folder / "notes").unlink()
    (folder / "model.txt").rename(tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match=r"model\.txt: No such file.*; restore"):
        read_artifact(folder)
    os.mkfifo(folder / "model.txt")
    with pytest.raises(ArtifactError, match="not a regular file"):
        read_artifact(folder)
    (folder / "manifest.json").rename(folder / "real.json")
    (folder / "manifest.json").symlink_to("real.json")
    with pytest.raises(ArtifactError, match="a link inside a model folder"):
        read_manifest(folder)
    with pytest.raises(ArtifactError, match="is no model folder: it has no manifest"):
        read_manifest(tmp_path)


def test_files_over_the_limit_are_refused_unread(tmp_path: Path) -> None:
    """A sparse file of 2 GB costs nothing to refuse."""
    folder = saved(tmp_path / "model")
    with (folder / "model.txt").open("r+b") as file:
        file.truncate(2 << 30)
    with pytest.raises(ArtifactError, match="more than the 1073741824"):
        read_artifact(folder)
    with (folder / "manifest.json").open("r+b") as file:
        file.truncate(2 << 30)
    with pytest.raises(ArtifactError, match=r"manifest\.json: 2147483648 bytes"):
        read_manifest(folder)


def test_golden_scores_compare_to_the_bit_or_to_a_millionth() -> None:
    """And name the first row that differs."""
    golden = Golden(rows()[:3], np.array([1, 2, 3], np.float32))
    near = np.nextafter(golden.scores, np.float32(9))
    assert golden.mismatch(golden.scores.copy(), exact=True) is None
    assert golden.mismatch(near, exact=False) is None
    assert str(golden.mismatch(near, exact=True)).startswith("golden row 0 scores")
    assert golden.mismatch(golden.scores[:2], exact=False) == "(3,) golden scores expected, got (2,)"
    assert golden.mismatch(np.array([1, np.nan, 3], np.float32), exact=False) is not None


def test_a_folder_can_be_copied(tmp_path: Path) -> None:
    """Nothing in it speaks of its place."""
    folder = saved(tmp_path / "model")
    shutil.copytree(folder, tmp_path / "copy")
    rewrite(tmp_path / "copy", "model.txt", model_of("lightgbm"))
    assert read_artifact(tmp_path / "copy").model == model_of("lightgbm")


def test_somebody_elses_folder_with_a_manifest_is_left_alone(tmp_path: Path) -> None:
    """A browser extension has a manifest.json too; and a model folder may have been put to other use."""
    extension = tmp_path / "extension"
    extension.mkdir()
    (extension / "manifest.json").write_text('{"manifest_version": 3}')
    (extension / "app.js").write_text("run()")
    with pytest.raises(UsageError, match="is no model folder"):
        check_destination(extension)


def test_a_destination_under_a_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("")
    with pytest.raises(UsageError, match="cannot be a folder"):
        check_destination(tmp_path / "notes" / "model")
