"""Energies from a file: values of the literature or of your own, each with its source.

An entry gives the enthalpy of formation, from the elements or from compounds that are known
otherwise, and either an entropy of formation or a volume for Bartel's descriptor. A file looks like
config/precursors/energies.yaml.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from matlab_ros.chemistry import bartel
from matlab_ros.chemistry.energies import KJ_PER_MOL_PER_EV, Energy
from matlab_ros.chemistry.formula import Formula, FormulaError, parse_formula
from matlab_ros.chemistry.tables import elemental_energies_ev
from matlab_ros.model.yaml_file import Strict, load_yaml

_BALANCE_TOLERANCE = 1e-6

GibbsOf = Callable[[str, float], Energy]
"""Energy of a formula at a temperature in kelvin."""


class KnownEnergyConfig(Strict):
    """The energy of one substance."""

    formula: str
    phase: str | None = None
    """Its name in the structure library, where only this polymorph is meant."""
    made_of: dict[str, float] = Field(default_factory=dict)
    """Formula units of the substances from which it is formed, gases among them, below zero where
    they are released; from the elements where it is empty."""
    enthalpy_kj_mol: float
    """Of that formation, for one formula unit."""
    entropy_j_mol_k: float | None = None
    """Of that formation; both are taken as independent of temperature."""
    volume_a3_per_atom: float | None = Field(default=None, gt=0)
    """Instead of an entropy, of a formation from the elements: for Bartel's descriptor."""
    uncertainty_kj_mol: float = Field(ge=0)
    valid_to_k: float = Field(default=2000.0, gt=0)
    """Above it the substance melts or decomposes and the values are an extrapolation."""
    source: str = Field(min_length=1)

    @field_validator("formula")
    @classmethod
    def _is_formula(cls, text: str) -> str:
        try:
            parse_formula(text)
        except FormulaError as error:
            raise ValueError(f"{error}; expected a chemical formula") from error
        return text

    @model_validator(mode="after")
    def _is_complete(self) -> KnownEnergyConfig:
        if (self.entropy_j_mol_k is None) == (self.volume_a3_per_atom is None):
            raise ValueError(
                f"{self.formula} has both an entropy and a volume or neither; expected one of them"
            )
        if self.volume_a3_per_atom is not None and self.made_of:
            raise ValueError(
                f"{self.formula} has a volume, but is made of compounds; expected an enthalpy of "
                "formation from the elements for Bartel's descriptor"
            )
        if self.made_of:
            left = {e: float(n) for e, n in parse_formula(self.formula).amounts.items()}
            for part, n in self.made_of.items():
                for element, k in parse_formula(part).amounts.items():
                    left[element] = left.get(element, 0.0) - n * float(k)
            wrong = sorted(e for e, n in left.items() if abs(n) > _BALANCE_TOLERANCE)
            if wrong:
                raise ValueError(
                    f"{self.formula} and what it is made of differ in {', '.join(wrong)}; "
                    "expected a balanced formation"
                )
        return self


class DistrustConfig(Strict):
    """An entry of a table that is wrong."""

    table: str
    formula: str
    reason: str = Field(min_length=1)


class KnownEnergiesConfig(Strict):
    """A file of energies."""

    energies: tuple[KnownEnergyConfig, ...] = ()
    distrusted: tuple[DistrustConfig, ...] = ()
    """Entries of tables that are passed over."""


class KnownEnergies:
    """The energies of one file."""

    def __init__(self, name: str, entries: Iterable[KnownEnergyConfig], others: GibbsOf) -> None:
        """
        Args:
            name: of the file, for people.
            entries: what it says.
            others: energies of the substances of which its own are made.
        """
        self.name = name
        self._others = others
        self._entries = {
            entry.phase or parse_formula(entry.formula).reduced: entry for entry in entries
        }

    @staticmethod
    def configuration(path: Path) -> KnownEnergiesConfig:
        """What a YAML file says.

        Raises:
            ConfigError: it makes no sense.
        """
        return load_yaml(path, KnownEnergiesConfig)

    def formation_energy(
        self, formula: Formula, temperature_k: float, phase: str | None = None
    ) -> Energy | None:
        """See `matlab_ros.chemistry.energies.EnergyProvider`.

        Raises:
            UnknownEnergy: what the substance is made of is not known.
            MissingChemistryExtra: Bartel's descriptor needs the tables of the elements.
        """
        entry = self._entries.get(phase or formula.reduced)
        if entry is None:
            return None
        written = parse_formula(entry.formula)
        element, n = next(iter(formula.amounts.items()))
        units = float(n / written.amounts[element])
        atoms = float(sum(formula.amounts.values()))
        value, spread, source = self._value(entry, written, temperature_k)
        note = ""
        if temperature_k > entry.valid_to_k:
            note = f"beyond {entry.valid_to_k:.0f} K, to which the source goes"
        return Energy(
            formula.text, temperature_k, units * value, units * spread, source, atoms, note
        )

    def known_formulas(self, elements: frozenset[str]) -> Iterable[str]:
        """See `matlab_ros.chemistry.energies.EnergyProvider`."""
        return [
            entry.formula
            for entry in self._entries.values()
            if entry.phase is None and parse_formula(entry.formula).elements <= elements
        ]

    def _value(
        self, entry: KnownEnergyConfig, written: Formula, temperature_k: float
    ) -> tuple[float, float, str]:
        """kJ/mol, its standard deviation, and the source in words."""
        if entry.entropy_j_mol_k is not None:
            value = entry.enthalpy_kj_mol - temperature_k * entry.entropy_j_mol_k / 1000.0
            variance = entry.uncertainty_kj_mol**2
            for part, n in entry.made_of.items():
                energy = self._others(part, temperature_k)
                value += n * energy.kj_per_mol
                variance += (n * energy.uncertainty_kj_per_mol) ** 2
            return value, variance**0.5, entry.source
        atoms = float(sum(written.amounts.values()))
        assert entry.volume_a3_per_atom is not None  # the model sees to it
        per_atom = bartel.gibbs_ev_per_atom(
            written,
            entry.enthalpy_kj_mol / KJ_PER_MOL_PER_EV / atoms,
            entry.volume_a3_per_atom,
            temperature_k,
            elemental_energies_ev(temperature_k),
        )
        spread = atoms * bartel.UNCERTAINTY_EV_PER_ATOM * KJ_PER_MOL_PER_EV
        return (
            per_atom * atoms * KJ_PER_MOL_PER_EV,
            (spread**2 + entry.uncertainty_kj_mol**2) ** 0.5,
            f"{entry.source}; Bartel's descriptor",
        )
