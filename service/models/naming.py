"""Which model a client of another rerank service means by the name it has built in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.models.table import Models, unknown_model

UNSPECIFIED = "default/not-specified"
"""What infinity's clients send for no model."""


@dataclass(frozen=True)
class ForeignNames:
    """Names over there to references here: an alias, a name served here, or `others` for all that are not."""

    models: Models
    aliases: Mapping[str, str]
    others: str | None

    def reference(self, name: str | None, *, needed: bool = True) -> tuple[str | None, bool]:
        """(the reference here, None for the default; whether the name is known).

        A single model answers to every name. `needed` says that the name is part of the dialect's format;
        where it is not, the default answers. Raises ApiError 404 where nothing says who answers.
        """
        models = self.models
        if name is None or name == UNSPECIFIED:
            return (self.others if models.default is None else None), True
        if name in self.aliases:
            return self.aliases[name], True
        if models.knows(name) or not models.table:
            return name, True
        if self.others is not None:
            return self.others, False
        if models.default is not None and (len(models.names) == 1 or not needed):
            return None, False
        raise unknown_model(
            name,
            sorted(models.table),
            "; setting `foreign_model` says which answers to names that are not known",
        )
