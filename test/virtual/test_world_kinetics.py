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
from matlab_ros.model.errors import ConfigError
from matlab_ros.virtual.kinetics import react
from matlab_ros.virtual.reactions import Chemistry, NetworkConfig, build_chemistry, load_chemistry

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
    assert ranking[-1] < 0.85
    for names in SETS:
        assert target_fraction(names, 1400, 24) < 0.5


def test_order_of_a_file_does_not_matter() -> None:
    text = (CONFIG / "chemistry" / "mg_ti_o.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    for key in ("species", "powders", "reactions"):
        data[key] = data[key][::-1]
    reversed_ = build_chemistry([(Path("reversed"), NetworkConfig.model_validate(data))])
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


SPECIES = [
    {"name": n, "formula": n, "phase": n, "density_g_cm3": 4, "crystallite_nm": 100, "source": "x"}
    for n in ("MgO", "TiO2", "MgTiO3")
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


def build(reaction: dict[str, object], powder: dict[str, float] | None = None) -> Chemistry:
    powders = [{"name": "p", "species": powder, "source": "x"}] if powder else []
    data = {"name": "n", "species": SPECIES, "powders": powders, "reactions": [reaction]}
    return build_chemistry([(Path("some.yaml"), NetworkConfig.model_validate(data))])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"products": {"MgTiO3": 2}}, "r: it makes 1 Mg"),
        ({"products": {}}, "loses 1 Mg"),
        ({"leaves": {"CO2": 1}}, "makes 1 C"),
        ({"leaves": {"Qq": 1}}, "no element"),
        ({"products": {"MgTiO4": 1}}, "'MgTiO4' is no species; expected one of MgO"),
    ],
)
def test_a_file_with_bad_chemistry_is_refused(change: dict[str, object], words: str) -> None:
    build(REACTION)
    with pytest.raises(ConfigError, match=words) as caught:
        build({**REACTION, **change})
    assert "some.yaml" in str(caught.value)


def test_powder_shares_must_sum_to_one() -> None:
    with pytest.raises(ConfigError, match=r"sum to 0\.9"):
        build(REACTION, {"MgO": 0.9})


def test_a_reaction_stops_where_it_is_uphill() -> None:
    gate = {"enthalpy_kj_mol": -100.0, "entropy_j_mol_k": -100.0}
    gated = build({**REACTION, "driving_force": gate})
    start = np.array([1.0 if s.name != "MgTiO3" else 0.0 for s in gated.species])
    hour = np.array([0.0, 3600.0])
    above, _ = react(gated, start, 1.0, hour, np.full(2, 727.5))
    below, _ = react(gated, start, 1.0, hour, np.full(2, 700.0))
    assert np.array_equal(above, start)
    assert below[[s.name for s in gated.species].index("MgTiO3")] > 0


def test_first_order_decay_follows_its_half_time() -> None:
    names = {"reactants": {"MgTiO3": 1}, "products": {"MgO": 1, "TiO2": 1}}
    network = build({**REACTION, **names})
    index = [s.name for s in network.species].index("MgTiO3")
    start = np.zeros(3)
    start[index] = 8.0
    after, _ = react(network, start, 1.0, np.array([0, 3 * 3600.0]), np.full(2, 1000.0))
    assert after[index] == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize(
    ("times", "temperature"),
    [([0.0], [20.0]), ([0, 1, 1], [1, 2, 3]), ([0, 1], [20, np.nan]), ([0, 1], [20])],
)
def test_what_is_no_trace_is_refused(times: list[float], temperature: list[float]) -> None:
    with pytest.raises(ValueError, match="trace"):
        react(CHEMISTRY, mixture(SETS[0]), 1.0, np.array(times), np.array(temperature))
