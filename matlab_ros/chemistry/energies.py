"""Values of thermodynamics: an energy that says where it comes from, the gas around a powder."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from matlab_ros.chemistry.formula import Formula
from matlab_ros.model.errors import LabError

KJ_PER_MOL_PER_EV = 96.48533212
"""1 eV per formula unit in kJ/mol (CODATA 2018)."""
GAS_CONSTANT_KJ_MOL_K = 8.314462618e-3
ZERO_CELSIUS_K = 273.15
TRACE_ATM = 1e-6
"""Partial pressure of a gas that an atmosphere does not name: what is released is carried away."""


class UnknownEnergy(LabError):
    """No source knows the energy of a substance; the message says what would.

    Attributes:
        formula: of the substance.
    """

    def __init__(self, formula: str, message: str) -> None:
        self.formula = formula
        super().__init__(message)


@dataclass(frozen=True)
class Energy:
    """Gibbs energy of formation of a substance from the elements at the same temperature.

    Attributes:
        formula: whose formula unit is meant.
        temperature_k: at which it holds.
        kj_per_mol: of one mole of formula units.
        uncertainty_kj_per_mol: one standard deviation, as far as the source says.
        source: who says so, in words.
        atoms: in one formula unit.
        note: what to beware of, such as an extrapolation; empty for nothing.
    """

    formula: str
    temperature_k: float
    kj_per_mol: float
    uncertainty_kj_per_mol: float
    source: str
    atoms: float
    note: str = ""

    @property
    def ev_per_formula(self) -> float:
        """The value in eV per formula unit."""
        return self.kj_per_mol / KJ_PER_MOL_PER_EV

    @property
    def ev_per_atom(self) -> float:
        """The value in eV per atom."""
        return self.ev_per_formula / self.atoms


class EnergyProvider(Protocol):
    """Somebody who knows energies of formation."""

    @property
    def name(self) -> str:
        """What it is called in tables and errors."""
        ...

    def formation_energy(
        self, formula: Formula, temperature_k: float, phase: str | None = None
    ) -> Energy | None:
        """Energy of one formula unit as written; None: not known here.

        Args:
            formula: of the substance.
            temperature_k: in kelvin.
            phase: its name in the structure library, where a certain polymorph is meant.
        """
        ...

    def known_formulas(self, elements: frozenset[str]) -> Iterable[str]:
        """Formulas of the compounds it knows that are made of some of these elements only."""
        ...


@dataclass(frozen=True)
class Atmosphere:
    """The gas around a powder.

    Attributes:
        name: for people.
        partial_pressure_atm: of each gas by its formula; a gas that is not named is a trace,
            `TRACE_ATM`.
    """

    name: str
    partial_pressure_atm: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wrong = sorted(gas for gas, p in self.partial_pressure_atm.items() if not p > 0)
        if wrong:
            raise ValueError(f"the pressure of {wrong[0]} is not above 0 atm")
        frozen = MappingProxyType(dict(self.partial_pressure_atm))
        object.__setattr__(self, "partial_pressure_atm", frozen)

    @classmethod
    def air(cls, co2_atm: float = 4.2e-4, h2o_atm: float = 0.012) -> Atmosphere:
        """Air of one atmosphere; half humid at 20 degrees by default."""
        gases = {"O2": 0.2095, "CO2": co2_atm, "H2O": h2o_atm, "N2": 0.7808}
        return cls("air", gases)

    @classmethod
    def oxygen(cls) -> Atmosphere:
        """Flowing dry oxygen."""
        return cls("oxygen", {"O2": 1.0})

    @classmethod
    def inert(cls, o2_atm: float = 1e-5) -> Atmosphere:
        """Flowing argon or nitrogen of technical purity."""
        return cls("inert", {"O2": o2_atm, "N2": 1.0})

    @classmethod
    def named(cls, name: str) -> Atmosphere:
        """One of `ATMOSPHERES` by its name.

        Raises:
            ValueError: there is none of that name.
        """
        try:
            return ATMOSPHERES[name]
        except KeyError:
            known = ", ".join(sorted(ATMOSPHERES))
            raise ValueError(f"no atmosphere {name!r}; expected one of {known}") from None

    def pressure_atm(self, gas: str) -> float:
        """Partial pressure of a gas."""
        return self.partial_pressure_atm.get(gas, TRACE_ATM)

    def activity_kj_per_mol(self, gas: str, temperature_k: float) -> float:
        """RT ln(p / 1 atm) of a gas."""
        return GAS_CONSTANT_KJ_MOL_K * temperature_k * math.log(self.pressure_atm(gas))


ATMOSPHERES = MappingProxyType(
    {item.name: item for item in (Atmosphere.air(), Atmosphere.oxygen(), Atmosphere.inert())}
)
"""Atmospheres by name."""
