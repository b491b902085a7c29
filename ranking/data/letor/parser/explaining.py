"""What is wrong with a malformed line: expected this, got that; do this.

The compiled scan only says where it stopped and what it was reading; the sentence is found here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ranking.data.letor.parser.parsing import COMMENT, LABEL, QID

_SHOWN_BYTES = 40
_NUMBER = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAN = re.compile(rb"[+-]?(?:nan|na|null|none|\?)", re.IGNORECASE)
_INFINITY = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_TOKEN = re.compile(rb"[^ \t\n#]*")


@dataclass(frozen=True)
class RowForm:
    """What a row must look like: with a query id or not, and which feature ids it may use."""

    with_qid: bool
    first_id: int
    limit: int
    limit_reason: str

    @property
    def example(self) -> str:
        return f"'0 qid:7 {self.first_id}:0.5'" if self.with_qid else f"'0 {self.first_id}:0.5'"


def token_at(line: bytes, at: int) -> bytes:
    """The token that starts here, up to a blank, a comment or the end of the line."""
    found = _TOKEN.match(line, at)
    token = found.group() if found else b""
    ended = at + len(token) >= len(line) or line[at + len(token) : at + len(token) + 1] == b"\n"
    return token[:-1] if ended and token.endswith(b"\r") else token


def shown(token: bytes) -> str:
    """A token as a message quotes it: escaped, and cut where it is long."""
    text = repr(token[:_SHOWN_BYTES].decode("utf-8", "backslashreplace"))
    return text if len(token) <= _SHOWN_BYTES else f"{text}... ({len(token)} bytes)"


def explain(line: bytes, at: int, code: int, previous: int, form: RowForm) -> tuple[int, str]:
    """(column from 1, message) for the place in a line at which reading stopped."""
    token = token_at(line, at)
    control = _CONTROL.search(line, at) if code == COMMENT else _CONTROL.search(token)
    if control is not None:
        place = control.start() if code == COMMENT else at + control.start()
        return place + 1, _control_byte(line[place])
    if code == LABEL:
        message = _label(token, form)
    elif code == QID:
        message = _query(token)
    else:
        message = _feature(token, previous, form)
    return at + 1, message


def _control_byte(byte: int) -> str:
    if byte == 13:
        return (
            "expected text, got a carriage return inside a line; "
            "write each row on a line of its own that ends with a newline (from old Mac text: tr '\\r' '\\n')"
        )
    return (
        f"expected text, got the control byte 0x{byte:02x}; "
        "the file is damaged or not text: write it again, or take the byte out with tr -d"
    )


def _label(token: bytes, form: RowForm) -> str:
    expected = "expected a label (a number of 0 or more)"
    if not _NUMBER.fullmatch(token):
        if _NAN.fullmatch(token) or _INFINITY.fullmatch(token):
            return f"{expected}, got {shown(token)}; leave unjudged rows out, or give them a grade"
        return f"{expected}, got {shown(token)}; start each row as in {form.example}"
    if token.startswith(b"-"):
        return f"{expected}, got {shown(token)}; map the labels to grades from 0"
    return f"{expected} within float32, got {shown(token)}; map the labels to grades such as 0 to 4"


def _query(token: bytes) -> str:
    if token == b"qid:":
        return "expected an id after 'qid:', got nothing; name the query, as in 'qid:7'"
    got = shown(token) if token else "the end of the row"
    return f"expected qid:ID after the label, got {got}; name the query, as in '0 qid:7 1:0.5'"


def _feature(token: bytes, previous: int, form: RowForm) -> str:
    if b":" not in token:
        return f"expected id:value, got {shown(token)}; write each feature as id:value, comments after '#'"
    name, value = token.split(b":", 1)
    if not name:
        return f"expected a feature id before ':', got {shown(token)}; write id:value"
    if not (name.isdigit() and name.isascii()):
        hint = (
            "read the file with read_letor"
            if name == b"qid" and not form.with_qid
            else "number the features (names belong in features.txt)"
        )
        return f"expected a whole number as feature id, got {shown(name)}; {hint}"
    # int() refuses thousands of digits, and no id that long is within a limit.
    number = int(name) if len(name) < 30 else None
    if number is not None and number < form.first_id:
        return (
            f"expected feature ids from {form.first_id}, got {shown(name)}; add {form.first_id} to every id"
        )
    if number is None or number > form.limit or len(name) > 7:
        return f"expected a feature id up to {form.limit}, got {shown(name)}; {form.limit_reason}"
    if number == previous:
        return f"expected ascending feature ids, got {number} twice; keep one value for each id"
    if number < previous:
        return f"expected ascending feature ids, got {number} after {previous}; sort each row by feature id"
    return _value(number, value)


def _value(number: int, value: bytes) -> str:
    expected = f"expected a number as value of feature {number}"
    if not value:
        return f"{expected}, got nothing; leave the feature out where it is absent"
    if _NAN.fullmatch(value):
        return f"{expected}, got {shown(value)}; leave the feature out and read with missing='nan'"
    if _INFINITY.fullmatch(value):
        return f"{expected}, got {shown(value)}; write a finite number, or leave the feature out"
    if _NUMBER.fullmatch(value):
        return f"{expected} within float32 (3.4e38), got {shown(value)}; scale the feature"
    return f"{expected}, got {shown(value)}; write a decimal number such as 0.5 or 1e-3"
