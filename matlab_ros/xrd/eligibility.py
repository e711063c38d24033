"""Which structures cannot be in a crucible at room temperature, and why."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

# Compounds made of these alone are gases, liquids or ices, or burn off; carbon is the exception.
VOLATILE = frozenset({"H", "He", "C", "N", "O", "F", "Ne", "Cl", "Ar", "Br", "Kr", "Xe", "Rn"})
# What binds a metal so that air does not oxidise it any further.
OXIDANTS = frozenset({"O", "F", "Cl", "Br", "I", "S", "Se", "Te"})
NOBLE_METALS = frozenset({"Ru", "Rh", "Pd", "Ag", "Os", "Ir", "Pt", "Au"})
# Silica-like frameworks as open as this are zeolites: hydrothermal, around a template, never fired.
FRAMEWORK_FORMERS = frozenset({"H", "B", "O", "Al", "Si", "P", "Ge"})
OPEN_FRAMEWORK_A3_PER_ATOM = 15.8  # 21 tetrahedral atoms in 1000 A3, as in the IZA atlas
HOTTEST_K = 450.0
HIGHEST_KPA = 1e6


class Atmosphere(str, Enum):
    """What the sample was fired and kept in."""

    AIR = "air"
    INERT = "inert"


class Described(Protocol):
    """What the reasons are taken from: a structure, or the summary of one."""

    @property
    def elements(self) -> frozenset[str]:
        """It is made of."""

    @property
    def volume_per_atom(self) -> float:
        """In cubic angstrom."""

    @property
    def temperature_k(self) -> float:
        """Of the determination, NaN when not stated."""

    @property
    def pressure_kpa(self) -> float:
        """Of the determination, NaN when not stated."""


def why_not(structure: Described, atmosphere: Atmosphere) -> str | None:
    """The reason why a structure is no candidate, or None if it is one."""
    elements = structure.elements
    if elements <= VOLATILE and elements != {"C"}:
        return "made of volatile elements only, no solid that survives in a crucible"
    if structure.temperature_k > HOTTEST_K:
        return f"determined at {structure.temperature_k:.0f} K, so with another cell"
    if (
        elements <= FRAMEWORK_FORMERS
        and "O" in elements
        and structure.volume_per_atom > OPEN_FRAMEWORK_A3_PER_ATOM
    ):
        return "an open framework, which no solid-state synthesis makes"
    if structure.pressure_kpa > HIGHEST_KPA:
        return f"determined at {structure.pressure_kpa / 1e6:.1f} GPa"
    if atmosphere is Atmosphere.AIR and not elements & OXIDANTS and not elements <= NOBLE_METALS:
        return "would burn or oxidise in air"
    return None
