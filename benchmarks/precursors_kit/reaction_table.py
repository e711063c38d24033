"""Energies from a table of reaction energies: what a new user of the YBa2Cu3O7 data has."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np

from matlab_ros.chemistry.driving_forces import DrivingForces
from matlab_ros.chemistry.energies import KJ_PER_MOL_PER_EV, Atmosphere, Energy
from matlab_ros.chemistry.formula import Formula, parse_formula
from matlab_ros.chemistry.outcomes import is_same_phase, reduced
from matlab_ros.chemistry.phase_balance import gases_between
from matlab_ros.chemistry.thermodynamics import Thermodynamics

TABLE_NAME = "YBCO_Rxn_TD.csv"
HOLDS_AT_K = 1173.15
"""The hottest of the table's experiments, for which such energies are ranked."""
UNCERTAINTY_EV_ATOM = 0.024
"""Of calculated energies of ternary oxides against their binaries (Hautier et al., Phys. Rev. B 85,
155208, 2012)."""


@dataclass(frozen=True)
class SetEnergy:
    """One row: a set, its amounts for one formula unit of the target, and its reaction energy.

    Attributes:
        amounts: formula units of each precursor, by reduced formula.
        ev_per_atom: of what is mixed.
    """

    amounts: tuple[tuple[str, float], ...]
    ev_per_atom: float

    @property
    def precursors(self) -> tuple[str, ...]:
        """Reduced formulas, sorted."""
        return tuple(sorted(name for name, _ in self.amounts))

    @property
    def atoms(self) -> float:
        """Atoms that are mixed for one formula unit of the target."""
        return sum(n * _atoms(name) for name, n in self.amounts)


def read_set_energies(path: Path) -> list[SetEnergy]:
    """The rows in their order, which is that of rising reaction energy."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for row in rows:
        names = [reduced(part.strip()) for part in row["Precursors"].split("+")]
        # The table rounds thirds to three digits, which would break the balance.
        amounts = [
            float(Fraction(part.strip()).limit_denominator(30))
            for part in row["Amounts"].split("+")
        ]
        energy = float(row["Reaction energy (meV/atom)"]) / 1000.0
        found.append(SetEnergy(tuple(zip(names, amounts, strict=True)), energy))
    return found


class ReactionTableEnergies:
    """Energies of the compounds of a table of reactions, consistent with each other only.

    Reaction energies fix energies of compounds up to the elements' own, which cancel in every
    balanced reaction among these compounds and gases. All hold at one temperature.

    Args:
        rows: of the table.
        target: formula that the table means; the same phase with other oxygen takes up the rest
            from the gas at equilibrium.
        noise: eV per atom added to each compound's energy, by its reduced formula.
    """

    name = "table of reaction energies"

    def __init__(
        self, rows: Iterable[SetEnergy], target: str, noise: dict[str, float] | None = None
    ) -> None:
        rows = list(rows)
        self._target = reduced(target)
        self._air = Atmosphere.air()
        names = sorted({name for row in rows for name, _ in row.amounts} | {self._target})
        matrix = np.zeros((len(rows), len(names)))
        energies = np.zeros(len(rows))
        whole = _atoms(target) / _atoms(self._target)
        for i, row in enumerate(rows):
            for name, n in row.amounts:
                matrix[i, names.index(name)] -= n
            matrix[i, names.index(self._target)] += whole
            gases = gases_between(dict(row.amounts), {self._target: whole})
            energies[i] = row.ev_per_atom * row.atoms * KJ_PER_MOL_PER_EV
            energies[i] -= sum(n * self._gas(gas) for gas, n in gases.items())
        # Least squares of least norm: one choice among those that differ by elements' energies.
        values = np.linalg.lstsq(matrix, energies, rcond=1e-6)[0]
        off = noise or {}
        self._values = {
            name: float(value) + off.get(name, 0.0) * _atoms(name) * KJ_PER_MOL_PER_EV
            for name, value in zip(names, values, strict=True)
        }

    def _gas(self, gas: str) -> float:
        energy = Thermodynamics([]).gibbs(gas, HOLDS_AT_K)
        return energy.kj_per_mol + self._air.activity_kj_per_mol(gas, HOLDS_AT_K)

    @property
    def compounds(self) -> tuple[str, ...]:
        """Reduced formulas of all it knows."""
        return tuple(self._values)

    def formation_energy(
        self, formula: Formula, temperature_k: float, phase: str | None = None
    ) -> Energy | None:
        """See `matlab_ros.chemistry.energies.EnergyProvider`."""
        name = formula.reduced
        atoms = float(sum(formula.amounts.values()))
        extra = 0.0
        if name not in self._values:
            if not is_same_phase(name, self._target):
                return None
            extra = self._oxygen_beyond(name) * self._gas("O2") / 2.0
            value = self._values[self._target] * self._units(name) + extra
            value *= atoms / _atoms(name)
        else:
            value = self._values[name] * atoms / _atoms(name)
        return Energy(
            formula.text, temperature_k, value, UNCERTAINTY_EV_ATOM * atoms, self.name, atoms
        )

    def known_formulas(self, elements: frozenset[str]) -> Iterable[str]:
        """See `matlab_ros.chemistry.energies.EnergyProvider`."""
        return [name for name in self._values if parse_formula(name).elements <= elements]

    def _units(self, name: str) -> float:
        """Units of the table's target that hold the metals of another formula of it."""
        own, other = parse_formula(self._target).amounts, parse_formula(name).amounts
        metal = next(element for element in own if element != "O")
        return float(other[metal] / own[metal])

    def _oxygen_beyond(self, name: str) -> float:
        own, other = parse_formula(self._target).amounts, parse_formula(name).amounts
        return float(other.get("O", 0)) - self._units(name) * float(own.get("O", 0))


def forces_of(
    rows: Iterable[SetEnergy], target: str, measured: Thermodynamics, seed: int | None = None
) -> DrivingForces:
    """Driving forces by a table, and decompositions by measured energies where these are known.

    Args:
        rows: of the table.
        target: formula that the table means.
        measured: trusted before the table where a single compound is asked for.
        seed: of errors of the size that such energies have; None: the table as it is.
    """
    rows = list(rows)
    noise = None
    if seed is not None:
        rng = np.random.default_rng([seed, 24])
        noise = {
            name: float(rng.normal(0.0, UNCERTAINTY_EV_ATOM))
            for name in ReactionTableEnergies(rows, target).compounds
        }
    table = Thermodynamics([ReactionTableEnergies(rows, target, noise)])
    return DrivingForces(measured, table)


@lru_cache(maxsize=1024)
def _atoms(formula: str) -> float:
    return float(sum(parse_formula(formula).amounts.values()))
