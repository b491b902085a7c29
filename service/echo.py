"""What a client sent, as an answer says it back: short, so that no answer grows with what it refuses."""

from __future__ import annotations

from collections.abc import Sequence

from ranking.errors import nearest as closest

LONGEST = 100
"""Characters of a name that are said back; a longer one is compared with no other."""


def cut(text: str, longest: int = LONGEST) -> str:
    """The text, or its beginning and an ellipsis: at most `longest` characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def shown(name: str) -> str:
    """A name in quotes, cut, with what cannot be printed escaped."""
    return repr(cut(name))


def nearest(name: str, known: Sequence[str]) -> str | None:
    """The known name that this one may be a slip of; the search takes the square of a name's length."""
    if len(name) > LONGEST:
        return None
    return closest(name, known)
