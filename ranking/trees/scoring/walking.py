"""Few rows: each walks through eight trees at once, from split to child split.

A row is turned into keys, not codes: one int32 for each feature under one rule for missing values, in the
order of the numbers; a missing value has the least of all, which goes left of every threshold, or the
greatest. A node is one word of 64 bits, so that a step is one load of the node and one of the key:

    next = node + distance + (key of the row > threshold of the node)

Siblings stand side by side, and a leaf is its own child: its distance is 0, its threshold the greatest
integer. Eight trees step together until none moves: while one waits for memory, the others go on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ranking.compiled.jit import compiled
from ranking.trees.forest import IN_SET_LEFT, NAN_IS_ZERO, ZERO_IS_MISSING
from ranking.trees.scoring.columns import Columns
from ranking.trees.scoring.kernels import encode_categories, key_of
from ranking.trees.scoring.layout import Layout

_GREATEST, _LEAST = np.int32(2**31 - 1), np.int32(-(2**31))
_TO_THE_LEFT = np.int32(-128)
"""The key of a row that a categorical split sends left, and the threshold of that split."""
_MOST = 1 << 16
"""Keys of a row, and nodes from one to its child: each has 16 bits of a node."""


class Walk(NamedTuple):
    """A forest to be walked."""

    feature: Any
    """int32 [keys]"""
    rule: Any
    """uint8 [keys]"""
    missing: Any
    """uint8 [keys]: 0 where a missing value goes left"""
    set_number: Any
    """int32 [keys]: of a categorical one"""
    set_starts: Any
    """int64 [sets + 1]"""
    set_words: Any
    """uint32: the sets' bits"""
    zero_up_to: Any
    """int: the largest magnitude, as bits, that is taken for 0; −1 for none"""
    root: Any
    """uint64: node of each tree's root, an index that cannot be negative; filled up to a
    multiple of 8 with the node behind all others, a leaf of −0: what is added to it stays what it is"""
    nodes: Any
    """int64 [nodes]: distance to the left child << 48 | number of the key << 32 | threshold"""
    value: Any
    """[nodes]: the leaves' values"""


def lay_walk(columns: Columns, layout: Layout) -> Walk | None:
    """The forest of these columns and nodes; None where a word of 64 bits is too small for a node."""
    by_feature = np.stack([columns.feature, columns.rule.astype(np.int32), columns.missing.astype(np.int32)])
    starts = np.ones(len(columns.feature), np.bool_)
    starts[1:] = (by_feature[:, 1:] != by_feature[:, :-1]).any(axis=0)
    starts |= columns.rule >= IN_SET_LEFT
    nodes = _packed(
        layout.nodes, np.cumsum(starts) - 1, columns.rule >= IN_SET_LEFT, columns.key_starts, columns.keys
    )
    if starts.sum() > _MOST or not len(nodes):
        return None
    roots = np.pad(layout.root, (0, -len(layout.root) % 8), constant_values=len(layout.nodes))
    return Walk(
        columns.feature[starts], columns.rule[starts], columns.missing[starts], columns.count[starts],
        columns.set_starts, columns.set_words, columns.zero_up_to,
        roots.astype(np.uint64), nodes, np.append(layout.node_value, layout.node_value.dtype.type(-0.0)),
    )  # fmt: skip


@compiled
def _packed(
    nodes: Any, key_of_column: Any, is_set: Any, key_starts: Any, keys: Any
) -> Any:  # pragma: no cover - compiled
    """The words of `Walk.nodes`, one more than there are nodes; none where a child is too far away."""
    words = np.full(len(nodes) + 1, np.int64(_GREATEST))
    for node in range(len(nodes)):
        distance = np.int64(nodes[node, 1]) - node
        if distance >= _MOST:
            return words[:0]
        if distance == 0:
            continue
        column, place = np.int64(nodes[node, 0]) >> 8, np.int64(nodes[node, 0]) & 255
        threshold = _TO_THE_LEFT if is_set[column] else keys[key_starts[column] + place]
        low = np.int64(threshold) & 0xFFFFFFFF
        words[node] = (distance << 48) | (np.int64(key_of_column[column]) << 32) | low
    return words


def _step_code(typingctx: Any, nodes: Any, node: Any, keys: Any, first: Any) -> Any:
    """(the node that a row goes to from `node`, the distance of its left child: 0 at a leaf).

    The row's keys begin at `first`: a slice of them would count a reference for every tree.
    """
    signature = types.UniTuple(types.uint64, 2)(nodes, types.uint64, keys, types.int64)  # type: ignore[no-untyped-call]

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, half = ir.IntType(64), ir.IntType(32)
        node_data, key_data = (
            context.make_array(signature.args[i])(context, builder, arguments[i]).data for i in (0, 2)
        )
        packed = builder.load(builder.gep(node_data, [arguments[1]]))
        number = builder.and_(builder.lshr(packed, ir.Constant(word, 32)), ir.Constant(word, _MOST - 1))
        key = builder.load(builder.gep(key_data, [builder.add(arguments[3], number)]))
        right = builder.icmp_signed(">", key, builder.trunc(packed, half))
        distance = builder.lshr(packed, ir.Constant(word, 48))
        child = builder.add(builder.add(arguments[1], distance), builder.zext(right, word))
        return context.make_tuple(builder, signature.return_type, [child, distance])

    return signature, build


_step: Any = intrinsic(_step_code)


@compiled
def _keys_of_row(
    feature: Any, rule: Any, missing: Any, set_number: Any, set_starts: Any, set_words: Any, zero_up_to: Any,
    rows: Any, row: int, nan_is_zero: bool, keys: Any, first: int,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """The keys of one of int32 rows: float32 bits; they begin at `first`."""
    for k in range(len(feature)):
        if rule[k] >= IN_SET_LEFT:
            words = set_words[set_starts[set_number[k]] : set_starts[set_number[k] + 1]]
            encode_categories(
                rows[row : row + 1, feature[k]], words, rule[k] == IN_SET_LEFT, missing[k], nan_is_zero,
                keys[first + k : first + k + 1],
            )  # fmt: skip
        else:
            key, is_missing = key_of(
                rows[row, feature[k]], zero_up_to, rule[k] == ZERO_IS_MISSING,
                nan_is_zero or rule[k] == NAN_IS_ZERO,
            )  # fmt: skip
            keys[first + k] = (_LEAST if missing[k] == 0 else _GREATEST) if is_missing else key


@compiled
def walk_rows(
    feature: Any, rule: Any, missing: Any, set_number: Any, set_starts: Any, set_words: Any, zero_up_to: Any,
    root: Any, nodes: Any, value: Any, rows: Any, nan_is_zero: bool, base: float, scores: Any,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """The scores, float [rows], of int32 rows [rows, features]: `base`, and all trees of a Walk in order.

    The Walk is given part by part: that takes half the time of a tuple, which for one row is felt.
    """
    width = len(feature)
    keys = np.empty(len(rows) * width, np.int32)
    scores[:] = base
    for row in range(len(rows)):
        _keys_of_row(
            feature, rule, missing, set_number, set_starts, set_words, zero_up_to, rows, row, nan_is_zero,
            keys, row * width,
        )  # fmt: skip
    for tree in range(0, len(root), 8):
        # All rows through the same trees: their nodes stay in the nearest cache.
        for row in range(len(rows)):
            mine = row * width
            a, b, c, d = root[tree], root[tree + 1], root[tree + 2], root[tree + 3]
            e, f, g, h = root[tree + 4], root[tree + 5], root[tree + 6], root[tree + 7]
            moved = np.uint64(1)
            while moved != 0:
                a, to_a = _step(nodes, a, keys, mine)
                b, to_b = _step(nodes, b, keys, mine)
                c, to_c = _step(nodes, c, keys, mine)
                d, to_d = _step(nodes, d, keys, mine)
                e, to_e = _step(nodes, e, keys, mine)
                f, to_f = _step(nodes, f, keys, mine)
                g, to_g = _step(nodes, g, keys, mine)
                h, to_h = _step(nodes, h, keys, mine)
                moved = to_a | to_b | to_c | to_d | to_e | to_f | to_g | to_h
            # One after the other, in a dtype of their own: sums of pairs would round differently.
            score = scores[row]
            score += value[a]
            score += value[b]
            score += value[c]
            score += value[d]
            score += value[e]
            score += value[f]
            score += value[g]
            score += value[h]
            scores[row] = score
