"""Cells of a search space: one choice of every kind each, with the bounds of the numbers in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Cells:
    """The cells of ``n`` settings.

    Attributes:
        choices: index of each choice, ``n x categorical``; -1 where the parameter does not exist.
        lows, highs: bounds of the numbers, ``n x numeric``; both 0 for absent components.
        exists: whether a number exists, likewise.
    """

    choices: npt.NDArray[np.int64]
    lows: Array
    highs: Array
    exists: Mask

    def __len__(self) -> int:
        return len(self.choices)

    def take(self, rows: Any) -> Cells:
        """Some of them, in any order and number."""
        return Cells(self.choices[rows], self.lows[rows], self.highs[rows], self.exists[rows])

    @staticmethod
    def of(parts: Sequence[Cells]) -> Cells:
        """Several, one after the other."""
        return Cells(
            np.concatenate([item.choices for item in parts]),
            np.concatenate([item.lows for item in parts]),
            np.concatenate([item.highs for item in parts]),
            np.concatenate([item.exists for item in parts]),
        )


def levels_of(item: Any) -> Array | None:
    """Values of a number that has steps, None where it has none."""
    return None if item.count() is None else np.array(item.values())


def nearest(levels: Array, numbers: Array, is_log: bool) -> Array:
    """The nearest of rising levels, by ratio where they are logarithmic."""
    if is_log:
        middles = np.sqrt(levels[1:] * levels[:-1])
    else:
        middles = 0.5 * (levels[1:] + levels[:-1])
    return np.asarray(levels[np.searchsorted(middles, numbers)])


def columns_of(parts: Sequence[Any], count: int, kind: Any = np.int64) -> Any:
    """Columns side by side, ``count x 0`` of none."""
    return np.stack(parts, axis=1) if parts else np.zeros((count, 0), dtype=kind)


def replaced(cells: Cells, rows: npt.NDArray[np.int64], new: Cells) -> Cells:
    order = np.arange(len(cells))
    order[rows] = len(cells) + np.arange(len(rows))
    return Cells.of([cells, new]).take(order)


def support_of(highs: Array, table: Sequence[tuple[Array, Array]]) -> int:
    """Which way of a table has these upper bounds."""
    return int(np.argmin([np.abs(highs - own).sum() for _, own in table]))


def best_support(shares: Array, table: Sequence[tuple[Array, Array]]) -> npt.NDArray[np.int64]:
    """The way in which components are present that leaves least of given shares out."""
    outside = [
        (np.maximum(shares - high, 0) + np.maximum(low - shares, 0)).sum(axis=1)
        for low, high in table
    ]
    return np.asarray(np.argmin(outside, axis=0), dtype=np.int64)
