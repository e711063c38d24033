"""Mixtures: shares that add up to a whole, mapped from a box by breaking a stick.

The first share takes a piece of the stick, the next one of what is left, and so on (Aitchison's
and Sethuraman's stick breaking). Each piece is chosen between what the bounds of this share and of
those to come leave possible, so every point of the box is a mixture inside its bounds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.constraints import NumpyOperations, Operations
from matlab_ros.planning.dimensions import ContinuousDimension, Dimension

Array = npt.NDArray[np.float64]

EXACT = 1e-9
"""How far the shares of a suggestion may be from their total, as a part of it."""


@dataclass(frozen=True)
class Mixture:
    """Continuous parameters whose values add up to a total.

    Attributes:
        components: names of continuous parameters, whose bounds are those of their shares.
        total: that they add up to.
        most: components that may be present at once; None: all of them. One that is not present
            has the share 0; one whose lower bound is above 0 is always present.
        least: share of a component that is present, at least.

    Raises:
        PlanningError: fewer than two components, or numbers that contradict each other.
    """

    components: tuple[str, ...]
    total: float = 1.0
    most: int | None = None
    least: float = 0.0

    def __post_init__(self) -> None:
        if len(self.components) < 2 or len(set(self.components)) < len(self.components):
            raise PlanningError(
                f"The mixture of {', '.join(self.components) or 'nothing'} needs at least two "
                "different components."
            )
        if not (math.isfinite(self.total) and self.total > 0):
            raise PlanningError(f"{self} adds up to {self.total:g}; expected a total above 0.")
        if self.most is not None and self.most < 1:
            raise PlanningError(f"{self} may have {self.most} components; expected at least 1.")
        if not 0 <= self.least <= self.total:
            raise PlanningError(
                f"{self} has shares of at least {self.least:g}; expected 0 to {self.total:g}."
            )

    def __str__(self) -> str:
        return f"The mixture of {', '.join(self.components)}"

    def check(self, dimensions: Mapping[str, Dimension]) -> None:
        """Refuse a mixture that its components do not allow.

        Raises:
            PlanningError: a component is missing or of another kind, or no shares add up.
        """
        for name in self.components:
            found = dimensions.get(name)
            if not isinstance(found, ContinuousDimension) or found.log or found.when:
                raise PlanningError(
                    f"{self} names {name!r}; expected a continuous parameter with a linear scale "
                    "that always exists."
                )
            if found.low < 0:
                raise PlanningError(
                    f"{self} has {name!r} with the lower bound {found.low:g}; expected 0 or more."
                )
        own: list[Any] = [dimensions[name] for name in self.components]
        self._check_steps(own)
        if next(self.supports(dimensions), None) is None:
            low = sum(max(item.low, 0.0) for item in own)
            raise PlanningError(
                f"{self} cannot add up to {self.total:g}: the lower bounds add up to {low:g}, and "
                f"the upper bounds of at most {self.most or len(own)} of them to "
                f"{self._largest(own):g}."
            )

    def _check_steps(self, own: Sequence[Any]) -> None:
        steps = {float(item.step) for item in own}
        if steps == {0.0}:
            return
        if len(steps) > 1:
            raise PlanningError(
                f"{self} has steps of different sizes; expected one step for all of them."
            )
        step = steps.pop()
        numbers = [self.total, *(item.low for item in own), *(item.high for item in own)]
        if any(abs(x / step - round(x / step)) > EXACT * max(1.0, x / step) for x in numbers) or (
            self.least > 0 and abs(self.least / step - round(self.least / step)) > EXACT
        ):
            raise PlanningError(
                f"{self} cannot add up to {self.total:g} in steps of {step:g}; "
                "expected bounds and a total that are multiples of the step."
            )

    def _largest(self, own: Sequence[Any]) -> float:
        highs = sorted((item.high for item in own), reverse=True)
        return float(sum(highs[: self.most or len(own)]))

    def supports(self, dimensions: Mapping[str, Any]) -> Iterator[tuple[bool, ...]]:
        """Which components are present: every way that can add up, the largest ones first."""
        count = len(self.components)
        most = min(self.most or count, count)
        # Without a least share, a component that is present may be 0: fewer need no mention.
        fewest = 1 if self.least > 0 else most
        for size in range(most, fewest - 1, -1):
            for chosen in itertools.combinations(range(count), size):
                present = tuple(index in chosen for index in range(count))
                lows, highs = self.bounds(dimensions, present)
                needed = all(
                    present[index] or dimensions[name].low <= 0
                    for index, name in enumerate(self.components)
                )
                slack = EXACT * self.total
                fits = sum(lows) <= self.total + slack and sum(highs) >= self.total - slack
                if needed and fits and all(a <= b for a, b in zip(lows, highs, strict=True)):
                    yield present

    def bounds(
        self, dimensions: Mapping[str, Any], present: Sequence[bool]
    ) -> tuple[list[float], list[float]]:
        """Lowest and highest shares where only some components are present."""
        own = [dimensions[name] for name in self.components]
        lows = [max(item.low, self.least) * is_in for item, is_in in zip(own, present, strict=True)]
        highs = [min(item.high, self.total) * x for item, x in zip(own, present, strict=True)]
        return lows, highs

    def deviation(self, shares: Sequence[float]) -> float:
        """How far shares are from adding up, as a part of the total."""
        return abs(math.fsum(shares) - self.total) / self.total

    def count_present(self, shares: Sequence[float]) -> int:
        """Components with a share."""
        return sum(share > EXACT * self.total for share in shares)


def check_shares(mixture: Mixture, settings: Mapping[str, float | str]) -> None:
    """Refuse shares that are no mixture; bounds are those of the parameters.

    Raises:
        PlanningError: they do not add up, are too many, or too small.
    """
    shares = [float(settings[name]) for name in mixture.components]
    if mixture.deviation(shares) > EXACT:
        raise PlanningError(
            f"{mixture} adds up to {math.fsum(shares):g}; expected {mixture.total:g}."
        )
    present = [share for share in shares if share > EXACT * mixture.total]
    if mixture.most is not None and len(present) > mixture.most:
        raise PlanningError(
            f"{mixture} has {len(present)} components; expected at most {mixture.most}."
        )
    if min(present) < mixture.least - EXACT * mixture.total:
        raise PlanningError(
            f"{mixture} has a share of {min(present):g}; expected 0, or at least {mixture.least:g}."
        )


def shares_at(
    mixture: Mixture, dimensions: Sequence[Dimension], units: Mapping[str, float]
) -> dict[str, float]:
    """Shares at unit coordinates of the components; present are those that have the largest."""
    named = {item.name: item for item in dimensions}
    coordinates = np.array([[float(units[name]) for name in mixture.components]])
    wanted = coordinates[0]
    present = max(
        mixture.supports(named),
        key=lambda item: float(wanted[list(item)].sum() - wanted[[not x for x in item]].sum()),
    )
    lows, highs = (np.array([row]) for row in mixture.bounds(named, present))
    pieces = even_pieces(np.clip(coordinates, 0.0, 1.0), np.array([present]))
    columns = list(pieces.T)
    shares = np.stack(broken_stick(columns, lows, highs, mixture.total, NumpyOperations()), axis=1)
    first = named[mixture.components[0]]
    if isinstance(first, ContinuousDimension) and first.step > 0:
        shares = stepped(shares, lows, highs, mixture.total, first.step)
    return {
        name: float(np.clip(share, low, high))
        for name, share, low, high in zip(
            mixture.components, shares[0], lows[0], highs[0], strict=True
        )
    }


def broken_stick(
    pieces: Sequence[Any], lows: Array, highs: Array, total: float, operations: Operations
) -> list[Any]:
    """Shares of points of the box.

    Args:
        pieces: for each component but the last the part that it takes, ``n`` in [0, 1] each; what
            is given for the last changes nothing.
        lows, highs: bounds, ``n x components``.
        total: of the shares.
        operations: of the arrays.

    Returns:
        ``n`` for each component; differentiable where `pieces` are.
    """
    # What all later ones take at least and at most.
    low_after = lows[:, ::-1].cumsum(axis=1)[:, ::-1] - lows
    high_after = highs[:, ::-1].cumsum(axis=1)[:, ::-1] - highs
    left: Any = operations.constant(np.full(len(lows), total))
    shares = []
    for index in range(lows.shape[1] - 1):
        least = operations.maximum(
            operations.constant(lows[:, index]), left - operations.constant(high_after[:, index])
        )
        greatest = operations.minimum(
            operations.constant(highs[:, index]), left - operations.constant(low_after[:, index])
        )
        # Bounds that meet may cross by a rounding error.
        share = least + pieces[index] * operations.maximum(greatest - least, 0.0 * left)
        shares.append(share)
        left = left - share
    shares.append(left)
    return shares


def unbroken(shares: Array, lows: Array, highs: Array, total: float) -> Array:
    """The pieces whose `broken_stick` gives shares, ``n x components``; the last is 0.5."""
    low_after = lows[:, ::-1].cumsum(axis=1)[:, ::-1] - lows
    high_after = highs[:, ::-1].cumsum(axis=1)[:, ::-1] - highs
    left = np.full(len(shares), total)
    pieces = np.full(shares.shape, 0.5)
    for index in range(shares.shape[1] - 1):
        least = np.maximum(lows[:, index], left - high_after[:, index])
        greatest = np.minimum(highs[:, index], left - low_after[:, index])
        room = greatest - least
        part = (shares[:, index] - least) / np.where(room > 0, room, 1.0)
        pieces[:, index] = np.where(room > 0, np.clip(part, 0.0, 1.0), 0.5)
        # From what is allowed, not from what was given: later pieces then fit.
        left = left - (least + pieces[:, index] * np.maximum(room, 0.0))
    return pieces


def even_pieces(uniform: Array, present: npt.NDArray[np.bool_]) -> Array:
    """Pieces that spread mixtures evenly over the simplex, from evenly distributed numbers.

    The first of k shares that are even over the simplex is distributed as Beta(1, k - 1).
    """
    later = present[:, ::-1].cumsum(axis=1)[:, ::-1] - present
    return np.asarray(1.0 - (1.0 - uniform) ** (1.0 / np.maximum(later, 1)))


def stepped(shares: Array, lows: Array, highs: Array, total: float, step: float) -> Array:
    """Shares in multiples of a step above their lowest that add up (largest remainders).

    Args:
        shares: that add up, ``n x components``.
        lows, highs: bounds, likewise.
        total: of the shares.
        step: of each share.
    """
    parts = np.maximum((shares - lows) / step, 0.0)
    room = np.floor((highs - lows) / step + EXACT)
    whole = np.minimum(np.floor(parts + EXACT), room)
    missing = np.rint((total - lows.sum(axis=1)) / step - whole.sum(axis=1)).astype(int)
    for row in np.flatnonzero(missing):
        for _ in range(abs(int(missing[row]))):
            if missing[row] > 0:
                gain = np.where(whole[row] < room[row], parts[row] - whole[row], -np.inf)
                whole[row, int(np.argmax(gain))] += 1
            else:
                gain = np.where(whole[row] > 0, whole[row] - parts[row], -np.inf)
                whole[row, int(np.argmax(gain))] -= 1
    return np.asarray(lows + whole * step)
