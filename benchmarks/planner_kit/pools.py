"""Pools of recorded recipes: what can be asked for, what it gives, and which are worth finding."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

TOP_SHARE = 0.05
"""Share of a pool that is worth finding."""

MARKS = ("first", "half", "80 %")
"""How far a run has to come, as `marks` counts it."""

_FILES = {
    "P3HT": ("P3HT_dataset.csv", 1.0),
    "AgNP": ("AgNP_dataset.csv", -1.0),
    "Crossed barrel": ("Crossed_barrel_dataset.csv", 1.0),
}


@dataclass(frozen=True)
class Pool:
    """Unique recipes and their mean results.

    Attributes:
        name: of the campaign.
        names: of the inputs, d of them.
        inputs: ``n x d``, in their own units.
        values: n objectives in their own unit.
        sign: +1 where large values are wanted, -1 where small ones are.
    """

    name: str
    names: tuple[str, ...]
    inputs: Array
    values: Array
    sign: float

    @property
    def size(self) -> int:
        """How many recipes there are."""
        return len(self.values)

    @property
    def top(self) -> frozenset[int]:
        """Rows of the top 5 %, rounded up."""
        count = math.ceil(TOP_SHARE * self.size)
        order = np.argsort(-self.sign * self.values, kind="stable")
        return frozenset(int(row) for row in order[:count])


def load_pools(folder: Path) -> list[Pool]:
    """The campaigns of a folder, replicates averaged."""
    return [_load(name, folder / file, sign) for name, (file, sign) in _FILES.items()]


def _load(name: str, path: Path, sign: float) -> Pool:
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    table = np.array(rows[1:], dtype=np.float64)
    inputs, group = np.unique(table[:, :-1], axis=0, return_inverse=True)
    group = group.ravel()
    values = np.bincount(group, weights=table[:, -1]) / np.bincount(group)
    return Pool(name, tuple(rows[0][:-1]), inputs, values, sign)


def marks(found_at: list[int], top: int) -> tuple[int | None, int | None, int | None]:
    """Experiments until the first, half and 80 % of the top recipes; None where not reached."""
    needed = (1, math.ceil(0.5 * top), math.ceil(0.8 * top))
    first, half, most = (found_at[n - 1] if len(found_at) >= n else None for n in needed)
    return first, half, most
