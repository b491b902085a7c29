"""Tokenizers by their bytes: ids by words are the tokenizer's own."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest

from ranking.errors import ArtifactError, MissingExtraError
from ranking.retrieval.encoders.tokens import Tokens, special_ids, tokenizer_of
from tests.ranking.retrieval.encoders.small import sentencepiece, wordpiece

PIECES = [
    "a",
    "sea",
    "ab",
    "bad",
    " ",
    "  ",
    "▁",
    "\n",
    "é",
    "漢",
    "<s>",
    "<s",
    "s>",
    "😀",
    "\t",
    "1",
    "<0x41>",
]


def tokens(told: dict[str, Any]) -> Tokens:
    return Tokens(json.dumps(told).encode(), "tokenizer.json")


def own(given: Tokens, text: str) -> list[int]:
    return given.tokenizer.encode(text, add_special_tokens=False).ids


def texts(count: int = 400) -> list[str]:
    rng = np.random.default_rng(0)
    return ["".join(rng.choice(PIECES, size=rng.integers(0, 12))) for _ in range(count)]


def test_ids_by_words_are_those_of_the_whole_text() -> None:
    given = tokens(sentencepiece())
    assert given._alone is not None
    for text in texts():
        assert given.ids([text]) == [own(given, text)]
    assert given.ids(texts()) == [own(given, text) for text in texts()]
    assert own(given, "sea") == [given.tokenizer.token_to_id("▁sea")]  # the merges are at work
    assert given._words  # so is the memory


@pytest.mark.parametrize("merge", ["a ▁", "▁a ▁"])
def test_a_token_beyond_the_end_of_a_word_forbids_words_alone(merge: str) -> None:
    given = tokens(sentencepiece(merge))
    assert given._alone is None
    assert given.ids(["a a", "sea a b"]) == [own(given, "a a"), own(given, "sea a b")]


def test_other_tokenizers_are_asked_themselves() -> None:
    given = tokens(wordpiece())
    assert given._alone is None
    assert given.ids(["Seaside, red", "", "the sea " * 9]) == [
        own(given, "Seaside, red"),
        [],
        [given.tokenizer.token_to_id(word) for word in ("the", "sea")] * 9,  # its truncation is not in force
    ]


def test_what_stands_for_no_text() -> None:
    assert special_ids(tokens(wordpiece()).tokenizer) == {0, 1, 2, 3}
    assert special_ids(tokens(sentencepiece()).tokenizer) == {0, 1, 2}


def test_something_else_than_a_tokenizer() -> None:
    with pytest.raises(ArtifactError, match=r"x\.json: expected a tokenizer\.json"):
        tokenizer_of(b'{"version": 1}', "x.json")
    with pytest.raises(ArtifactError, match=r"x\.json: expected a tokenizer\.json"):
        tokenizer_of(b"\xff", "x.json")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rankwright\[retrieval\]'"):
        tokens(wordpiece())
