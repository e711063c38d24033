"""Which reactions powders undergo in the virtual lab, read from files and checked for balance.

A network knows species (a substance in one state of reactivity, seen by the diffractometer as one
phase), powders (what a bottle of stock really holds) and reactions between species. A reaction is
at most as fast as its half-time law allows:

    k(T) = ln 2 / half_time * exp(-Ea / R * (1/T - 1/T_half))

and, between solids, slower the less its reactants touch and the thicker the product between them;
see `matlab_ros.virtual.kinetics`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from matlab_ros.chemistry.formula import FormulaError, parse_formula
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.yaml_file import Strict, load_yaml

GAS_CONSTANT_J_MOL_K = 8.314462618
ZERO_CELSIUS_K = 273.15
INERT_DENSITY_G_CM3 = 4.0
INERT_CRYSTALLITE_NM = 150.0

_Amount = Annotated[float, Field(gt=0)]
_Item = TypeVar("_Item", bound=Strict)


class SpeciesConfig(Strict):
    """A substance in one state of reactivity."""

    name: str = Field(min_length=1)
    formula: str
    phase: str
    """Its structure in the library; several species may be one phase to the diffractometer."""
    density_g_cm3: float = Field(gt=0)
    crystallite_nm: float = Field(gt=0)
    """Typical crystallite size, which broadens its reflections."""
    source: str = Field(min_length=1)


class PowderConfig(Strict):
    """What a bottle of stock really holds."""

    name: str = Field(min_length=1)
    species: dict[str, _Amount]
    """Mass shares; they must sum to 1."""
    source: str = Field(min_length=1)


class DrivingForceConfig(Strict):
    """Thermodynamics of a reaction as written; it runs only where dH - T dS is below zero."""

    enthalpy_kj_mol: float
    entropy_j_mol_k: float


class ReactionConfig(Strict):
    """One reaction and its rate law."""

    name: str = Field(min_length=1)
    reactants: dict[str, _Amount] = Field(min_length=1)
    products: dict[str, _Amount]
    leaves: dict[str, _Amount] = Field(default_factory=dict)
    """Formulas of what leaves the sample: gases, and what the crucible takes up."""
    half_time_h: float = Field(gt=0)
    """At `at_temperature_c`, of a stoichiometric mixture in full contact without any product."""
    at_temperature_c: float = Field(gt=-273.15)
    activation_energy_kj_mol: float = Field(ge=0)
    layer_resistance: float = Field(default=0, ge=0)
    """How many times slower than at the start when the reactants are buried in product."""
    driving_force: DrivingForceConfig | None = None
    source: str = Field(min_length=1)


class NetworkConfig(Strict):
    """A file of config/chemistry."""

    name: str = Field(min_length=1)
    species: tuple[SpeciesConfig, ...] = Field(min_length=1)
    powders: tuple[PowderConfig, ...] = ()
    reactions: tuple[ReactionConfig, ...] = ()


@dataclass(frozen=True)
class Species:
    """A substance in one state of reactivity.

    Attributes:
        name: in the network.
        phase: name of its structure in the library.
        molar_mass: in g/mol, that is mg/mmol.
        density_g_cm3: of the solid.
        crystallite_nm: typical crystallite size.
    """

    name: str
    phase: str
    molar_mass: float
    density_g_cm3: float
    crystallite_nm: float


@dataclass(frozen=True, eq=False)
class RateLaws:
    """The reactions as arrays; R reactions, S species, L things that leave.

    Attributes:
        reactants: formula units used up, shape (R, S).
        change: formula units gained (below zero: lost) by the solids, shape (R, S).
        leaving: formula units that leave the sample, shape (R, L).
        log_rate: ln k in 1/h at `temperature_k`, shape (R,).
        temperature_k: reference temperature of `log_rate`, shape (R,).
        activation_k: activation energy over the gas constant in kelvin, shape (R,).
        layer: layer resistance, shape (R,).
        enthalpy_k, entropy: dH/R in kelvin and dS/R, shape (R,); -inf and 0 where the reaction is
            not gated.
    """

    reactants: NDArray[np.float64]
    change: NDArray[np.float64]
    leaving: NDArray[np.float64]
    log_rate: NDArray[np.float64]
    temperature_k: NDArray[np.float64]
    activation_k: NDArray[np.float64]
    layer: NDArray[np.float64]
    enthalpy_k: NDArray[np.float64]
    entropy: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Chemistry:
    """Everything that powders can do, checked: reactions balance, names are known.

    Attributes:
        species: all of them; vectors over species are in this order.
        leaving: formulas of what can leave a sample.
        leaving_molar_mass: their molar masses in g/mol, shape (L,).
        powders: shares by mass over species of each stock substance, shape (S,) each.
        rates: the reactions.
        reaction_names: in the order of `rates`.
    """

    species: tuple[Species, ...]
    leaving: tuple[str, ...]
    leaving_molar_mass: NDArray[np.float64]
    powders: dict[str, NDArray[np.float64]]
    rates: RateLaws
    reaction_names: tuple[str, ...]

    @property
    def molar_mass(self) -> NDArray[np.float64]:
        """Of each species in g/mol, shape (S,)."""
        return np.array([item.molar_mass for item in self.species])

    @property
    def molar_volume(self) -> NDArray[np.float64]:
        """Of each species in cm3/mol, shape (S,)."""
        return np.array([item.molar_mass / item.density_g_cm3 for item in self.species])

    def powder_amounts(self, substance: str, mass_mg: float) -> NDArray[np.float64]:
        """What a dose of a stock substance holds of each species, in mmol, shape (S,).

        Raises:
            KeyError: the chemistry does not know the substance; see `with_inert`.
        """
        return self.powders[substance] * mass_mg / self.molar_mass

    def phase_masses(self, amounts: NDArray[np.float64]) -> dict[str, float]:
        """Mass in mg of each phase in a vector of amounts (mmol), absent phases left out."""
        masses: dict[str, float] = {}
        for item, amount in zip(self.species, amounts, strict=True):
            if amount > 0:
                masses[item.phase] = masses.get(item.phase, 0.0) + float(amount) * item.molar_mass
        return masses

    def with_inert(self, substance: str, formula: str, phase: str) -> Chemistry:
        """The same chemistry, and a powder that takes part in nothing but dilutes the others."""
        name = f"inert:{substance}"
        species = Species(
            name,
            phase,
            parse_formula(formula).molar_mass,
            INERT_DENSITY_G_CM3,
            INERT_CRYSTALLITE_NM,
        )
        powders = {key: np.append(shares, 0.0) for key, shares in self.powders.items()}
        powders[substance] = np.append(np.zeros(len(self.species)), 1.0)
        column = np.zeros((len(self.reaction_names), 1))
        rates = replace(
            self.rates,
            reactants=np.hstack([self.rates.reactants, column]),
            change=np.hstack([self.rates.change, column]),
        )
        return replace(self, species=(*self.species, species), powders=powders, rates=rates)


def load_chemistry(path: Path) -> Chemistry:
    """Read one network, or all networks (``*.yaml``) of a folder as one.

    Raises:
        ConfigError: a file cannot be read, a reaction does not balance, or a name is unknown.
    """
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files:
        raise ConfigError(path, "", "holds no .yaml file", "at least one reaction network")
    return build_chemistry([(file, load_yaml(file, NetworkConfig)) for file in files])


def build_chemistry(networks: Iterable[tuple[Path, NetworkConfig]]) -> Chemistry:
    """Join networks, each with the file it came from, into one chemistry.

    A species or powder that stands in several files must be the same in all of them.

    Raises:
        ConfigError: as for `load_chemistry`.
    """
    species: dict[str, SpeciesConfig] = {}
    powders: dict[str, PowderConfig] = {}
    reactions: dict[str, ReactionConfig] = {}
    origin: dict[str, Path] = {}
    for file, network in networks:
        for item in network.species:
            _insert(file, "species", item.name, item, species)
            _formula_mass(file, f"species {item.name}", item.formula)
        for powder in network.powders:
            _insert(file, "powders", powder.name, powder, powders)
            _check_powder(file, powder, species)
        for reaction in network.reactions:
            _insert(file, "reactions", reaction.name, reaction, reactions)
            origin[reaction.name] = file
    for name, reaction in reactions.items():
        _check_reaction(origin[name], reaction, species)

    # Sorted, so that neither the order in a file nor that of the files matters.
    ordered = [species[name] for name in sorted(species)]
    index = {item.name: i for i, item in enumerate(ordered)}
    steps = [reactions[name] for name in sorted(reactions)]
    leaving = sorted({formula for step in steps for formula in step.leaves})
    return Chemistry(
        species=tuple(
            Species(
                item.name,
                item.phase,
                parse_formula(item.formula).molar_mass,
                item.density_g_cm3,
                item.crystallite_nm,
            )
            for item in ordered
        ),
        leaving=tuple(leaving),
        leaving_molar_mass=np.array([parse_formula(f).molar_mass for f in leaving]),
        powders={name: _vector(powder.species, index) for name, powder in sorted(powders.items())},
        rates=_rate_laws(steps, index, {formula: i for i, formula in enumerate(leaving)}),
        reaction_names=tuple(step.name for step in steps),
    )


def _rate_laws(
    steps: list[ReactionConfig], index: dict[str, int], leaving: dict[str, int]
) -> RateLaws:
    def matrix(rows: list[NDArray[np.float64]], width: int) -> NDArray[np.float64]:
        return np.array(rows).reshape(len(steps), width)

    reactants = matrix([_vector(step.reactants, index) for step in steps], len(index))
    products = matrix([_vector(step.products, index) for step in steps], len(index))
    gates = [step.driving_force for step in steps]
    per_kj = 1000.0 / GAS_CONSTANT_J_MOL_K
    return RateLaws(
        reactants=reactants,
        change=products - reactants,
        leaving=matrix([_vector(step.leaves, leaving) for step in steps], len(leaving)),
        log_rate=np.array([math.log(math.log(2) / step.half_time_h) for step in steps]),
        temperature_k=np.array([step.at_temperature_c + ZERO_CELSIUS_K for step in steps]),
        activation_k=np.array([step.activation_energy_kj_mol * per_kj for step in steps]),
        layer=np.array([step.layer_resistance for step in steps]),
        enthalpy_k=np.array([gate.enthalpy_kj_mol * per_kj if gate else -np.inf for gate in gates]),
        entropy=np.array(
            [gate.entropy_j_mol_k / GAS_CONSTANT_J_MOL_K if gate else 0.0 for gate in gates]
        ),
    )


def _vector(amounts: dict[str, float], index: dict[str, int]) -> NDArray[np.float64]:
    vector = np.zeros(len(index))
    for name, amount in amounts.items():
        vector[index[name]] = amount
    return vector


def _insert(file: Path, key: str, name: str, item: _Item, known: dict[str, _Item]) -> None:
    if known.setdefault(name, item) != item:
        raise ConfigError(file, key, f"{name!r} is described twice", "one description of each name")


def _formula_mass(file: Path, key: str, formula: str) -> float:
    try:
        return parse_formula(formula).molar_mass
    except FormulaError as error:
        raise ConfigError(file, key, str(error).rstrip("."), "a chemical formula") from None


def _check_powder(file: Path, powder: PowderConfig, species: dict[str, SpeciesConfig]) -> None:
    key = f"powders {powder.name}"
    _check_names(file, key, powder.species, species)
    total = sum(powder.species.values())
    if abs(total - 1) > 1e-6:
        raise ConfigError(file, key, f"its mass shares sum to {total:g}", "shares that sum to 1")


def _check_reaction(
    file: Path, reaction: ReactionConfig, species: dict[str, SpeciesConfig]
) -> None:
    """A reaction must conserve every element, exactly enough for 1e-9 of the mass."""
    key = f"reactions {reaction.name}"
    _check_names(file, key, {**reaction.reactants, **reaction.products}, species)
    surplus: dict[str, float] = {}
    sides = [(-n, species[name].formula) for name, n in reaction.reactants.items()]
    sides += [(n, species[name].formula) for name, n in reaction.products.items()]
    sides += [(n, formula) for formula, n in reaction.leaves.items()]
    for n, formula in sides:
        _formula_mass(file, key, formula)
        for element, atoms in parse_formula(formula).amounts.items():
            surplus[element] = surplus.get(element, 0.0) + n * float(atoms)
    for element, amount in sorted(surplus.items()):
        if abs(amount) > 1e-9:
            raise ConfigError(
                file,
                key,
                f"it {'makes' if amount > 0 else 'loses'} {abs(amount):g} {element}",
                "a reaction that balances; name what leaves under leaves",
            )


def _check_names(
    file: Path, key: str, names: Iterable[str], species: dict[str, SpeciesConfig]
) -> None:
    for name in names:
        if name not in species:
            raise ConfigError(
                file, key, f"{name!r} is no species", f"one of {', '.join(sorted(species))}"
            )
