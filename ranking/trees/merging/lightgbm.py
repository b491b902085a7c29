"""LightGBM model text of trees from one text or several.

Header and tail are those that LightGBM would write of these trees: the sizes and numbers of the trees, the
ranges of the features, how often each is split on. What it knows of the training (objective, constraints,
parameters) is kept where all the models agree. A number that is scaled is written so that it is read back to
the bit, and as a plain one: LightGBM aborts the process at `np.float64(0.5)`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ranking.errors import UsageError
from ranking.trees.merging.part import Part

_SCALED = (b"leaf_value", b"internal_value", b"shrinkage")
_WHERE_ALL_AGREE = (b"objective", b"monotone_constraints")
_AVERAGE = b"average_output"


@dataclass(frozen=True)
class _Text:
    """A model's text in pieces: header lines by key, trees without their first line, lines of the tail."""

    header: dict[bytes, bytes]
    trees: list[bytes]
    parameters: list[bytes] | None
    categories: bytes
    """the line about the categories of a data frame, which has none"""


def summed(parts: Sequence[Part]) -> bytes:
    """The text of the model of all these trees; of several averages, the sum of them.

    Raises UsageError where models give their features other names or kinds, or a leaf would be infinite.
    """
    texts = [_text(part.model) for part in parts]
    first = texts[0]
    names = {text.header[b"feature_names"] for text in texts}
    if len(names) > 1:
        raise UsageError("the models' texts name their features differently: train both on the same columns")
    trees = [
        _scaled(text.trees[number], _factor(part, alone=len(parts) == 1))
        for text, part in zip(texts, parts, strict=True)
        for number in part.trees
    ]
    blocks = [b"Tree=%d\n%s" % (number, tree) for number, tree in enumerate(trees)]
    header = {
        key: line
        for key, line in first.header.items()
        if key not in _WHERE_ALL_AGREE or all(text.header.get(key) == line for text in texts)
    }
    if len(parts) > 1:
        header.pop(_AVERAGE, None)
    header[b"feature_infos"] = b"feature_infos=" + _feature_infos(texts)
    header[b"tree_sizes"] = b"tree_sizes=" + b" ".join(b"%d" % len(block) for block in blocks)
    return b"".join(
        [b"tree\n", b"\n".join(header.values()), b"\n\n", *blocks, _tail(texts, _importances(parts, first))]
    )


def _text(model: bytes) -> _Text:
    """The pieces of a text that `read_lightgbm` found sound."""
    head, _, body = model.partition(b"\n\n")
    header = {line.partition(b"=")[0]: line for line in head.split(b"\n")[1:]}
    trees, at = [], 0
    for size in map(int, header[b"tree_sizes"].partition(b"=")[2].split()):
        trees.append(body[at : at + size].partition(b"\n")[2])
        at += size
    tail = body[at:]
    parameters = re.search(rb"\nparameters:\n(.*?)\nend of parameters\n", tail, re.DOTALL)
    categories = re.search(rb"\npandas_categorical:[^\n]*\n?$", tail)
    return _Text(
        header,
        trees,
        None if parameters is None else parameters[1].splitlines(),
        b"" if categories is None else categories[0],
    )


def _factor(part: Part, *, alone: bool) -> float:
    """What each leaf is taken times: a sum has no mean in it, so that each tree of one takes its share."""
    return part.scale / len(part.trees) if part.forest.average and not alone else part.scale


def _scaled(tree: bytes, factor: float) -> bytes:
    """The tree's lines with its values times the factor, as LightGBM's own `Tree::Shrinkage` does it."""
    if factor == 1.0:
        return tree
    lines = tree.split(b"\n")
    for at, line in enumerate(lines):
        key, _, text = line.partition(b"=")
        if key in _SCALED and text:
            values = [float(part) * factor for part in text.split(b" ")]
            if not np.isfinite(values).all():
                raise UsageError(f"a leaf times {factor} is too large for a number: choose a smaller scale")
            lines[at] = key + b"=" + b" ".join(repr(value).encode() for value in values)
    return b"\n".join(lines)


def _feature_infos(texts: Sequence[_Text]) -> bytes:
    """Of each feature the range, or the categories, that any of the models has seen."""
    told = [text.header[b"feature_infos"].partition(b"=")[2].split(b" ") for text in texts]
    names = texts[0].header[b"feature_names"].partition(b"=")[2].split(b" ")
    return b" ".join(_info(name, infos) for name, *infos in zip(names, *told, strict=True))


def _info(name: bytes, infos: Sequence[bytes]) -> bytes:
    """`[least:most]`, categories `3:1:2`, or `none` of a feature that no model could split on."""
    known = list(dict.fromkeys(info for info in infos if info != b"none"))
    if len(known) < 2:
        return known[0] if known else b"none"
    if len({info.startswith(b"[") for info in known}) > 1:
        raise UsageError(f"feature {name.decode()} holds categories in one model and numbers in another")
    if not known[0].startswith(b"["):
        return b":".join(dict.fromkeys(part for info in known for part in info.split(b":")))
    bounds = [info[1:-1].split(b":") for info in known]
    return b"[%s:%s]" % (min((b[0] for b in bounds), key=float), max((b[1] for b in bounds), key=float))


def _importances(parts: Sequence[Part], text: _Text) -> list[bytes]:
    """How many splits of these trees gain by each feature, most first: `name=count`."""
    counts = np.zeros(parts[0].forest.feature_count, np.int64)
    for forest, numbers in ((part.forest, part.trees) for part in parts):
        for number in numbers:
            splits = slice(forest.first_split[number], forest.first_split[number + 1])
            np.add.at(counts, forest.feature[splits][forest.gain[splits] > 0], 1)
    names = text.header[b"feature_names"].partition(b"=")[2].split(b" ")
    return [b"%s=%d" % (names[i], counts[i]) for i in np.argsort(-counts, kind="stable") if counts[i]]


def _tail(texts: Sequence[_Text], importances: Sequence[bytes]) -> bytes:
    lines = b"".join(line + b"\n" for line in importances)
    told = [text.parameters for text in texts]
    kept = b""
    if told[0] is not None:
        common = [line for line in told[0] if all(other is not None and line in other for other in told)]
        kept = b"\nparameters:\n" + b"".join(line + b"\n" for line in common) + b"\nend of parameters\n"
    return b"end of trees\n\nfeature_importances:\n" + lines + kept + texts[0].categories
