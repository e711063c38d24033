"""Derivatives are those of the curves; evidence tells a trace from the misfit of another phase."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.share import share_dir
from matlab_ros.xrd.analyse import analyse
from matlab_ros.xrd.fit_parameters import FitSettings
from matlab_ros.xrd.least_squares import Problem
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.pattern import FloatArray, Pattern, Radiation
from matlab_ros.xrd.peaks import compiled
from matlab_ros.xrd.presence import evidence_of_presence
from matlab_ros.xrd.profile import Instrument, PhaseProfile, phase_profile
from matlab_ros.xrd.simulate import PhaseInMixture, Scan, simulate
from matlab_ros.xrd.structure import Structure, cell_volume, read_structure

STRUCTURES = share_dir() / "config" / "structures"
ANGLES = np.linspace(12.0, 100.0, 4049)
STEP = float(ANGLES[1] - ANGLES[0])


def shipped(name: str) -> Structure:
    return read_structure(STRUCTURES / f"{name}.cif")


def profile(name: str) -> PhaseProfile:
    return phase_profile(shipped(name), Radiation(), 100.0, Instrument())


@pytest.mark.parametrize(
    ("name", "axis"),
    [("MgO-Periclase", None), ("V2O5-Shcherbinaite", (0, 0, 1)), ("Bi2O3-alpha", None)],
)
def test_derivatives_are_those_of_the_curve(name: str, axis: tuple[int, int, int] | None) -> None:
    """By all values of the instrument, the crystallites' size, the cell and the texture."""
    phase = profile(name)
    textured = axis is not None
    if axis is not None:
        phase = phase.textured(axis)
    f = len(phase.free)
    shape = Instrument(roughness=0.05, displacement_deg=0.05).vector()
    at = np.concatenate([shape, [0.05], np.full(f, 1e-3), [0.9] * textured])

    def curve(p: FloatArray) -> FloatArray:
        strain = p[9 : 9 + f]
        drawn = phase.curve(ANGLES, strain, p[8], p[:8], p[-1] if textured else 1.0)
        return drawn * cell_volume(phase.cell(strain)) ** 2

    slopes = np.zeros((at.size, ANGLES.size))
    march = at[-1] if textured else 1.0
    scale = cell_volume(phase.cell(at[9 : 9 + f])) ** 2
    phase.add_slopes(slopes, range(at.size), ANGLES, at[9 : 9 + f], at[8], shape, march, scale)
    for k, slope in enumerate(slopes):
        h = np.zeros(at.size)
        h[k] = 1e-5
        numeric = (curve(at + h) - curve(at - h)) / 2e-5
        # They leave the far tails out.
        assert np.linalg.norm(slope - numeric) < 0.05 * np.linalg.norm(numeric), k


def noise_and_waves(rng: np.random.Generator) -> FloatArray:
    """A residual as of real powders: counting noise, and a background that is not quite right."""
    waves = np.convolve(rng.normal(size=ANGLES.size), np.ones(200) / 15.0, mode="same")
    return np.asarray(rng.normal(size=ANGLES.size) + waves)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_peaks_of_its_own_are_evidence_and_mended_ones_are_not(seed: int) -> None:
    """Both lower chi^2 by the same."""
    rng = np.random.default_rng(seed)
    peaks = [np.exp(-0.5 * ((ANGLES - x) / 0.06) ** 2) for x in np.linspace(20.0, 90.0, 12)]
    known = 400.0 * np.sum(peaks, axis=0)
    # Intensities are wrong by 5 % as by a texture, and one of them can be mended.
    errors = rng.normal(0.0, 20.0, len(peaks))
    errors[4] = 20.0
    wrong = sum(e * p for e, p in zip(errors, peaks, strict=True))
    own = 20.0 * np.exp(-0.5 * ((ANGLES - 47.0) / 0.06) ** 2)
    rest = noise_and_waves(rng) + wrong
    alone = evidence_of_presence(rest + own, rest, known, own, STEP, 4, 50)
    mended = 20.0 * peaks[4]
    beside = evidence_of_presence(rest, rest - mended, known, mended, STEP, 4, 50)
    assert alone > 100.0
    assert beside < 30.0


def test_noise_is_no_evidence() -> None:
    rng = np.random.default_rng(4)
    own = np.exp(-0.5 * ((ANGLES - 47.0) / 0.06) ** 2)
    for _ in range(20):
        noise = noise_and_waves(rng)
        best = max(float(own @ noise / (own @ own)), 0.0) * own
        found = evidence_of_presence(noise, noise - best, np.zeros_like(own), best, STEP, 2, 10)
        assert found < 10.0


def test_trace_is_found_and_nothing_else() -> None:
    mixture = [
        PhaseInMixture(shipped("MgO-Periclase"), 0.975),
        PhaseInMixture(shipped("TiO2-Rutile"), 0.025),
    ]
    scan = Scan(step_deg=0.0217, counting_time_s=25.0)
    pattern = simulate(mixture, np.random.default_rng(8), scan=scan)
    found = analyse(pattern, Library(STRUCTURES), elements={"Mg", "Ti", "Ca", "O", "C", "H"})
    assert {phase.structure.name for phase in found.phases} == {"MgO-Periclase", "TiO2-Rutile"}
    assert found.weight_fraction("TiO2") == pytest.approx(0.025, abs=0.008)


def test_equal_phases_share_a_pattern_without_harm() -> None:
    """Twice the same structure: the scales are not determined, their sum is."""
    pattern = simulate([PhaseInMixture(shipped("MgO-Periclase"), 1.0)], np.random.default_rng(1))
    problem = Problem(pattern, FitSettings())
    once = problem.minimise([profile("MgO-Periclase")])
    twice = problem.minimise([profile("MgO-Periclase")] * 2)
    assert np.isfinite(twice.chi2)
    assert twice.chi2 < 1.01 * once.chi2
    assert twice.scales.sum() == pytest.approx(once.scales.sum(), rel=0.05)


def test_settled_curves_are_taken_out_like_background() -> None:
    pattern = simulate([PhaseInMixture(shipped("MgO-Periclase"), 1.0)], np.random.default_rng(1))
    problem = Problem(pattern, FitSettings())
    solution = problem.minimise([profile("MgO-Periclase")])
    beside = problem.beside(problem.curves(solution))
    assert beside.chi2_background == pytest.approx(solution.chi2, rel=1e-6)
    assert problem.beside(np.empty((0, problem.n_points))).chi2_background == pytest.approx(
        problem.chi2_background
    )


def test_empty_pattern_is_no_phase() -> None:
    pattern = Pattern(ANGLES, np.zeros(ANGLES.size))
    found = analyse(pattern, Library(STRUCTURES), elements={"Mg", "Ti", "O"})
    assert found.phases == ()


def test_loops_compile_where_nothing_can_be_written() -> None:
    """numba keeps no cache for code that is in no file, as it keeps none where it may not write."""
    room: dict[str, object] = {}
    exec("def twice(x):\n    return x + x\n", room)
    assert compiled()(room["twice"])(2.0) == 4.0
