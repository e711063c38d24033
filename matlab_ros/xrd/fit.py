"""Whole-pattern least squares: from a pattern and its phases to weight fractions.

The model is y = background + sum_j c_j curve_j. What it is linear in (scales c_j >= 0 and the
background) is solved exactly inside every step (variable projection, Golub & Pereyra, SIAM J.
Numer. Anal. 10, 413, 1973, with Kaufman's approximation of the Jacobian); Levenberg-Marquardt
moves the rest: alignment and resolution of the instrument, what the sample's surface takes from
low angles, and for each phase its cell constants and the broadening by small crystallites. A
preferred orientation of a phase's grains joins in only where the data give strong evidence of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import nnls

from matlab_ros.xrd.fit_parameters import INSTRUMENT_NAMES, FitSettings, Layout, PhaseState
from matlab_ros.xrd.pattern import FloatArray, Pattern
from matlab_ros.xrd.profile import Instrument, PhaseProfile, phase_profile, size_nm
from matlab_ros.xrd.structure import Structure, cell_volume
from matlab_ros.xrd.texture import HIGHEST_MARCH, LOWEST_MARCH, Axis, candidate_axes
from matlab_ros.xrd.uncertainty import correct_fractions, systematic_sigma

# How many axes of the most promising are tried in a full fit each time.
_TEXTURES_FITTED = 4
# dBIC above 10 is very strong evidence (Kass & Raftery, J. Am. Stat. Assoc. 90, 773, 1995).
_STRONG_EVIDENCE = 10.0


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
        state: broadening, cell changes and texture as refined, to go on from.
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
    solution = problem.minimise(profiles, starts)
    if settings.texture:
        solution = problem.with_texture(solution)
    return problem.result(solution)


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
        self,
        profiles: Sequence[PhaseProfile],
        starts: Sequence[PhaseState] | None = None,
        instrument: Instrument | None = None,
        settings: FitSettings | None = None,
    ) -> Solution:
        """Levenberg-Marquardt from the starting values to the nearest minimum.

        Args:
            profiles: the phases.
            starts: one for each phase; by default no change of cell and little broadening.
            instrument: to start from; by default that of the settings.
            settings: other ones than the problem's; their background is not looked at.
        """
        settings = settings or self.settings
        instrument = instrument or settings.instrument
        layout = Layout(profiles, settings, starts, instrument)
        p = layout.start
        columns = self._columns(layout, p)
        scales, residual, chi2 = self._solve(columns)
        damping = 1e-2
        converged = not p.size or not profiles
        iteration = 0
        while not converged and iteration < settings.max_iterations:
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
            converged = decrease < settings.tolerance
        return Solution(
            profiles=layout.profiles,
            instrument=instrument.with_vector(layout.shape(p)),
            phases=tuple(layout.phase(p, j) for j in range(len(layout.profiles))),
            scales=scales,
            columns=columns,
            chi2=chi2,
            n_parameters=p.size,
            bounds_hit=layout.bounds_hit(p, scales),
            converged=converged,
            iterations=iteration,
        )

    def with_texture(self, solution: Solution) -> Solution:
        """Gives phases a preferred orientation where the data ask for it, one after another.

        A texture must lower Schwarz's criterion very strongly, beyond what the best of so many
        tried axes would by chance (extended BIC; Chen & Chen, Biometrika 95, 759, 2008).
        """
        trials = self._texture_trials(solution)
        least = _STRONG_EVIDENCE + 2.0 * math.log(max(len(trials), 1))
        while True:
            # What to first order is no evidence at all is not worth a fit.
            length = _correlation_length(self._residual(solution))
            hopeful = [
                t for t in trials if self._dbic(solution.chi2, solution.chi2 - t.gain, length) > 0.0
            ]
            found = [self._with_texture(solution, t) for t in hopeful[:_TEXTURES_FITTED]]
            best = min(found, key=lambda item: item.chi2, default=None)
            if best is None:
                return solution
            best = self.minimise(best.profiles, best.phases, best.instrument)
            length = _correlation_length(self._residual(best))
            if self._dbic(solution.chi2, best.chi2, length) < least:
                return solution
            solution = best
            trials = self._texture_trials(solution)

    def _with_texture(self, solution: Solution, trial: _TextureTrial) -> Solution:
        """Begins a fit with a texture; good enough to tell one axis from another.

        Of the instrument only the surface is left free, which changes intensities as texture does.
        """
        profiles, states = list(solution.profiles), list(solution.phases)
        i = trial.index
        profiles[i] = profiles[i].textured(trial.axis)
        states[i] = replace(states[i], axis=trial.axis, march=trial.march)
        surface = tuple(i for i in self.settings.refine if INSTRUMENT_NAMES[i] == "roughness")
        brief = replace(self.settings, refine=surface, max_iterations=3)
        return self.minimise(profiles, states, solution.instrument, brief)

    def _dbic(self, before: float, after: float, length: float) -> float:
        """By how much Schwarz's criterion falls when one more parameter lowers chi^2.

        In units of the misfit that is left, and with as many data as there are independent ones.

        Args:
            before: chi^2 without the parameter.
            after: chi^2 with it.
            length: `_correlation_length` of the residual.
        """
        n = self._x.size
        return (before - after) / (max(after / n, 1.0) * length) - math.log(n / length)

    def _texture_trials(self, solution: Solution) -> list[_TextureTrial]:
        """By how much each axis of each phase would lower chi^2 to first order, best first."""
        shape = solution.instrument.vector()
        residual = self._residual(solution)
        layout = Layout(solution.profiles, self.settings, solution.phases, solution.instrument)
        jacobian = self._jacobian(layout, layout.start, solution.columns, solution.scales)
        present = solution.scales > 0
        others = np.hstack([solution.columns[:, present], jacobian])
        norms = np.linalg.norm(others, axis=0)
        q, _ = np.linalg.qr(others[:, norms > 0] / norms[norms > 0])
        trials = []
        for j, profile in enumerate(solution.profiles):
            if not present[j] or profile.axis is not None:
                continue
            for axis in candidate_axes(profile.structure):
                curve = _curve(profile.slope(axis), self._x, solution.phases[j], shape)
                column = self._project(solution.scales[j] * curve * self._weight)
                column -= q @ (q.T @ column)
                norm2, along = float(column @ column), float(column @ residual)
                if norm2 > 0:
                    march = min(max(1.0 + along / norm2, LOWEST_MARCH), HIGHEST_MARCH)
                    trials.append(_TextureTrial(along * along / norm2, j, axis, march))
        trials.sort(key=lambda trial: -trial.gain)
        return trials

    def _residual(self, solution: Solution) -> FloatArray:
        return np.asarray(self._y - solution.columns @ solution.scales, dtype=np.float64)

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
        systematic = systematic_sigma(
            fractions, uncorrected, self._corrections(solution, density, uncorrected)
        )
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
            out[:, j] = _curve(profile, self._x, solution.phases[j], shape)
        return out

    def _project(self, column: FloatArray) -> FloatArray:
        """Takes out of weighted columns what the background can do, shape (n,) or (n, k)."""
        return column - self._q @ (self._q.T @ column)

    def _columns(self, layout: Layout, p: FloatArray) -> FloatArray:
        shape = layout.shape(p)
        out = np.empty((self._x.size, len(layout.profiles)), order="F")
        for j, profile in enumerate(layout.profiles):
            out[:, j] = _curve(profile, self._x, layout.phase(p, j), shape)
        out *= self._weight[:, None]
        return self._project(out)

    def _solve(self, columns: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        """Non-negative scales, the residual they leave, and its square."""
        if not columns.shape[1]:
            return np.empty(0), self._y, self.chi2_background
        norms = np.maximum(np.linalg.norm(columns, axis=0), 1e-30)
        # With y as a last column, R's last column is what Q' y would be, and Q is not needed.
        joined = np.column_stack([columns / norms, self._y])
        r: FloatArray = np.asarray(np.linalg.qr(joined, mode="r"), dtype=np.float64)
        scales = nnls(r[:-1, :-1], r[:-1, -1])[0] / norms
        residual = self._y - columns @ scales
        return scales, residual, float(residual @ residual)

    def _jacobian(
        self, layout: Layout, p: FloatArray, columns: FloatArray, scales: FloatArray
    ) -> FloatArray:
        """Derivative of the model by each parameter, the linear part projected out, (n, p)."""
        # Columns one after the other in memory: each is written as a whole.
        raw = np.zeros((self._x.size, p.size), order="F")
        shape = layout.shape(p)
        base: list[FloatArray | None] = []
        for j, profile in enumerate(layout.profiles):
            present = scales[j] > 0
            state = layout.phase(p, j)
            base.append(_curve(profile, self._x, state, shape) if present else None)
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
                after = _curve(layout.profiles[j], self._x, layout.phase(moved, j), moved_shape)
                raw[:, k] += scales[j] * (after - before) / h
        raw *= self._weight[:, None]
        raw = self._project(raw)
        active = scales > 0
        if active.any():
            q, _ = np.linalg.qr(columns[:, active])
            raw -= q @ (q.T @ raw)
        return raw

    def _corrections(
        self, solution: Solution, density: FloatArray, fractions: FloatArray
    ) -> list[FloatArray]:
        """What the sample's surface and its texture each change in the fractions, shape (k,)."""
        smooth = replace(solution.instrument, roughness=0.0)
        random = tuple(replace(state, march=1.0) for state in solution.phases)
        changes = []
        for plain in (replace(solution, instrument=smooth), replace(solution, phases=random)):
            scales, _, _ = self._solve(self._project(self.curves(plain) * self._weight[:, None]))
            amounts = scales * density
            total = float(amounts.sum())
            if total > 0:
                changes.append(np.asarray(amounts / total - fractions, dtype=np.float64))
        return changes

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


@dataclass(frozen=True)
class _TextureTrial:
    """What an axis would do for a fit to first order.

    Attributes:
        gain: decrease of chi^2.
        index: of the phase.
        axis: tried.
        march: March's parameter to start from.
    """

    gain: float
    index: int
    axis: Axis
    march: float


def _curve(
    profile: PhaseProfile, x: FloatArray, state: PhaseState, shape: FloatArray
) -> FloatArray:
    return profile.curve(x, state.strain, state.size_deg, shape, state.march)


def _correlation_length(residual: FloatArray) -> float:
    """How many neighbouring points say the same: 1 + 2 sum of the autocorrelation, at least 1.

    Summed up to where it first falls below zero. A misfitted peak is wrong at all its points
    together, which statistics that take them as independent would count many times (Berar &
    Lelann, J. Appl. Cryst. 24, 1, 1991).
    """
    n = residual.size
    spectrum = np.abs(np.fft.rfft(residual - residual.mean(), 2 * n)) ** 2
    correlation = np.fft.irfft(spectrum)[:n]
    if correlation[0] <= 0:
        return 1.0
    correlation /= correlation[0]
    negative = np.flatnonzero(correlation < 0)
    last = int(negative[0]) if negative.size else n
    return float(max(1.0 + 2.0 * correlation[1:last].sum(), 1.0))


def _background_basis(x: FloatArray, terms: int) -> FloatArray:
    """Chebyshev polynomials over the scan and 1/x for air scatter, shape (n, terms + 2)."""
    unit = 2.0 * (x - x[0]) / (x[-1] - x[0]) - 1.0
    chebyshev = np.polynomial.chebyshev.chebvander(unit, terms)
    return np.column_stack([chebyshev, 10.0 / np.maximum(x, 1.0)])
