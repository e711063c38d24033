"""A provisional result says which angles would decide, and scans added up decide it."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.model.errors import DataError
from matlab_ros.model.lab_words import Order
from matlab_ros.model.scan_program import ScanProgram
from matlab_ros.share import share_dir
from matlab_ros.xrd.analyse import Analysis, analyse
from matlab_ros.xrd.evidence import STRONG_EVIDENCE
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.look_again import DECISIVE, Question, deciding_ranges, look_again
from matlab_ros.xrd.merging import exposures_of, merged
from matlab_ros.xrd.open_questions import further_look
from matlab_ros.xrd.pattern import Pattern, Radiation
from matlab_ros.xrd.refit import Refit
from matlab_ros.xrd.simulate import PhaseInMixture, Scan, simulate
from matlab_ros.xrd.structure import read_structure

STRUCTURES = share_dir() / "config" / "structures"
PHASES = ["MgTiO3", "TiO2-Rutile"]
SHORT = ScanProgram("short", 10.0, 100.0, 60.0)
PROGRAMS = (
    SHORT,
    ScanProgram("high angles", 60.0, 100.0, 400.0),
    ScanProgram("low angles", 15.0, 45.0, 600.0),
    ScanProgram("all angles", 10.0, 100.0, 7200.0),
)
SECOND = 0.3
"""Seconds for which the short scan counts at each angle."""


@lru_cache
def measured(program: ScanProgram, seed: int = 0) -> Pattern:
    """A mixture with little of the ordered phase."""
    parts = {"MgTiO3": 0.15, "TiO2-Rutile": 0.85}
    mixture = [
        PhaseInMixture(read_structure(Path(STRUCTURES) / f"{name}.cif"), share)
        for name, share in parts.items()
    ]
    time_s = SECOND * program.seconds_per_degree / SHORT.seconds_per_degree
    scan = Scan(program.first_deg, program.last_deg, counting_time_s=time_s)
    return simulate(mixture, np.random.default_rng(seed), scan=scan)


@lru_cache
def glance() -> Analysis:
    return analyse(measured(SHORT), Library(STRUCTURES), phases=PHASES)


def test_short_scan_asks_for_the_angles_of_the_superstructure() -> None:
    analysis = glance()
    assert [test.result for test in analysis.order] == [Order.UNDECIDED]
    again = further_look(analysis, SHORT.seconds_per_degree, PROGRAMS, 1200.0)
    assert again is not None
    assert again.program is not None
    assert again.program.name == "low angles"
    assert again.expected >= DECISIVE
    best = again.ranges[0]
    # (003) and (101) of ilmenite, which a random occupation nearly puts out.
    assert 18.0 < best.first_deg < best.last_deg < 23.0
    assert {"MgTiO3"} <= set(best.between)
    assert 0.0 < again.needed_s < 600.0


def test_scan_that_was_asked_for_decides_together_with_the_first() -> None:
    scans = [measured(PROGRAMS[2], 1), measured(SHORT)]
    both = merged(scans, exposures_of(scans, [20.0, SHORT.seconds_per_degree]))
    analysis = analyse(both, Library(STRUCTURES), phases=PHASES)
    (test,) = analysis.order
    assert test.result is Order.ORDERED
    assert test.delta_bic > glance().order[0].delta_bic + STRONG_EVIDENCE
    assert analysis.fit.gof < 1.5
    assert float(both.two_theta_deg[-1]) == pytest.approx(100.0, abs=0.05)
    assert further_look(analysis, 20.0, PROGRAMS, 1200.0) is None


def test_nothing_is_asked_for_beyond_the_budget() -> None:
    again = further_look(glance(), SHORT.seconds_per_degree, PROGRAMS, 100.0)
    assert again is not None
    assert again.program is None
    assert again.expected < DECISIVE
    assert again.ranges


def question(height: float, misfit: float = 0.0) -> Question:
    """Two models that differ in one peak at 30 degrees, over 100 counts of background."""
    angles = np.linspace(10.0, 100.0, 3001)
    peak = height * np.exp(-0.5 * ((angles - 30.0) / 0.1) ** 2)
    noise = np.random.default_rng(1).normal(size=angles.size)
    noise[np.abs(angles - 30.0) < 0.3] *= math.sqrt(1.0 + misfit)
    first = np.full(angles.size, 100.0)
    chi2 = float(noise @ noise)
    return Question(
        ("a", "b"),
        Refit(angles, first, noise, chi2),
        Refit(angles, first + peak, noise, chi2 + 1.0),
    )


@settings(max_examples=20)
@given(st.floats(1.0, 200.0))
def test_deciding_range_is_where_the_models_differ(height: float) -> None:
    found = deciding_ranges(question(height), 1.0)
    assert found
    assert all(29.0 <= item.first_deg < item.last_deg <= 31.01 for item in found)


@settings(max_examples=20)
@given(st.floats(2.0, 20.0), st.floats(1.1, 10.0))
def test_longer_scan_tells_more_and_a_longer_budget_asks_for_no_less(
    height: float, times: float
) -> None:
    programs = [ScanProgram("p", 10.0, 100.0, 90.0), ScanProgram("q", 10.0, 100.0, 90.0 * times)]
    low = look_again([question(height)], 1.0, programs[:1], 1e6)
    high = look_again([question(height)], 1.0, programs, 1e6)
    assert high.expected >= low.expected
    if low.program is not None:
        assert high.program == low.program


def test_scan_that_misses_the_difference_is_not_chosen() -> None:
    programs = [ScanProgram("wrong", 60.0, 100.0, 10.0), ScanProgram("right", 20.0, 40.0, 1e3)]
    again = look_again([question(8.0)], 1.0, programs, 1e6)
    assert again.program is not None
    assert again.program.name == "right"


def test_no_time_helps_where_misfit_hides_the_difference() -> None:
    again = look_again([question(8.0, misfit=30.0)], 1.0, PROGRAMS, 1e6)
    assert again.program is None
    assert math.isinf(again.needed_s)


@given(
    st.floats(0.01, 0.05),
    st.floats(0.01, 0.05),
    st.floats(0.5, 20.0),
    st.integers(0, 2**32 - 1),
)
def test_merged_scans_keep_counts_and_their_statistics(
    step: float, other_step: float, times: float, seed: int
) -> None:
    """Residuals of the sum about the truth scatter by their stated uncertainty."""
    rng = np.random.default_rng(seed)

    def scan(first: float, last: float, step_deg: float, per_deg: float) -> Pattern:
        angles = np.arange(first, last, step_deg)
        rate = per_deg * step_deg * (1.0 + 0.3 * np.sin(angles))
        return Pattern(angles, rng.poisson(rate).astype(np.float64))

    first, second = scan(10.0, 60.0, step, 2e4), scan(30.0, 50.0, other_step, 2e4 * times)
    both = merged([first, second], [1.0, times])
    width = both.step_deg
    truth = 2e4 * width * (1.0 + 0.3 * np.sin(both.two_theta_deg))
    residual = (both.counts - truth) / both.uncertainty()
    n = residual.size
    assert abs(residual.mean()) < 6.0 / math.sqrt(n) + 0.05
    # Counts of a coarse scan that are spread over bins are a little too smooth, never too rough.
    assert 0.4 < float(residual @ residual) / n < 1.25
    inside = (both.two_theta_deg > 31.0) & (both.two_theta_deg < 49.0)
    outside = (both.two_theta_deg < 29.0) | (both.two_theta_deg > 51.0)
    ratio = both.uncertainty()[outside].mean() / both.uncertainty()[inside].mean()
    assert ratio == pytest.approx(math.sqrt(1.0 + times), rel=0.1)
    assert exposures_of([first, second], [1.0, 99.0])[1] == pytest.approx(times, rel=0.02)


def test_scans_of_different_radiations_are_not_added_up() -> None:
    angles = np.arange(10.0, 20.0, 0.02)
    copper = Pattern(angles, np.ones(angles.size))
    cobalt = Pattern(angles, np.ones(angles.size), Radiation("Co", 1.78897, 1.79285))
    with pytest.raises(DataError, match="another radiation"):
        merged([copper, cobalt], [1.0, 1.0])


def test_exposure_is_what_programs_state_where_scans_do_not_overlap() -> None:
    low = Pattern(np.arange(10.0, 20.0, 0.02), np.full(500, 10.0))
    high = Pattern(np.arange(30.0, 40.0, 0.02), np.full(500, 10.0))
    assert exposures_of([low, high], [2.0, 6.0]) == (1.0, 3.0)
