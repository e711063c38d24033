"""Several points of a furnace run made better together: what they share once, the rest for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from matlab_ros.planning.cells import Array, Cells, Mask
from matlab_ros.planning.deadline import Deadline
from matlab_ros.planning.refine import MAX_STEPS, STRICTNESS, Refiner, TorchOperations, Valued
from matlab_ros.planning.region import Region

_TORCH = TorchOperations()


class JointRefiner:
    """L-BFGS-B over the shared numbers of a run and the own ones of each of its samples.

    Args:
        region: of the space.
        acquisition: to be made large; possible where it has a method ``joint``.
        deadline: when to stop with what there is.
        shared: which numbers a run shares.
    """

    def __init__(
        self, region: Region, acquisition: Valued, deadline: Deadline, shared: Mask
    ) -> None:
        self._region = region
        self._joint: Callable[[Tensor], Tensor] | None = getattr(acquisition, "joint", None)
        self._deadline = deadline
        self._shared = shared
        self._units = Refiner(region, acquisition, deadline, np.random.default_rng(0))

    @property
    def is_possible(self) -> bool:
        """Whether the acquisition knows the worth of several points together."""
        return self._joint is not None and self._region.count > 0

    def from_starts(
        self, runs: Sequence[tuple[Array, Cells]], is_joining: bool
    ) -> list[tuple[Array, Cells]]:
        """Better runs of the same size in the same cells, without those that violate something.

        Args:
            runs: numbers ``size x numeric`` and cells of each.
            is_joining: the shared numbers stay as they are.
        """
        region, size = self._region, len(runs[0][1])
        cells = Cells.of([own for _, own in runs])
        start = np.concatenate([region.encode(numbers, own) for numbers, own in runs])
        shared = np.zeros_like(self._shared) if is_joining else self._shared
        points = self._climbed(start, cells, size, shared, is_joining)
        numbers = region.numbers(points, cells)
        # The shared ones are settled; only the others move to where the constraints hold.
        free = np.tile(~self._shared, (len(cells), 1))
        numbers, good = region.brought_in(region.encode(numbers, cells), cells, free)
        found = []
        for number in range(len(runs)):
            rows = np.arange(number * size, (number + 1) * size)
            if good[rows].all():
                found.append((numbers[rows], cells.take(rows)))
        return found

    def _climbed(
        self, start: Array, cells: Cells, size: int, shared: Mask, is_joining: bool
    ) -> Array:
        """Ends of all runs together; coordinates of each run: shared ones, then own ones."""
        assert self._joint is not None, "is_possible was asked"
        joint, region = self._joint, self._region
        count = len(cells) // size
        given = torch.as_tensor(start).reshape(count, size, region.count)
        common = torch.as_tensor(np.flatnonzero(shared))
        own = torch.as_tensor(np.flatnonzero(~self._shared))
        choices = torch.as_tensor(region.category_features(cells))
        first = np.concatenate(
            [given[:, 0, common].numpy(), given[:, :, own].reshape(count, -1).numpy()], axis=1
        )
        best, worth = first.copy(), np.full(count, -np.inf)

        def points_of(flat: Tensor) -> Tensor:
            points = given.clone()
            points[:, :, common] = flat[:, None, : len(common)].expand(-1, size, -1)
            points[:, :, own] = flat[:, len(common) :].reshape(count, size, len(own))
            return points.reshape(count * size, region.count)

        def loss(values: Array) -> tuple[float, Array]:
            flat = torch.as_tensor(values.reshape(first.shape)).requires_grad_(True)
            points = points_of(flat)
            features = self._units.features(points, cells, choices)
            each = joint(features.reshape(count, size, -1))
            for over in region.violations(region.decode(points, cells, _TORCH), cells, _TORCH):
                each = each - STRICTNESS * over.square().reshape(count, size).sum(-1)
            (gradient,) = torch.autograd.grad(-each.sum(), flat)
            known = each.detach().numpy()
            better = known > worth
            worth[better] = known[better]
            best[better] = values.reshape(first.shape)[better]
            if not (np.isfinite(known).all() and bool(torch.isfinite(gradient).all())):
                return float("inf"), np.zeros(values.shape)
            return -float(known.sum()), gradient.numpy().ravel().astype(np.float64)

        def stop(_: Array) -> None:
            if self._deadline.is_over:
                raise StopIteration

        minimize(
            loss,
            first.ravel(),
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * first.size,
            callback=stop,
            options={"maxiter": MAX_STEPS},
        )
        with torch.no_grad():
            return np.asarray(np.clip(points_of(torch.as_tensor(best)).numpy(), 0.0, 1.0))
