"""From files to a network of reactions: names are known, everything balances, energies add up.

A network knows species (a substance in one state of reactivity, seen by the diffractometer as one
phase), powders (what a bottle of stock really holds), reactions between species, and surroundings
(gases and the crucible).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from matlab_ros.chemistry.formula import FormulaError, parse_formula
from matlab_ros.model.yaml_file import Strict
from matlab_ros.model.yaml_lines import Path as KeyPath
from matlab_ros.virtual.gibbs import (
    GAS_CONSTANT_J_MOL_K,
    TERMS,
    ZERO_CELSIUS_K,
    coefficients,
    relative,
)
from matlab_ros.virtual.network import Chemistry, Energies, RateLaws, Species
from matlab_ros.virtual.world_file import (
    PowderConfig,
    ReactionConfig,
    SpeciesConfig,
    SurroundingConfig,
    ThermodynamicsConfig,
    WorldFile,
    WorldFileError,
    read_worlds,
)

FloatArray = NDArray[np.float64]

_Item = TypeVar("_Item", bound=Strict)


def load_chemistry(path: Path) -> Chemistry:
    """Read one network with what it uses, or all networks (``*.yaml``) of a folder as one.

    Raises:
        ConfigError: a file cannot be read, a reaction does not balance, or a name is unknown.
    """
    return build_chemistry(read_worlds(path))


def build_chemistry(worlds: Iterable[WorldFile]) -> Chemistry:
    """Join networks into one chemistry.

    What stands in several files must be the same in all of them.

    Raises:
        WorldFileError: as for `load_chemistry`.
    """
    species: dict[str, SpeciesConfig] = {}
    surroundings: dict[str, SurroundingConfig] = {}
    powders: dict[str, PowderConfig] = {}
    reactions: dict[str, ReactionConfig] = {}
    origin: dict[tuple[str, str], _Place] = {}
    for world in worlds:
        network = world.network
        _collect(world, "species", [(s.name, s) for s in network.species], species, origin)
        _collect(
            world,
            "surroundings",
            [(s.formula, s) for s in network.surroundings],
            surroundings,
            origin,
        )
        _collect(world, "powders", [(p.name, p) for p in network.powders], powders, origin)
        _collect(world, "reactions", [(r.name, r) for r in network.reactions], reactions, origin)
    for name, item in species.items():
        origin["species", name].check_formula(item.formula)
    for name in surroundings:
        origin["surroundings", name].check_formula(name)
    for name, powder in powders.items():
        _check_powder(origin["powders", name], powder, species)
    for name, reaction in reactions.items():
        _check_reaction(origin["reactions", name], reaction, species, surroundings)

    # Sorted, so that neither the order in a file nor that of the files matters.
    ordered = [species[name] for name in sorted(species)]
    index = {item.name: i for i, item in enumerate(ordered)}
    steps = [reactions[name] for name in sorted(reactions)]
    leaving = sorted({formula for step in steps for formula in (*step.leaves, *step.takes)})
    return Chemistry(
        species=tuple(
            Species(
                item.name,
                item.phase,
                parse_formula(item.formula).molar_mass,
                item.density_g_cm3,
                item.crystallite_nm,
                item.formula,
            )
            for item in ordered
        ),
        leaving=tuple(leaving),
        gaseous=tuple(surroundings[formula].gas for formula in leaving),
        leaving_molar_mass=np.array([parse_formula(f).molar_mass for f in leaving]),
        powders={name: _vector(powder.species, index) for name, powder in sorted(powders.items())},
        rates=_rate_laws(steps, index, {formula: i for i, formula in enumerate(leaving)}),
        energies=_energies(ordered, [surroundings[f] for f in leaving], species, origin),
        reaction_names=tuple(step.name for step in steps),
    )


@dataclass(frozen=True)
class _Place:
    """Where something stands, for messages."""

    world: WorldFile
    key: KeyPath
    words: str

    def error(self, problem: str, expected: str, *inside: str) -> WorldFileError:
        """An error about a key in it."""
        words = " ".join([self.words, *inside])
        return self.world.error((*self.key, *inside), words, problem, expected)

    def check_formula(self, formula: str, *inside: str) -> None:
        """See that a formula is one."""
        try:
            parse_formula(formula)
        except FormulaError as error:
            problem = str(error).rstrip(".")
            raise self.error(problem, "a chemical formula", *inside) from None

    def check_names(self, key: str, names: Iterable[str], known: Collection[str]) -> None:
        """See that everything named under a key is described."""
        for name in names:
            if name not in known:
                what = "species" if key not in ("takes", "leaves") else "surrounding"
                raise self.error(
                    f"{name!r} is no {what}", f"one of {', '.join(sorted(known))}", key
                )


def _collect(
    world: WorldFile,
    key: str,
    items: Sequence[tuple[str, _Item]],
    known: dict[str, _Item],
    origin: dict[tuple[str, str], _Place],
) -> None:
    for index, (name, item) in enumerate(items):
        place = _Place(world, (key, index), f"{key} {name}")
        if known.setdefault(name, item) != item or (
            (key, name) in origin and origin[key, name].world is world
        ):
            raise place.error(f"{name!r} is described twice", "one description of each name")
        origin.setdefault((key, name), place)


def _rate_laws(
    steps: Sequence[ReactionConfig], index: dict[str, int], leaving: dict[str, int]
) -> RateLaws:
    def matrix(rows: list[FloatArray], width: int) -> FloatArray:
        return np.array(rows).reshape(len(steps), width)

    reactants = matrix([_vector(step.reactants, index) for step in steps], len(index))
    products = matrix([_vector(step.products, index) for step in steps], len(index))
    given = matrix([_vector(step.leaves, leaving) for step in steps], len(leaving))
    taken = matrix([_vector(step.takes, leaving) for step in steps], len(leaving))
    per_kj = 1000.0 / GAS_CONSTANT_J_MOL_K
    return RateLaws(
        reactants=reactants,
        change=products - reactants,
        leaving=given - taken,
        log_rate=np.array([math.log(math.log(2) / step.half_time_h) for step in steps]),
        temperature_k=np.array([step.at_temperature_c + ZERO_CELSIUS_K for step in steps]),
        activation_k=np.array([step.activation_energy_kj_mol * per_kj for step in steps]),
        layer=np.array([step.layer_resistance for step in steps]),
        curved=np.array([float(step.layer == "ginstling-brounshtein") for step in steps]),
    )


def _energies(
    ordered: Sequence[SpeciesConfig],
    around: Sequence[SurroundingConfig],
    species: Mapping[str, SpeciesConfig],
    origin: Mapping[tuple[str, str], _Place],
) -> Energies:
    def terms_of(
        thermodynamics: ThermodynamicsConfig, place: _Place, above: tuple[str, ...]
    ) -> FloatArray:
        if thermodynamics.heat_capacity_j_mol_k is not None:
            return coefficients(
                thermodynamics.enthalpy_kj_mol,
                thermodynamics.entropy_j_mol_k,
                thermodynamics.heat_capacity_j_mol_k,
            )
        place.check_names("thermodynamics", thermodynamics.of, species)
        total = relative(thermodynamics.enthalpy_kj_mol, thermodynamics.entropy_j_mol_k)
        for name, n in thermodynamics.of.items():
            if name in above:
                raise place.error(
                    f"its energy is given by that of {name}, which is given by its own",
                    "energies that lead to a heat capacity",
                    "thermodynamics",
                )
            total = total + n * terms_of(
                species[name].thermodynamics, origin["species", name], (*above, name)
            )
        return total

    rows = [
        terms_of(item.thermodynamics, origin["species", item.name], (item.name,))
        for item in ordered
    ]
    for outside in around:
        row = terms_of(outside.thermodynamics, origin["surroundings", outside.formula], ())
        row = row + relative(0.0, -GAS_CONSTANT_J_MOL_K * math.log(outside.pressure_atm))
        rows.append(row)
    melts = [item.melts for item in ordered]
    none = [np.inf] * len(around)
    return Energies(
        terms=np.array(rows).reshape(len(rows), TERMS),
        melting_k=np.array(
            [m.temperature_c + ZERO_CELSIUS_K if m else np.inf for m in melts] + none
        ),
        fusion_j_mol=np.array(
            [1000.0 * m.enthalpy_kj_mol if m else 0.0 for m in melts] + [0.0] * len(around)
        ),
        pressure_atm=np.array([outside.pressure_atm for outside in around]),
    )


def _vector(amounts: Mapping[str, float], index: Mapping[str, int]) -> FloatArray:
    vector = np.zeros(len(index))
    for name, amount in amounts.items():
        vector[index[name]] = amount
    return vector


def _check_powder(
    place: _Place, powder: PowderConfig, species: Mapping[str, SpeciesConfig]
) -> None:
    place.check_names("species", powder.species, species)
    total = sum(powder.species.values())
    if abs(total - 1) > 1e-6:
        raise place.error(f"its mass shares sum to {total:g}", "shares that sum to 1", "species")


def _check_reaction(
    place: _Place,
    reaction: ReactionConfig,
    species: Mapping[str, SpeciesConfig],
    surroundings: Mapping[str, SurroundingConfig],
) -> None:
    """A reaction must conserve every element, exactly enough for 1e-9 of the mass."""
    place.check_names("reactants", reaction.reactants, species)
    place.check_names("products", reaction.products, species)
    for key, exchanged in (("takes", reaction.takes), ("leaves", reaction.leaves)):
        for formula in exchanged:
            place.check_formula(formula, key)
        place.check_names(key, exchanged, surroundings)
    surplus: dict[str, float] = {}
    sides = [(-n, species[name].formula) for name, n in reaction.reactants.items()]
    sides += [(n, species[name].formula) for name, n in reaction.products.items()]
    sides += [(n, formula) for formula, n in reaction.leaves.items()]
    sides += [(-n, formula) for formula, n in reaction.takes.items()]
    for n, formula in sides:
        for element, atoms in parse_formula(formula).amounts.items():
            surplus[element] = surplus.get(element, 0.0) + n * float(atoms)
    for element, amount in sorted(surplus.items()):
        if abs(amount) > 1e-9:
            raise place.error(
                f"it {'makes' if amount > 0 else 'loses'} {abs(amount):g} {element}",
                "a reaction that balances; name what leaves under leaves, and what is taken from "
                "the air under takes",
            )
