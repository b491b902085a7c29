"""LightGBM model text, format v4: a header, one block of `key=value` lines a tree, and a tail."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

import numpy as np

from ranking.errors import ArtifactError
from ranking.trees.forest import IN_SET_LEFT, Array, Forest, Tree, joined, not_above
from ranking.trees.nodes import in_range, reachable
from ranking.trees.reading.lightgbm_text import forest_in, unusual_bytes

_HEADER = (
    "version",
    "num_class",
    "num_tree_per_iteration",
    "label_index",
    "max_feature_idx",
    "objective",
    "average_output",
    "feature_names",
    "monotone_constraints",
    "feature_infos",
    "tree_sizes",
)
_HEADER_OPTIONAL = {"objective", "average_output", "monotone_constraints"}
_TREE = (
    "Tree",
    "num_leaves",
    "num_cat",
    "split_feature",
    "split_gain",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "leaf_value",
    "leaf_weight",
    "leaf_count",
    "internal_value",
    "internal_weight",
    "internal_count",
    "cat_boundaries",
    "cat_threshold",
    "is_linear",
    "shrinkage",
)
_TREE_OPTIONAL = {"cat_boundaries", "cat_threshold"}
_PER_SPLIT = {
    "split_feature": int,
    "split_gain": float,
    "threshold": float,
    "decision_type": int,
    "left_child": int,
    "right_child": int,
    "internal_count": int,
}
_PER_LEAF = {"leaf_value": float, "leaf_count": int}
_UNREAD = ("internal_value", "internal_weight", "leaf_weight")
"""Numbers that no score depends on: counted, not read, which is half the time."""
_CATEGORICAL, _DEFAULT_LEFT, _MISSING_BITS = 1, 2, 3 << 2


_LARGEST = np.iinfo(np.int64).max
_LONGEST_INTEGER = 19
"""Digits of the largest."""


def read_lightgbm(model: bytes, feature_count: int) -> Forest:
    """The trees of LightGBM model text (format v4); refuses what LightGBM 4 would not have written."""
    if unusual_bytes(model):
        _check_bytes(model)
    end = model.find(b"\n\n")
    head, blank, trees_begin = (model[:end], True, end + 2) if end >= 0 else (model, False, len(model))
    lines = head.split(b"\n")
    if lines[0] != b"tree" or not blank:
        raise ArtifactError("not a LightGBM model: it must begin with a line `tree` and a header")
    header = _fields(lines[1:], _HEADER, _HEADER_OPTIONAL, "header")
    _check_header(header, feature_count)
    sizes, average = _numbers(header, "tree_sizes", int, "header"), "average_output" in header
    # A view: the trees of a large model take as long to copy as to look over.
    found = forest_in(memoryview(model)[trees_begin:], sizes, feature_count, average=average)
    if found is not None:
        _check_tail(model[trees_begin + int(sizes.sum()) :])
        return found
    at, trees, body = 0, [], model[trees_begin:]
    for number, size in enumerate(sizes.tolist()):
        block = body[at : at + max(size, 0)]
        where = f"Tree={number}"
        if len(block) != size or not block.startswith(b"Tree=%d\n" % number) or not block.endswith(b"\n\n\n"):
            raise ArtifactError(f"{where}: no tree of {size} bytes, as tree_sizes says")
        fields = _fields(block[:-3].split(b"\n"), _TREE, _TREE_OPTIONAL, where)
        trees.append(_tree(fields, feature_count, where))
        at += size
    _check_tail(body[at:])
    return joined(trees, feature_count, rounds=len(trees), tiny_is_zero=True, average=average)


def _check_bytes(model: bytes) -> None:
    """Refuse what is not UTF-8, or holds a control character that is no end of a line."""
    try:
        model.decode()
    except UnicodeDecodeError as error:
        raise ArtifactError(f"byte {error.start} is not UTF-8") from error
    # LightGBM reads a C string: a NUL ends it early, in the middle of whatever it was reading.
    if (found := re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", model)) is not None:
        raise ArtifactError(f"byte {found.start()} is a control character")


def _fields(lines: Sequence[bytes], order: Sequence[str], optional: set[str], where: str) -> dict[str, bytes]:
    """The `key=value` lines, which must be the known keys in their order."""
    fields: dict[str, bytes] = {}
    for line in lines:
        key, _, value = line.partition(b"=")
        name = key.decode()
        if name in fields:
            raise ArtifactError(f"{where}: key {name!r} appears twice")
        fields[name] = value
    if fields.get("is_linear", b"0") != b"0":
        raise ArtifactError(f"{where}: linear trees are not supported: train with linear_tree=false")
    expected = [name for name in order if name in fields or name not in optional]
    for name, wanted in zip(fields, expected, strict=False):
        if name != wanted:
            raise ArtifactError(f"{where}: key {wanted!r} expected, got {name[:40]!r}")
    if len(fields) != len(expected):
        odd = expected[len(fields) :] or list(fields)[len(expected) :]
        raise ArtifactError(
            f"{where}: key {odd[0][:40]!r} is {'missing' if len(fields) < len(expected) else 'unknown'}"
        )
    return fields


def _numbers(fields: Mapping[str, bytes], name: str, kind: type, where: str) -> Array:
    """The numbers of a line, int64 or float64; of the words nan and inf only a threshold may be inf.

    LightGBM writes that for a split of the missing values from all others.
    """
    text = fields[name]
    plain = re.sub(rb"(?<![^ ])inf(?![^ ])", b"0", text) if name == "threshold" else text
    _check_characters(plain, kind, f"{where}: {name}")
    try:
        if kind is int:
            values = _integers(text)
        else:
            values = np.array([float(part) for part in text.split(b" ")] if text else [], np.float64)
    except ValueError as error:
        raise ArtifactError(f"{where}: {name} is not a list of finite numbers: {text[:40]!r}") from error
    if kind is float and plain is text and not np.isfinite(values).all():
        raise ArtifactError(f"{where}: {name} holds a number too large for a double")
    return values


def _check_characters(text: bytes, kind: type, what: str) -> None:
    signs = b"-0123456789" if kind is int else b"-+.eE0123456789"
    if text.translate(None, signs + b" ") or b"  " in text or text != text.strip():
        raise ArtifactError(f"{what} is not a list of finite numbers: {text[:40]!r}")


def _integers(text: bytes) -> Array:
    """NumPy reads integers ten times faster than Python does, and takes too large ones for the largest."""
    if b"-" in text and re.search(rb"-(?![0-9])|[0-9]-", text):
        raise ValueError
    values = np.fromstring(text, np.int64, sep=" ") if text else np.empty(0, np.int64)
    if len(text) >= _LONGEST_INTEGER and (np.abs(values) == _LARGEST).any():
        raise ValueError
    return values


def _check_header(header: Mapping[str, bytes], feature_count: int) -> None:
    for name, wanted in (
        ("version", b"v4"),
        ("num_class", b"1"),
        ("num_tree_per_iteration", b"1"),
        ("label_index", b"0"),
        ("max_feature_idx", b"%d" % (feature_count - 1)),
    ):
        if header[name] != wanted:
            raise ArtifactError(f"header: {name}={wanted.decode()} expected, got {header[name][:40]!r}")
    for name in ("feature_names", "feature_infos", "monotone_constraints"):
        if name in header and len(header[name].split(b" ")) != feature_count:
            got = len(header[name].split(b" "))
            raise ArtifactError(f"header: {name} must have {feature_count} entries, got {got}")
    if "monotone_constraints" in header:
        in_range(
            _numbers(header, "monotone_constraints", int, "header") + 1, 3, "header: monotone_constraints + 1"
        )
    if not header["tree_sizes"]:
        raise ArtifactError("header: the model has no trees")


def _tree(fields: Mapping[str, bytes], feature_count: int, where: str) -> Tree:
    shape = {name: _numbers(fields, name, int, where) for name in ("num_leaves", "num_cat")}
    shape["shrinkage"] = _numbers(fields, "shrinkage", float, where)
    for name, values in shape.items():
        if len(values) != 1:
            raise ArtifactError(f"{where}: {name} must be one number")
    leaves, categoricals = int(shape["num_leaves"][0]), int(shape["num_cat"][0])
    splits = leaves - 1
    if leaves < 1 or categoricals < 0:
        raise ArtifactError(f"{where}: num_leaves={leaves}, num_cat={categoricals}")
    columns = {name: _numbers(fields, name, kind, where) for name, kind in (_PER_SPLIT | _PER_LEAF).items()}
    counts = {name: len(column) for name, column in columns.items()}
    for name in _UNREAD:
        _check_characters(fields[name], float, f"{where}: {name}")
        counts[name] = fields[name].count(b" ") + 1 if fields[name] else 0
    for name, count in counts.items():
        expected = leaves if name.startswith("leaf") else splits
        # A tree that is one constant has its value, and statistics or none.
        bare = leaves == 1 and name in ("leaf_weight", "leaf_count") and count == 0
        if count != expected and not bare:
            raise ArtifactError(f"{where}: {name} must have {expected} entries, got {count}")
    _check_splits(columns, leaves, feature_count, where)
    sets = _category_sets(fields, columns, categoricals, where)
    decision = columns["decision_type"]
    categorical = (decision & _CATEGORICAL) != 0
    return Tree(
        feature=columns["split_feature"],
        threshold=not_above(columns["threshold"]),
        rule=np.where(categorical, IN_SET_LEFT, (decision & _MISSING_BITS) >> 2),
        default_left=(decision & _DEFAULT_LEFT) != 0,
        left=columns["left_child"],
        right=columns["right_child"],
        sets=sets,
        value=columns["leaf_value"],
        split_cover=columns["internal_count"],
        leaf_cover=columns["leaf_count"] if splits else np.ones(1),
        gain=columns["split_gain"],
    )


def _check_splits(columns: Mapping[str, Array], leaves: int, feature_count: int, where: str) -> None:
    splits = leaves - 1
    in_range(columns["split_feature"], feature_count, f"{where}: split_feature")
    in_range(columns["decision_type"], 16, f"{where}: decision_type")
    if ((columns["decision_type"] & _MISSING_BITS) == _MISSING_BITS).any():
        raise ArtifactError(f"{where}: decision_type has an unknown kind of missing value")
    # A child c >= 0 is split c, a child c < 0 is leaf -c - 1; here leaves are numbered after the splits.
    children = {}
    for name in ("left_child", "right_child"):
        child = columns[name]
        if ((child >= splits) | (child < -leaves)).any():
            raise ArtifactError(f"{where}: {name} points outside the {splits} splits and {leaves} leaves")
        children[name] = np.where(child >= 0, child, splits - child - 1)
    leaf = np.arange(splits + leaves) >= splits
    if not reachable(children["left_child"], children["right_child"], leaf, where).all():
        raise ArtifactError(f"{where}: a node is never reached")


def _category_sets(
    fields: Mapping[str, bytes], columns: Mapping[str, Array], count: int, where: str
) -> list[Array]:
    """The categories that go left at each categorical split.

    A categorical split's threshold numbers a slice of `cat_threshold`, a bit set of 32-bit words."""
    categorical = (columns["decision_type"] & _CATEGORICAL) != 0
    if (count > 0) != (
        "cat_boundaries" in fields and "cat_threshold" in fields
    ) or categorical.sum() != count:
        raise ArtifactError(f"{where}: num_cat={count} does not agree with the categorical splits")
    if count == 0:
        return []
    slots = columns["threshold"][categorical]
    if not np.array_equal(np.sort(slots), np.arange(count)):
        raise ArtifactError(f"{where}: threshold of the categorical splits must number them 0..{count - 1}")
    bounds = _numbers(fields, "cat_boundaries", int, where)
    words = _numbers(fields, "cat_threshold", int, where)
    if len(bounds) != count + 1 or bounds[0] != 0 or (np.diff(bounds) <= 0).any() or bounds[-1] != len(words):
        raise ArtifactError(
            f"{where}: cat_boundaries must rise from 0 to the {len(words)} words of cat_threshold"
        )
    in_range(words, 1 << 32, f"{where}: cat_threshold")
    bits = np.unpackbits(words.astype("<u4").view(np.uint8), bitorder="little")
    return [np.flatnonzero(bits[32 * a : 32 * b]) for a, b in itertools.pairwise(bounds)]


def _check_tail(tail: bytes) -> None:
    """After the trees: importances, the training parameters and the categories of a data frame (none)."""
    pattern = (
        rb"end of trees\n\nfeature_importances:\n(?:[^\n=]+=\d+\n)*"
        rb"(?:\nparameters:\n((?:\[[a-z0-9_]+:[^\n]*\]\n)*)\nend of parameters\n)?"
        rb"(?:\npandas_categorical:(?:null|\[\])\n?)?"
    )
    found = re.fullmatch(pattern, tail)
    if found is None:
        raise ArtifactError("after the last tree: expected importances, parameters and the end of the model")
    names = [line.partition(b":")[0] for line in (found.group(1) or b"").splitlines()]
    if len(set(names)) != len(names):
        raise ArtifactError("parameters: a key appears twice")
