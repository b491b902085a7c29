"""The frame of a page: head, facts under the title, sections, tables of keys and values."""

from __future__ import annotations

from collections.abc import Sequence

from ranking.training.page.charts import text
from ranking.training.page.style import CSS


def page(title: str, facts: Sequence[tuple[str, str]], main: str) -> str:
    """A page of its own: style inside, no script, nothing fetched from outside."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{text(title)}</title>
<style>{CSS}</style>
</head>
<body>
<header>
<h1>{text(title)}</h1>
{pairs(facts, "facts")}
</header>
<main>
{main}
</main>
</body>
</html>
"""


def section(heading: str, body: str) -> str:
    return f"<section>\n<h2>{text(heading)}</h2>\n{body}\n</section>"


def pairs(facts: Sequence[tuple[str, str]], kind: str) -> str:
    rows = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in facts)
    return f'<dl class="{kind}">{rows}</dl>' if rows else ""


def keys(facts: Sequence[tuple[str, str]], kind: str, otherwise: str) -> str:
    return pairs(facts, kind) or f"<p>{otherwise}</p>"
