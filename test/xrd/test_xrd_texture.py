"""Texture and rough surfaces: what was put into a simulated pattern is found, and only that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.xrd.fit import FitResult, fit_pattern
from matlab_ros.xrd.fit_parameters import SHAPE, FitSettings
from matlab_ros.xrd.pattern import Pattern
from matlab_ros.xrd.profile import Instrument
from matlab_ros.xrd.simulate import PhaseInMixture, simulate
from matlab_ros.xrd.structure import Structure, read_structure
from matlab_ros.xrd.texture import (
    Axis,
    candidate_axes,
    cosines_squared,
    march_dollase,
    march_dollase_slope,
)
from matlab_ros.xrd.uncertainty import FLOOR, systematic_sigma

STRUCTURES = Path(__file__).parents[2] / "config" / "structures"


def shipped(name: str) -> Structure:
    return read_structure(STRUCTURES / f"{name}.cif")


@given(march=st.floats(0.5, 1.3))
def test_texture_takes_no_intensity_away_over_all_directions(march: float) -> None:
    """The mean of March's function over the sphere is 1, so that fractions keep their meaning."""
    cosine = (np.arange(20000) + 0.5) / 20000
    assert march_dollase(cosine[None, :] ** 2, march)[0] == pytest.approx(1.0, abs=1e-5)


def test_slope_is_the_derivative_at_no_texture() -> None:
    tilts = cosines_squared(
        shipped("V2O5-Shcherbinaite"), np.array([[0, 0, 1], [1, 1, 0], [3, 0, 1]]), (0, 0, 1)
    )
    h = 1e-4
    numeric = (march_dollase(tilts, 1 + h) - march_dollase(tilts, 1 - h)) / (2 * h)
    assert march_dollase_slope(tilts) == pytest.approx(numeric, abs=1e-6)


def test_plates_lying_flat_show_more_of_their_faces() -> None:
    """(00l) grows, (hk0) falls, and all equivalents of a reflection are counted."""
    calcite = shipped("CaCO3-Calcite")
    hkl = np.array([[0, 0, 6], [1, 1, 0], [1, 0, 4]])
    tilts = cosines_squared(calcite, hkl, (0, 0, 1))
    assert tilts[0] == pytest.approx(1.0)
    assert tilts[1] == pytest.approx(0.0, abs=1e-12)
    basal, prism, rhomb = march_dollase(tilts, 0.7)
    assert basal == pytest.approx(0.7**-3)
    assert prism == pytest.approx(0.7**1.5)
    assert prism < rhomb < basal
    # Along an axis with three equivalents the mean over them counts.
    oblique = cosines_squared(calcite, np.array([[1, 0, 4]]), (1, 0, 4))
    assert oblique.max() == pytest.approx(1.0)
    assert 0.0 < oblique.min() < 0.5


@pytest.mark.parametrize(
    ("name", "number"),
    [("MgO-Periclase", 0), ("TiO2-Rutile", 5), ("V2O5-Shcherbinaite", 7), ("ZnO-Zincite", 5)],
)
def test_equivalent_axes_are_tried_once(name: str, number: int) -> None:
    assert len(candidate_axes(shipped(name))) == number


def mixture(
    seed: int, march: float, axis: Axis | None = (0, 0, 1), roughness: float = 0.0
) -> Pattern:
    phases = [
        PhaseInMixture(shipped("MoO3-Molybdite"), 0.4, axis=axis, march=march),
        PhaseInMixture(shipped("ZnO-Zincite"), 0.6),
    ]
    return simulate(phases, np.random.default_rng(seed), Instrument(roughness=roughness))


def fitted(pattern: Pattern, settings: FitSettings | None = None) -> FitResult:
    return fit_pattern(pattern, [shipped("MoO3-Molybdite"), shipped("ZnO-Zincite")], settings)


@settings(max_examples=6, deadline=None)
@given(march=st.one_of(st.floats(0.55, 0.85), st.floats(1.1, 1.25)), seed=st.integers(0, 2**31))
def test_texture_is_found_again_and_the_fractions_with_it(march: float, seed: int) -> None:
    fit = fitted(mixture(seed, march))
    # The normal of (0 1 1) is so near that of (0 0 1) that counts cannot always tell them apart.
    assert fit.phases[0].state.axis in ((0, 0, 1), (0, 1, 1))
    assert fit.phases[0].state.march == pytest.approx(march, abs=0.02)
    assert fit.phases[1].state.axis is None
    assert fit.phases[0].weight_fraction == pytest.approx(0.4, abs=0.015)
    assert fit.gof < 1.15


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_no_texture_is_found_where_there_is_none(seed: int) -> None:
    fit = fitted(mixture(seed, 1.0, None))
    assert all(phase.state.axis is None for phase in fit.phases)


def test_correction_for_texture_widens_the_systematic_uncertainty() -> None:
    pattern = mixture(4, 0.6)
    with_texture = fitted(pattern)
    without = fitted(pattern, FitSettings(texture=False))
    error = abs(without.phases[0].weight_fraction - 0.4)
    assert error > 2 * abs(with_texture.phases[0].weight_fraction - 0.4)
    assert without.gof > 2 * with_texture.gof
    plain = fitted(mixture(4, 1.0, None))
    assert with_texture.phases[0].sigma_systematic > plain.phases[0].sigma_systematic


@pytest.mark.parametrize("roughness", [0.0, 0.04, 0.1])
def test_rough_surface_is_found_again_and_the_fractions_with_it(roughness: float) -> None:
    """MoO3 diffracts at low angles, which a rough surface weakens; ZnO at higher ones."""
    pattern = mixture(7, 1.0, None, roughness)
    fit = fitted(pattern)
    assert fit.instrument.roughness == pytest.approx(roughness, abs=0.01)
    assert fit.phases[0].weight_fraction == pytest.approx(0.4, abs=0.015)
    if roughness > 0.05:
        blind = fitted(pattern, FitSettings(refine=SHAPE[:-1]))
        assert blind.phases[0].weight_fraction < 0.38
        assert fit.phases[0].sigma_systematic > fit.phases[0].sigma_statistical


def test_every_correction_adds_to_the_uncertainty() -> None:
    fractions = np.array([0.5, 0.5])
    none = systematic_sigma(fractions, fractions)
    one = systematic_sigma(fractions, fractions, [np.array([0.03, -0.03])])
    assert one**2 - none**2 == pytest.approx(np.full(2, 9e-4))
    # One phase alone is not certain to be alone.
    assert systematic_sigma(np.ones(1), np.ones(1), [np.zeros(1)]) == pytest.approx([FLOOR])
