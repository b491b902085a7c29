"""The feature matrix while its size is not yet known.

It grows in place (the allocator remaps large blocks), so that reading never holds a second copy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ranking.compiled.jit import compiled
from ranking.data.arrays import Float32

_FIRST_ROWS = 1024


class GrowingMatrix:
    """Rows of `stride` floats in one flat array.

    `settle` is called before the array moves: it must wait for everybody who writes to it.
    With a fixed `width` the stride never changes; otherwise it follows the largest id seen.
    """

    def __init__(self, width: int | None, fill: float, settle: Callable[[], None]) -> None:
        self._fixed, self._fill, self._settle = width is not None, fill, settle
        self.stride = width or 0
        self.rows, self._capacity = 0, 0
        self.flat: Float32 = np.empty(0, np.float32)

    def reserve(self, rows: int, top: int, fraction: float | None) -> int:
        """Makes room for `rows` more with ids up to `top`; returns the first of them.

        `fraction` is the share of all input these rows complete, if known: the rest is sized by it.
        """
        if not self._fixed and top > self.stride:
            self._widen(top)
        first, self.rows = self.rows, self.rows + rows
        if self.rows > self._capacity:
            expected = self.rows / fraction * 1.01 if fraction else 0.0
            # The first chunks may mislead (short rows first), so that an estimate is only trusted eightfold.
            self._capacity = int(max(min(expected, 8 * self.rows), 1.15 * self.rows, _FIRST_ROWS))
            self._resize(self._capacity * self.stride)
        return first

    def finish(self, width: int) -> Float32:
        """The matrix [rows, width]."""
        if width < self.stride:
            _restride_down(self.flat, self.rows, self.stride, width)
        elif width > self.stride:
            self._resize(self.rows * width)
            _restride_up(self.flat, self.rows, self.stride, width, self._fill)
        self._resize(self.rows * width)
        return self.flat.reshape(self.rows, width)

    def _widen(self, top: int) -> None:
        # Sparse data may raise its largest id chunk after chunk: an eighth more each time keeps moves few.
        stride = top if self.stride == 0 else max(top, self.stride + self.stride // 8)
        self._resize(self._capacity * stride)
        _restride_up(self.flat, self.rows, self.stride, stride, self._fill)
        self.stride = stride

    def _resize(self, size: int) -> None:
        self._settle()
        # refcheck=False: kernels may still hold the array object, but settle() saw them finish.
        self.flat.resize(size, refcheck=False)


@compiled
def _restride_up(flat: Float32, rows: int, old: int, new: int, fill: float) -> None:
    for row in range(rows - 1, -1, -1):
        for column in range(new - 1, old - 1, -1):
            flat[row * new + column] = fill
        for column in range(old - 1, -1, -1):
            flat[row * new + column] = flat[row * old + column]


@compiled
def _restride_down(flat: Float32, rows: int, old: int, new: int) -> None:
    for row in range(rows):
        for column in range(new):
            flat[row * new + column] = flat[row * old + column]
