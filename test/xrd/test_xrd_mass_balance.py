"""The phases must hold the elements that were weighed in."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matlab_ros.share import share_dir
from matlab_ros.xrd.mass_balance import Fraction, mass_balance
from matlab_ros.xrd.structure import Structure, read_structure


@lru_cache
def structure(name: str) -> Structure:
    return read_structure(Path(share_dir()) / "config" / "structures" / f"{name}.cif")


def dispensed(parts: dict[str, float]) -> dict[str, tuple[float, float]]:
    """What phases of these masses hold, with 0.2 % uncertainty."""
    amounts: dict[str, float] = {}
    for name, mass in parts.items():
        phase = structure(name)
        for element, n in phase.composition.items():
            amounts[element] = amounts.get(element, 0.0) + n * mass / phase.cell_mass
    return {element: (n, 0.002 * n) for element, n in amounts.items()}


def fractions(parts: dict[str, float], sigma: float = 0.03) -> list[Fraction]:
    total = sum(parts.values())
    return [Fraction(structure(name), mass / total, sigma) for name, mass in parts.items()]


masses = st.floats(0.05, 1.0)


@given(masses, masses, masses, st.floats(0.1, 1000.0))
def test_true_fractions_balance_whatever_the_size_of_the_sample(
    titanate: float, rutile: float, oxide: float, scale: float
) -> None:
    parts = {"MgTiO3": titanate, "TiO2-Rutile": rutile, "MgO-Periclase": oxide}
    given_in = dispensed({name: scale * mass for name, mass in parts.items()})
    shares = mass_balance(fractions(parts), given_in)
    assert [share.element for share in shares] == ["Mg", "Ti"]
    for share in shares:
        assert share.found == pytest.approx(share.dispensed)
        assert share.holds
    assert sum(share.found for share in shares) == pytest.approx(1.0)


@given(st.integers(0, 2**32 - 1))
def test_tolerance_covers_errors_of_the_stated_size(seed: int) -> None:
    """Fractions off by their own uncertainty, one against the other, are no violation."""
    rng = np.random.default_rng(seed)
    true = float(rng.uniform(0.2, 0.8))
    off = true + 0.05 * float(rng.choice([-1.0, 1.0]))
    given_in = dispensed({"MgO-Periclase": true, "TiO2-Rutile": 1 - true})
    found = fractions({"MgO-Periclase": off, "TiO2-Rutile": 1 - off}, sigma=0.05)
    assert all(share.holds for share in mass_balance(found, given_in))


def test_gases_do_not_count() -> None:
    given_in = {**dispensed({"MgTiO3": 1.0}), "C": (1.0, 0.0), "H": (3.0, 0.0), "N": (1.0, 0.0)}
    assert [s.element for s in mass_balance(fractions({"MgTiO3": 1.0}), given_in)] == ["Mg", "Ti"]


def test_wrong_ratio_is_told() -> None:
    given_in = dispensed({"MgTiO3": 1.0})
    shares = mass_balance(fractions({"MgTiO3": 0.4, "TiO2-Rutile": 0.6}), given_in)
    assert not any(share.holds for share in shares)
    assert not any(share.is_missing for share in shares)


def test_element_without_a_phase_is_missing() -> None:
    given_in = dispensed({"MgO-Periclase": 0.5, "TiO2-Rutile": 0.5})
    shares = {s.element: s for s in mass_balance(fractions({"TiO2-Rutile": 1.0}, 0.0), given_in)}
    assert shares["Mg"].is_missing
    assert not shares["Ti"].is_missing


def test_nothing_is_compared_where_there_is_nothing_to_compare() -> None:
    assert mass_balance([], dispensed({"MgTiO3": 1.0})) == ()
    assert mass_balance(fractions({"MgTiO3": 1.0}), {}) == ()
    assert mass_balance(fractions({"TiO2-Rutile": 1.0}), dispensed({"TiO2-Rutile": 1.0})) == ()
