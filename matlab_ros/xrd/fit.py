"""Whole-pattern least squares: from a pattern and its phases to weight fractions.

The model is y = background + sum_j c_j curve_j. What it is linear in (scales c_j >= 0 and the
background) is solved exactly inside every step (variable projection, Golub & Pereyra, SIAM J.
Numer. Anal. 10, 413, 1973, with Kaufman's approximation of the Jacobian); Levenberg-Marquardt
moves the rest: alignment and resolution of the instrument, and for each phase its cell constants
and the broadening by small crystallites.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import nnls

from matlab_ros.xrd.pattern import FloatArray, Pattern
from matlab_ros.xrd.profile import Instrument, PhaseProfile, phase_profile, size_nm
from matlab_ros.xrd.structure import Structure, cell_volume
from matlab_ros.xrd.uncertainty import NOMINAL_GRAIN_UM, correct_fractions, systematic_sigma

INSTRUMENT_NAMES = ("zero", "displacement", "u", "v", "w", "x", "asymmetry")
_INSTRUMENT_LOW = np.array([-0.3, -0.4, 0.0, -0.03, 1e-4, 0.0, 0.0])
_INSTRUMENT_HIGH = np.array([0.3, 0.4, 0.3, 0.01, 0.2, 0.5, 0.4])
_INSTRUMENT_TYPICAL = np.array([0.02, 0.02, 0.01, 0.005, 0.002, 0.01, 0.01])
_CELL_TYPICAL = 5e-4
_SIZE_TYPICAL = 0.02
_SIZE_START = 0.05
ALIGNMENT = (1,)
# The zero is calibrated once for an instrument; the displacement is another in every sample, and
# beside refined cells the two cannot be told apart.
SHAPE = (1, 2, 3, 4, 5, 6)


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


@dataclass(frozen=True, eq=False)
class PhaseState:
    """What the fit moves of a phase.

    Attributes:
        size_deg: broadening by small crystallites, FWHM * cos(theta) in degrees.
        strain: relative changes of the cell constants, shape as `PhaseProfile.free`; an empty one
            stands for no change.
    """

    size_deg: float = _SIZE_START
    strain: FloatArray = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, eq=False)
class FittedPhase:
    """One phase of a fitted pattern.

    Attributes:
        structure: the crystal it was fitted with.
        weight_fraction: of the crystalline part, 0 to 1, corrected for absorption in grains.
        weight_fraction_uncorrected: the same without that correction.
        sigma_statistical: standard uncertainty of it by counting statistics, times the GoF.
        sigma_systematic: standard uncertainty of it by what the model leaves out; see
            `matlab_ros.xrd.uncertainty`.
        scale: of the phase's curve.
        cell: refined constants in angstrom and degrees, shape (6,).
        cell_shift: largest relative change of a cell length against the structure's.
        size_nm: apparent crystallite size by Scherrer's equation, inf for none.
        state: broadening and cell changes as refined, to go on from.
        curve: its share of the calculated counts, shape (n,).
    """

    structure: Structure
    weight_fraction: float
    weight_fraction_uncorrected: float
    sigma_statistical: float
    sigma_systematic: float
    scale: float
    cell: FloatArray
    cell_shift: float
    size_nm: float
    state: PhaseState
    curve: FloatArray

    @property
    def sigma(self) -> float:
        """Both uncertainties together."""
        return float(np.hypot(self.sigma_statistical, self.sigma_systematic))


@dataclass(frozen=True, eq=False)
class FitResult:
    """A fitted pattern.

    Attributes:
        pattern: what was fitted.
        phases: in the order they were given; weight fractions add up to 1 unless all are 0.
        background: calculated counts without phases, shape (n,).
        calculated: background and all phases, shape (n,).
        instrument: refined.
        chi2: weighted sum of squared residuals.
        rwp: weighted profile R, 0 to 1, background included.
        rexp: what counting statistics alone would leave.
        gof: rwp / rexp.
        rwp_background_free: sqrt(chi2 over that of the best background without phases).
        bounds_hit: parameters that ended at a limit.
        converged: whether it stopped because nothing got better.
        iterations: how many it took.
    """

    pattern: Pattern
    phases: tuple[FittedPhase, ...]
    background: FloatArray
    calculated: FloatArray
    instrument: Instrument
    chi2: float
    rwp: float
    rexp: float
    gof: float
    rwp_background_free: float
    bounds_hit: tuple[str, ...]
    converged: bool
    iterations: int


def fit_pattern(
    pattern: Pattern,
    structures: Sequence[Structure],
    settings: FitSettings | None = None,
    starts: Sequence[PhaseState] | None = None,
) -> FitResult:
    """Fits a pattern with the given structures.

    Args:
        pattern: measured or simulated counts.
        structures: the phases; none fits the background alone.
        settings: limits and starting values.
        starts: one for each structure, to go on from an earlier fit.
    """
    settings = settings or FitSettings()
    profiles = [
        phase_profile(s, pattern.radiation, float(pattern.two_theta_deg[-1]), settings.instrument)
        for s in structures
    ]
    problem = Problem(pattern, settings)
    return problem.result(problem.minimise(profiles, starts))


@dataclass(frozen=True, eq=False)
class Solution:
    """Where a minimisation ended.

    Attributes:
        profiles: the phases.
        instrument: with refined values.
        phases: broadening and relative cell changes of each phase.
        scales: of each phase's curve, shape (k,).
        columns: weighted curves with the background projected out, shape (n, k).
        chi2: weighted sum of squared residuals.
        n_parameters: how many were refined, the linear ones aside.
        bounds_hit: parameters that ended at a limit.
        converged: whether it stopped because nothing got better.
        iterations: how many it took.
    """

    profiles: tuple[PhaseProfile, ...]
    instrument: Instrument
    phases: tuple[PhaseState, ...]
    scales: FloatArray
    columns: FloatArray
    chi2: float
    n_parameters: int
    bounds_hit: tuple[str, ...]
    converged: bool
    iterations: int


class Problem:
    """One pattern's data and background, prepared for any number of fits.

    Attributes:
        chi2_background: chi^2 of the best background without any phase.
    """

    def __init__(
        self, pattern: Pattern, settings: FitSettings, known: FloatArray | None = None
    ) -> None:
        """Prepares the projection that takes the background out.

        Args:
            pattern: the data.
            settings: limits and starting values.
            known: curves, shape (n, k), whose scales are free in every fit but whose shapes are
                settled, such as those of phases found before.
        """
        self.pattern = pattern
        self.settings = settings
        self._x = np.ascontiguousarray(pattern.two_theta_deg, dtype=np.float64)
        self._weight = 1.0 / pattern.uncertainty()
        self._basis = _background_basis(self._x, settings.background_terms)
        free = self._basis if known is None else np.hstack([self._basis, known])
        self._q, _ = np.linalg.qr(free * self._weight[:, None])
        self._y = self._project(pattern.counts * self._weight)
        self.chi2_background = float(self._y @ self._y)

    def minimise(
        self, profiles: Sequence[PhaseProfile], starts: Sequence[PhaseState] | None = None
    ) -> Solution:
        """Levenberg-Marquardt from the starting values to the nearest minimum."""
        layout = _Layout(profiles, self.settings, starts)
        p = layout.start
        columns = self._columns(layout, p)
        scales, residual, chi2 = self._solve(columns)
        damping = 1e-2
        converged = not p.size or not profiles
        iteration = 0
        while not converged and iteration < self.settings.max_iterations:
            iteration += 1
            jacobian = self._jacobian(layout, p, columns, scales) * layout.typical
            gradient = jacobian.T @ residual
            normal = jacobian.T @ jacobian
            diagonal = np.maximum(np.diag(normal), 1e-9 * max(float(normal.max()), 1e-300))
            # A parameter at its limit that wants to go further must not bend the others' step.
            stuck = ((p <= layout.low) & (gradient < 0)) | ((p >= layout.high) & (gradient > 0))
            better = False
            for _ in range(6):
                step = np.zeros_like(p)
                move = ~stuck
                matrix = (normal + damping * np.diag(diagonal))[np.ix_(move, move)]
                step[move] = np.linalg.lstsq(matrix, gradient[move], rcond=1e-12)[0]
                trial = np.clip(p + step * layout.typical, layout.low, layout.high)
                trial_columns = self._columns(layout, trial)
                trial_scales, trial_residual, trial_chi2 = self._solve(trial_columns)
                if trial_chi2 < chi2:
                    better = True
                    break
                damping *= 5.0
            if not better:
                converged = True
                break
            decrease = (chi2 - trial_chi2) / chi2
            p, columns, scales = trial, trial_columns, trial_scales
            residual, chi2 = trial_residual, trial_chi2
            damping = max(damping / 5.0, 1e-7)
            converged = decrease < self.settings.tolerance
        return Solution(
            profiles=layout.profiles,
            instrument=self.settings.instrument.with_vector(layout.shape(p)),
            phases=tuple(PhaseState(*layout.phase(p, j)) for j in range(len(layout.profiles))),
            scales=scales,
            columns=columns,
            chi2=chi2,
            n_parameters=p.size,
            bounds_hit=layout.bounds_hit(p, scales),
            converged=converged,
            iterations=iteration,
        )

    def result(self, solution: Solution) -> FitResult:
        """Weight fractions, uncertainties and curves of a solution."""
        scales = solution.scales
        n = self._x.size
        curves = self.curves(solution) * scales
        remainder = (self.pattern.counts - curves.sum(axis=1)) * self._weight
        weighted_basis = self._basis * self._weight[:, None]
        coefficients = np.linalg.lstsq(weighted_basis, remainder, rcond=None)[0]
        background = self._basis @ coefficients
        calculated = background + curves.sum(axis=1)
        observed2 = float(np.sum((self.pattern.counts * self._weight) ** 2))
        n_free = solution.n_parameters + len(scales) + self._basis.shape[1]
        rwp = float(np.sqrt(solution.chi2 / observed2))
        rexp = float(np.sqrt(max(n - n_free, 1) / observed2))
        gof = rwp / rexp
        density = np.array([profile.structure.cell_mass for profile in solution.profiles])
        cells = []
        for j, profile in enumerate(solution.profiles):
            cell = profile.cell(solution.phases[j].strain)
            cells.append(cell)
            density[j] /= cell_volume(cell)
        uncorrected, sigmas = self._fractions(solution, density, gof)
        wavelength = self.pattern.radiation.kalpha1_angstrom
        absorption = np.array(
            [
                profile.structure.linear_absorption_per_cm(wavelength)
                for profile in solution.profiles
            ]
        )
        fractions = correct_fractions(uncorrected, absorption, density, self.settings.grain_um)
        systematic = systematic_sigma(fractions, uncorrected)
        phases = []
        for j, profile in enumerate(solution.profiles):
            state = solution.phases[j]
            reference = np.array(profile.structure.cell)
            shifts = cells[j][:3] / reference[:3] - 1.0
            phases.append(
                FittedPhase(
                    structure=profile.structure,
                    weight_fraction=float(fractions[j]),
                    weight_fraction_uncorrected=float(uncorrected[j]),
                    sigma_statistical=float(sigmas[j]),
                    sigma_systematic=float(systematic[j]),
                    scale=float(scales[j]),
                    cell=cells[j],
                    cell_shift=float(shifts[np.argmax(np.abs(shifts))]),
                    size_nm=size_nm(state.size_deg, wavelength),
                    state=state,
                    curve=curves[:, j],
                )
            )
        return FitResult(
            pattern=self.pattern,
            phases=tuple(phases),
            background=background,
            calculated=calculated,
            instrument=solution.instrument,
            chi2=solution.chi2,
            rwp=rwp,
            rexp=rexp,
            gof=gof,
            rwp_background_free=float(np.sqrt(solution.chi2 / self.chi2_background)),
            bounds_hit=solution.bounds_hit,
            converged=solution.converged,
            iterations=solution.iterations,
        )

    def curves(self, solution: Solution) -> FloatArray:
        """Curves of unit scale of a solution's phases, shape (n, k)."""
        shape = solution.instrument.vector()
        out = np.empty((self._x.size, len(solution.profiles)))
        for j, profile in enumerate(solution.profiles):
            state = solution.phases[j]
            out[:, j] = profile.curve(self._x, state.strain, state.size_deg, shape)
        return out

    def _project(self, column: FloatArray) -> FloatArray:
        """Takes out of weighted columns what the background can do, shape (n,) or (n, k)."""
        return column - self._q @ (self._q.T @ column)

    def _columns(self, layout: _Layout, p: FloatArray) -> FloatArray:
        shape = layout.shape(p)
        out = np.empty((self._x.size, len(layout.profiles)))
        for j, profile in enumerate(layout.profiles):
            size, strain = layout.phase(p, j)
            out[:, j] = profile.curve(self._x, strain, size, shape)
        out *= self._weight[:, None]
        return self._project(out)

    def _solve(self, columns: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        """Non-negative scales, the residual they leave, and its square."""
        if not columns.shape[1]:
            return np.empty(0), self._y, self.chi2_background
        norms = np.maximum(np.linalg.norm(columns, axis=0), 1e-30)
        q, r = np.linalg.qr(columns / norms)
        scales = nnls(r, q.T @ self._y)[0] / norms
        residual = self._y - columns @ scales
        return scales, residual, float(residual @ residual)

    def _jacobian(
        self, layout: _Layout, p: FloatArray, columns: FloatArray, scales: FloatArray
    ) -> FloatArray:
        """Derivative of the model by each parameter, the linear part projected out, (n, p)."""
        raw = np.zeros((self._x.size, p.size))
        shape = layout.shape(p)
        base: list[FloatArray | None] = []
        for j, profile in enumerate(layout.profiles):
            size, strain = layout.phase(p, j)
            present = scales[j] > 0
            base.append(profile.curve(self._x, strain, size, shape) if present else None)
        for k in range(p.size):
            h = 0.02 * layout.typical[k]
            moved = p.copy()
            moved[k] += h if p[k] + h < layout.high[k] else -h
            h = moved[k] - p[k]
            moved_shape = layout.shape(moved)
            for j in layout.touched(k):
                before = base[j]
                if before is None:
                    continue
                size, strain = layout.phase(moved, j)
                after = layout.profiles[j].curve(self._x, strain, size, moved_shape)
                raw[:, k] += scales[j] * (after - before) / h
        raw *= self._weight[:, None]
        raw = self._project(raw)
        active = scales > 0
        if active.any():
            q, _ = np.linalg.qr(columns[:, active])
            raw -= q @ (q.T @ raw)
        return raw

    def _fractions(
        self, solution: Solution, density: FloatArray, gof: float
    ) -> tuple[FloatArray, FloatArray]:
        """Weight fractions (Hill & Howard) and their statistical uncertainty, shape (k,)."""
        scales = solution.scales
        amounts = scales * density
        total = float(amounts.sum())
        sigmas = np.zeros(scales.size)
        if total <= 0:
            return np.zeros(scales.size), sigmas
        fractions = amounts / total
        active = scales > 0
        columns = solution.columns[:, active]
        covariance = np.linalg.pinv(columns.T @ columns) * max(gof, 1.0) ** 2
        d = density[active]
        derivative = (np.diag(d) - np.outer(fractions[active], d)) / total
        variance = np.diag(derivative @ covariance @ derivative.T)
        sigmas[active] = np.sqrt(np.maximum(variance, 0.0))
        return fractions, sigmas


class _Layout:
    """Where in the vector of parameters each quantity stands, and its limits."""

    def __init__(
        self,
        profiles: Sequence[PhaseProfile],
        settings: FitSettings,
        starts: Sequence[PhaseState] | None,
    ) -> None:
        self.profiles = tuple(profiles)
        self._refine = list(settings.refine)
        self._instrument = settings.instrument.vector()
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
            start.append(np.concatenate([[begin.size_deg], strain]))
            low.append(np.concatenate([[0.0], -limits]))
            high.append(np.concatenate([[settings.size_limit_deg], limits]))
            typical.append(np.concatenate([[_SIZE_TYPICAL], np.full(m, _CELL_TYPICAL)]))
            letters = ("a", "b", "c", "alpha", "beta", "gamma")
            self._names.append(f"{profile.name}: size")
            self._names += [f"{profile.name}: {letters[g[0]]}" for g in profile.free]
            self._slices.append((at, at + 1 + m))
            at += 1 + m
        self.low, self.high = np.concatenate(low), np.concatenate(high)
        self.typical = np.concatenate(typical)
        self.start = np.clip(np.concatenate(start), self.low, self.high)

    def shape(self, p: FloatArray) -> FloatArray:
        """`Instrument.vector` for these parameters."""
        vector = self._instrument.copy()
        vector[self._refine] = p[: len(self._refine)]
        return vector

    def phase(self, p: FloatArray, j: int) -> tuple[float, FloatArray]:
        """Broadening and relative cell changes of one phase."""
        first, last = self._slices[j]
        return float(p[first]), p[first + 1 : last]

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
            harmless = name == "v" or (at_low[k] and self.low[k] >= 0.0)
            if (at_low[k] or at_high[k]) and not harmless and not absent:
                hit.append(name)
        return tuple(hit)


def _background_basis(x: FloatArray, terms: int) -> FloatArray:
    """Chebyshev polynomials over the scan and 1/x for air scatter, shape (n, terms + 2)."""
    unit = 2.0 * (x - x[0]) / (x[-1] - x[0]) - 1.0
    chebyshev = np.polynomial.chebyshev.chebvander(unit, terms)
    return np.column_stack([chebyshev, 10.0 / np.maximum(x, 1.0)])
