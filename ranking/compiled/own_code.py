"""Functions from a user's own Python file, named as `file.py` or `file.py:function`.

The file is run as the command that names it is: only training, and checks of an objective, do so. A model
folder keeps the file's name and hash, never its code, and nothing that opens a model runs it.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
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
    path = Path(name)
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from error
    spec = importlib.util.spec_from_file_location(f"own_code_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{name} does not run: {type(error).__name__}: {error}") from error
    functions = {key: value for key, value in vars(module).items() if callable(value)}
    return functions, f"sha256:{hashlib.sha256(source).hexdigest()}"


def function_named(name: str) -> Callable[..., Any]:
    """The function of `file.py:function`.

    Raises UsageError where there is none.
    """
    file, _, wanted = name.partition(":")
    functions, _ = functions_of(file)
    if wanted not in functions:
        raise UsageError(f"{file} defines no function {wanted!r}; it has: {', '.join(sorted(functions))}")
    return functions[wanted]
