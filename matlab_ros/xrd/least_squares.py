"""Levenberg-Marquardt with variable projection: the numbers behind a whole-pattern fit.

The model is y = background + sum_j c_j curve_j. What it is linear in (scales c_j >= 0 and the
background) is solved exactly inside every step (variable projection, Golub & Pereyra, SIAM J.
Numer. Anal. 10, 413, 1973, with Kaufman's approximation of the Jacobian). The background is
projected out of data and curves; of the Jacobian only products are ever needed, from which the
linear part is taken out as a Schur complement.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from matlab_ros.xrd.fit_parameters import FitSettings, Layout, PhaseState
from matlab_ros.xrd.pattern import FloatArray, Pattern
from matlab_ros.xrd.profile import Instrument, PhaseProfile
from matlab_ros.xrd.texture import Axis

_TRIES = 6
# Keeps normal equations of nearly equal curves solvable.
_RIDGE = 1e-12


@dataclass(frozen=True, eq=False)
class Solution:
    """Where a minimisation ended.

    Attributes:
        profiles: the phases.
        instrument: with refined values.
        phases: broadening and relative cell changes of each phase.
        scales: of each phase's curve, shape (k,).
        curves: weighted, with the background projected out, shape (k, n).
        residual: weighted, shape (n,).
        chi2: its square.
        n_parameters: how many were refined, the linear ones aside.
        bounds_hit: parameters that ended at a limit.
        converged: whether it stopped because nothing got better.
        iterations: how many it took.
    """

    profiles: tuple[PhaseProfile, ...]
    instrument: Instrument
    phases: tuple[PhaseState, ...]
    scales: FloatArray
    curves: FloatArray
    residual: FloatArray
    chi2: float
    n_parameters: int
    bounds_hit: tuple[str, ...]
    converged: bool
    iterations: int


@dataclass(frozen=True, eq=False)
class LinearPart:
    """The best scales for curves that are settled.

    Attributes:
        curves: weighted, with the background projected out, shape (k, n).
        scales: not negative, shape (k,).
        residual: weighted, shape (n,).
        chi2: its square.
    """

    curves: FloatArray
    scales: FloatArray
    residual: FloatArray
    chi2: float


class Problem:
    """One pattern's data and background, prepared for any number of fits.

    Attributes:
        pattern: the data.
        basis: functions that make up the background, shape (n, b).
        weight: 1 over the uncertainty of each count, shape (n,).
        chi2_background: chi^2 of the best background without any phase.
    """

    def __init__(self, pattern: Pattern, settings: FitSettings) -> None:
        """Prepares the projection that takes the background out.

        Args:
            pattern: the data.
            settings: limits and starting values.
        """
        self.pattern = pattern
        self.settings = settings
        self._x = np.ascontiguousarray(pattern.two_theta_deg, dtype=np.float64)
        self.weight = 1.0 / pattern.uncertainty()
        self.basis = _background_basis(self._x, settings.background_terms)
        q, _ = np.linalg.qr(self.basis * self.weight[:, None])
        self._q = np.ascontiguousarray(q.T)
        self._y = self.project(pattern.counts * self.weight)
        self.chi2_background = float(self._y @ self._y)

    @property
    def n_points(self) -> int:
        """How many counts there are."""
        return self._x.size

    def beside(self, known: FloatArray) -> Problem:
        """The same with further curves in the background.

        Args:
            known: curves of unit scale, shape (k, n), whose scales are free in every fit but
                whose shapes are settled, such as those of phases found before.
        """
        other = copy.copy(self)
        if known.shape[0]:
            q, _ = np.linalg.qr(self.project(known * self.weight).T)
            other._q = np.vstack([self._q, q.T])
            other._y = self._y - (self._y @ q) @ q.T
            other.chi2_background = float(other._y @ other._y)
        return other

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
        linear = self._linear(layout, p)
        damping = 1e-2
        converged = not p.size or not profiles
        iteration = 0
        while not converged and iteration < settings.max_iterations:
            iteration += 1
            normal, gradient = self._normal_equations(layout, p, linear)
            # A parameter at its limit that wants to go further must not bend the others' step.
            free = ~(((p <= layout.low) & (gradient < 0)) | ((p >= layout.high) & (gradient > 0)))
            diagonal = np.sqrt(np.maximum(np.diag(normal), 1e-9 * max(normal.max(), 1e-300)))[free]
            gradient = gradient[free] / diagonal
            normal = normal[np.ix_(free, free)] / np.outer(diagonal, diagonal)
            better = None
            for _ in range(_TRIES):
                step = np.linalg.solve(normal + damping * np.eye(diagonal.size), gradient)
                # What cannot be seen is not worth drawing.
                expected = step @ (2.0 * gradient - normal @ step)
                if expected < settings.tolerance * linear.chi2:
                    break
                trial = p.copy()
                trial[free] += step / diagonal * layout.typical[free]
                trial = np.clip(trial, layout.low, layout.high)
                found = self._linear(layout, trial)
                if found.chi2 < linear.chi2:
                    better = found
                    break
                damping *= 5.0
            if better is None:
                converged = True
                break
            decrease = (linear.chi2 - better.chi2) / linear.chi2
            p, linear = trial, better
            damping = max(damping / 5.0, 1e-7)
            converged = bool(decrease < settings.tolerance)
        return Solution(
            profiles=layout.profiles,
            instrument=instrument.with_vector(layout.shape(p)),
            phases=tuple(layout.phase(p, j) for j in range(len(layout.profiles))),
            scales=linear.scales,
            curves=linear.curves,
            residual=linear.residual,
            chi2=linear.chi2,
            n_parameters=p.size,
            bounds_hit=layout.bounds_hit(p, linear.scales),
            converged=converged,
            iterations=iteration,
        )

    def background(self, counts: FloatArray) -> FloatArray:
        """The best background for counts without phases, shape (n,)."""
        weighted = self.basis * self.weight[:, None]
        return np.asarray(
            self.basis @ np.linalg.lstsq(weighted, counts * self.weight, rcond=None)[0],
            dtype=np.float64,
        )

    def curves(self, solution: Solution) -> FloatArray:
        """Curves of unit scale of a solution's phases, shape (k, n)."""
        return self._draw(solution.profiles, solution.phases, solution.instrument.vector())

    def project(self, rows: FloatArray) -> FloatArray:
        """Takes out of weighted rows what the background can do, shape (n,) or (k, n)."""
        return np.asarray(rows - (rows @ self._q.T) @ self._q, dtype=np.float64)

    def solve(self, curves: FloatArray) -> LinearPart:
        """Non-negative scales for weighted curves without background, shape (k, n)."""
        if not curves.shape[0]:
            return LinearPart(curves, np.empty(0), self._y, self.chi2_background)
        norms = np.maximum(np.sqrt(np.einsum("kn,kn->k", curves, curves)), 1e-30)
        normal = (curves @ curves.T) / np.outer(norms, norms) + _RIDGE * np.eye(norms.size)
        right = (curves @ self._y) / norms
        scales = np.linalg.solve(normal, right)
        if scales.min() < 0:
            root = np.linalg.cholesky(normal)
            scales = nnls(root.T, np.linalg.solve(root, right))[0]
        scales /= norms
        residual = self._y - scales @ curves
        return LinearPart(curves, scales, residual, float(residual @ residual))

    def texture_gains(
        self, solution: Solution, axes: Mapping[int, Sequence[Axis]]
    ) -> tuple[FloatArray, FloatArray]:
        """What textures of phases without one would do to first order, all else free.

        Args:
            solution: to start from.
            axes: to try, by the index of the phase.

        Returns:
            For each axis in turn the decrease of chi^2, and the change of March's parameter from
            1 that goes with it.
        """
        layout = Layout(solution.profiles, self.settings, solution.phases, solution.instrument)
        slopes = self.project(self._slopes(layout, layout.start, solution.scales, axes))
        n = layout.start.size
        free = np.vstack([solution.curves[solution.scales > 0], slopes[:n]])
        norms = np.sqrt(np.einsum("kn,kn->k", free, free))
        free = free[norms > 0] / norms[norms > 0, None]
        tried = slopes[n:]
        gram = free @ free.T + 1e-10 * np.eye(free.shape[0])
        tried -= np.linalg.solve(gram, free @ tried.T).T @ free
        norm2 = np.maximum(np.einsum("kn,kn->k", tried, tried), 1e-300)
        along = tried @ solution.residual
        return along**2 / norm2, along / norm2

    def _linear(self, layout: Layout, p: FloatArray) -> LinearPart:
        states = [layout.phase(p, j) for j in range(len(layout.profiles))]
        curves = self._draw(layout.profiles, states, layout.shape(p))
        curves *= self.weight
        return self.solve(self.project(curves))

    def _draw(
        self, profiles: Sequence[PhaseProfile], states: Sequence[PhaseState], shape: FloatArray
    ) -> FloatArray:
        out = np.zeros((len(profiles), self._x.size))
        for row, profile, state in zip(out, profiles, states, strict=True):
            profile.add_curve(row, self._x, state.strain, state.size_deg, shape, state.march)
        return out

    def _slopes(
        self,
        layout: Layout,
        p: FloatArray,
        scales: FloatArray,
        axes: Mapping[int, Sequence[Axis]] | None = None,
    ) -> FloatArray:
        """Weighted derivatives of the model by each parameter at constant scales, shape (p, n).

        Those by textures along further axes of a phase come last.
        """
        axes = axes or {}
        more = sum(len(a) for a in axes.values())
        out = np.zeros((p.size + more, self._x.size))
        at = p.size
        for j, profile in enumerate(layout.profiles):
            tried = axes.get(j, ())
            if scales[j] > 0:
                state = layout.phase(p, j)
                profile.add_slopes(
                    out,
                    [*layout.rows(j), *range(at, at + len(tried))],
                    self._x,
                    state.strain,
                    state.size_deg,
                    layout.shape(p),
                    state.march,
                    float(scales[j]),
                    tried,
                )
            at += len(tried)
        out *= self.weight
        return out

    def _normal_equations(
        self, layout: Layout, p: FloatArray, linear: LinearPart
    ) -> tuple[FloatArray, FloatArray]:
        """J J' and J r of the model's derivatives J, the linear part taken out of them."""
        slopes = self._slopes(layout, p, linear.scales)
        overlap = slopes @ self._q.T
        normal = slopes @ slopes.T - overlap @ overlap.T
        active = linear.curves[linear.scales > 0]
        if active.shape[0]:
            shared = slopes @ active.T
            gram = active @ active.T
            gram += _RIDGE * np.diag(np.diag(gram))
            normal -= shared @ np.linalg.solve(gram, shared.T)
        gradient = slopes @ linear.residual
        typical = layout.typical
        return normal * np.outer(typical, typical), gradient * typical


def _background_basis(x: FloatArray, terms: int) -> FloatArray:
    """Chebyshev polynomials over the scan and 1/x for air scatter, shape (n, terms + 2)."""
    unit = 2.0 * (x - x[0]) / (x[-1] - x[0]) - 1.0
    chebyshev = np.polynomial.chebyshev.chebvander(unit, terms)
    return np.column_stack([chebyshev, 10.0 / np.maximum(x, 1.0)])
