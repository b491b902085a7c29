"""What of a text is looked for."""

from __future__ import annotations

import pytest

from ranking.errors import UsageError
from ranking.retrieval.terms import terms


def test_words_are_lowered_stopped_and_stemmed() -> None:
    assert terms("The Runner is running, RUNS!", "english") == ["runner", "run", "run"]
    assert terms("vitamin C, size 9", "english") == ["vitamin", "c", "size", "9"]
    assert terms("Die Häuser", "german") == ["haus"]


def test_one_word_in_two_spellings_of_unicode_is_one_term() -> None:
    assert terms("cafe\u0301 ﬁnal", "english") == terms("caf\u00e9 final", "english")


def test_a_language_without_stop_words_is_stemmed_all_the_same() -> None:
    assert terms("talossa", "finnish") == ["talo"]


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown language 'englisch'; did you mean 'english'"):
        terms("word", "englisch")
