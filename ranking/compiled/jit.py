"""The one decorator of compiled functions, and the folder their machine code is kept in.

Numba keeps machine code with the file of the function that was called, and does not see a change in the files
of the functions that one calls, or of the constants they read. So the folder is named by a digest of all our
sources that hold either: after any change of them the code is compiled anew.

The folder lies in the first place that can be written to: NUMBA_CACHE_DIR, the package, the user's cache,
the temporary folder. Where there is none, every process compiles for itself, which is said once. Code of the
same digest that was shipped (`RANKWRIGHT_COMPILED`), or lies with a package we cannot write to, is copied
there first.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, overload

import numba

logger = logging.getLogger(__name__)

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

SHIPPED_VARIABLE = "RANKWRIGHT_COMPILED"
"""Names a folder of compiled code that came with an image."""
NAME = "rankwright-compiled"
_PACKAGE = Path(__file__).parents[1]
_MARK = b"from ranking.compiled.jit import"
"""What a source says that holds compiled functions."""
_IMPORTED = re.compile(rb"^from ((?:ranking|service)(?:\.\w+)*) import", re.MULTILINE)
_KEPT_SECONDS = 30 * 24 * 3600.0
"""Code of other sources is removed after so long without a change in it."""

_settings: Any = numba.config
_deciding = threading.Lock()


@overload
def compiled(function: Kernel) -> Kernel: ...
@overload
def compiled(**options: Any) -> Callable[[Kernel], Kernel]: ...
def compiled(function: Any = None, **options: Any) -> Any:
    """`numba.njit(nogil=True)` whose machine code is kept in `code_folder()`; options are Numba's.

    Functions of this distribution, or that stand in one file with all they call outside it.
    """
    if function is None:
        return lambda given: compiled(given, **options)
    folder = code_folder()
    if folder is None:
        return numba.njit(nogil=True, **options)(function)
    with _kept_in(folder):
        return numba.njit(nogil=True, cache=True, **options)(function)


@contextmanager
def _kept_in(folder: Path) -> Iterator[None]:
    """Numba decides where a function's code is kept when it is decorated, by this variable of its own."""
    with _deciding:
        before = _settings.CACHE_DIR
        _settings.CACHE_DIR = str(folder)
        try:
            yield
        finally:
            _settings.CACHE_DIR = before


@cache
def source_digest() -> str:
    """32 hexadecimal digits of SHA-256, over this distribution's sources of compiled code and their paths."""
    found = hashlib.sha256()
    for path in compiled_sources(_PACKAGE):
        content = path.read_bytes()
        found.update(f"{path.relative_to(_PACKAGE.parent)} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()[:32]


def compiled_sources(package: Path) -> list[Path]:
    """The sources of this package and of `service` beside it that take the decorator from here, and those of
    ours that they import from."""
    both = (package, package.with_name("service"))
    taking = [path for folder in both for path in folder.rglob("*.py") if _MARK in path.read_bytes()]
    found = set(taking)
    for path in taking:
        for module in _IMPORTED.findall(path.read_bytes()):
            place = package.parent.joinpath(*module.decode().split("."))
            found |= {file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()}
    return sorted(found)


@cache
def code_folder() -> Path | None:
    """The folder of these sources' machine code, which is there and can be written to; None without one."""
    for place in _places():
        if _usable(place):
            folder = place / source_digest()
            _bring(folder)
            _sweep(place)
            return folder
    logger.warning(
        "compiled code can be kept nowhere, so that every command compiles for some 20 seconds: name a "
        "folder that can be written to in NUMBA_CACHE_DIR"
    )
    return None


def _places() -> Iterator[Path]:
    """Where the folders of all digests may lie, the best place first."""
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(named) / NAME
    yield _beside_the_package()
    with suppress(RuntimeError):  # a user without a home
        yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / NAME
    yield _temporary()


def _beside_the_package() -> Path:
    return _PACKAGE / "__pycache__" / NAME


def _temporary() -> Path:
    return Path(tempfile.gettempdir()) / f"{NAME}-{os.getuid()}"


def _usable(place: Path) -> bool:
    """Can we write to it, and in the temporary folder nobody else? What lies there is run."""
    private = place == _temporary()
    try:
        place.mkdir(mode=0o700 if private else 0o777, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=place).close()
        facts = place.lstat()
    except OSError:
        return False
    return not private or (
        stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o022
    )


def _bring(folder: Path) -> None:
    """Copy what was shipped of this digest, once; whoever is second at it leaves the first one's."""
    shipped = [Path(named)] if (named := os.environ.get(SHIPPED_VARIABLE)) else []
    for place in (*shipped, _beside_the_package()):
        source = place / folder.name
        if folder.exists() or not source.is_dir():
            continue
        fresh = folder.with_name(f".{secrets.token_hex(6)}.new")
        try:
            shutil.copytree(source, fresh)
            fresh.rename(folder)
        except (OSError, shutil.Error):
            shutil.rmtree(fresh, ignore_errors=True)


def _sweep(place: Path) -> None:
    """Remove what older sources left; what still runs has been loaded."""
    oldest = time.time() - _KEPT_SECONDS
    for left in place.iterdir():
        with suppress(OSError):
            if left.name != source_digest() and left.stat().st_mtime < oldest:
                shutil.rmtree(left)
