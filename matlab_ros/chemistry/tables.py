"""Measured Gibbs energies, from the tables FREED and NIST-JANAF of the library reaction-network.

The library is in the extra ``chemistry``. Nothing of its tables is kept here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from matlab_ros.chemistry.energies import KJ_PER_MOL_PER_EV, Energy
from matlab_ros.chemistry.formula import Formula, FormulaError, parse_formula
from matlab_ros.model.errors import LabError

INSTALL = 'pip install "matlab_ros[chemistry]"'
# What such tables are typically good for; they state no uncertainty in the form we read.
_UNCERTAINTY_KJ_MOL_ATOM = 0.5
# Beyond a table's end its last slope is followed, which misses melting and heat capacity.
_EXTRAPOLATION_KJ_MOL_ATOM_PER_K = 0.004
_HARMLESS_EXTRAPOLATION_K = 5.0
_AGREEMENT_KJ_MOL_ATOM = 2.0


class MissingChemistryExtra(LabError):
    """The tables are not installed; the message says how to install them."""

    def __init__(self) -> None:
        super().__init__(
            f"the thermodynamic tables FREED and NIST-JANAF are not installed; {INSTALL} does it."
        )


class TabulatedEnergies:
    """One table of formation energies against temperature, interpolated linearly."""

    def __init__(self, name: str, table: Mapping[str, Mapping[float, float]]) -> None:
        """
        Args:
            name: of the table.
            table: eV per formula unit at temperatures in kelvin, by formula.
        """
        self.name = name
        self._entries: dict[str, tuple[Formula, tuple[float, ...], tuple[float, ...]]] = {}
        for text, points in table.items():
            try:
                formula = parse_formula(text)
            except FormulaError:
                continue  # electrons, isotopes
            if len(points) >= 2 and len(formula.amounts) >= 2:
                kelvin = tuple(sorted(points))
                values = tuple(points[t] * KJ_PER_MOL_PER_EV for t in kelvin)
                self._entries[formula.reduced] = (formula, kelvin, values)

    def formation_energy(
        self, formula: Formula, temperature_k: float, phase: str | None = None
    ) -> Energy | None:
        """See `matlab_ros.chemistry.energies.EnergyProvider`; it knows no polymorphs."""
        entry = None if phase else self._entries.get(formula.reduced)
        if entry is None:
            return None
        tabulated, kelvin, values = entry
        element, n = next(iter(formula.amounts.items()))
        units = float(n / tabulated.amounts[element])
        right = min(max(bisect_left(kelvin, temperature_k), 1), len(kelvin) - 1)
        share = (temperature_k - kelvin[right - 1]) / (kelvin[right] - kelvin[right - 1])
        value = values[right - 1] + share * (values[right] - values[right - 1])
        beyond = max(kelvin[0] - temperature_k, temperature_k - kelvin[-1], 0.0)
        atoms = float(sum(formula.amounts.values()))
        note = ""
        if beyond > _HARMLESS_EXTRAPOLATION_K:
            end = kelvin[0] if temperature_k < kelvin[0] else kelvin[-1]
            note = f"extrapolated from {end:.0f} K, where {self.name} ends"
        return Energy(
            formula.text,
            temperature_k,
            units * value,
            atoms * (_UNCERTAINTY_KJ_MOL_ATOM + _EXTRAPOLATION_KJ_MOL_ATOM_PER_K * beyond),
            self.name,
            atoms,
            note,
        )

    def known_formulas(self, elements: frozenset[str]) -> Iterable[str]:
        """See `matlab_ros.chemistry.energies.EnergyProvider`."""
        return [
            formula.text for formula, _, _ in self._entries.values() if formula.elements <= elements
        ]


def is_installed() -> bool:
    """Whether the extra ``chemistry`` is there."""
    try:
        _library_data()
    except MissingChemistryExtra:
        return False
    return True


class CrossCheckedTables:
    """Tables in order, each entry compared with those of the others.

    They hold errors: a gas in place of a solid, a slip of an entry. An entry that is known to be
    wrong is passed over; where two others differ, the first one is told with the difference.
    """

    def __init__(
        self, tables: Sequence[TabulatedEnergies], distrusted: Iterable[tuple[str, str]] = ()
    ) -> None:
        """
        Args:
            tables: the first that knows wins.
            distrusted: name of a table and formula of an entry that is wrong there.
        """
        self.name = ", ".join(table.name for table in tables)
        self._tables = tuple(tables)
        self._distrusted = {(name, parse_formula(text).reduced) for name, text in distrusted}

    def formation_energy(
        self, formula: Formula, temperature_k: float, phase: str | None = None
    ) -> Energy | None:
        """See `matlab_ros.chemistry.energies.EnergyProvider`."""
        known = [
            energy
            for table in self._tables
            if (table.name, formula.reduced) not in self._distrusted
            and (energy := table.formation_energy(formula, temperature_k, phase)) is not None
        ]
        if not known:
            return None
        # An entry that ends far below is a worse witness than another one that goes on.
        known.sort(key=lambda energy: bool(energy.note))
        first = known[0]
        for other in known[1:]:
            apart = abs(first.kj_per_mol - other.kj_per_mol)
            if not other.note and apart > _AGREEMENT_KJ_MOL_ATOM * first.atoms:
                note = f"{other.source} says {other.kj_per_mol:.0f} kJ/mol"
                first = replace(
                    first,
                    note="; ".join(filter(None, (first.note, note))),
                    uncertainty_kj_per_mol=max(first.uncertainty_kj_per_mol, apart),
                )
        return first

    def known_formulas(self, elements: frozenset[str]) -> Iterable[str]:
        """See `matlab_ros.chemistry.energies.EnergyProvider`."""
        return [
            text
            for table in self._tables
            for text in table.known_formulas(elements)
            if (table.name, parse_formula(text).reduced) not in self._distrusted
        ]


@lru_cache(maxsize=1)
def freed_and_janaf() -> tuple[TabulatedEnergies, ...]:
    """The tables, FREED first: it holds more ceramics.

    Raises:
        MissingChemistryExtra: they are not installed.
    """
    data = _library_data()
    return tuple(
        TabulatedEnergies(name, data.load_experimental_data(folder / "compounds.json.gz"))
        for name, folder in (("FREED", data.PATH_TO_FREED), ("NIST-JANAF", data.PATH_TO_NIST))
    )


def elemental_energies_ev(temperature_k: float) -> Mapping[str, float]:
    """Gibbs energy of each element against its enthalpy at 298 K, in eV per atom, as Bartel's
    descriptor wants it.

    Args:
        temperature_k: in kelvin, clipped to 300 to 2000.

    Raises:
        MissingChemistryExtra: the library is not installed.
    """
    tables: dict[str, dict[str, float]] = _library_data().G_ELEMS
    clipped = min(max(temperature_k, 300.0), 2000.0)
    low = min(int(clipped // 100) * 100, 1900)
    share = (clipped - low) / 100.0
    below, above = tables[str(low)], tables[str(low + 100)]
    return {symbol: below[symbol] * (1 - share) + above[symbol] * share for symbol in below}


def _library_data() -> Any:
    """The data module of reaction-network; it alone does not import the heavy rest."""
    try:
        from rxn_network import data
    except ImportError as error:
        raise MissingChemistryExtra from error
    return data
