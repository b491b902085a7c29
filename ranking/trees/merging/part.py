"""What is taken of one model for another: which of its trees, times what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ranking.trees.forest import Forest


class Part(NamedTuple):
    """Trees of a model that was read and found sound."""

    model: bytes
    forest: Forest
    """the same model, read"""
    scale: float
    """of each leaf"""
    trees: Sequence[int]
    """their numbers, from 0, in the order they are taken"""
