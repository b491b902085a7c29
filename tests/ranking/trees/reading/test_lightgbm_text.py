"""The compiled reader reads what the plain one reads, as that one does, or leaves it to it."""

import random
import re
from collections import Counter
from dataclasses import fields
from typing import Any

import lightgbm
import numpy as np
import pytest

from ranking.errors import ArtifactError
from ranking.trees.forest import Forest
from ranking.trees.reading import lightgbm as plain
from ranking.trees.reading.lightgbm_text import forest_in, unusual_bytes
from tests.ranking.models.small import NAMES, damaged, lightgbm_model, model_of
from tests.ranking.trees.reading.written_lightgbm import WRITTEN


def compiled_alone(model: bytes, width: int = len(NAMES)) -> Forest | None:
    """What the compiled reader makes of the trees in this text; None where it leaves them."""
    head, _, body = model.partition(b"\n\n")
    sizes = re.search(rb"(?m)^tree_sizes=([\d ]+)$", head)
    if sizes is None:
        return None
    average = b"\naverage_output" in head
    return forest_in(body, np.array([int(n) for n in sizes[1].split()], np.int64), width, average=average)


def plainly(monkeypatch: pytest.MonkeyPatch, model: bytes, width: int = len(NAMES)) -> Forest | str:
    """What the plain reader says of the whole text: the forest, or what is wrong."""
    with monkeypatch.context() as patch:
        patch.setattr(plain, "forest_in", lambda *_, **__: None)
        try:
            return plain.read_lightgbm(model, width)
        except ArtifactError as error:
            return str(error)


def together(model: bytes, width: int = len(NAMES)) -> Forest | str:
    """What the reader that is used says."""
    try:
        return plain.read_lightgbm(model, width)
    except ArtifactError as error:
        return str(error)


def assert_equal(found: Forest | str | None, expected: Forest | str) -> None:
    """To the bit, types of numbers too."""
    if isinstance(expected, str) or not isinstance(found, Forest):
        assert found == expected
        return
    for field in fields(Forest):
        one, other = (getattr(forest, field.name) for forest in (found, expected))
        if isinstance(other, np.ndarray):
            assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes()), field
        elif field.name == "sets":
            assert [list(each) for each in one] == [list(each) for each in other]
        else:
            assert one == other, field.name


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 16, 21])
def test_bytes_that_are_no_plain_text_are_found_wherever_they_stand(length: int) -> None:
    assert not unusual_bytes((b"az \n~!0_" * 3)[:length])
    for place in range(length):
        for byte in range(256):
            text = bytearray(b"\n" * length)
            text[place] = byte
            assert unusual_bytes(bytes(text)) == (byte >= 127 or (byte < 32 and byte != 10))


UNUSUAL = {"constant", "categorical"}


@pytest.mark.parametrize("name", [*WRITTEN, "plain", "no missing values"])
def test_what_lightgbm_writes_is_read_alike(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Constant trees and categorical splits are left to the plain reader, all else is not."""
    others: dict[str, dict[str, Any]] = {"plain": {}, "no missing values": {"use_missing": False}}
    model = lightgbm_model(**(WRITTEN | others)[name])
    expected = plainly(monkeypatch, model)
    assert isinstance(expected, Forest)
    assert_equal(together(model), expected)
    if name in UNUSUAL:
        assert compiled_alone(model) is None
    else:
        assert_equal(compiled_alone(model), expected)


@pytest.mark.parametrize("missing", ["none", "nan", "zero", "ignored"])
def test_larger_models_are_read_alike(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without missing values; features of any size."""
    draw = np.random.default_rng(3)
    features = draw.normal(size=(3000, 20)) * 10.0 ** draw.integers(-30, 30, 20)
    if missing != "none":
        features[draw.random(features.shape) < 0.3] = np.nan
        features[:, 0] = np.where(draw.random(3000) < 0.5, np.nan, 1.0)
    settings = {
        "objective": "regression", "num_leaves": 40, "min_data_in_leaf": 2, "verbose": -1, "num_threads": 1,
        "zero_as_missing": missing == "zero", "use_missing": missing != "ignored",
    }  # fmt: skip
    target = np.isnan(features[:, 0]) * 2.0 + np.nan_to_num(features[:, 1]) / 1e30 + draw.normal(size=3000)
    model = lightgbm.train(settings, lightgbm.Dataset(features, target), 30).model_to_string().encode()
    expected = plainly(monkeypatch, model, 20)
    assert isinstance(expected, Forest)
    assert_equal(compiled_alone(model, 20), expected)
    assert_equal(together(model, 20), expected)


def _resized(model: bytes) -> bytes:
    """`tree_sizes` made to agree with the trees, so that a damage is not found by their sizes alone."""
    head, blank, body = model.partition(b"\n\n")
    trees = re.split(rb"(?=^Tree=|^end of trees)", body, flags=re.M)
    sizes = b" ".join(b"%d" % len(tree) for tree in trees if tree.startswith(b"Tree="))
    return re.sub(rb"(?m)^tree_sizes=.*$", b"tree_sizes=" + sizes, head) + blank + body


def test_a_damaged_text_is_read_alike_or_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 2,000 damages: the words of an error, too, are the plain reader's."""
    seen = Counter[str]()
    for seed in range(2000):
        model = damaged(model_of("lightgbm"), seed)
        if seed % 2:
            model = _resized(model)
        expected = plainly(monkeypatch, model)
        assert_equal(together(model), expected)
        found = compiled_alone(model)
        if found is not None and isinstance(expected, Forest):
            assert_equal(found, expected)
        seen["refused" if isinstance(expected, str) else "left" if found is None else "read"] += 1
    assert min(seen["refused"], seen["read"]) > 100


WORDS = [
    "inf", "-inf", "nan", "1e999", "1e-999", "-0", "0", "+1", ".5", "5.", "1e5", "1E+05", "1e-310", "00012",
    "1 2", " 1", "1 ", "-", "--1", "1-1", "1e", "1e+", "1.2.3", "0x1", "1_0", "99999999999999999999",
    "999999999999999999", "9223372036854775807", "12345678901234567890.5", "4503599627370497.5", "-1", "3",
    "0.30000000000000004", "1e22", "1e23", "123456789012345678e-30", "1.7976931348623157e+308", "14", "16",
    "3.4028235677973366e+38", "0.1e1000", "0e500", "", "e5", "4",
]  # fmt: skip


@pytest.mark.parametrize(
    "key",
    [
        "Tree", "num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type",
        "left_child", "right_child", "leaf_value", "leaf_weight", "leaf_count", "internal_value",
        "internal_weight", "internal_count", "is_linear", "shrinkage",
    ],
)  # fmt: skip
def test_any_word_in_any_place_is_read_alike_or_left(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """First, last and in the middle of each line."""
    text = model_of("lightgbm").decode()
    draw = random.Random(key)
    for word in WORDS:
        for place in (0, -1, draw.randrange(1, 5)):
            line = re.search(rf"(?m)^{key}=(.*)$", text)
            assert line is not None
            words = line[1].split(" ")
            words[min(place, len(words) - 1)] = word
            model = _resized((text[: line.start(1)] + " ".join(words) + text[line.end(1) :]).encode())
            expected = plainly(monkeypatch, model)
            assert_equal(together(model), expected)
            if (found := compiled_alone(model)) is not None:
                assert_equal(found, expected)


def test_nodes_in_another_order_are_left_to_the_plain_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree is one in any order, but LightGBM numbers a split after its parent."""
    model = _swapped(model_of("lightgbm"))
    assert isinstance(plainly(monkeypatch, model), Forest)
    assert compiled_alone(model) is None
    assert_equal(together(model), plainly(monkeypatch, model))


def _swapped(model: bytes) -> bytes:
    """Splits 1 and 2 of the first tree under each other's numbers, the second made the first's child."""
    chain = {b"left_child": b"2 -1 1 -3 -4 -5", b"right_child": b"-2 3 -6 4 5 -7"}
    for key, value in chain.items():
        model = re.sub(rb"(?m)^%s=.*$" % key, b"%s=%s" % (key, value), model, count=1)
    return _resized(model)


def test_a_tree_as_deep_as_allowed_is_read_and_a_deeper_one_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for splits, sound in ((2047, True), (2048, False)):
        model = _chain(splits)
        expected = plainly(monkeypatch, model)
        assert isinstance(expected, Forest) == sound
        assert (compiled_alone(model) is not None) == sound
        assert_equal(together(model), expected)


def _chain(splits: int) -> bytes:
    """A tree each of whose splits has a leaf to the left, and to the right the next split."""
    right = [*range(1, splits), -splits - 1]
    lines = {
        "Tree": [0], "num_leaves": [splits + 1], "num_cat": [0], "split_feature": [0] * splits,
        "split_gain": [1] * splits, "threshold": range(splits), "decision_type": [2] * splits,
        "left_child": range(-1, -splits - 1, -1), "right_child": right,
        **dict.fromkeys(("leaf_value", "leaf_weight", "leaf_count"), [1] * (splits + 1)),
        **dict.fromkeys(("internal_value", "internal_weight", "internal_count"), [1] * splits),
        "is_linear": [0], "shrinkage": [1],
    }  # fmt: skip
    tree = "".join(f"{key}={' '.join(map(str, values))}\n" for key, values in lines.items()) + "\n\n"
    head, _, _ = model_of("lightgbm").partition(b"\n\n")
    tail = model_of("lightgbm").partition(b"end of trees")[2]
    return _resized(head + b"\n\n" + tree.encode() + b"end of trees" + tail)
