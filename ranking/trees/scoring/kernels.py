"""The compiled evaluation of a forest: codes, then the leaf each row ends in, then the sum of their values.

Two ways to the same leaves:

blocks    128 rows at a time against bit vectors (QuickScorer: Lucchese et al. 2015; RapidScorer: Ye et al.
          2018). A tree's leaves are numbered so that at each split those of the smaller child come first. A
          row that goes to the other child cannot end in any of them: their bits are cleared. What is left has
          the exit leaf as its lowest bit, whatever the order of the splits, so that there is no branch on the
          data. For each 8 leaves of a tree one vector holds a byte of such bits a row.
walk      from split to child split, four rows at once to hide the latency. For trees of more than 256 leaves;
          few rows are walked otherwise (`walking`).

Vectors are written as LLVM instructions on <32 x i8> and <64 x i8>: as many of AVX-512, AVX2, SSE2 or NEON as
they take. Values are
summed in the order of the trees, in their own dtype: the boosters' own sums, bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ranking.compiled.jit import compiled
from ranking.trees.forest import IN_SET_LEFT, NAN_IS_ZERO, ZERO_IS_MISSING
from ranking.trees.scoring.columns import PIVOTS

BLOCK = 128
"""Rows evaluated at once."""

_INFINITE = 0x7F800000


def _count_below_code(typingctx: Any, keys: Any, start: Any, key: Any) -> Any:
    """How many of the 16 int32 from keys[start] are below key."""
    signature = types.int64(keys, types.int64, types.int32)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, at, wanted = arguments
        row = ir.VectorType(ir.IntType(32), PIVOTS)
        data = context.make_array(signature.args[0])(context, builder, array).data
        source = builder.bitcast(builder.gep(data, [at]), row.as_pointer())
        below = builder.icmp_signed("<", builder.load(source, align=4), _splat(builder, wanted, PIVOTS))
        bits = builder.bitcast(below, ir.IntType(PIVOTS))
        return builder.zext(builder.ctpop(bits), ir.IntType(64))

    return signature, build


_count_below: Any = intrinsic(_count_below_code)


def _splat(builder: Any, value: Any, count: int) -> Any:
    """The value in every lane."""
    vector = ir.VectorType(value.type, count)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), lanes)


def _exit_leaves_code(
    typingctx: Any,
    entries: Any,
    begin: Any,
    end: Any,
    codes: Any,
    first: Any,
    leaves: Any,
    vectors: Any,
    width: Any,
) -> Any:
    """Run one group's entries over a block, and put the exit leaf of the rows that end in it into `leaves`.

    `codes` int8 [columns × BLOCK]; `first` is the number of the group's first leaf; `leaves` uint8 [BLOCK].
    The rows are the first `vectors` times `width` of the block, both literal.

    Codes are signed: AVX2 and SSE2 have no unsigned comparison of bytes.
    """
    if not all(isinstance(one, types.IntegerLiteral) for one in (vectors, width)):
        return None
    count, lanes = vectors.literal_value, width.literal_value
    signature = types.void(entries, types.int64, types.int64, codes, types.int64, leaves, vectors, width)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, word = ir.IntType(8), ir.IntType(64)
        rows = ir.VectorType(byte, lanes)
        ones = ir.Constant(rows, [255] * lanes)
        entry_data, code_data, leaf_data = (
            context.make_array(kind)(context, builder, value).data
            for kind, value in zip(signature.args, arguments, strict=True)
            if isinstance(kind, types.Array)
        )
        _, begins, ends, _, first_leaf, *_ = arguments

        def vector(data: Any, at: Any) -> Any:
            return builder.bitcast(builder.gep(data, [at]), rows.as_pointer())

        alive = [cgutils.alloca_once(builder, rows) for _ in range(count)]  # type: ignore[no-untyped-call]
        for one in alive:
            builder.store(ones, one)
        with cgutils.for_range_slice(builder, begins, ends, ir.Constant(word, 1)) as (at, _):
            entry = builder.load(builder.gep(entry_data, [at]))
            column = builder.zext(builder.lshr(entry, ir.Constant(entry.type, 16)), word)
            bound = builder.trunc(builder.lshr(entry, ir.Constant(entry.type, 8)), byte)
            bounds = _splat(builder, bound, lanes)
            clears = _splat(builder, builder.trunc(entry, byte), lanes)
            start = builder.mul(column, ir.Constant(word, BLOCK))
            for i, one in enumerate(alive):
                part = vector(code_data, builder.add(start, ir.Constant(word, i * lanes)))
                code = builder.load(part, align=1)
                below = builder.sext(builder.icmp_signed(">", bounds, code), rows)
                kept = builder.not_(builder.and_(below, clears))
                builder.store(builder.and_(builder.load(one), kept), one)
        trailing_zeros = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module, ir.FunctionType(rows, [rows, ir.IntType(1)]), f"llvm.cttz.v{lanes}i8"
        )
        for i, one in enumerate(alive):
            target = vector(leaf_data, ir.Constant(word, i * lanes))
            bits = builder.load(one)
            lowest = builder.call(trailing_zeros, [bits, ir.Constant(ir.IntType(1), 0)])
            leaf = builder.add(lowest, _splat(builder, builder.trunc(first_leaf, byte), lanes))
            here = builder.icmp_unsigned("!=", bits, ir.Constant(rows, [0] * lanes))
            builder.store(builder.select(here, leaf, builder.load(target, align=1)), target, align=1)
        return context.get_dummy_value()

    return signature, build


_exit_leaves: Any = intrinsic(prefer_literal=True)(_exit_leaves_code)


@compiled(inline="always")
def _exit_leaves_of_group(
    rows: int, entries: Any, begin: int, end: int, codes: Any, first: int, leaves: Any
) -> None:  # pragma: no cover - compiled
    """The same for a block's first rows: no vector without any, and two wide ones for a full block."""
    if rows <= 32:
        _exit_leaves(entries, begin, end, codes, first, leaves, 1, 32)
    elif rows <= 64:
        _exit_leaves(entries, begin, end, codes, first, leaves, 2, 32)
    elif rows <= 96:
        _exit_leaves(entries, begin, end, codes, first, leaves, 3, 32)
    else:
        _exit_leaves(entries, begin, end, codes, first, leaves, 2, 64)


@compiled
def _encode(
    columns: Any, rows: Any, first: int, count: int, nan_is_zero: bool, codes: Any
) -> None:  # pragma: no cover
    """The codes of rows [first, first + count) of int32 rows: float32 bits; then −1 less each."""
    # Arrays are taken out of the tuple once: each access of a tuple's array counts a reference, atomically.
    feature, rule, missing, size, pivots, key_starts, keys, set_starts, set_words, zero_up_to = columns
    for c in range(len(feature)):
        part = codes[c * BLOCK : c * BLOCK + count]
        values = rows[first : first + count, feature[c]]
        if rule[c] >= IN_SET_LEFT:
            words = set_words[set_starts[size[c]] : set_starts[size[c] + 1]]
            encode_categories(values, words, rule[c] == IN_SET_LEFT, missing[c], nan_is_zero, part)
        else:
            _encode_numbers(
                values, pivots, c * PIVOTS, keys, key_starts[c], size[c] > PIVOTS, missing[c], zero_up_to,
                rule[c] == ZERO_IS_MISSING,
                nan_is_zero or rule[c] == NAN_IS_ZERO, part,
            )  # fmt: skip
        other = codes[(len(feature) + c) * BLOCK : (len(feature) + c) * BLOCK + count]
        for r in range(count):
            other[r] = -1 - part[r]


@compiled(inline="always")
def key_of(
    bits: Any, zero_up_to: int, zero_is_missing: bool, nan_is_zero: bool
) -> Any:  # pragma: no cover - compiled
    """(the integer, int32, in the order of float32 values, is it missing?) of a float32's bits.

    A magnitude, as bits, of no more than `zero_up_to` is 0.
    """
    magnitude = bits & np.int32(0x7FFFFFFF)
    is_nan = magnitude > _INFINITE
    is_zero = (magnitude <= zero_up_to) | (nan_is_zero & is_nan)
    is_missing = (zero_is_missing & is_zero) | (is_nan & (not nan_is_zero))
    # Chosen, not branched on: zeros come and go without a pattern.
    kept = np.int32(0) if is_zero else bits
    return np.int32(kept ^ ((kept >> np.int32(31)) & np.int32(0x7FFFFFFF))), is_missing


@compiled(inline="always")
def _encode_numbers(
    values: Any, pivots: Any, pivots_at: int, keys: Any, keys_at: int, many: bool, missing: int,
    zero_up_to: int, zero_is_missing: bool, nan_is_zero: bool, codes: Any,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Keys below each value, less 128; a magnitude, as bits, of no more than `zero_up_to` is 0."""
    instead = np.int64(missing) - 128
    for r in range(len(values)):
        key, is_missing = key_of(values[r], zero_up_to, zero_is_missing, nan_is_zero)
        part = np.int64(0)
        if many:
            part = _count_below(pivots, pivots_at, key) * PIVOTS
        code = part + _count_below(keys, keys_at + part, key) - 128
        codes[r] = instead if is_missing else code


@compiled
def encode_categories(
    values: Any, words: Any, left_set: bool, missing: int, nan_is_zero: bool, codes: Any
) -> None:  # pragma: no cover - compiled
    """−128 for the left, 127 for the right; LightGBM takes −0.9 for category 0, XGBoost for none."""
    for r in range(len(values)):
        value = np.int32(values[r]).view(np.float32)
        if np.isnan(value):
            if not nan_is_zero:
                codes[r] = np.int64(missing) - 128
                continue
            value = np.float32(0)
        found = False
        if (value > -1 if left_set else value >= 0) and value < 32 * len(words):
            category = np.int64(value)
            found = (words[category >> 5] >> np.uint32(category & 31)) & 1 == 1
        codes[r] = -128 if found == left_set else 127


@compiled
def _add_leaves(values: Any, leaves: Any, scores: Any) -> None:  # pragma: no cover - compiled
    """Add each row's leaf of one tree."""
    for r in range(len(scores)):
        scores[r] += values[leaves[r]]


@compiled
def _next(nodes: Any, node: int, codes: Any, row: int) -> Any:  # pragma: no cover - compiled
    """The child a row goes to; a leaf is its own."""
    test = nodes[node, 0]
    code = np.int32(codes[(test >> 8) * BLOCK + row]) + 128
    return nodes[node, 1] + np.int32(code > (test & 255))


@compiled
def _leaves_of_four(
    nodes: Any, codes: Any, a: Any, row_a: int, b: Any, row_b: int, c: Any, row_c: int, d: Any, row_d: int
) -> Any:  # pragma: no cover - compiled
    """The leaves that four rows come to from four nodes: while one waits for memory, others go on."""
    a, b, c, d = np.int32(a), np.int32(b), np.int32(c), np.int32(d)
    moved = np.int32(1)
    while moved != 0:
        next_a, next_b = _next(nodes, a, codes, row_a), _next(nodes, b, codes, row_b)
        next_c, next_d = _next(nodes, c, codes, row_c), _next(nodes, d, codes, row_d)
        moved = (a ^ next_a) | (b ^ next_b) | (c ^ next_c) | (d ^ next_d)
        a, b, c, d = next_a, next_b, next_c, next_d
    return a, b, c, d


@compiled
def _walk_rows(
    root: int, nodes: Any, node_value: Any, codes: Any, scores: Any
) -> None:  # pragma: no cover - compiled
    """Add one tree to the score of each row of a block."""
    last = len(scores) - 1
    for row in range(0, len(scores), 4):
        b, c, d = min(row + 1, last), min(row + 2, last), min(row + 3, last)
        leaves = _leaves_of_four(nodes, codes, root, row, root, b, root, c, root, d)
        for i in range(min(4, len(scores) - row)):
            scores[row + i] += node_value[leaves[i]]


@compiled
def encode_rows(columns: Any, rows: Any, nan_is_zero: bool) -> Any:  # pragma: no cover - compiled
    """The codes of int32 rows, less 128: int8 [blocks, 2 columns + 1, BLOCK]; the last column is scratch."""
    blocks = (len(rows) + BLOCK - 1) // BLOCK
    size = (2 * len(columns.feature) + 1) * BLOCK
    raw = np.empty(blocks * size + BLOCK, np.uint8)
    # A vector that crosses a line of the cache takes two accesses.
    shift = -raw.ctypes.data % BLOCK
    codes = raw[shift : shift + blocks * size].view(np.int8).reshape(blocks, size // BLOCK, BLOCK)
    for block in range(blocks):
        first = block * BLOCK
        _encode(columns, rows, first, min(BLOCK, len(rows) - first), nan_is_zero, codes[block].reshape(-1))
    return codes


@compiled
def add_scores(
    columns: Any, layout: Any, rows: Any, nan_is_zero: bool, scores: Any
) -> None:  # pragma: no cover - compiled
    """Add all trees to the scores, float [rows], of int32 rows [rows, features]: float32 bits."""
    codes = encode_rows(columns, rows[:0], nan_is_zero)
    for first in range(0, len(rows), BLOCK):
        part = rows[first : first + BLOCK]
        if first == 0:
            codes = encode_rows(columns, part, nan_is_zero)
        else:
            _encode(columns, part, 0, len(part), nan_is_zero, codes.reshape(-1))
        add_trees(layout, codes, 0, len(layout.root), scores[first : first + BLOCK])


@compiled
def add_trees(
    layout: Any, codes: Any, begin: int, end: int, scores: Any
) -> None:  # pragma: no cover - compiled
    """Add trees [begin, end) to the scores, float [rows], of rows that `encode_rows` encoded."""
    first_group, group_starts, entries, first_leaf, leaf_value, root, nodes, node_value = layout
    for block in range(len(codes)):
        leaves = codes[block, -1].view(np.uint8)
        flat = codes[block].reshape(-1)
        part = scores[block * BLOCK : (block + 1) * BLOCK]
        for tree in range(begin, end):
            low, high = first_group[tree], first_group[tree + 1]
            if low == high:
                _walk_rows(root[tree], nodes, node_value, flat, part)
                continue
            for group in range(high - 1, low - 1, -1):
                _exit_leaves_of_group(
                    len(part), entries, group_starts[group], group_starts[group + 1], flat, (group - low) * 8,
                    leaves,
                )  # fmt: skip
            _add_leaves(leaf_value[first_leaf[tree] : first_leaf[tree + 1]], leaves, part)
