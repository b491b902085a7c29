"""Places to write to, tried before the work whose result goes there."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from ranking.errors import UsageError


def check_folder(folder: Path, name: str | None = None) -> None:
    """Raise UsageError where nothing, or nothing called `name`, can be written into a folder, there or not.

    Tried by writing into it, or into the nearest folder above it that is there; nothing is left behind.
    """
    place = there = Path(os.path.realpath(folder))
    try:
        while not there.exists() and there != there.parent:
            there = there.parent
        trial = there / f".{name or 'trial'}.{secrets.token_hex(6)}.new"
        trial.mkdir()
        try:
            (trial / "trial").write_bytes(b"room for a byte")
        finally:
            shutil.rmtree(trial, ignore_errors=True)
    except OSError as error:
        wanted = place if name is None else place / name
        raise UsageError(
            f"cannot write {wanted}: {there} cannot be a folder for it ({error.strerror}): "
            "choose another place"
        ) from error


def check_file(file: Path) -> None:
    """Raise UsageError where this file cannot be written; it is left as it is, there or not.

    Devices and pipes are not tried: to open one may have consequences.
    """
    place = Path(os.path.realpath(file))
    try:
        if place.is_dir():
            raise UsageError(f"{file} is a folder: name a file in it")
        if place.is_file():
            place.open("ab").close()
        elif not place.exists():
            place.open("xb").close()
            place.unlink()
    except OSError as error:
        raise UsageError(f"cannot write {file} ({error.strerror}): choose another place") from error
