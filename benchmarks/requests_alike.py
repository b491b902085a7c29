"""The fast ways of reading a request beside the generic one, on mutated bodies: answers, errors and words.

    python -m benchmarks.requests_alike [--cases 1000000] [--seed 0]

A small ranker, so that bodies are small and many: numbers in every spelling, keys in any order and twice,
space and escapes everywhere, strings that look like structure, bodies cut short and bytes changed, in our own
form (`/v1/rank`) and in the dialects. Each body is answered twice, once with the fast way switched off; what
comes out has to be the same, and so has each sentence of what is refused.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ranking.data.arrays import Float32
from service.answers.answering import Answering
from service.answers.requests import ForeignBody, JsonBody, Posted, Request
from service.answers.stopwatch import Stopwatch
from service.errors import ApiError
from service.models.naming import ForeignNames
from service.models.table import Model, Models
from service.settings import Settings
from service.wire.dialects import answer_foreign, foreign_error

NAMES = ("a", "bm25", "prix €")
MOST = 4
PATHS = ("/v1/rank", "/v1/rank", "/v1/rank", "/v2/rerank", "/v1/rerank", "/rerank")

_GOOD = (
    "1", "-1", "0", "-0.0", "1.5", "0.25", "-3e5", "1e-7", "2E+3", "null", "123456789.25",
    "0.30000000000000004", "1e5", "9007199254740993", "0.1234567890123456789",
    "1.0000000000000000000000001", "3.4e38", "1e-45", "1e-400",
)  # fmt: skip
_BAD = (
    "01", "+1", ".5", "5.", "1e", "NaN", "Infinity", "-", "--1", "1e400", "1e39", "-1e39", '"1"', "true",
    "[]", "{}", "", "nul", "nulll", "-null", "1 2", "0x1", "1e5.5", "1_0", "٣", "1e+", "00", "-01", "1.e3",
    "1e0005", "3.4028235677973366e38", "\x0b1", "1\x00", "0" * 70 + "1",
)  # fmt: skip
_STRINGS = (
    '"é"', '"\\u00e9"', '"a\\"b"', '"a\\\\b"', '"\\ud83d\\ude00"', '"\\ud800"', '"a\tb"', '"a\\nb"', '""',
    f'"{"x" * 512}"', f'"{"x" * 513}"', f'"{"é" * 512}"', '"a,b]"', '"]"', "5", "null", '"\x7f"', '"a',
    '"\\x"', '"\\u12"', '"a\\/b"', '"{\\"id\\": 3}"', '"{\\"features\\": [1, 2, 3]}"', '"known"',
)  # fmt: skip


class Sum:
    """score = the sum of the features, missing as 7."""

    kind, missing, per_list = "sum", "nan", False
    feature_names, feature_count = NAMES, len(NAMES)

    def score(self, features: Float32) -> Float32:
        with np.errstate(over="ignore", invalid="ignore"):
            scores: Float32 = np.nan_to_num(features, nan=7.0, posinf=np.inf, neginf=-np.inf).sum(axis=1)
        return scores


class Bodies:
    """Mutated bodies, one after the other."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def often(self, share: float) -> bool:
        return self.draw.random() < share

    def space(self) -> str:
        return self.draw.choice((" ", "\n", "\t", " \r\n ")) if self.often(0.08) else ""

    def number(self) -> str:
        return self.draw.choice(_BAD if self.often(0.01) else _GOOD)

    def string(self) -> str:
        return self.draw.choice(_STRINGS) if self.often(0.08) else f'"d{self.draw.randint(0, 30)}"'

    def members(self, members: Sequence[tuple[str, str]]) -> str:
        pieces = (f"{self.space()}{name}{self.space()}:{self.space()}{value}{self.space()}"
                  for name, value in members)  # fmt: skip
        return f"{{{','.join(pieces)}}}"

    def array(self, values: Sequence[str]) -> str:
        return f"[{','.join(f'{self.space()}{value}{self.space()}' for value in values)}]"

    def dense(self) -> str:
        width = len(NAMES) if not self.often(0.03) else self.draw.randint(0, 5)
        return self.array([self.number() for _ in range(width)])

    def named(self) -> str:
        names = list(NAMES) if self.often(0.8) else self.draw.sample(NAMES, self.draw.randint(0, 3))
        if self.often(0.02):
            names.append(self.draw.choice(("a", "zz", "a\\u0041", "\\u0061", 'q"')))
        return self.members([(f'"{name}"', self.number()) for name in names])

    def candidate(self, form: int, *, foreign: bool) -> str:
        features = (self.dense(), self.named(), "null")[form]
        if self.often(0.02):
            features = self.draw.choice(("null", '{"a":1}', "[[1,2,3]]", "[1,2,3", "1,2,3]", '"x"', "{}"))
        members = [('"features"', features)] if form < 2 or self.often(0.05) else []
        if not foreign or self.often(0.5):
            members.insert(0, ('"id"', self.string()))
        if foreign and self.often(0.5):
            members.insert(0, ('"text"', self.string()))
        if self.often(0.1):
            self.draw.shuffle(members)
        if self.often(0.03):
            members.append(self.draw.choice((
                ('"id"', '"z"'), ('"features"', "[1,2,3]"), ('"other"', "1"), ('"i\\u0064"', '"q"'),
                ('"text"', '"t"'),
            )))  # fmt: skip
        if self.often(0.03) and members:
            members.pop(self.draw.randrange(len(members)))
        return self.members(members)

    def candidates(self, *, foreign: bool) -> str:
        form = self.draw.choice((0, 0, 0, 1, 1, 2))
        count = self.draw.choice((0, 1, 2, 3, 4, 5)) if self.often(0.2) else 2
        forms = [form if not self.often(0.03) else self.draw.randint(0, 2) for _ in range(count)]
        rows = [self.candidate(form, foreign=foreign) for form in forms]
        if foreign and self.often(0.1):
            rows = [self.string() for _ in rows]
        return self.array(rows)

    def table(self) -> list[tuple[str, str]]:
        count = self.draw.choice((0, 1, 2, 3, 5)) if self.often(0.2) else 2
        names = self.draw.sample(NAMES, len(NAMES)) if self.often(0.3) else list(NAMES)
        if self.often(0.1):
            names[0] = self.draw.choice(("zz", "bm25", "a"))
        rows = [self.array([self.number() for _ in names]) for _ in range(count)]
        if self.often(0.03) and rows:
            rows[0] = self.draw.choice(("[1]", "null", "[]", '["a"]', "1"))
        ids = [self.string() for _ in range(count if not self.often(0.03) else 3)]
        return [
            ('"ids"', self.array(ids)),
            ('"columns"', self.array([f'"{name}"' for name in names])),
            ('"matrix"', self.array(rows)),
        ]

    def beside(self, *, foreign: bool) -> list[tuple[str, str]]:
        """What comes beside the candidates, now and then."""
        choices = {
            '"top_k"': ("1", "2", "null", "0", "1.5", '"2"'),
            '"model"': ('"m"', '"m"', '"m"', "null", "5", '"other"'),
            '"request_id"': ('"r"', '""', "null", '"ü"'),
            '"context"': ('{"a":1.5}', '{"a":[1]}', "null", '{"zz":1}', '{"a":1e39}', '{"a":1e999}', "{}"),
            '"query"': ('{"text":"x \\" [,]{"}', "null", '{"id":"candidates"}', '"plain ]"', '{"x":1}'),
            '"explain"': ("true", "false", "null", '{"top_features":2}', '{"top_features":0}'),
        }
        if foreign:
            choices |= {
                '"top_n"': ("1", "2", "null", "0", "-1"),
                '"return_documents"': ("true", "false", "null", "1"),
                '"raw_scores"': ("true", "false"), '"truncation"': ("true",), '"unknown"': ("1", "[1, 2]"),
            }  # fmt: skip
        found = [(name, self.draw.choice(values)) for name, values in choices.items() if self.often(0.12)]
        if self.often(0.04):
            found.append(self.draw.choice((
                ('"candidates"', "null"), ('"candidates"', "[]"), ('"ids"', "null"), ('"ids"', '["a"]'),
                ('"matrix"', "null"), ('"matrix"', "[[1]]"), ('"columns"', "null"), ('"zz"', "1"),
                ('"documents"', "[]"), ('"texts"', '["d1"]'), ('"c\\u0061ndidates"', "[]"),
            )))  # fmt: skip
        return found

    def body(self, path: str) -> bytes:
        foreign = path != "/v1/rank"
        beside = self.beside(foreign=foreign)
        if foreign:
            key = '"texts"' if path == "/rerank" and self.often(0.5) else '"documents"'
            members = [(key, self.candidates(foreign=True)), ('"query"', '"q"'), *beside]
        elif self.often(0.3):
            members = [*self.table(), *beside]
        else:
            members = [('"candidates"', self.candidates(foreign=False)), *beside]
        if self.often(0.02):
            members.append(members[0])
        if self.often(0.5):
            self.draw.shuffle(members)
        return self.damaged(f"{self.space()}{self.members(members)}{self.space()}")

    def damaged(self, text: str) -> bytes:
        if self.often(0.04):
            cut = self.draw.randint(0, len(text))
            text = self.draw.choice((
                text[:-1], f"{text}x", text[:cut], f"{text}\x00", text.replace(",", ",,", 1),
                text.replace(":", "", 1), f"[{text}]", text.replace("]", "", 1), f"{text}{text}",
            ))  # fmt: skip
        content = bytearray(text.encode("utf-8", "surrogatepass"))
        if content and self.often(0.01):
            content[self.draw.randrange(len(content))] = self.draw.randrange(256)
        return bytes(content)


@dataclass(frozen=True)
class Slowly:
    """A posted body whose fast way is switched off."""

    posted: Posted

    def quick(self) -> Request | None:
        return None

    def whole(self) -> Request:
        return self.posted.whole()


@dataclass
class Comparison:
    """Answers to bodies by both ways."""

    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.models = Models()
        self.models.replace({"m": Model("m", "1", Sum())})  # type: ignore[dict-item]  # saved nowhere
        self.names = ForeignNames(self.models, {}, None)
        self.settings = Settings(max_candidates=MOST)

    def alike(self, body: bytes, path: str, *, stored: bool) -> tuple[Any, Any] | None:
        """None, or what the fast and the generic way made of a body where they differ."""
        answering = Answering(self.models, self.settings, _lookup if stored else None)
        posted: Posted
        if path == "/v1/rank":
            posted = JsonBody(body, MOST)
        else:
            posted = ForeignBody(body, path, self.names, MOST, stored)
        fast, slow = self._told(answering, posted, path), self._told(answering, Slowly(posted), path)
        request = answering._quick(posted, Stopwatch(), None) if slow[0] == 200 else None
        self.counts[f"{path} answered"] += slow[0] == 200
        self.counts[f"{path} answered by the fast way"] += request is not None
        return None if fast == slow else (fast, slow)

    def _told(self, answering: Answering, posted: Posted, path: str) -> tuple[int, Any]:
        try:
            answer = answering.answer(posted, Stopwatch())
            if path == "/v1/rank":
                told = json.loads(answer.encoded())
            else:
                content, headers = answer_foreign(*answer.foreign())
                told = [json.loads(content), headers]
        except ApiError as error:
            return error.status, _timeless(
                (error if path == "/v1/rank" else foreign_error(error, path)).content()
            )
        batch = answer.batch
        numbers = [(batch.features + np.float32(0)).tobytes(), batch.missing.tolist(), batch.outside.tolist()]
        return 200, [_timeless(told), list(batch.ids), numbers]


def _lookup(ids: Sequence[str], model: Model) -> Float32:
    if "d3" in ids:
        raise ApiError(422, "unknown_id", "d3")
    return np.array([[len(name), np.nan, 1] for name in ids], np.float32)


def _timeless(told: Any) -> Any:
    """Without times and ids that are new with each answer."""
    if isinstance(told, list):
        return [_timeless(item) for item in told]
    if not isinstance(told, dict):
        return told
    kept = {name: _timeless(value) for name, value in told.items() if name not in ("timing_ms", "created")}
    for name in ("request_id", "id"):
        if len(str(kept.get(name, ""))) == 32:
            del kept[name]
    return kept


def compare(cases: int, seed: int) -> tuple[Counter[str], list[tuple[bytes, Any]]]:
    """(how many were answered, and by the fast way; the bodies that the two ways do not agree on)."""
    bodies, comparison, found = Bodies(seed), Comparison(), []
    for _ in range(cases):
        path, stored = bodies.draw.choice(PATHS), bodies.often(0.5)
        body = bodies.body(path)
        if (difference := comparison.alike(body, path, stored=stored)) is not None:
            found.append((body, difference))
    return comparison.counts, found


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--cases", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    started = time.perf_counter()
    counts, found = compare(chosen.cases, chosen.seed)
    for name, count in sorted(counts.items()):
        print(f"{name}: {count}")
    for body, (fast, slow) in found[:10]:
        print(f"\n{body!r}\n  fast    {fast}\n  generic {slow}")
    print(f"\n{chosen.cases} bodies, {len(found)} differ, {time.perf_counter() - started:.0f} s")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
