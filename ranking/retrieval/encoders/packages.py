"""Weights that lie inside installed packages, found without importing these; nothing is ever downloaded."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ranking.errors import MissingPackageError


def folder_of_package(package: str, purpose: str, install: str) -> Path:
    """The folder of an installed package, which is not imported.

    Raises MissingPackageError, saying that `purpose` needs `pip install INSTALL`, where it is not installed.
    """
    found = find_spec(package)
    places = list(found.submodule_search_locations or []) if found is not None else []
    if not places:
        raise MissingPackageError(purpose, install)
    return Path(places[0])
