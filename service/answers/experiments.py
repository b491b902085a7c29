"""Which version answers whom: a sticky split, or two versions drafted into one list."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from ranking.data.arrays import Int64
from ranking.errors import UsageError


class Split:
    """Shares of the requests for a name among its versions or aliases, sticky by unit.

    `weights` is {"movies@7": 90, "movies@8": 10}; a unit (a user, a session, or else the request) falls on
    one of them by the SHA-256 of its name, so that every replica says the same and no state is kept.

    Raises UsageError for references of several names and weights that are no positive numbers.
    """

    def __init__(self, weights: Mapping[str, int]) -> None:
        self.name = _one_name(list(weights), "split")
        if len(weights) < 2 or any(weight < 1 for weight in weights.values()):
            raise UsageError("setting `split` needs two references or more, each with a weight from 1")
        self._references = list(weights)
        self._ends = np.cumsum(list(weights.values())).tolist()

    @property
    def references(self) -> Sequence[str]:
        return self._references

    def choose(self, unit: str) -> str:
        """The reference this unit falls on."""
        point = _number(self.name, unit) % self._ends[-1]
        return next(
            reference for reference, end in zip(self._references, self._ends, strict=True) if point < end
        )


class Interleaving:
    """Two references of one name whose rankings are drafted into one; credit goes by who drafted a document.

    Raises UsageError for anything but two references of one name.
    """

    def __init__(self, references: Sequence[str]) -> None:
        self.name = _one_name(references, "interleave")
        if len(references) != 2 or references[0] == references[1]:
            raise UsageError("setting `interleave` needs two different references")
        self.references = (references[0], references[1])

    def draft(self, orders: tuple[Int64, Int64], unit: str) -> tuple[Int64, Int64]:
        """(candidates in the drafted order, 0 or 1 for who drafted each); the unit is the coin's seed."""
        return team_draft(orders, np.random.default_rng(_number("interleave", unit)))


def sampled(purpose: str, unit: str, share: float) -> bool:
    """Whether a unit belongs to a share of all: the same in every replica, independent between purposes."""
    return _number(purpose, unit) < share * 2**64


def _number(purpose: str, unit: str) -> int:
    """64 bits that look random, from SHA-256."""
    digest = hashlib.sha256(f"{purpose}\0{unit}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


def _one_name(references: Sequence[str], setting: str) -> str:
    names = {reference.partition("@")[0].partition(":")[0] for reference in references}
    bare = [reference for reference in references if "@" not in reference and ":" not in reference]
    if len(names) != 1 or bare:
        raise UsageError(
            f"setting `{setting}` needs versions or aliases of one name (movies@7, movies:canary), "
            f"got {', '.join(references) or 'none'}"
        )
    return names.pop()


def team_draft(orders: tuple[Int64, Int64], generator: np.random.Generator) -> tuple[Int64, Int64]:
    """(candidates [n], teams [n]) of two orders of the same n candidates.

    In each round a coin says who picks first; each picks its highest candidate that is still free.

    Source: Radlinski, Kurup, Joachims 2008, "How does clickthrough data reflect retrieval quality?".
    """
    count = len(orders[0])
    taken = np.zeros(count, np.bool_)
    drafted, teams = np.empty(count, np.int64), np.empty(count, np.int64)
    at, place = [0, 0], 0
    while place < count:
        first = int(generator.integers(2))
        for team in (first, 1 - first):
            order = orders[team]
            while at[team] < count and taken[order[at[team]]]:
                at[team] += 1
            if place == count:
                break
            drafted[place], teams[place] = order[at[team]], team
            taken[order[at[team]]] = True
            place += 1
    return drafted, teams
