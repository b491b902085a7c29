"""The cache: the same data set, from the copy where it may be, from the text where it must be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ranking.data import atomic
from ranking.data.dataset import RankingDataset
from ranking.data.letor import cache, read_letor
from ranking.errors import DataError

TEXT = b"1 qid:a 1:0.5 3:2 #x\n0 qid:b 2:1 #y\n"
LONG_AGO = time.time_ns() - 10**12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that was written long ago."""
    place = tmp_path / "data.txt"
    place.write_bytes(TEXT)
    os.utime(place, ns=(LONG_AGO, LONG_AGO))
    return place


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that text was parsed."""
    calls: list[int] = []
    parse = cache.read_lists

    def counted(*arguments: object) -> RankingDataset:
        calls.append(1)
        return parse(*arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(cache, "read_lists", counted)
    return calls


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that a file was hashed."""
    calls: list[int] = []
    digest = cache.hashlib.file_digest

    def counted(*arguments: object) -> object:
        calls.append(1)
        return digest(*arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(cache.hashlib, "file_digest", counted)
    return calls


def facts(data: RankingDataset) -> tuple[object, ...]:
    return data.fingerprint(), data.document_ids, data.feature_names


def entry_of(folder: Path) -> Path:
    (entry,) = (folder / "entries").iterdir()
    return entry


def test_the_copy_equals_the_text(path: Path, tmp_path: Path, parses: list[int], hashes: list[int]) -> None:
    """The second opening neither parses nor hashes, and gives the same arrays, mapped and read-only."""
    first = read_letor(path, cache=tmp_path / "cache")
    again = read_letor(path, cache=tmp_path / "cache")
    assert facts(first) == facts(again)
    assert (len(parses), len(hashes)) == (1, 1)
    assert not again.features.flags.writeable
    assert isinstance(again.features.base, np.memmap)
    assert type(again.query_ids) is type(first.query_ids)


def test_options_and_content_have_entries_of_their_own(path: Path, tmp_path: Path, parses: list[int]) -> None:
    """Another option or another content is parsed anew."""
    folder = tmp_path / "cache"
    read_letor(path, cache=folder)
    assert np.isnan(read_letor(path, cache=folder, missing="nan").features[0, 1])
    assert read_letor(path, cache=folder, feature_count=5).feature_count == 5
    path.write_bytes(TEXT.replace(b"0.5", b"0.7"))
    assert read_letor(path, cache=folder).features[0, 0] == np.float32(0.7)
    assert len(parses) == 4


def test_a_moved_file_is_hashed_but_not_parsed(path: Path, tmp_path: Path, parses: list[int]) -> None:
    """The key is the content, wherever it lies."""
    read_letor(path, cache=tmp_path / "cache")
    assert read_letor(path.rename(tmp_path / "moved.txt"), cache=tmp_path / "cache").document_count == 2
    assert len(parses) == 1


def test_a_file_changed_just_now_is_hashed_again(path: Path, tmp_path: Path, hashes: list[int]) -> None:
    """A change within the two seconds before it was hashed might not show in its time: it is not trusted."""
    path.touch()
    read_letor(path, cache=tmp_path / "cache")
    now = path.stat().st_mtime_ns
    path.write_bytes(TEXT.replace(b"0.5", b"0.7"))
    os.utime(path, ns=(now, now))
    assert read_letor(path, cache=tmp_path / "cache").features[0, 0] == np.float32(0.7)
    assert len(hashes) == 2


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash taken before would stand for other content."""
    parse = cache.read_lists

    def change_then_parse(*arguments: object) -> RankingDataset:
        path.write_bytes(TEXT + TEXT.replace(b"qid:", b"qid:2"))
        return parse(*arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(cache, "read_lists", change_then_parse)
    assert read_letor(path, cache=tmp_path / "cache").document_count == 4
    assert not (tmp_path / "cache" / "entries").exists()


@pytest.mark.parametrize("name", ["features.npy", "labels.npy", "query_ids.offsets.npy", "entry.json"])
@pytest.mark.parametrize("damage", ["cut", "gone", "other"])
def test_a_damaged_entry_is_rebuilt(
    name: str, damage: str, path: Path, tmp_path: Path, parses: list[int]
) -> None:
    """Cut, absent or foreign files are noticed, and the entry is written again."""
    folder = tmp_path / "cache"
    expected = facts(read_letor(path, cache=folder))
    victim = entry_of(folder) / name
    if damage == "cut":
        victim.write_bytes(victim.read_bytes()[:-1])
    elif damage == "gone":
        victim.unlink()
    else:
        victim.write_bytes(b"\x93NUMPY garbage".ljust(victim.stat().st_size, b" "))
    assert facts(read_letor(path, cache=folder)) == expected
    assert facts(read_letor(path, cache=folder)) == expected
    assert len(parses) == 2
    assert entry_of(folder).name  # the damaged one and all that was fresh are gone


def damages(content: bytes, rng: np.random.Generator) -> Iterator[bytes]:
    """One bit or byte changed at up to 20 places, cut there, and longer."""
    for place in np.unique(np.append(rng.integers(0, len(content), 19), len(content) - 1)).tolist():
        other = content[place] ^ int(rng.choice([1 << int(rng.integers(8)), 255]))
        yield content[:place] + bytes([other]) + content[place + 1 :]
        yield content[:place]
    yield content + b"\0"


def test_no_damage_of_any_file_gives_other_values(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every change of a byte and every cut of every file is noticed, or of no consequence."""
    for room in (cache, atomic):  # hundreds of entries are written
        monkeypatch.setattr(room, "to_disk", lambda stream: stream.flush())
    (path.parent / "features.txt").write_text("1\tbm25\n2\tage\n3\tclicks\n")
    folder, rng = tmp_path / "cache", np.random.default_rng(0)
    expected = facts(read_letor(path, cache=folder))
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    assert len(files) == 9  # 4 arrays of ids, 3 others, entry.json and what is remembered of the source
    for file in files:
        for damaged in damages(file.read_bytes(), rng):
            file.unlink()  # the mapped one stays as it is
            file.write_bytes(damaged)
            assert facts(read_letor(path, cache=folder)) == expected
            assert facts(read_letor(path, cache=folder)) == expected


@pytest.mark.parametrize("name", ["features.npy", "labels.npy", "document_ids.bytes.npy", "entry.json"])
def test_damage_is_said_once(name: str, path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Naming the entry and the file that is read in its place."""
    folder = tmp_path / "cache"
    read_letor(path, cache=folder)
    victim = entry_of(folder) / name
    content = victim.read_bytes()
    victim.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    for _ in range(3):
        read_letor(path, cache=folder)
    (said,) = caplog.messages
    assert said.startswith(f"the cache entry {victim.parent} is damaged (")
    assert said.endswith(f"): reads {path} anew and writes it again")


def test_a_header_that_numpy_cannot_read_is_damage(path: Path, tmp_path: Path, parses: list[int]) -> None:
    """Its parser raises tokenize.TokenError for this one, even where the checksum is right."""
    folder = tmp_path / "cache"
    expected = facts(read_letor(path, cache=folder))
    entry = entry_of(folder)
    victim = entry / "labels.npy"
    victim.write_bytes(victim.read_bytes().replace(b"}", b"("))
    said = json.loads((entry / "entry.json").read_text())["facts"]
    said["arrays"]["labels"]["crc32"] = cache._crc32(victim)
    (entry / "entry.json").write_text(json.dumps({"crc32": cache._crc32_of(said), "facts": said}))
    assert facts(read_letor(path, cache=folder)) == expected
    assert len(parses) == 2


def test_a_file_without_features_is_kept_too(tmp_path: Path) -> None:
    """An empty matrix cannot be mapped, and is read instead."""
    path = tmp_path / "data.txt"
    path.write_bytes(b"1 qid:1\n0 qid:1\n")
    for _ in range(2):
        assert read_letor(path, cache=tmp_path / "cache").features.shape == (2, 0)


def test_two_processes_at_once(path: Path, tmp_path: Path) -> None:
    """Processes that fill the cache at the same time all get the data, and one entry is left."""
    code = (
        "import sys; from ranking.data.letor import read_letor\n"
        "print(read_letor(sys.argv[1], cache=sys.argv[2]).fingerprint())"
    )
    folder = tmp_path / "cache"
    running = [
        subprocess.Popen([sys.executable, "-c", code, path, folder], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = [process.communicate(timeout=120)[0].strip() for process in running]
    assert printed == [read_letor(path).fingerprint()] * 2
    assert facts(read_letor(path, cache=folder)) == facts(read_letor(path))
    assert entry_of(folder).is_dir()


def test_a_second_writer_leaves_a_sound_entry(path: Path, tmp_path: Path) -> None:
    """Who comes second keeps what the first has published."""
    folder = tmp_path / "cache"
    data = read_letor(path, cache=folder)
    entry = entry_of(folder)
    before = (entry / "features.npy").stat().st_ino
    cache._keep(data, entry)
    assert (entry / "features.npy").stat().st_ino == before
    assert entry_of(folder) == entry


def test_a_folder_that_cannot_be_written_is_named(path: Path, tmp_path: Path) -> None:
    """A cache in a place that is a file is bad data with a remedy."""
    (tmp_path / "file").write_text("")
    with pytest.raises(
        DataError, match=r"expected a cache folder that can be written, .*file.*; name another"
    ):
        read_letor(path, cache=tmp_path / "file")
