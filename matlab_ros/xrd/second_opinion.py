"""A second, independent refinement of a finished fit, by the program rietx.

What is independent: it reads the CIFs itself and has its own symmetry, structure factors, peak
shapes, background, minimisation and quantification. What is not: it is told which phases are there
and begins near the first fit's cells and widths, so that it takes a second and not half a minute;
scales and background it finds from nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import threading
import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from matlab_ros.model.lab_words import SecondOutcome
from matlab_ros.xrd.evidence import WORST_GOF
from matlab_ros.xrd.fit import FitResult, FittedPhase
from matlab_ros.xrd.pattern import Pattern

SOFTWARE = "rietx"
DEADLINE_S = 60.0
STEP_DEG = 0.03
TOLERANCE = 0.03
"""Weight fraction by which the two may differ: what they do on measured mixtures, and a margin."""
SMALL_TOLERANCE = 0.015
"""The same for phases of 3 wt% and less; in between it is half the fraction."""
CELL_TOLERANCE = 1e-3
"""Relative difference of a cell length; beside a free displacement it is not known better."""
WORST_RWP_RATIO = 1.3
"""How much worse than the first the second fit of the same points may be."""
_RADIUS_MM = 217.5
_BACKGROUND_TERMS = 10
_FEW = 5
_ENOUGH = 20


@dataclass(frozen=True)
class SecondOpinion:
    """What came of it.

    Attributes:
        outcome: the finding.
        reason: in a sentence; empty where it agrees.
        fractions: weight fractions by name of the phase's structure, not corrected for absorption
            in grains; empty without a fit.
        largest_difference: of a weight fraction between the two, NaN without a fit.
        rwp: of its fit of the points summed up to 0.03 degrees, 0 to 1, NaN without one.
        rwp_ratio: that over the first fit's of the same points.
        gof: the first fit's goodness of fit times this ratio.
    """

    outcome: SecondOutcome = SecondOutcome.NOT_ASKED
    reason: str = ""
    fractions: tuple[tuple[str, float], ...] = ()
    largest_difference: float = math.nan
    rwp: float = math.nan
    rwp_ratio: float = math.nan
    gof: float = math.nan


def is_installed() -> bool:
    """Whether the second program is there; it is not loaded."""
    return importlib.util.find_spec(SOFTWARE) is not None


def second_opinion(fit: FitResult, deadline_s: float = DEADLINE_S) -> SecondOpinion:
    """Refines a fitted pattern again and compares; errors of the other program are findings.

    Args:
        fit: the first, with at least one phase.
        deadline_s: steady seconds after which it is broken off.
    """
    if not is_installed():
        return SecondOpinion(
            SecondOutcome.NOT_INSTALLED,
            f"No second refinement: {SOFTWARE} is not installed (pip install {SOFTWARE}).",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result, ratio = _refine(importlib.import_module(SOFTWARE), fit, deadline_s)
    except Exception as error:  # Another program's errors are of any type; none may get further.
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        if type(error).__name__ == "RefinementCancelled":
            words = f"it did not end within {deadline_s:g} s"
        return SecondOpinion(SecondOutcome.FAILED, f"The second refinement failed: {words[:200]}.")
    return _compared(fit, result, ratio)


def tolerance_of(weight_fraction: float) -> float:
    """By how much the two may differ in a weight fraction."""
    return min(TOLERANCE, max(SMALL_TOLERANCE, 0.5 * weight_fraction))


def _compared(fit: FitResult, result: Any, ratio: float) -> SecondOpinion:
    present = [phase for phase in fit.phases if phase.scale > 0]
    if result.status == "diverged" or result.qpa is None:
        return SecondOpinion(SecondOutcome.FAILED, "The second refinement did not come to an end.")
    found = [float(item.weight_fraction) for item in result.qpa.phases]
    if len(found) != len(present) or not all(math.isfinite(value) for value in found):
        return SecondOpinion(SecondOutcome.FAILED, "The second refinement gives no fractions.")
    cells = {item.path: float(item.value) for item in result.parameters if ".cell." in item.path}
    complaints = []
    largest = 0.0
    for index, (phase, other) in enumerate(zip(present, found, strict=True)):
        name, own = phase.structure.name, phase.weight_fraction_uncorrected
        largest = max(largest, abs(other - own))
        if abs(other - own) > tolerance_of(own):
            complaints.append(f"{name} {100 * own:.1f} and {100 * other:.1f} wt%")
        for letter, length in zip("abc", phase.cell[:3].tolist(), strict=True):
            second = cells.get(f"phases.{index}.cell.{letter}", length)
            if abs(second / length - 1) > CELL_TOLERANCE:
                complaints.append(f"{name} {letter} = {length:.4f} and {second:.4f} angstrom")
    gof = fit.gof * ratio
    if not ratio <= WORST_RWP_RATIO:
        complaints.append(f"its Rwp is {ratio:.2f} times the first's")
    if not gof <= WORST_GOF:
        complaints.append(f"its goodness of fit is {gof:.1f}")
    return SecondOpinion(
        SecondOutcome.DISAGREES if complaints else SecondOutcome.AGREES,
        f"The second refinement does not agree: {'; '.join(complaints)}." if complaints else "",
        tuple((p.structure.name, value) for p, value in zip(present, found, strict=True)),
        largest,
        float(result.statistics.rwp),
        ratio,
        gof,
    )


def _refine(rietx: ModuleType, fit: FitResult, deadline_s: float) -> tuple[Any, float]:
    """The other program's result, and its Rwp over the first fit's of the same points."""
    pattern = fit.pattern
    factor = max(round(STEP_DEG / pattern.step_deg), 1)
    summed = pattern.rebinned(factor)
    n = summed.counts.size
    calculated = fit.calculated[: n * factor].reshape(-1, factor).sum(axis=1)
    weight = 1.0 / summed.uncertainty()
    rwp = float(
        np.linalg.norm((summed.counts - calculated) * weight)
        / np.linalg.norm(summed.counts * weight)
    )
    present = [phase for phase in fit.phases if phase.scale > 0]
    structure = rietx.Structure(phases=[_phase(rietx, phase) for phase in present])
    instrument = _instrument(rietx, fit, summed)
    data = rietx.PatternData(
        two_theta=summed.two_theta_deg.tolist(),
        intensity=summed.counts.tolist(),
        sigma=summed.uncertainty().tolist(),
    )
    plan = rietx.RefinementPlan(
        stages=[
            rietx.Stage(
                "scale", ["phases.*.scale", "instrument.background.*"], max_iter=_FEW, ftol=1e-3
            ),
            rietx.Stage(
                "all",
                [
                    "instrument.geometry.sample_displacement",
                    "instrument.geometry.surface_roughness.b",
                    "instrument.geometry.axial_hl",
                    "instrument.profile.u",
                    "instrument.profile.w",
                    "phases.*.cell.*",
                    "phases.*.lor_size",
                    "phases.*.preferred_orientation.r",
                ],
                max_iter=_ENOUGH,
                ftol=1e-4,
            ),
        ],
        closing_window_tol=None,
    )
    token = rietx.CancelToken()
    timer = threading.Timer(deadline_s, token.cancel)
    timer.daemon = True
    timer.start()
    try:
        result = rietx.Refinement(structure, instrument, history=False).fit(
            data, plan=plan, cancel=token
        )
    finally:
        timer.cancel()
    return result, float(result.statistics.rwp) / rwp


def _phase(rietx: ModuleType, fitted: FittedPhase) -> Any:
    phase = rietx.Structure.from_cif(fitted.structure.file).phases[0]
    names = ("a", "b", "c", "alpha", "beta", "gamma")
    for name, value in zip(names, fitted.cell.tolist(), strict=True):
        getattr(phase.cell, name).value = value
    phase.lor_size.value = fitted.state.size_deg
    if fitted.state.axis is not None:
        phase.preferred_orientation = rietx.PreferredOrientation(
            axis=tuple(int(i) for i in fitted.state.axis),
            r=rietx.Parameter(value=fitted.state.march, min=0.2, max=3.0),
        )
    return phase


def _instrument(rietx: ModuleType, fit: FitResult, pattern: Pattern) -> Any:
    first = fit.instrument
    lines = pattern.radiation.lines()
    graphite = first.monochromator_two_theta_deg
    instrument = rietx.Instrument.bragg_brentano(
        goniometer_radius_mm=_RADIUS_MM, monochromator_two_theta=graphite or None
    )
    emission = type(instrument.source.lines[0])
    instrument.source.lines = [
        emission(wavelength=float(angstrom), weight=rietx.Parameter(value=float(share), min=0.0))
        for angstrom, share in lines
    ]
    profile = instrument.profile
    profile.u.value, profile.v.value = first.u, first.v
    profile.w.value, profile.x.value = max(first.w, 1e-4), first.x
    instrument.zero_shift.value = first.zero_deg
    geometry = instrument.geometry
    # Shift in radians = -2 s cos(theta) / R of a sample s above the axis.
    geometry.sample_displacement.value = -math.radians(first.displacement_deg) * _RADIUS_MM / 2
    geometry.axial_sl.value = geometry.axial_hl.value = 0.03
    geometry.surface_roughness = rietx.schemas.instrument.RoughnessSuortti()
    geometry.surface_roughness.b.value = max(first.roughness, 0.02)
    instrument.background = rietx.schemas.instrument.BackgroundChebyshev(
        coefficients=[rietx.Parameter(value=0.0) for _ in range(_BACKGROUND_TERMS)]
    )
    return instrument
