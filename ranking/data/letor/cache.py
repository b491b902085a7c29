"""A memory-mapped copy of what was read, so that the text is parsed once.

    FOLDER/entries/KEY/   .npy files and entry.json, which has the CRC-32 of each; KEY = hash of the files'
                          content, the reading options and the format version
    FOLDER/files/HASH.json  what is remembered of one file: its stat, its content hash, and when

A file whose size, time, inode and path are as remembered is not read again, unless it was changed less than
two seconds before it was hashed: a second change could have left the same time ("racily clean", as git's
index has it). An entry is written to a folder of its own and renamed, so that several processes may do it.

Every opening checks every byte of an entry against its CRC-32, features included: 19 ms for a matrix of
119 MB, whose text takes 0.4 s and more to parse. What is damaged later, while it is mapped, is not noticed.
A damaged entry is never used: the files are read anew and the entry is written again, which is logged as a
warning (on stderr, where logging is not configured otherwise).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ranking.data.arrays import Strings
from ranking.data.atomic import beside, fresh_folder, replace_file, to_disk
from ranking.data.dataset import RankingDataset
from ranking.data.letor.lists import ReadOptions, read_lists
from ranking.data.letor.parser.sources import STDIN
from ranking.errors import DataError

FORMAT = 2
RACY_NS = 2_000_000_000
_ENTRY = "entry.json"
_log = logging.getLogger(__name__)


def cached(folder: Path, paths: Sequence[str], options: ReadOptions) -> RankingDataset:
    """The data set in these files, from the cache where it can be, and kept there otherwise.

    Pipes and stdin are read as ever and not kept. Raises DataError where the folder cannot be written.
    """
    if not all(path != STDIN and Path(path).is_file() for path in paths):
        return read_lists(paths, options)
    try:
        before = [_stat(path) for path in paths]
        entry = folder / "entries" / _key([_content_hash(folder, path) for path in paths], options)
        try:
            if entry.exists():
                return _open(entry)
        except DataError as error:
            _log.warning("%s: reads %s anew and writes it again", error, ", ".join(paths))
        dataset = read_lists(paths, options)
        if [_stat(path) for path in paths] == before:  # else the key may stand for other content
            _keep(dataset, entry)
        return dataset
    except OSError as error:
        raise DataError(
            f"expected a cache folder that can be written, got {error.strerror} at {error.filename}; "
            "name another folder, or read without a cache"
        ) from error


def _stat(path: str) -> dict[str, Any]:
    found = Path(path).stat()
    return {
        "path": str(Path(path).resolve()),
        "size": found.st_size,
        "mtime_ns": found.st_mtime_ns,
        "inode": found.st_ino,
    }


def _content_hash(folder: Path, path: str) -> str:
    """SHA-256 of a file's bytes: the remembered one if the file is as it was, else computed anew."""
    state = _stat(path)
    memo = folder / "files" / f"{hashlib.sha256(os.fsencode(state['path'])).hexdigest()[:32]}.json"
    remembered = _json(memo)
    if remembered is not None and all(remembered.get(name) == value for name, value in state.items()):
        hashed_at, digest = remembered.get("hashed_at_ns"), remembered.get("sha256")
        if isinstance(hashed_at, int) and hashed_at - state["mtime_ns"] > RACY_NS and isinstance(digest, str):
            return digest
    state["hashed_at_ns"] = time.time_ns()
    with Path(path).open("rb") as stream:
        state["sha256"] = hashlib.file_digest(stream, "sha256").hexdigest()
    memo.parent.mkdir(parents=True, exist_ok=True)
    replace_file(memo, json.dumps(state).encode())
    return str(state["sha256"])


def _key(hashes: Sequence[str], options: ReadOptions) -> str:
    """Names what reading these contents with these options gives."""
    said = [
        FORMAT,
        list(hashes),
        options.missing,
        options.regroup,
        options.width,
        options.feature_names,
        options.form.first_id,
        options.form.with_qid,
        options.form.limit,
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:40]


def _keep(dataset: RankingDataset, entry: Path) -> None:
    """Writes an entry whole or not at all; another process may have been first."""
    with fresh_folder(entry) as fresh:
        arrays: dict[str, Any] = {name: getattr(dataset, name) for name in ("features", "labels", "offsets")}
        for name in ("query_ids", "document_ids"):
            texts = getattr(dataset, name)
            if texts is not None:
                column = Strings.of(texts)
                arrays[f"{name}.bytes"], arrays[f"{name}.offsets"] = column.data, column.offsets
        for name, array in arrays.items():
            with (fresh / f"{name}.npy").open("wb") as stream:
                np.save(stream, array, allow_pickle=False)
                to_disk(stream)
        facts = {
            "format": FORMAT,
            "feature_names": None if dataset.feature_names is None else list(dataset.feature_names),
            "arrays": {
                name: {
                    "bytes": (fresh / f"{name}.npy").stat().st_size,
                    "crc32": _crc32(fresh / f"{name}.npy"),
                    "dtype": array.dtype.str,
                    "shape": list(array.shape),
                }
                for name, array in arrays.items()
            },
        }
        with (fresh / _ENTRY).open("w") as text:
            json.dump({"crc32": _crc32_of(facts), "facts": facts}, text)
            to_disk(text)
        _publish(fresh, entry)


def _publish(fresh: Path, entry: Path) -> None:
    """Renames a whole entry into place, taking away a damaged one; leaves a sound one as it is."""
    for _ in range(3):
        try:
            fresh.rename(entry)
        except OSError:
            if not entry.is_dir():
                raise
            with suppress(DataError):
                _open(entry)
                return
            damaged = beside(entry)
            try:
                entry.rename(damaged)
            except FileNotFoundError:  # another process took it away
                continue
            shutil.rmtree(damaged, ignore_errors=True)
        else:
            return


def _open(entry: Path) -> RankingDataset:
    """The data set of an entry, its arrays memory-mapped and read-only. Raises DataError for damage."""
    try:
        said = json.loads((entry / _ENTRY).read_bytes())
        facts = said["facts"]
        if facts["format"] != FORMAT or said["crc32"] != _crc32_of(facts):
            raise ValueError(f"{_ENTRY} is not as it was written")
        arrays = {name: _map(entry / f"{name}.npy", array) for name, array in facts["arrays"].items()}
        columns = {
            name: Strings(arrays[f"{name}.bytes"], arrays[f"{name}.offsets"])
            for name in ("query_ids", "document_ids")
            if f"{name}.bytes" in arrays
        }
        return RankingDataset(
            features=arrays["features"],
            labels=arrays["labels"],
            offsets=arrays["offsets"],
            query_ids=list(columns["query_ids"]),
            document_ids=columns.get("document_ids"),
            feature_names=facts["feature_names"],
            trusted=True,
        )
    # numpy's and json's readers meet damage with many kinds of exceptions, tokenize.TokenError and
    # RecursionError among them; whatever it is, the text is still there.
    except Exception as error:
        raise DataError(f"the cache entry {entry} is damaged ({error})") from error


def _crc32(path: Path) -> int:
    """The CRC-32 of a file's bytes."""
    return zlib.crc32(np.memmap(path, np.uint8, "r").data)


def _crc32_of(facts: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(facts, sort_keys=True).encode())


def _map(path: Path, said: dict[str, Any]) -> Any:
    """One array, as its entry describes it; raises ValueError otherwise."""
    if path.stat().st_size != said["bytes"]:
        raise ValueError(f"{path.name} is not {said['bytes']} bytes long")
    if _crc32(path) != said["crc32"]:
        raise ValueError(f"{path.name} is not as it was written")
    empty = 0 in said["shape"]  # which no file can be mapped to
    array = np.load(path, mmap_mode=None if empty else "r", allow_pickle=False)
    if array.dtype.str != said["dtype"] or list(array.shape) != said["shape"]:
        raise ValueError(f"{path.name} holds {array.dtype} {array.shape}")
    return array


def _json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None if there is none, or it is damaged."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
