"""Whole-pattern fit: from a pattern and its phases to weight fractions.

Background and scales are linear in it and solved exactly in every step; see
`matlab_ros.xrd.least_squares`. The rest moves by Levenberg and Marquardt: alignment and resolution
of the instrument, what the sample's surface takes from low angles, and for each phase its cell
constants and the broadening by small crystallites. A preferred orientation of a phase's grains
joins in only where the data give strong evidence of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from matlab_ros.xrd.fit_parameters import FitSettings, PhaseState
from matlab_ros.xrd.least_squares import Problem, Solution
from matlab_ros.xrd.pattern import FloatArray, Pattern
from matlab_ros.xrd.preferred import with_texture
from matlab_ros.xrd.profile import Instrument, phase_profile, size_nm
from matlab_ros.xrd.structure import Structure, cell_volume
from matlab_ros.xrd.uncertainty import correct_fractions, systematic_sigma


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
    factor = int(settings.texture_step_deg / pattern.step_deg)
    if not settings.texture or not profiles:
        solution = problem.minimise(profiles, starts)
    elif factor < 2:
        solution = with_texture(problem, problem.minimise(profiles, starts))
    else:
        coarse = Problem(pattern.rebinned(factor), settings)
        chosen = with_texture(coarse, coarse.minimise(profiles, starts))
        solution = problem.minimise(chosen.profiles, chosen.phases, chosen.instrument)
    return fit_result(problem, solution)


def fit_result(problem: Problem, solution: Solution) -> FitResult:
    """Weight fractions, uncertainties and curves of a solution."""
    scales = solution.scales
    pattern = problem.pattern
    curves = problem.curves(solution) * scales[:, None]
    background = problem.background(pattern.counts - curves.sum(axis=0))
    calculated = background + curves.sum(axis=0)
    observed2 = max(float(np.sum((pattern.counts * problem.weight) ** 2)), 1.0)
    n_free = solution.n_parameters + len(scales) + problem.basis.shape[1]
    rwp = float(np.sqrt(solution.chi2 / observed2))
    rexp = float(np.sqrt(max(problem.n_points - n_free, 1) / observed2))
    gof = rwp / rexp
    cells = [
        profile.cell(state.strain)
        for profile, state in zip(solution.profiles, solution.phases, strict=True)
    ]
    density = _mass_per_volume(solution)
    uncorrected, sigmas = _fractions(solution, density, gof)
    wavelength = pattern.radiation.kalpha1_angstrom
    absorption = np.array(
        [profile.structure.linear_absorption_per_cm(wavelength) for profile in solution.profiles]
    )
    fractions = correct_fractions(uncorrected, absorption, density, problem.settings.grain_um)
    systematic = systematic_sigma(
        fractions, uncorrected, _corrections(problem, solution, density, uncorrected)
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
                curve=curves[j],
            )
        )
    return FitResult(
        pattern=pattern,
        phases=tuple(phases),
        background=background,
        calculated=calculated,
        instrument=solution.instrument,
        chi2=solution.chi2,
        rwp=rwp,
        rexp=rexp,
        gof=gof,
        rwp_background_free=float(np.sqrt(solution.chi2 / max(problem.chi2_background, 1e-12))),
        bounds_hit=solution.bounds_hit,
        converged=solution.converged,
        iterations=solution.iterations,
    )


def visible_fraction(solution: Solution, j: int) -> float:
    """Weight fraction of one phase without any correction."""
    amounts = solution.scales * _mass_per_volume(solution)
    total = float(amounts.sum())
    return float(amounts[j]) / total if total > 0 else 0.0


def _mass_per_volume(solution: Solution) -> FloatArray:
    """Dalton per cubic angstrom of each phase, shape (k,)."""
    return np.array(
        [
            profile.structure.cell_mass / cell_volume(profile.cell(state.strain))
            for profile, state in zip(solution.profiles, solution.phases, strict=True)
        ]
    )


def _corrections(
    problem: Problem, solution: Solution, density: FloatArray, fractions: FloatArray
) -> list[FloatArray]:
    """What the sample's surface and its texture each change in the fractions, shape (k,)."""
    smooth = replace(solution.instrument, roughness=0.0)
    random = tuple(replace(state, march=1.0) for state in solution.phases)
    changes = []
    for plain in (replace(solution, instrument=smooth), replace(solution, phases=random)):
        curves = problem.curves(plain) * problem.weight
        amounts = problem.solve(problem.project(curves)).scales * density
        total = float(amounts.sum())
        if total > 0:
            changes.append(np.asarray(amounts / total - fractions, dtype=np.float64))
    return changes


def _fractions(
    solution: Solution, density: FloatArray, gof: float
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
    curves = solution.curves[active]
    covariance = np.linalg.pinv(curves @ curves.T) * max(gof, 1.0) ** 2
    d = density[active]
    derivative = (np.diag(d) - np.outer(fractions[active], d)) / total
    variance = np.diag(derivative @ covariance @ derivative.T)
    sigmas[active] = np.sqrt(np.maximum(variance, 0.0))
    return fractions, sigmas
