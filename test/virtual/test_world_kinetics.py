"""Powders obey conservation of mass, Arrhenius and nothing else: not order, not cutting."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.chemistry.stoichiometry import precursor_mass_fractions
from matlab_ros.virtual.kinetics import react
from matlab_ros.virtual.network import Chemistry
from matlab_ros.virtual.reactions import build_chemistry, load_chemistry
from matlab_ros.virtual.world_file import parse_world, read_worlds

CONFIG = Path(__file__).parents[2] / "config"
CHEMISTRY = load_chemistry(CONFIG / "chemistry" / "mg_ti_o.yaml")
FORMULAS = {
    "MgO": "MgO",
    "MgCO3": "MgCO3",
    "Mg(OH)2": "Mg(OH)2",
    "TiO2-anatase": "TiO2",
    "TiO2-rutile": "TiO2",
}
SETS = [(m, t) for m in ("MgO", "MgCO3", "Mg(OH)2") for t in ("TiO2-anatase", "TiO2-rutile")]
TARGET = "MgTiO3"


def firing(temperature_c: float, dwell_h: float) -> tuple[np.ndarray, np.ndarray]:
    """Up at 10 C/min, dwell, down at 10 C/min."""
    ramp_s = (temperature_c - 25) / 10 * 60
    times = np.cumsum([0, ramp_s, dwell_h * 3600, ramp_s])
    return times, np.array([25, temperature_c, temperature_c, 25.0])


def mixture(names: tuple[str, ...], mass_mg: float = 1000.0) -> np.ndarray:
    shares = precursor_mass_fractions(TARGET, [FORMULAS[name] for name in names])
    doses = [CHEMISTRY.powder_amounts(n, mass_mg * s) for n, s in zip(names, shares, strict=True)]
    return np.sum(doses, axis=0)


def target_fraction(names: tuple[str, ...], temperature_c: float, dwell_h: float) -> float:
    amounts, _ = react(CHEMISTRY, mixture(names), 1.0, *firing(temperature_c, dwell_h))
    masses = CHEMISTRY.phase_masses(amounts)
    return masses.get(TARGET, 0.0) / sum(masses.values())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(FORMULAS)), st.floats(0.01, 2000)), min_size=1, max_size=6
    ),
    st.lists(st.tuples(st.floats(1, 40_000), st.floats(-20, 1800)), min_size=2, max_size=8),
    st.floats(0, 1),
)
def test_mass_is_conserved_whatever_is_fired(
    doses: list[tuple[str, float]], pieces: list[tuple[float, float]], mixedness: float
) -> None:
    amounts = np.sum([CHEMISTRY.powder_amounts(*dose) for dose in doses], axis=0)
    times = np.cumsum([seconds for seconds, _ in pieces])
    temperature = np.array([value for _, value in pieces])
    after, left = react(CHEMISTRY, amounts, mixedness, times, temperature)

    assert np.all(after >= 0)
    assert np.all(left >= 0)
    before_mg = sum(mass for _, mass in doses)
    after_mg = after @ CHEMISTRY.molar_mass + left @ CHEMISTRY.leaving_molar_mass
    assert after_mg == pytest.approx(before_mg, rel=1e-9)


@pytest.mark.parametrize("names", SETS, ids="+".join)
def test_ignition_loses_what_the_formula_says(names: tuple[str, ...]) -> None:
    _, left = react(CHEMISTRY, mixture(names), 1.0, *firing(750, 2))
    moles_of_target = mixture(names) @ np.array(
        [float("TiO2" in s.phase) for s in CHEMISTRY.species]
    )
    gas = dict(zip(CHEMISTRY.leaving, left, strict=True))
    assert gas["H2O"] == pytest.approx(moles_of_target * ("Mg(OH)2" in names), rel=1e-3)
    assert gas["CO2"] == pytest.approx(moles_of_target * ("MgCO3" in names), rel=1e-3)


@pytest.mark.parametrize("names", SETS, ids="+".join)
def test_colder_is_slower_until_the_product_suffers(names: tuple[str, ...]) -> None:
    fractions = [target_fraction(names, t, 2.0) for t in range(650, 951, 50)]
    assert all(a < b for a, b in pairwise(fractions))


@pytest.mark.parametrize("names", SETS, ids="+".join)
def test_a_furnace_80_c_too_cold_gives_less(names: tuple[str, ...]) -> None:
    for temperature in (900, 1000):
        right = target_fraction(names, temperature, 4.0)
        assert target_fraction(names, temperature - 80, 4.0) < 0.8 * right


def test_unmixed_powder_reacts_less() -> None:
    names = ("MgO", "TiO2-rutile")
    products = [
        CHEMISTRY.phase_masses(react(CHEMISTRY, mixture(names), mixedness, *firing(1000, 4))[0])
        for mixedness in (0.1, 0.5, 1.0)
    ]
    made = [masses.get(TARGET, 0.0) for masses in products]
    assert made[0] < 0.5 * made[1] < made[2]


def test_result_depends_on_the_trace_not_on_its_sampling() -> None:
    times, temperature = firing(1050, 5)
    fine = np.linspace(times[0], times[-1], 7001)
    fine = np.unique(np.concatenate([fine, times]))
    coarse, _ = react(CHEMISTRY, mixture(SETS[1]), 1.0, times, temperature)
    dense, _ = react(CHEMISTRY, mixture(SETS[1]), 1.0, fine, np.interp(fine, times, temperature))
    assert dense == pytest.approx(coarse, abs=0.003 * coarse.sum())


def test_result_is_linear_in_mass_and_blind_to_company() -> None:
    small, _ = react(CHEMISTRY, mixture(SETS[2], 10.0), 1.0, *firing(1000, 1))
    large, _ = react(CHEMISTRY, mixture(SETS[2], 1000.0), 1.0, *firing(1000, 1))
    assert large == pytest.approx(100 * small, rel=1e-9)


def test_landscape_is_worth_searching() -> None:
    best: dict[tuple[str, ...], tuple[float, float, float]] = {}
    for names in SETS:
        best[names] = max(
            (target_fraction(names, t, d), t, d)
            for t in np.arange(800.0, 1401.0, 25.0)
            for d in np.geomspace(0.5, 24, 7)
        )
    fraction, temperature, dwell = max(best.values())
    assert fraction > 0.96
    assert 850 < temperature < 1350
    assert 0.5 < dwell < 24
    ranking = sorted((value[0] for value in best.values()), reverse=True)
    assert ranking[0] - ranking[1] > 0.02
    assert ranking[-1] < 0.95 * ranking[0]
    for names in SETS:
        assert target_fraction(names, 1400, 24) < 0.5


def test_order_of_a_file_does_not_matter() -> None:
    worlds = []
    for world in reversed(read_worlds(CONFIG / "chemistry" / "mg_ti_o.yaml")):
        data = yaml.safe_load(world.path.read_text(encoding="utf-8"))
        for key in ("surroundings", "species", "powders", "reactions"):
            data[key] = data[key][::-1]
        worlds.append(parse_world(world.path, yaml.safe_dump(data)))
    reversed_ = build_chemistry(worlds)
    assert [s.name for s in reversed_.species] == [s.name for s in CHEMISTRY.species]
    trace = firing(1100, 3)
    assert np.array_equal(
        react(reversed_, mixture(SETS[3]), 1.0, *trace)[0],
        react(CHEMISTRY, mixture(SETS[3]), 1.0, *trace)[0],
    )


def test_inert_stock_only_dilutes() -> None:
    wider = CHEMISTRY.with_inert("Al2O3", "Al2O3", "Al2O3-Corundum")
    amounts = np.append(mixture(SETS[0]), 0.0) + wider.powder_amounts("Al2O3", 300.0)
    after, _ = react(wider, amounts, 1.0, *firing(1000, 4))
    assert wider.phase_masses(after)["Al2O3-Corundum"] == pytest.approx(300.0)
    alone, _ = react(CHEMISTRY, mixture(SETS[0]), 1.0, *firing(1000, 4))
    diluted, pure = wider.phase_masses(after)[TARGET], CHEMISTRY.phase_masses(alone)[TARGET]
    assert 0 < diluted < pure


def energies(enthalpy: float, entropy: float = 0.0, **of: float) -> dict[str, object]:
    rest = {"of": of} if of else {"heat_capacity_j_mol_k": [50.0, 0.0, 0.0]}
    return {
        "enthalpy_kj_mol": enthalpy,
        "entropy_j_mol_k": entropy,
        "source": "x",
        **rest,
    }


def substance(name: str, thermodynamics: dict[str, object]) -> dict[str, object]:
    return {
        "name": name,
        "formula": name,
        "phase": name,
        "density_g_cm3": 4,
        "crystallite_nm": 100,
        "thermodynamics": thermodynamics,
        "source": "x",
    }


SPECIES = [
    substance("MgO", energies(-600)),
    substance("TiO2", energies(-940)),
    substance("MgTiO3", energies(-1000, MgO=1, TiO2=1)),
]
REACTION = {
    "name": "r",
    "reactants": {"MgO": 1, "TiO2": 1},
    "products": {"MgTiO3": 1},
    "half_time_h": 1,
    "at_temperature_c": 1000,
    "activation_energy_kj_mol": 300,
    "source": "x",
}


def build(
    reaction: dict[str, object],
    powder: dict[str, float] | None = None,
    species: list[dict[str, object]] = SPECIES,
) -> Chemistry:
    powders = [{"name": "p", "species": powder, "source": "x"}] if powder else []
    data = {"name": "n", "species": species, "powders": powders, "reactions": [reaction]}
    return build_chemistry([parse_world(Path("some.yaml"), yaml.safe_dump(data))])


def moles(chemistry: Chemistry, **amounts: float) -> np.ndarray:
    return np.array([amounts.get(item.name, 0.0) for item in chemistry.species])


@pytest.mark.parametrize("cooler_k", [5.0, 100.0])
def test_nothing_runs_uphill(cooler_k: float) -> None:
    made = substance("MgTiO3", energies(-100, -100, MgO=1, TiO2=1))
    gated = build(REACTION, species=[*SPECIES[:2], made])
    back = {**REACTION, "reactants": {"MgTiO3": 1}, "products": {"MgO": 1, "TiO2": 1}}
    reversed_ = build(back, species=[*SPECIES[:2], made])
    hour = np.array([0.0, 3600.0])
    # dH - T dS is zero at 1000 K.
    for chemistry, start, runs_at, stands_at in (
        (gated, {"MgO": 1.0, "TiO2": 1.0}, 726.85 - cooler_k, 726.85 + cooler_k),
        (reversed_, {"MgTiO3": 1.0}, 726.85 + cooler_k, 726.85 - cooler_k),
    ):
        before = moles(chemistry, **start)
        uphill, _ = react(chemistry, before, 1.0, hour, np.full(2, stands_at))
        downhill, _ = react(chemistry, before, 1.0, hour, np.full(2, runs_at))
        assert np.array_equal(uphill, before)
        assert downhill.max() < before.max()


def test_first_order_decay_follows_its_half_time() -> None:
    made = substance("MgTiO3", energies(500, MgO=1, TiO2=1))
    names = {"reactants": {"MgTiO3": 1}, "products": {"MgO": 1, "TiO2": 1}}
    network = build({**REACTION, **names}, species=[*SPECIES[:2], made])
    start = moles(network, MgTiO3=8.0)
    after, _ = react(network, start, 1.0, np.array([0, 3 * 3600.0]), np.full(2, 1000.0))
    assert after @ moles(network, MgTiO3=1) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("layer", ["jander", "ginstling-brounshtein"])
def test_diffusion_through_a_layer_is_parabolic_and_no_layer_is_linear(layer: str) -> None:
    def share(resistance: float, hours: float) -> float:
        network = build({**REACTION, "layer_resistance": resistance, "layer": layer})
        start = moles(network, MgO=1.0, TiO2=1.0)
        times = np.array([0.0, 3600.0 * hours])
        after, _ = react(network, start, 1.0, times, np.full(2, 1050.0))
        return float(after @ moles(network, MgTiO3=1))

    assert share(0, 0.004) / share(0, 0.001) == pytest.approx(4.0, rel=0.02)
    assert share(1e4, 4.0) / share(1e4, 1.0) == pytest.approx(2.0, rel=0.05)
    assert share(1e4, 0.1) < share(10, 0.1) < share(0, 0.1)


def test_a_layer_around_a_sphere_hinders_less_than_a_flat_one() -> None:
    made = []
    for layer in ("jander", "ginstling-brounshtein"):
        network = build({**REACTION, "layer_resistance": 20, "layer": layer})
        start = moles(network, MgO=1.0, TiO2=1.0)
        after, _ = react(network, start, 1.0, *firing(1050, 4))
        made.append(float(after @ moles(network, MgTiO3=1)))
    assert made[0] < 0.95 * made[1]


def test_a_melt_wets_what_was_not_mixed() -> None:
    fluid = {**SPECIES[0], "melts": {"temperature_c": 800}}
    for temperature, is_molten in ((790.0, False), (810.0, True)):
        made = []
        for mixedness in (0.2, 1.0):
            network = build(REACTION, species=[fluid, *SPECIES[1:]])
            start = moles(network, MgO=1.0, TiO2=1.0)
            hour = np.array([0.0, 3600.0])
            after, _ = react(network, start, mixedness, hour, np.full(2, temperature))
            made.append(float(after @ moles(network, MgTiO3=1)))
        assert (made[0] == pytest.approx(made[1])) == is_molten


def test_a_short_peak_between_cold_ends_is_felt() -> None:
    start = mixture(SETS[4])
    times = np.array([0.0, 300.0, 310.0, 600.0])
    after, _ = react(CHEMISTRY, start, 1.0, times, np.array([25.0, 600.0, 600.0, 25.0]))
    assert after.sum() > 1.001 * start.sum() or not np.allclose(after, start)
    masses = CHEMISTRY.phase_masses(after)
    assert masses.get("MgO-Periclase", 0.0) > 10.0


@pytest.mark.parametrize(
    ("times", "temperature"),
    [([0.0], [20.0]), ([0, 1, 1], [1, 2, 3]), ([0, 1], [20, np.nan]), ([0, 1], [20])],
)
def test_what_is_no_trace_is_refused(times: list[float], temperature: list[float]) -> None:
    with pytest.raises(ValueError, match="trace"):
        react(CHEMISTRY, mixture(SETS[0]), 1.0, np.array(times), np.array(temperature))
