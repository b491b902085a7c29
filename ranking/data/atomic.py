"""Files and folders that are there whole or not at all: written beside their place, then renamed into it.

A kill leaves what was there before, and at most something with a name that begins with a dot.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO


@contextmanager
def replacing(file: Path) -> Iterator[BinaryIO]:
    """A stream whose content takes the place of `file` once it is whole and on disk; else nothing does."""
    fresh = beside(file)
    try:
        with fresh.open("xb") as stream:
            yield stream
            to_disk(stream)
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)


def replace_file(file: Path, content: bytes) -> None:
    """The same for content that is there already."""
    with replacing(file) as stream:
        stream.write(content)


@contextmanager
def fresh_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, to be filled and renamed; what is still there at the end is removed."""
    fresh = beside(target)
    fresh.mkdir(parents=True)
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def replace_folder(fresh: Path, target: Path) -> None:
    """Rename `fresh` to `target`; an older folder steps aside first, and back if that fails."""
    aside = fresh.with_suffix(".old")
    replaced = target.exists()
    if replaced:
        target.rename(aside)
    try:
        fresh.rename(target)
    except BaseException:
        if replaced:
            aside.rename(target)
        raise
    sync_folder(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write these new files into an existing folder and force them, and their names, to disk."""
    for name, content in contents.items():
        with (folder / name).open("xb") as stream:
            stream.write(content)
            to_disk(stream)
    sync_folder(folder)


def sweep(folder: Path) -> None:
    """Remove what killed writers left in a folder that only the caller writes to now."""
    for left in folder.glob(".*.new"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


def beside(place: Path) -> Path:
    """A name beside this one that nobody else has."""
    return place.with_name(f".{place.name}.{secrets.token_hex(6)}.new")


def to_disk(stream: IO[Any]) -> None:
    """Otherwise a power cut after the rename could leave zeros of the right length."""
    stream.flush()
    os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Force the folder's list of names to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
