"""Lines of a text file, plain or gzip, each with its number; what is wrong is said by FILE:LINE."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from ranking.errors import DataError, ParseError

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_HEAD = 4096
_SHOWN = 60
_AGAIN = "copy or download it again"
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    r"""(number from 1, text without its end) of each line; gzip is known by its content.

    Lines end with \n or \r\n; a byte order mark is left out. Raises ParseError at the line of bytes that are
    not UTF-8 and where gzip data is damaged or ends early; DataError for a file that cannot be read.
    """
    number = 0
    try:
        with path.open("rb") as file:
            packed = file.peek(2).startswith(_GZIP)
            with gzip.open(file) if packed else file as lines:
                for number, line in enumerate(lines, 1):
                    if number == 1 and line.startswith(_BOM):
                        line = line[len(_BOM) :]
                    yield number, _decoded(path, number, line.rstrip(b"\r\n"))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = f"expected gzip data up to its end, got damage ({error}); {_AGAIN}"
        raise fault(path, number + 1, message) from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def filled_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank. Raises DataError where there is none."""
    empty = True
    for number, line in lines_of(path):
        if line and not line.isspace():
            empty = False
            yield number, line
    if empty:
        raise DataError(f"{path} is empty: expected one line or more")


def beginning(path: Path) -> str:
    """The first characters of a file as far as they are text, for a look at what it is.

    Raises DataError for a file that cannot be read, ParseError for damaged gzip data.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if head.startswith(_GZIP):
        head = _unpacked(path, head)
    return head.removeprefix(_BOM).decode("utf-8", "ignore").lstrip()


def fault(path: Path, line: int, message: str, column: int = 1) -> ParseError:
    """The error for a line: what was expected, what came, what to do."""
    return ParseError(str(path), line, column, message)


def shown(text: str) -> str:
    """A text from a file as a message quotes it."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def number_in(text: str) -> float | None:
    """The finite number that a text is, None where it is anything else (Python's 1_0, nan and inf too)."""
    text = text.strip()
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None


def _unpacked(path: Path, head: bytes) -> bytes:
    """The beginning of gzip data, of which there must be something."""
    packed = zlib.decompressobj(wbits=31)
    try:
        text = packed.decompress(head, _HEAD)
    except zlib.error as error:
        raise fault(path, 1, f"expected gzip data, got damage ({error}); {_AGAIN}") from error
    if not text and not packed.eof:
        raise fault(path, 1, f"expected gzip data up to its end, got damage (it ends too early); {_AGAIN}")
    return text


def _decoded(path: Path, number: int, line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = f"0x{line[error.start]:02x}"
        message = f"expected UTF-8, got the byte {byte}; convert the file (iconv -f latin1 -t utf-8)"
        raise fault(path, number, message, error.start + 1) from None
