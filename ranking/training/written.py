"""A run as it is written: TOML files, flags and `--set` to the fields of a config, and back to TOML.

The nested form is that of the file: plain values, and the tables `objective`, `booster`, `best` and `neural`.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ranking.errors import UsageError, unknown_name

NEURAL = "neural"

BEST = "best"

TABLES = {
    "objective": "truncation=20", "booster": "num_leaves=63", BEST: "members=8", NEURAL: "hidden=256,128",
}  # fmt: skip
"""Each with an example of what it holds."""


def nested(file: Path | None, changes: Mapping[str, object], sets: Sequence[str]) -> dict[str, object]:
    """What the TOML file says, over it the flags (`changes`), over them each `--set key=value`.

    Raises UsageError for a file that cannot be read, and a `--set` that is none.
    """
    found = {} if file is None else _read_toml(file)
    _merge(found, changes)
    for text in sets:
        _apply_set(found, text)
    return found


def settings(sets: Sequence[str]) -> dict[str, object]:
    """What `--set key=value` says where there are no tables. Raises UsageError for another form."""
    found: dict[str, object] = {}
    for text in sets:
        key, equals, raw = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--set takes key=value, such as temperature=0.05, got {text!r}")
        found[key] = _value(raw)
    return found


def fields(nested: Mapping[str, object], known: Iterable[str]) -> dict[str, object]:
    """The nested form as the fields of a config, of these names.

    Raises UsageError for a key that is none of them, and a table that is none.
    """
    known, flat = set(known), {}
    for key, value in nested.items():
        if key not in known:
            raise unknown_name("config key", key, known)
        if key == "objective" and isinstance(value, Mapping):
            parameters = dict(value)
            if "name" in parameters:
                flat["objective"] = parameters.pop("name")
            flat["objective_parameters"] = parameters
        else:
            flat[key] = value
    for name in ("booster", BEST, NEURAL):
        if not isinstance(flat.get(name, {}), Mapping):
            raise UsageError(f"{name} must be a table of parameters, such as {name}.{TABLES[name]}")
    return flat


def flattened(nested: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    """`objective.truncation`-like keys, as --set takes them, with their values."""
    pairs: list[tuple[str, object]] = []
    for key, value in nested.items():
        if isinstance(value, Mapping):
            pairs += flattened(value, f"{prefix}{key}.")
        else:
            pairs.append((prefix + key, value))
    return pairs


def as_toml(nested: Mapping[str, object]) -> str:
    """Plain values and tables as TOML; None, which TOML cannot say, as the word `none` of --set.

    A table in a table, a part of a blend, is written with dotted keys.
    """
    lines = [f"{k} = {_toml_value(v)}" for k, v in nested.items() if not isinstance(v, Mapping)]
    for name, table in nested.items():
        if isinstance(table, Mapping):
            lines += ["", f"[{name}]", *_toml_lines(table)]
    return "\n".join(lines) + "\n"


def _toml_lines(table: Mapping[str, object], prefix: str = "") -> list[str]:
    lines = []
    for key, value in table.items():
        written = prefix + (key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key))
        if isinstance(value, Mapping):
            lines += _toml_lines(value, f"{written}.")
        else:
            lines.append(f"{written} = {_toml_value(value)}")
    return lines


def _toml_value(value: object) -> str:
    # JSON's texts, numbers, lists and true/false are TOML's too.
    return json.dumps("none" if value is None else value)


def _read_toml(file: Path) -> dict[str, object]:
    try:
        return _with_none(tomllib.loads(file.read_text()))
    except OSError as error:
        raise UsageError(f"cannot read the config file {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}") from error


def _with_none(nested: Mapping[str, object]) -> dict[str, object]:
    """TOML has no null: the word none stands for it, as in --set."""
    return {
        key: _with_none(value) if isinstance(value, dict) else None if value == "none" else value
        for key, value in nested.items()
    }


def _merge(nested: dict[str, object], changes: Mapping[str, object]) -> None:
    """Lay flags over the file; naming another objective drops the parameters of the file's."""
    for key, value in changes.items():
        if key == "objective" and _objective_name(nested) != value:
            nested["objective"] = {"name": value}
        elif key != "objective":
            nested[key] = value


def _objective_name(nested: Mapping[str, object]) -> object:
    objective = nested.get("objective")
    return objective.get("name") if isinstance(objective, Mapping) else objective


def _apply_set(nested: dict[str, object], text: str) -> None:
    key, equals, raw = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--set takes key=value, such as objective.truncation=20, got {text!r}")
    table, dot, name = key.partition(".")
    if dot:
        if table not in TABLES:
            raise unknown_name("table in --set", table, TABLES)
        inner = nested.get(table, {})
        if not isinstance(inner, dict):
            inner = {"name": inner} if table == "objective" else {}
        nested[table] = inner | {name: _value(raw)}
    else:
        nested[key] = _value(raw)


def _value(raw: str) -> object:
    """true, false, none, a number, a quoted text, or several with commas; anything else is text as it is."""
    words = {"true": True, "false": False, "none": None}
    if raw.lower() in words:
        return words[raw.lower()]
    try:
        value = ast.literal_eval(raw)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return raw
    # What TOML and the manifest can hold.
    if isinstance(value, tuple | list):
        return list(value) if all(isinstance(one, str | int | float) for one in value) else raw
    return value if isinstance(value, str | int | float) else raw
