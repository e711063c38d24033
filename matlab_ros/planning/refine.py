"""From good points to better ones: gradients in the box of numbers, and moves between cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from torch import Tensor

from matlab_ros.planning.cells import Array, Cells, Mask
from matlab_ros.planning.deadline import Deadline
from matlab_ros.planning.region import ABSENT, Region

MAX_STEPS = 40
"""Of L-BFGS-B."""

STRICTNESS = 1e3
"""Price of a violation squared, in the acquisition's units; what is left is then mended exactly."""

LOCAL_SEARCH = ((0.2, 2), (0.05, 3), (0.01, 3))
"""Distance and rounds of a search without gradient."""

LOCAL_TRIES = 16
"""Points around each in a round."""


class Valued(Protocol):
    """The worth of points, with a gradient where it has one."""

    def __call__(self, points: Tensor) -> Tensor:
        """``n x width`` -> ``n``."""
        ...

    def of_many(self, points: Tensor) -> Tensor:
        """The same without gradients."""
        ...


class TorchOperations:
    """`matlab_ros.planning.constraints.Operations` of PyTorch."""

    def maximum(self, left: Tensor, right: Tensor) -> Tensor:
        """See `Operations`."""
        return torch.maximum(left, right)

    def minimum(self, left: Tensor, right: Tensor) -> Tensor:
        """See `Operations`."""
        return torch.minimum(left, right)

    def where(self, mask: npt.NDArray[np.bool_], yes: Tensor, no: Tensor) -> Tensor:
        """See `Operations`."""
        return torch.where(torch.as_tensor(mask), yes, no)

    def constant(self, values: Array) -> Tensor:
        """See `Operations`."""
        return torch.as_tensor(values, dtype=torch.float64)

    def exp(self, values: Tensor) -> Tensor:
        """See `Operations`."""
        return values.exp()

    def stack(self, columns: Sequence[Tensor]) -> Tensor:
        """See `Operations`."""
        return torch.stack(list(columns), dim=-1)

    def finite(self, values: Tensor) -> npt.NDArray[np.bool_]:
        """See `Operations`."""
        found: npt.NDArray[np.bool_] = torch.isfinite(values.detach()).numpy()
        return found


_TORCH = TorchOperations()


class Refiner:
    """Makes points better.

    Args:
        region: of the space.
        acquisition: to be made large.
        deadline: when to stop with what there is.
        rng: of a search without gradient.
    """

    def __init__(
        self, region: Region, acquisition: Valued, deadline: Deadline, rng: np.random.Generator
    ) -> None:
        self._region = region
        self._acquisition = acquisition
        self._deadline = deadline
        self._rng = rng

    def features(self, points: Tensor, cells: Cells, choices: Tensor) -> Tensor:
        """Features of points of the box, ``n x width``, differentiable.

        Args:
            points: ``n x numeric``.
            cells: of the settings.
            choices: features of the choices.
        """
        return torch.cat([self._units(self._decoded(points, cells), points, cells), choices], -1)

    def _decoded(self, points: Tensor, cells: Cells) -> list[Tensor]:
        return self._region.decode(points, cells, _TORCH)

    def _units(self, numbers: list[Tensor], points: Tensor, cells: Cells) -> Tensor:
        """Unit coordinates: those of shares from the shares, the others are the points."""
        region = self._region
        columns = []
        for index, number in enumerate(numbers):
            if index in region.in_mixture:
                low, high = float(region.lows[index]), float(region.highs[index])
                columns.append((number - low) / (high - low))
            else:
                columns.append(points[:, index])
        units = torch.stack(columns, dim=-1) if columns else points
        if cells.exists.all():
            return units
        return torch.where(torch.as_tensor(cells.exists), units, torch.full_like(units, ABSENT))

    def from_starts(
        self, numbers: Array, cells: Cells, free: Mask | None = None
    ) -> tuple[Array, Mask]:
        """Better numbers in the same cells, rounded, and which of them obey every constraint.

        Args:
            numbers: ``n x numeric``.
            cells: of the settings.
            free: numbers that may change; None: all of them.
        """
        region = self._region
        points = region.encode(numbers, cells)
        if not region.count or not len(cells):
            return numbers, np.ones(len(cells), dtype=bool)
        ends = self._climbed(points, cells, free)
        found, good = region.brought_in(ends, cells, free)
        if region.is_stepped.any() and not region.is_stepped.all() and not self._deadline.is_over:
            # The numbers without steps suit the rounded ones better when they follow them.
            loose = np.tile(~region.is_stepped, (len(cells), 1))
            if free is not None:
                loose &= free
            ends = self._climbed(region.encode(found, cells), cells, loose)
            again, is_in = region.brought_in(ends, cells, loose)
            found = np.where(is_in[:, None], again, found)
            good |= is_in
        return found, good

    def _climbed(self, points: Array, cells: Cells, free: Mask | None) -> Array:
        choices = torch.as_tensor(self._region.category_features(cells))
        probe = torch.as_tensor(points).requires_grad_(True)
        with torch.enable_grad():
            has_gradient = self._acquisition(self.features(probe, cells, choices)).requires_grad
        if not has_gradient:
            return self._searched(points, cells, free)
        movable = cells.exists if free is None else cells.exists & free
        fixed = torch.as_tensor(points)
        mask = torch.as_tensor(movable)
        best = points.copy()
        worth = np.full(len(points), -np.inf)

        def loss(flat: Array) -> tuple[float, Array]:
            given = torch.as_tensor(flat.reshape(points.shape)).requires_grad_(True)
            inside = torch.where(mask, given, fixed)
            numbers = self._decoded(inside, cells)
            units = self._units(numbers, inside, cells)
            values = self._acquisition(torch.cat([units, choices], -1))
            for over in self._region.violations(numbers, cells, _TORCH):
                values = values - STRICTNESS * over.square()
            # The starts do not touch each other, so the sum's optimum is that of every one.
            (gradient,) = torch.autograd.grad(-values.sum(), given)
            each = values.detach().numpy()
            better = each > worth
            worth[better] = each[better]
            best[better] = flat.reshape(points.shape)[better]
            if not (np.isfinite(each).all() and bool(torch.isfinite(gradient).all())):
                return float("inf"), np.zeros(flat.shape)
            return -float(each.sum()), gradient.numpy().ravel().astype(np.float64)

        def stop(_: Array) -> None:
            if self._deadline.is_over:
                raise StopIteration

        bounds = [
            (0.0, 1.0) if can_move else (float(value), float(value))
            for value, can_move in zip(points.ravel(), movable.ravel(), strict=True)
        ]
        minimize(
            loss,
            points.ravel(),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            callback=stop,
            options={"maxiter": MAX_STEPS},
        )
        return np.clip(np.where(movable, best, points), 0.0, 1.0)

    def _searched(self, points: Array, cells: Cells, free: Mask | None) -> Array:
        """A random search around points, for what has no gradient (a forest)."""
        region, count = self._region, len(points)
        movable = cells.exists if free is None else cells.exists & free
        rows = np.repeat(np.arange(count), LOCAL_TRIES)
        best, some = points.copy(), cells.take(rows)
        worth = self._worth(best, cells)
        for spread, rounds in LOCAL_SEARCH:
            for _ in range(rounds):
                if self._deadline.is_over:
                    return best
                change = spread * self._rng.standard_normal((len(rows), region.count))
                # A few coordinates at a time: landscapes of trees change along axes.
                change *= self._rng.random(change.shape) < 0.5
                tried = np.clip(best[rows] + np.where(movable[rows], change, 0.0), 0.0, 1.0)
                values = self._worth(tried, some).reshape(count, LOCAL_TRIES)
                top = values.argmax(axis=1)
                better = values.max(axis=1) > worth
                worth = np.where(better, values.max(axis=1), worth)
                chosen = tried.reshape(count, LOCAL_TRIES, -1)[np.arange(count), top]
                best = np.where(better[:, None], chosen, best)
        return best

    def _worth(self, points: Array, cells: Cells) -> Array:
        region = self._region
        numbers = region.numbers(points, cells)
        values = self._acquisition.of_many(torch.as_tensor(region.features(numbers, cells)))
        over = region.worst(numbers, cells)
        return np.asarray(values.numpy() - STRICTNESS * over)

    def moves(self, numbers: Array, cells: Cells) -> tuple[Array, Cells]:
        """Settings one move away from one that obey everything.

        Args:
            numbers: ``1 x numeric``.
            cells: its cell.

        Returns:
            With another choice, with one component of a mixture for another, or one step of a
            stepped number up or down.
        """
        region = self._region
        parts: list[tuple[Array, Cells]] = []
        others = region.next_to(cells)
        if len(others):
            # Shares keep their proportions as far as the other components allow.
            points = region.encode(np.repeat(numbers, len(others), axis=0), others)
            parts.append((region.brought_in(points, others)[0], others))
        stepped = region.steps_from(numbers, cells)
        if len(stepped):
            same = cells.take(np.zeros(len(stepped), dtype=int))
            loose = np.tile(~region.is_stepped, (len(stepped), 1))
            parts.append((region.brought_in(region.encode(stepped, same), same, loose)[0], same))
        if not parts:
            return np.zeros((0, region.count)), cells.take(np.zeros(0, dtype=int))
        found = np.concatenate([part for part, _ in parts])
        owned: Any = Cells.of([own for _, own in parts])
        good = region.worst(found, owned) <= 1e-9
        return found[good], owned.take(good)
