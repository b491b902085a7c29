"""Functions from a user's own Python file, named as `file.py` or `file.py:function`.

The file is run as the command that names it is: only training, and checks of an objective, do so. A model
folder keeps the file's name and hash, never its code, and nothing that opens a model runs it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from importlib.abc import SourceLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

from ranking.errors import UsageError


def is_file_name(name: str) -> bool:
    """Does this name a file of the user's rather than something of ours?

    >>> is_file_name("my_loss.py"), is_file_name("gains.py:mine"), is_file_name("lambdarank")
    (True, True, False)
    """
    return name.partition(":")[0].endswith(".py")


def functions_of(name: str) -> tuple[dict[str, Callable[..., Any]], str]:
    """(the functions the file defines by name, "sha256:…" of the file).

    Raises UsageError where it cannot be read or does not run.
    """
    try:
        source = Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from error
    return _run(name, source), f"sha256:{hashlib.sha256(source).hexdigest()}"


@lru_cache(maxsize=16)
def _run(name: str, source: bytes) -> dict[str, Callable[..., Any]]:
    """Its functions; a file is run once as long as it stays the same, however many ask for them."""
    loader = _Source(name, source)
    spec = spec_from_loader(f"own_code_{Path(name).stem}", loader)
    assert spec is not None
    module = module_from_spec(spec)
    try:
        loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{name} does not run: {type(error).__name__}: {error}") from error
    return {key: value for key, value in vars(module).items() if callable(value)}


class _Source(SourceLoader):
    """Runs the very bytes whose hash is kept: a file may change between two readings, bytecode may be old."""

    def __init__(self, name: str, source: bytes) -> None:
        self._name, self._source = name, source

    def get_filename(self, fullname: str) -> str:
        return self._name

    def get_data(self, path: str) -> bytes:
        return self._source


def function_named(name: str) -> Callable[..., Any]:
    """The function of `file.py:function`.

    Raises UsageError where there is none.
    """
    file, _, wanted = name.partition(":")
    functions, _ = functions_of(file)
    if wanted not in functions:
        raise UsageError(f"{file} defines no function {wanted!r}; it has: {', '.join(sorted(functions))}")
    return functions[wanted]
