"""Modules of allRank (`pip install --no-deps allrank`) without torchvision and storage, which they open."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType


def installed() -> bool:
    return find_spec("allrank") is not None


def part_of_allrank(name: str) -> ModuleType:
    """`allrank.NAME`. Two modules that its losses take a number each from are put in their place first."""
    found = find_spec("allrank")
    assert found is not None
    assert found.submodule_search_locations is not None
    loader, losses = ModuleType("allrank.data.dataset_loading"), ModuleType("allrank.models.losses")
    loader.PADDED_Y_VALUE = -1  # type: ignore[attr-defined]
    losses.DEFAULT_EPS = 1e-10  # type: ignore[attr-defined]
    losses.__path__ = [str(Path(found.submodule_search_locations[0]) / "models" / "losses")]
    for module in (loader, losses):
        sys.modules.setdefault(module.__name__, module)
    return import_module(f"allrank.{name}")
