"""Choosing several from a table looks at few candidates again and finds the same ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.planning.optimise import Bounds, Candidates


class Covering:
    """Worth of a set: what it covers; of one more: what that one adds, which only ever falls."""

    def __init__(self, rows: np.ndarray[Any, Any]) -> None:
        self.rows = rows
        self.covered = np.zeros(rows.shape[1], dtype=bool)
        self.looked_at = 0

    def of_many(self, points: torch.Tensor) -> torch.Tensor:
        chosen = points[:, 0].numpy().astype(int)
        self.looked_at += len(chosen)
        return torch.as_tensor((self.rows[chosen] & ~self.covered).sum(axis=1), dtype=torch.float64)


@settings(deadline=None)
@given(seed=st.integers(0, 2**16), count=st.integers(40, 120), wanted=st.integers(2, 8))
def test_lazy_choice_is_worth_as_much_as_one_that_looks_at_everything(
    seed: int, count: int, wanted: int
) -> None:
    rows = np.random.default_rng(seed).random((count, 60)) < 0.15
    candidates: Any = Candidates((), np.arange(count, dtype=np.float64)[:, None])
    lazy, bounds, free = Covering(rows), Bounds(count), list(range(count))
    for _ in range(wanted):
        eager = (rows[free] & ~lazy.covered).sum(axis=1).max()
        top, value = bounds.best(lazy, candidates, free)  # type: ignore[arg-type]
        assert value == eager
        lazy.covered |= rows[top]
        free.remove(top)
    assert lazy.looked_at <= wanted * count
