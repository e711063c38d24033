"""Which phases of a fit have a preferred orientation, and along which axis.

A texture must lower Schwarz's criterion very strongly, beyond what the best of so many tried axes
would by chance (extended BIC; Chen & Chen, Biometrika 95, 759, 2008).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from matlab_ros.xrd.evidence import STRONG_EVIDENCE, correlation_length
from matlab_ros.xrd.fit_parameters import INSTRUMENT_NAMES
from matlab_ros.xrd.least_squares import Problem, Solution
from matlab_ros.xrd.texture import HIGHEST_MARCH, LOWEST_MARCH, Axis, candidate_axes

# How many axes of the most promising are tried in a full fit each time.
_FITTED = 4


@dataclass(frozen=True)
class _Trial:
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


def with_texture(problem: Problem, solution: Solution) -> Solution:
    """Gives phases a preferred orientation where the data ask for it, one after another."""
    trials = _trials(problem, solution)
    least = STRONG_EVIDENCE + 2.0 * math.log(max(len(trials), 1))
    n = problem.n_points
    while True:
        # What to first order is no evidence at all is not worth a fit.
        length = correlation_length(solution.residual)
        hopeful = [
            t for t in trials if _dbic(solution.chi2, solution.chi2 - t.gain, n, length) > 0.0
        ]
        found = [_begun(problem, solution, trial) for trial in hopeful[:_FITTED]]
        best = min(found, key=lambda item: item.chi2, default=None)
        if best is None:
            return solution
        best = problem.minimise(best.profiles, best.phases, best.instrument)
        length = correlation_length(best.residual)
        if _dbic(solution.chi2, best.chi2, n, length) < least:
            return solution
        solution = best
        trials = _trials(problem, solution)


def _trials(problem: Problem, solution: Solution) -> list[_Trial]:
    """By how much each axis of each phase would lower chi^2 to first order, best first."""
    axes = {
        j: candidate_axes(profile.structure)
        for j, profile in enumerate(solution.profiles)
        if solution.scales[j] > 0 and profile.axis is None
    }
    which = [(j, axis) for j, tried in axes.items() for axis in tried]
    if not which:
        return []
    gains, changes = problem.texture_gains(solution, axes)
    marches = np.clip(1.0 + changes, LOWEST_MARCH, HIGHEST_MARCH)
    trials = [
        _Trial(float(gain), j, axis, float(march))
        for gain, march, (j, axis) in zip(gains, marches, which, strict=True)
    ]
    # In a crystal with one main axis all axes do the same to first order: the simplest come first.
    return sorted(trials, key=lambda trial: -float(f"{trial.gain:.3g}"))


def _begun(problem: Problem, solution: Solution, trial: _Trial) -> Solution:
    """Begins a fit with a texture; good enough to tell one axis from another.

    Of the instrument only the surface is left free, which changes intensities as texture does.
    """
    profiles, states = list(solution.profiles), list(solution.phases)
    i = trial.index
    profiles[i] = profiles[i].textured(trial.axis)
    states[i] = replace(states[i], axis=trial.axis, march=trial.march)
    surface = tuple(i for i in problem.settings.refine if INSTRUMENT_NAMES[i] == "roughness")
    brief = replace(problem.settings, refine=surface, max_iterations=3)
    return problem.minimise(profiles, states, solution.instrument, brief)


def _dbic(before: float, after: float, n: int, length: float) -> float:
    """By how much Schwarz's criterion falls when one more parameter lowers chi^2.

    In units of the misfit that is left, and with as many data as there are independent ones.

    Args:
        before: chi^2 without the parameter.
        after: chi^2 with it.
        n: number of points.
        length: `correlation_length` of the residual.
    """
    return (before - after) / (max(after / n, 1.0) * length) - math.log(n / length)
