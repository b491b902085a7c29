"""Places to write to: those that cannot be written are found, and nothing is left in any."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ranking.data.places import check_file, check_folder
from ranking.errors import UsageError


def everything(place: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of what is in a folder and below."""
    return [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(place.rglob("*"))]


def test_places_that_can_be_written_are_left_as_they_were(tmp_path: Path) -> None:
    """There or not, through a link or not; devices are not opened, which for a pipe would wait."""
    (tmp_path / "there").write_text("kept")
    (tmp_path / "dangling").symlink_to(tmp_path / "not yet")
    os.mkfifo(tmp_path / "pipe")
    before = everything(tmp_path / "there")
    for file in ("there", "new", "dangling", "pipe"):
        check_file(tmp_path / file)
    check_file(Path("/dev/null"))
    for folder in (tmp_path, tmp_path / "a" / "b" / "c"):
        check_folder(folder)
    assert everything(tmp_path / "there") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "pipe", "there"]


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    for folder, there in (
        (tmp_path / "file", tmp_path / "file"),
        (tmp_path / "file" / "a" / "b", tmp_path / "file"),
    ):
        with pytest.raises(
            UsageError, match=rf"cannot write {folder}: {there} cannot be a folder for it \(Not"
        ):
            check_folder(folder)
    with pytest.raises(UsageError, match=r"cannot write /proc/m9: /proc cannot .*: choose another place"):
        check_folder(Path("/proc/m9"))
    with pytest.raises(UsageError, match="File name too long"):
        check_folder(tmp_path, "m" * 250)
    for file in ("missing/values", "file/values", "n" * 300):
        with pytest.raises(UsageError, match=r"cannot write .*: choose another place"):
            check_file(tmp_path / file)
    with pytest.raises(UsageError, match="is a folder: name a file in it"):
        check_file(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder may be made there, but nothing be written into it."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UsageError, match="No space left on device"):
        check_folder(tmp_path)
    assert not any(tmp_path.iterdir())
