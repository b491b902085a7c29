"""Files, gzip and stdin as chunks of whole lines."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from ranking.compiled.decimals import PAD
from ranking.errors import DataError, UsageError

STDIN = "-"
CHUNK_BYTES = 1 << 19
Paths = str | Path | Sequence[str | Path]
_COMPRESSED_BYTES = 1 << 17
_GZIP, _BOM = b"\x1f\x8b", b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Chunk:
    """Whole lines: `buffer[:size]`, with room for `PAD` bytes after them."""

    buffer: bytearray
    size: int


@dataclass(frozen=True)
class Flaw:
    """What is wrong with a file as a whole."""

    column: int
    message: str


class Cut(Exception):  # noqa: N818  # never leaves this room: it carries the sentence of a Flaw
    """The data stopped before its end."""


class _Bytes(Protocol):
    def readinto(self, view: memoryview) -> int: ...


class _Plain:
    """What is left of a stream after its head was looked at."""

    def __init__(self, stream: BinaryIO, head: bytes) -> None:
        self._stream, self._head = stream, head

    def readinto(self, view: memoryview) -> int:
        if self._head:
            taken = min(len(self._head), len(view))
            view[:taken], self._head = self._head[:taken], self._head[taken:]
            return taken
        return self._stream.readinto(view)  # type: ignore[attr-defined, no-any-return]  # every binary stream has it


class _Gzip:
    """The text of a gzip stream of one or more members."""

    def __init__(self, compressed: _Plain) -> None:
        self._compressed = compressed
        self._inflate = zlib.decompressobj(31)
        self._pending = b""

    def readinto(self, view: memoryview) -> int:
        while True:
            data = self._pending or self._read()
            if not data:
                if self._inflate.eof:
                    return 0
                raise Cut(
                    "expected the end of the gzip data, got the end of the file; copy or download it again"
                )
            if self._inflate.eof:
                data = data.lstrip(b"\0")  # members may be padded, as tapes are
                self._pending = data
                if not data:
                    continue
                self._inflate = zlib.decompressobj(31)
            try:
                text = self._inflate.decompress(data, len(view))
            except zlib.error as error:
                raise Cut(
                    f"expected gzip data, got damage ({error}); copy or download the file again"
                ) from error
            self._pending = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            if text:
                view[: len(text)] = text
                return len(text)

    def _read(self) -> bytes:
        block = bytearray(_COMPRESSED_BYTES)
        with memoryview(block) as view:
            return bytes(block[: self._compressed.readinto(view)])


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """The stream of a path or of stdin, which is left open."""
    if path == STDIN:
        yield sys.stdin.buffer
        return
    if Path(path).is_dir():
        raise DataError(f"expected a file, got the folder {path}; name the files in it")
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(Path(path).open("rb", buffering=0))
        except OSError as error:
            raise DataError(
                f"expected a readable file, got {error.strerror}: {path}; check the path"
            ) from error
        yield stream


def display_name(path: str) -> str:
    return "<stdin>" if path == STDIN else path


def path_list(paths: Paths) -> list[str]:
    """One path or several, as texts."""
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    if not several:
        raise UsageError("expected at least one file to read, got none; name a file, or '-' for stdin")
    return [str(path) for path in several]


class LineReader:
    """Reads one stream as chunks of whole lines.

    `flaws_at_start` are those of line 1, known with the first chunk; `flaws_at_end` are those of the line
    after all chunks. Buffers are taken from `buffers`, where the caller puts back those he is done with.
    """

    def __init__(self, path: str, stream: BinaryIO, chunk_bytes: int, buffers: list[bytearray]) -> None:
        self._path, self._chunk_bytes, self._free = path, chunk_bytes, buffers
        self._stream = stream
        self.flaws_at_start: list[Flaw] = []
        self.flaws_at_end: list[Flaw] = []
        head = b""
        try:
            while len(head) < 4 and (more := stream.read(4 - len(head))):
                head += more
        except OSError as error:
            raise self._failed(error) from error
        plain = _Plain(stream, head)
        self._gzip = head.startswith(_GZIP)
        self._bytes: _Bytes = _Gzip(plain) if self._gzip else plain

    def position(self) -> int | None:
        """Bytes of the stored file read so far, or None where nobody can say."""
        return self._stream.tell() if self._path != STDIN and self._stream.seekable() else None

    def chunks(self) -> Iterator[Chunk]:
        """Chunks of whole lines, to the end or to what makes reading on impossible."""
        tail, ended, first = b"", False, True
        while not ended:
            buffer, filled, ended = self._fill(tail)
            if first and self._is_utf16(buffer, filled):
                self.flaws_at_start.append(Flaw(1, self._utf16()))
                return
            if first and buffer.startswith(_BOM):
                self.flaws_at_start.append(Flaw(1, self._bom()))
                buffer[:3] = b"   "  # blanks are skipped, and columns stay what they are
            cut = buffer.rfind(b"\n", 0, filled) + 1
            tail, first = bytes(buffer[cut:filled]), False
            if cut:
                yield Chunk(buffer, cut)
        if tail and not self.flaws_at_end:
            self.flaws_at_end.append(Flaw(len(tail) + 1, self._no_newline()))

    def _fill(self, tail: bytes) -> tuple[bytearray, int, bool]:
        """(buffer, bytes in it, whether that was the last): at least one line, however long."""
        buffer = self._free.pop() if self._free else bytearray(self._chunk_bytes + PAD)
        if len(buffer) - PAD <= len(tail):
            buffer = bytearray(2 * len(tail) + self._chunk_bytes + PAD)
        filled = len(tail)
        buffer[:filled] = tail
        while True:
            room = len(buffer) - PAD
            try:
                while filled < room:
                    with memoryview(buffer) as view, view[filled:room] as free:
                        got = self._bytes.readinto(free)
                    if not got:
                        return buffer, filled, True
                    filled += got
            except Cut as cut:
                self.flaws_at_end.append(Flaw(filled - buffer.rfind(b"\n", 0, filled), str(cut)))
                return buffer, filled, True
            except OSError as error:
                raise self._failed(error) from error
            if buffer.rfind(b"\n", 0, filled) >= 0:
                return buffer, filled, False
            larger = bytearray(2 * room + PAD)
            larger[:filled] = buffer[:filled]
            buffer = larger

    def _failed(self, error: OSError) -> DataError:
        name = display_name(self._path)
        return DataError(f"expected to read {name} to its end, got {error.strerror}; check the disk or pipe")

    def _is_utf16(self, buffer: bytearray, filled: int) -> bool:
        if bytes(buffer[:2]) in (b"\xff\xfe", b"\xfe\xff"):
            return True
        odd, even = buffer[1:4:2], buffer[0:4:2]
        return filled >= 4 and (odd == b"\0\0") != (even == b"\0\0")

    def _repair(self, command: str) -> str:
        """How to pass the file through a filter."""
        name = display_name(self._path)
        return f"zcat {name} | {command} | gzip > NEW.gz" if self._gzip else f"{command} < {name} > NEW"

    def _utf16(self) -> str:
        remedy = self._repair("iconv -f UTF-16 -t UTF-8")
        return f"expected UTF-8 or ASCII text, got UTF-16; convert it: {remedy}"

    def _bom(self) -> str:
        remedy = self._repair(r"sed '1s/^\xEF\xBB\xBF//'")
        return f"expected a label, got a byte order mark; take it out: {remedy}"

    def _no_newline(self) -> str:
        name = display_name(self._path)
        if self._path == STDIN:
            remedy = "end the stream with a newline"
        else:
            remedy = f"echo | gzip >> {name}" if self._gzip else f"echo >> {name}"
        return (
            "expected a newline after the last row, got the end of the file, which may have been cut short; "
            f"if it is complete: {remedy}"
        )
