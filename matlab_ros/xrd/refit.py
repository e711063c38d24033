"""A fitted pattern again with another structure in a phase's place, for a fair comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from matlab_ros.xrd.evidence import correlation_length, difference, misfit_where
from matlab_ros.xrd.fit import FitResult, fit_result
from matlab_ros.xrd.fit_parameters import FitSettings
from matlab_ros.xrd.least_squares import Problem
from matlab_ros.xrd.pattern import FloatArray
from matlab_ros.xrd.profile import phase_profile
from matlab_ros.xrd.structure import Structure

STEP_DEG = 0.03
_ITERATIONS = 8


@dataclass(frozen=True, eq=False)
class Refit:
    """What came of it, on points summed up to about 0.03 degrees.

    Attributes:
        two_theta_deg: angles, shape (n,).
        calculated: counts, shape (n,).
        residual: weighted differences, shape (n,).
        chi2: weighted sum of squared residuals.
    """

    two_theta_deg: FloatArray
    calculated: FloatArray
    residual: FloatArray
    chi2: float

    @property
    def n(self) -> int:
        """How many points."""
        return int(self.residual.size)


def refitted(fit: FitResult, instead: Mapping[int, Structure] | None = None) -> Refit:
    """Goes on from a fit, with other structures in place of some of its phases.

    Args:
        fit: to start from; its textures stay.
        instead: structures by the index of the phase; cells of lengths like the fitted one's go
            on from it, others from their own.
    """
    instead = instead or {}
    pattern = fit.pattern
    factor = max(round(STEP_DEG / pattern.step_deg), 1)
    pattern = pattern.rebinned(factor)
    last = float(pattern.two_theta_deg[-1])
    profiles, states = [], []
    for index, phase in enumerate(fit.phases):
        structure = instead.get(index, phase.structure)
        profile = phase_profile(structure, pattern.radiation, last, fit.instrument)
        state = phase.state
        same_cell = structure.cell == phase.structure.cell
        if not same_cell:
            state = replace(state, strain=state.strain[:0], axis=None, march=1.0)
        elif state.axis is not None:
            profile = profile.textured(state.axis)
        profiles.append(profile)
        states.append(state)
    settings = FitSettings(instrument=fit.instrument, max_iterations=_ITERATIONS, tolerance=1e-4)
    problem = Problem(pattern, settings)
    found = fit_result(problem, problem.minimise(profiles, states))
    residual = (pattern.counts - found.calculated) / pattern.uncertainty()
    return Refit(pattern.two_theta_deg, found.calculated, residual, found.chi2)


def delta_bic(own: Refit, other: Refit) -> float:
    """By how much Schwarz's criterion prefers the first of two models with as many parameters.

    In units of what the better one leaves where they differ, neighbouring points counted once.
    """
    better = min(own, other, key=lambda item: item.chi2)
    apart = difference(own.calculated, other.calculated)
    unit = misfit_where(apart, better.residual) * correlation_length(better.residual)
    return (other.chi2 - own.chi2) / unit
