"""What a whole-pattern fit may move, within which limits, and where it stands in a vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from matlab_ros.xrd.pattern import FloatArray
from matlab_ros.xrd.profile import Instrument, PhaseProfile
from matlab_ros.xrd.texture import HIGHEST_MARCH, LOWEST_MARCH, Axis
from matlab_ros.xrd.uncertainty import NOMINAL_GRAIN_UM

INSTRUMENT_NAMES = ("zero", "displacement", "u", "v", "w", "x", "asymmetry", "roughness")
_INSTRUMENT_LOW = np.array([-0.3, -0.4, 0.0, -0.03, 1e-4, 0.0, 0.0, 0.0])
_INSTRUMENT_HIGH = np.array([0.3, 0.4, 0.3, 0.01, 0.2, 0.5, 0.4, 0.3])
_INSTRUMENT_TYPICAL = np.array([0.02, 0.02, 0.01, 0.005, 0.002, 0.01, 0.01, 0.01])
_CELL_TYPICAL = 5e-4
_SIZE_TYPICAL = 0.02
_SIZE_START = 0.05
_MARCH_TYPICAL = 0.05
_CELL_NAMES = ("a", "b", "c", "alpha", "beta", "gamma")
ALIGNMENT = (1,)
# The zero is calibrated once for an instrument; the displacement is another in every sample, and
# beside refined cells the two cannot be told apart.
SHAPE = (1, 2, 3, 4, 5, 6, 7)


@dataclass(frozen=True)
class FitSettings:
    """How far and how long to look.

    Attributes:
        background_terms: degree of the Chebyshev polynomial, to which 1 / 2theta is added.
        cell_limit: largest relative change of a cell length.
        angle_limit: largest relative change of an oblique cell angle.
        size_limit_deg: largest broadening by small crystallites, FWHM * cos(theta) in degrees;
            1.2 is 7 nm with copper.
        max_iterations: of Levenberg and Marquardt.
        tolerance: relative decrease of chi^2 below which the fit has converged.
        instrument: what to start from.
        refine: which of `INSTRUMENT_NAMES` to refine, by index.
        grain_um: diameter of the powder's grains for the absorption correction, 0 for none.
        texture: whether phases may have a preferred orientation.
        texture_step_deg: textures are chosen on points summed up to about this step.
    """

    background_terms: int = 8
    cell_limit: float = 0.012
    angle_limit: float = 0.006
    size_limit_deg: float = 1.2
    max_iterations: int = 20
    tolerance: float = 1e-4
    instrument: Instrument = field(default_factory=Instrument)
    refine: tuple[int, ...] = SHAPE
    grain_um: float = NOMINAL_GRAIN_UM
    texture: bool = True
    texture_step_deg: float = 0.045


@dataclass(frozen=True, eq=False)
class PhaseState:
    """What the fit moves of a phase.

    Attributes:
        size_deg: broadening by small crystallites, FWHM * cos(theta) in degrees.
        strain: relative changes of the cell constants, shape as `PhaseProfile.free`; an empty one
            stands for no change.
        axis: Miller indices of the plane that is turned preferably, None without texture.
        march: March's parameter r; see `matlab_ros.xrd.texture`.
    """

    size_deg: float = _SIZE_START
    strain: FloatArray = field(default_factory=lambda: np.empty(0))
    axis: Axis | None = None
    march: float = 1.0


def is_cell_constant(name: str) -> bool:
    """Whether the name of a parameter, as in `FitResult.bounds_hit`, is one of a cell's."""
    return name.rpartition(": ")[2] in _CELL_NAMES


class Layout:
    """Where in the vector of parameters each quantity stands, and its limits."""

    def __init__(
        self,
        profiles: Sequence[PhaseProfile],
        settings: FitSettings,
        starts: Sequence[PhaseState] | None,
        instrument: Instrument,
    ) -> None:
        self.profiles = tuple(profiles)
        self._refine = list(settings.refine)
        self._instrument = instrument.vector()
        start = [self._instrument[self._refine]]
        low = [_INSTRUMENT_LOW[self._refine]]
        high = [_INSTRUMENT_HIGH[self._refine]]
        typical = [_INSTRUMENT_TYPICAL[self._refine]]
        self._names = [INSTRUMENT_NAMES[i] for i in self._refine]
        self._slices: list[tuple[int, int]] = []
        at = len(self._refine)
        given = starts or [PhaseState()] * len(self.profiles)
        for profile, begin in zip(self.profiles, given, strict=True):
            m = len(profile.free)
            limits = np.array(
                [settings.cell_limit if g[0] < 3 else settings.angle_limit for g in profile.free]
            )
            strain = begin.strain if begin.strain.size else np.zeros(m)
            textured = profile.axis is not None
            march = [begin.march] if textured else []
            start.append(np.concatenate([[begin.size_deg], strain, march]))
            low.append(np.concatenate([[0.0], -limits, [LOWEST_MARCH] * textured]))
            high.append(
                np.concatenate([[settings.size_limit_deg], limits, [HIGHEST_MARCH] * textured])
            )
            typical.append(
                np.concatenate(
                    [[_SIZE_TYPICAL], np.full(m, _CELL_TYPICAL), [_MARCH_TYPICAL] * textured]
                )
            )
            self._names.append(f"{profile.name}: size")
            self._names += [f"{profile.name}: {_CELL_NAMES[g[0]]}" for g in profile.free]
            self._names += [f"{profile.name}: texture"] * textured
            following = at + 1 + m + textured
            self._slices.append((at, following))
            at = following
        self.low, self.high = np.concatenate(low), np.concatenate(high)
        self.typical = np.concatenate(typical)
        self.start = np.clip(np.concatenate(start), self.low, self.high)

    def shape(self, p: FloatArray) -> FloatArray:
        """`Instrument.vector` for these parameters."""
        vector = self._instrument.copy()
        vector[self._refine] = p[: len(self._refine)]
        return vector

    def phase(self, p: FloatArray, j: int) -> PhaseState:
        """What the parameters say of one phase."""
        first, last = self._slices[j]
        axis = self.profiles[j].axis
        if axis is None:
            return PhaseState(float(p[first]), p[first + 1 : last])
        return PhaseState(float(p[first]), p[first + 1 : last - 1], axis, float(p[last - 1]))

    def rows(self, j: int) -> tuple[int, ...]:
        """Where the derivatives of a phase's curve stand, as `PhaseProfile.add_slopes` asks."""
        instrument = [-1] * len(INSTRUMENT_NAMES)
        for at, i in enumerate(self._refine):
            instrument[i] = at
        return (*instrument, *range(*self._slices[j]))

    def touched(self, k: int) -> Sequence[int]:
        """Which phases a parameter acts on."""
        if k < len(self._refine):
            return range(len(self.profiles))
        return [j for j, (first, last) in enumerate(self._slices) if first <= k < last]

    def bounds_hit(self, p: FloatArray, scales: FloatArray) -> tuple[str, ...]:
        """Names of the parameters at a limit that means something.

        Widths of zero are no finding, nor is Caglioti's V, which only goes with U and W, nor is
        anything of a phase that is not there.
        """
        span = self.high - self.low
        at_low = p <= self.low + 1e-6 * span
        at_high = p >= self.high - 1e-6 * span
        hit = []
        for k, name in enumerate(self._names):
            absent = k >= len(self._refine) and all(scales[j] <= 0 for j in self.touched(k))
            harmless = name == "v" or (at_low[k] and 0.0 <= self.low[k] < 0.01)
            if (at_low[k] or at_high[k]) and not harmless and not absent:
                hit.append(name)
        return tuple(hit)
