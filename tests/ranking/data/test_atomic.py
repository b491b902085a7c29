"""What is written is there whole or not at all, whatever fails on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ranking.data import atomic
from ranking.data.atomic import fresh_folder, replace_file, replace_folder, replacing, sweep, write_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "f"
    replace_file(file, b"first")
    with replacing(file) as stream:
        stream.write(b"sec")
        assert file.read_bytes() == b"first"
        stream.write(b"ond")
    assert file.read_bytes() == b"second"
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("failing", ["to_disk", "write"])
def test_a_file_that_fails_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    file = tmp_path / "f"
    replace_file(file, b"first")
    content: Any = b"half" if failing == "to_disk" else "no bytes"
    if failing == "to_disk":
        monkeypatch.setattr(atomic, "to_disk", full)
    with pytest.raises((OSError, TypeError)):
        replace_file(file, content)
    assert file.read_bytes() == b"first"
    assert names(tmp_path) == ["f"]


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    """Each has a name of its own beside the file; the last one to end is what is there."""
    file = tmp_path / "f"
    with replacing(file) as one, replacing(file) as other:
        one.write(b"one" * 100)
        other.write(b"other")
    assert file.read_bytes() == b"one" * 100
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("older", [False, True])
def test_a_folder_takes_its_place(tmp_path: Path, older: bool) -> None:
    target = tmp_path / "deep" / "target"
    if older:
        target.mkdir(parents=True)
        (target / "old").write_text("")
    with fresh_folder(target) as fresh:
        write_folder(fresh, {"a": b"1", "b": b"2"})
        replace_folder(fresh, target)
    assert names(target) == ["a", "b"]
    assert names(tmp_path / "deep") == ["target"]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "target"
    target.mkdir()
    rename = Path.rename

    def failing(self: Path, to: Path) -> Path:
        return full() or self if self.suffix == ".new" else rename(self, to)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="No space"), fresh_folder(target) as fresh:
        replace_folder(fresh, target)
    assert names(tmp_path) == ["target"]


def test_files_that_are_there_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(FileExistsError):
        write_folder(tmp_path, {"a": b""})
    assert (tmp_path / "a").read_text() == "mine"


def test_what_killed_writers_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".f.0123.new").write_text("")
    (tmp_path / ".g.0123.new").mkdir()
    (tmp_path / "f.new").write_text("somebody's own")
    sweep(tmp_path)
    assert names(tmp_path) == ["f.new"]
