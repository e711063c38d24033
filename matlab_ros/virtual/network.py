"""What powders can do, as arrays: species, powders, reactions and what drives them.

A reaction runs only while its Gibbs energy is below zero, and is at most as fast as its half-time
law allows:

    k(T) = ln 2 / half_time * exp(-Ea / R * (1/T - 1/T_half)) * (1 - exp(dG(T, p) / RT))

and, between solids, slower the less its reactants touch and the thicker the product between them;
see `matlab_ros.virtual.kinetics`. Every reaction has a Gibbs energy, so nothing runs uphill.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matlab_ros.chemistry.formula import parse_formula
from matlab_ros.virtual.gibbs import (
    GAS_CONSTANT_J_MOL_K,
    TERMS,
    ZERO_CELSIUS_K,
    gibbs_j_mol,
)

FloatArray = NDArray[np.float64]

INERT_DENSITY_G_CM3 = 4.0
INERT_CRYSTALLITE_NM = 150.0
LEAST_PRESSURE_ATM = 1e-12
"""Of a gas that is not there."""


@dataclass(frozen=True)
class Species:
    """A substance in one state of reactivity.

    Attributes:
        name: in the network.
        phase: name of its structure in the library.
        molar_mass: in g/mol, that is mg/mmol.
        density_g_cm3: of the solid.
        crystallite_nm: typical crystallite size.
        formula: as it is written in the file.
    """

    name: str
    phase: str
    molar_mass: float
    density_g_cm3: float
    crystallite_nm: float
    formula: str = ""


@dataclass(frozen=True, eq=False)
class RateLaws:
    """The reactions as arrays; R reactions, S species, L surroundings.

    Attributes:
        reactants: formula units used up, shape (R, S).
        change: formula units gained (below zero: lost) by the solids, shape (R, S).
        leaving: formula units that leave the sample (below zero: are taken up), shape (R, L).
        log_rate: ln k in 1/h at `temperature_k`, shape (R,).
        temperature_k: reference temperature of `log_rate`, shape (R,).
        activation_k: activation energy over the gas constant in kelvin, shape (R,).
        layer: layer resistance, shape (R,).
        curved: 1 where the layer is a sphere's (Ginstling and Brounshtein), 0 where it is flat
            (Jander), shape (R,).
    """

    reactants: FloatArray
    change: FloatArray
    leaving: FloatArray
    log_rate: FloatArray
    temperature_k: FloatArray
    activation_k: FloatArray
    layer: FloatArray
    curved: FloatArray


@dataclass(frozen=True, eq=False)
class Energies:
    """Gibbs energies of the species, then of the surroundings at their pressure; N = S + L.

    Attributes:
        terms: coefficients of `matlab_ros.virtual.gibbs`, shape (N, 5).
        melting_k: melting points, infinite where there is none, shape (N,).
        fusion_j_mol: enthalpies of fusion, shape (N,).
        pressure_atm: of each of the surroundings, shape (L,).
    """

    terms: FloatArray
    melting_k: FloatArray
    fusion_j_mol: FloatArray
    pressure_atm: FloatArray


@dataclass(frozen=True, eq=False)
class Chemistry:
    """Everything that powders can do, checked: reactions balance, names are known.

    Attributes:
        species: all of them; vectors over species are in this order.
        leaving: formulas of what can leave a sample or be taken up by it.
        gaseous: which of these are gases.
        leaving_molar_mass: their molar masses in g/mol, shape (L,).
        powders: shares by mass over species of each stock substance, shape (S,) each.
        rates: the reactions.
        energies: what drives them.
        reaction_names: in the order of `rates`.
    """

    species: tuple[Species, ...]
    leaving: tuple[str, ...]
    gaseous: tuple[bool, ...]
    leaving_molar_mass: FloatArray
    powders: dict[str, FloatArray]
    rates: RateLaws
    energies: Energies
    reaction_names: tuple[str, ...]

    @property
    def molar_mass(self) -> FloatArray:
        """Of each species in g/mol, shape (S,)."""
        return np.array([item.molar_mass for item in self.species])

    @property
    def molar_volume(self) -> FloatArray:
        """Of each species in cm3/mol, shape (S,)."""
        return np.array([item.molar_mass / item.density_g_cm3 for item in self.species])

    @property
    def stoichiometry(self) -> FloatArray:
        """What each reaction makes (below zero: uses) of species and surroundings, shape (R, N)."""
        return np.hstack([self.rates.change, self.rates.leaving])

    def powder_amounts(self, substance: str, mass_mg: float) -> FloatArray:
        """What a dose of a stock substance holds of each species, in mmol, shape (S,).

        Raises:
            KeyError: the chemistry does not know the substance; see `with_inert`.
        """
        return self.powders[substance] * mass_mg / self.molar_mass

    def phase_masses(self, amounts: FloatArray) -> dict[str, float]:
        """Mass in mg of each phase in a vector of amounts (mmol), absent phases left out."""
        masses: dict[str, float] = {}
        for item, amount in zip(self.species, amounts, strict=True):
            if amount > 0:
                masses[item.phase] = masses.get(item.phase, 0.0) + float(amount) * item.molar_mass
        return masses

    def reaction_energies_kj_mol(self, temperature_c: float) -> FloatArray:
        """Gibbs energy of each reaction as written in its atmosphere, in kJ/mol, shape (R,)."""
        energies = self.energies
        kelvin = temperature_c + ZERO_CELSIUS_K
        g = gibbs_j_mol(energies.terms, energies.melting_k, energies.fusion_j_mol, kelvin)
        return np.asarray(self.stoichiometry @ g) / 1000.0

    def in_atmosphere(self, pressures_atm: Mapping[str, float]) -> Chemistry:
        """The same chemistry with other pressures of some gases.

        Raises:
            ValueError: a gas is unknown, or a pressure is below zero or no number.
        """
        terms = self.energies.terms.copy()
        pressure = self.energies.pressure_atm.copy()
        known = [name for name, is_gas in zip(self.leaving, self.gaseous, strict=True) if is_gas]
        for gas, given in pressures_atm.items():
            if gas not in known:
                raise ValueError(f"{gas} is no gas of this chemistry, which knows {known}")
            if not (math.isfinite(given) and given >= 0):
                raise ValueError(f"{given} atm of {gas} is no pressure")
            index = self.leaving.index(gas)
            new = max(given, LEAST_PRESSURE_ATM)
            terms[len(self.species) + index, 1] += GAS_CONSTANT_J_MOL_K * math.log(
                new / pressure[index]
            )
            pressure[index] = new
        return replace(self, energies=replace(self.energies, terms=terms, pressure_atm=pressure))

    def of_powders(self, substances: Collection[str]) -> Chemistry:
        """What is left of the chemistry when only these powders are there; unknown ones are
        passed over. Results are the same to the last digit, and sooner there."""
        present = np.zeros(len(self.species), dtype=bool)
        for name in substances:
            if name in self.powders:
                present |= self.powders[name] > 0
        needs = self.rates.reactants > 0
        while True:
            possible = ~np.any(needs & ~present, axis=1)
            grown = present | np.any(self.rates.change[possible] > 0, axis=0)
            if np.array_equal(grown, present):
                break
            present = grown
        exchanged = np.any(self.rates.leaving[possible] != 0, axis=0)
        rates = self.rates
        return replace(
            self,
            species=tuple(s for s, keep in zip(self.species, present, strict=True) if keep),
            leaving=tuple(f for f, keep in zip(self.leaving, exchanged, strict=True) if keep),
            gaseous=tuple(g for g, keep in zip(self.gaseous, exchanged, strict=True) if keep),
            leaving_molar_mass=self.leaving_molar_mass[exchanged],
            powders={
                name: shares[present]
                for name, shares in self.powders.items()
                if not np.any(shares[~present])
            },
            rates=RateLaws(
                reactants=rates.reactants[np.ix_(possible, present)],
                change=rates.change[np.ix_(possible, present)],
                leaving=rates.leaving[np.ix_(possible, exchanged)],
                log_rate=rates.log_rate[possible],
                temperature_k=rates.temperature_k[possible],
                activation_k=rates.activation_k[possible],
                layer=rates.layer[possible],
                curved=rates.curved[possible],
            ),
            energies=_energies_of(self.energies, present, exchanged),
            reaction_names=tuple(
                n for n, keep in zip(self.reaction_names, possible, strict=True) if keep
            ),
        )

    def with_inert(self, substance: str, formula: str, phase: str) -> Chemistry:
        """The same chemistry, and a powder that takes part in nothing but dilutes the others."""
        name = f"inert:{substance}"
        species = Species(
            name,
            phase,
            parse_formula(formula).molar_mass,
            INERT_DENSITY_G_CM3,
            INERT_CRYSTALLITE_NM,
            formula,
        )
        powders = {key: np.append(shares, 0.0) for key, shares in self.powders.items()}
        powders[substance] = np.append(np.zeros(len(self.species)), 1.0)
        column = np.zeros((len(self.reaction_names), 1))
        rates = replace(
            self.rates,
            reactants=np.hstack([self.rates.reactants, column]),
            change=np.hstack([self.rates.change, column]),
        )
        at, old = len(self.species), self.energies
        energies = replace(
            old,
            terms=np.insert(old.terms, at, np.zeros(TERMS), axis=0),
            melting_k=np.insert(old.melting_k, at, np.inf),
            fusion_j_mol=np.insert(old.fusion_j_mol, at, 0.0),
        )
        return replace(
            self,
            species=(*self.species, species),
            powders=powders,
            rates=rates,
            energies=energies,
        )


def _energies_of(
    energies: Energies, present: NDArray[np.bool_], exchanged: NDArray[np.bool_]
) -> Energies:
    keep = np.concatenate([present, exchanged])
    return Energies(
        energies.terms[keep],
        energies.melting_k[keep],
        energies.fusion_j_mol[keep],
        energies.pressure_atm[exchanged],
    )
