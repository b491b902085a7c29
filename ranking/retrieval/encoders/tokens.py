"""A `tokenizer.json` opened by its bytes, with a memory of words where it takes a text as one word."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from ranking.errors import ArtifactError, MissingExtraError

_SPACE = "▁"
_KEPT_WORDS = 1 << 18


def tokenizer_of(content: bytes, place: str) -> Any:
    """The `tokenizers.Tokenizer` in the bytes of a `tokenizer.json`, without truncation and padding.

    Raises MissingExtraError without the package, ArtifactError naming `place` for other content.
    """
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"the tokenizer of {place}", "retrieval") from error
    try:
        found = Tokenizer.from_str(content.decode("utf-8"))
    except Exception as error:  # the package raises Exception itself
        raise ArtifactError(f"{place}: expected a tokenizer.json, got something else: {error}") from error
    found.no_truncation()
    found.no_padding()
    return found


def encodable(text: str) -> str:
    """The text with half characters (lone surrogates, which JSON may hold) replaced: tokenizers need it."""
    return text.encode("utf-8", "replace").decode("utf-8")


def special_ids(tokenizer: Any) -> frozenset[int]:
    """Ids that stand for no text: of padding, of what is unknown, of ends."""
    added = tokenizer.get_added_tokens_decoder()
    unknown = getattr(tokenizer.model, "unk_token", None)
    ids = {number for number, token in added.items() if token.special}
    return frozenset(ids if unknown is None else {*ids, tokenizer.token_to_id(unknown)})


class Tokens:
    """Ids of texts, without special tokens around them, equal to the tokenizer's own.

    Tokenizers converted from SentencePiece (Llama's) have no pre-tokenizer: a text is one word, whose merges
    cost far more than those of its words. Where no token of the vocabulary goes on beyond the end of a word,
    words are tokenized alone and remembered: the same ids, several times as fast.
    """

    def __init__(self, content: bytes, place: str) -> None:
        self.tokenizer = tokenizer_of(content, place)
        self._words: dict[str, list[int]] = {}
        self._alone = self._of_words_alone(content, place)
        self._added = [token.content for token in self.tokenizer.get_added_tokens_decoder().values()]

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text."""
        texts = [encodable(text) for text in texts]
        if self._alone is not None and not any(added in text for text in texts for added in self._added):
            return [self._ids_by_words(text) for text in texts]
        return [one.ids for one in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def _of_words_alone(self, content: bytes, place: str) -> Any:
        """The tokenizer of normalized words, where words may be tokenized alone; else None."""
        told = json.loads(content)
        normalizer = [
            {"type": "Prepend", "prepend": _SPACE},
            {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE},
        ]
        model = told["model"]
        fits = (
            told.get("pre_tokenizer") is None
            and told.get("normalizer") == {"type": "Sequence", "normalizers": normalizer}
            and model["type"] == "BPE"
            and model.get("byte_fallback") is True
            and not model.get("dropout")
            and all(f"<0x{byte:02X}>" in model["vocab"] for byte in range(256))
            and not any(re.search(f"[^{_SPACE}]{_SPACE}", token) for token in model["vocab"])
            and not any(one["normalized"] or _SPACE in one["content"] for one in told["added_tokens"])
        )
        if not fits:
            return None
        return tokenizer_of(json.dumps({**told, "normalizer": None}).encode(), place)

    def _ids_by_words(self, text: str) -> list[int]:
        if not text:
            return []
        found: list[int] = []
        known = self._words
        for word in re.findall(f"{_SPACE}+[^{_SPACE}]*", _SPACE + text.replace(" ", _SPACE)):
            ids = known.get(word)
            if ids is None:
                ids = self._alone.encode(word, add_special_tokens=False).ids
                if len(known) < _KEPT_WORDS:
                    known[word] = ids
            found += ids
        return found
