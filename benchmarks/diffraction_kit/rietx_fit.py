"""rietx, from its own starting values and with its own staged plan, on the same patterns."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from matlab_ros.xrd.pattern import Pattern
from matlab_ros.xrd.structure import Structure
from matlab_ros.xrd.uncertainty import NOMINAL_GRAIN_UM, correct_fractions

RADIUS_MM = 145.0
BACKGROUND_TERMS = 10


@dataclass(frozen=True)
class RietxFit:
    """What came of it.

    Attributes:
        fractions: by formula, corrected for absorption in grains as ours are.
        rwp: 0 to 1.
        seconds: of the processor.
        cells: a, b, c of each phase in the order given.
    """

    fractions: dict[str, float]
    rwp: float
    seconds: float
    cells: tuple[tuple[float, ...], ...]


def staged_fit(pattern: Pattern, structures: list[Structure]) -> RietxFit:
    """Refines with `RefinementPlan.lab_bragg_brentano`, as its manual has it for a diffractometer.

    Reading the CIFs and loading the library are not timed.
    """
    import rietx

    phases = [rietx.Structure.from_cif(structure.file).phases[0] for structure in structures]
    instrument = _instrument(rietx, pattern)
    data = rietx.PatternData(
        two_theta=pattern.two_theta_deg.tolist(), intensity=pattern.counts.tolist()
    )
    refinement = rietx.Refinement(rietx.Structure(phases=phases), instrument, history=False)
    start = time.process_time()
    result = refinement.fit(data, plan=rietx.RefinementPlan.lab_bragg_brentano())
    seconds = time.process_time() - start
    raw = np.array([float(item.weight_fraction) for item in result.qpa.phases])
    wavelength = pattern.radiation.kalpha1_angstrom
    mu = np.array([s.linear_absorption_per_cm(wavelength) for s in structures])
    density = np.array([s.density for s in structures])
    fractions = correct_fractions(raw, mu, density, NOMINAL_GRAIN_UM)
    values = {item.path: float(item.value) for item in result.parameters}
    cells = tuple(
        tuple(
            values.get(f"phases.{i}.cell.{name}", structure.cell[j]) for j, name in enumerate("abc")
        )
        for i, structure in enumerate(structures)
    )
    return RietxFit(
        {s.formula: float(f) for s, f in zip(structures, fractions, strict=True)},
        float(result.statistics.rwp),
        seconds,
        cells,
    )


def _instrument(rietx: Any, pattern: Pattern) -> Any:
    instrument = rietx.Instrument.bragg_brentano(goniometer_radius_mm=RADIUS_MM)
    emission = type(instrument.source.lines[0])
    instrument.source.lines = [
        emission(wavelength=float(angstrom), weight=rietx.Parameter(value=float(share), min=0.0))
        for angstrom, share in pattern.radiation.lines()
    ]
    instrument.background = rietx.schemas.instrument.BackgroundChebyshev(
        coefficients=[rietx.Parameter(value=0.0) for _ in range(BACKGROUND_TERMS)]
    )
    return instrument
