"""Files that describe a virtual chemistry: what they may say, and where they are wrong.

A file is one system, or what several systems share (named under ``uses``). docs/worlds.md explains
every key and has a whole example.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from matlab_ros.model.errors import ConfigError
from matlab_ros.model.yaml_file import Strict, explain, mapping_in, read_text
from matlab_ros.model.yaml_lines import KeyTwice, line_at, lines_of
from matlab_ros.model.yaml_lines import Path as KeyPath

_Amount = Annotated[float, Field(gt=0)]


class WorldFileError(ConfigError):
    """A world's file makes no sense.

    Attributes:
        line: of the file, from 1; 0 where it is not known.
    """

    def __init__(
        self, file: str | Path, key: str, problem: str, expected: str, line: int = 0
    ) -> None:
        super().__init__(f"{file}, line {line}" if line else file, key, problem, expected)
        self.file = str(file)
        self.line = line


class FusionConfig(Strict):
    """Melting of a substance."""

    temperature_c: float = Field(gt=-273.15)
    enthalpy_kj_mol: float = Field(default=0.0, ge=0)
    """0: the melt's energy is taken to be the solid's."""


class ThermodynamicsConfig(Strict):
    """Gibbs energy over temperature: from 298.15 K by heat capacity, or relative to others."""

    enthalpy_kj_mol: float
    """Of formation from the elements at 298.15 K; with `of`: of formation from these."""
    entropy_j_mol_k: float
    """At 298.15 K; with `of`: of formation from these."""
    heat_capacity_j_mol_k: tuple[float, float, float] | None = None
    """a, b, c of Cp = a + b T/1000 + c 1e5/T^2 with T in kelvin."""
    of: dict[str, _Amount] = Field(default_factory=dict)
    """Species whose energies are added."""
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _either(self) -> ThermodynamicsConfig:
        if bool(self.of) == (self.heat_capacity_j_mol_k is not None):
            raise ValueError(
                "heat_capacity_j_mol_k and of are both there or both missing; expected one of them"
            )
        return self


class SpeciesConfig(Strict):
    """A substance in one state of reactivity."""

    name: str = Field(min_length=1)
    formula: str
    phase: str
    """Its structure in the library; several species may be one phase to the diffractometer."""
    density_g_cm3: float = Field(gt=0)
    crystallite_nm: float = Field(gt=0)
    """Typical crystallite size, which broadens its reflections."""
    thermodynamics: ThermodynamicsConfig
    melts: FusionConfig | None = None
    source: str = Field(min_length=1)


class SurroundingConfig(Strict):
    """Something outside of the sample that it takes up or gives off."""

    formula: str
    pressure_atm: float = Field(gt=0)
    """Of a gas where it meets the powder; 1 for what is condensed."""
    gas: bool = True
    thermodynamics: ThermodynamicsConfig
    source: str = Field(min_length=1)


class PowderConfig(Strict):
    """What a bottle of stock really holds."""

    name: str = Field(min_length=1)
    species: dict[str, _Amount]
    """Mass shares; they must sum to 1."""
    source: str = Field(min_length=1)


class ReactionConfig(Strict):
    """One reaction and its rate law."""

    name: str = Field(min_length=1)
    reactants: dict[str, _Amount] = Field(min_length=1)
    products: dict[str, _Amount]
    takes: dict[str, _Amount] = Field(default_factory=dict)
    """Formulas of what is taken from the surroundings."""
    leaves: dict[str, _Amount] = Field(default_factory=dict)
    """Formulas of what leaves the sample: gases, and what the crucible takes up."""
    half_time_h: float = Field(gt=0)
    """At `at_temperature_c`, of a stoichiometric mixture in full contact without any product and
    far from equilibrium."""
    at_temperature_c: float = Field(gt=-273.15)
    activation_energy_kj_mol: float = Field(ge=0)
    layer_resistance: float = Field(default=0, ge=0)
    """How many times slower than at the start when the reactants are buried in product."""
    layer: Literal["jander", "ginstling-brounshtein"] = "jander"
    source: str = Field(min_length=1)


class NetworkConfig(Strict):
    """A file of config/chemistry."""

    name: str = Field(min_length=1)
    uses: tuple[str, ...] = ()
    """Files in the same folder whose species, powders and reactions belong to this one too."""
    surroundings: tuple[SurroundingConfig, ...] = ()
    species: tuple[SpeciesConfig, ...] = ()
    powders: tuple[PowderConfig, ...] = ()
    reactions: tuple[ReactionConfig, ...] = ()


@dataclass(frozen=True)
class WorldFile:
    """One file that was read.

    Attributes:
        path: of the file.
        network: what it says.
        lines: where it says it.
    """

    path: Path
    network: NetworkConfig
    lines: Mapping[KeyPath, int]

    def error(self, at: KeyPath, what: str, problem: str, expected: str) -> WorldFileError:
        """An error about a place in this file.

        Args:
            at: keys and indices of the place.
            what: the place in words, such as ``reactions brucite loses water``.
            problem: what is wrong with it.
            expected: what would have been accepted.
        """
        return WorldFileError(self.path, what, problem, expected, line_at(self.lines, at))


def read_worlds(path: Path) -> tuple[WorldFile, ...]:
    """Read one file with those that it uses, or all files (``*.yaml``) of a folder.

    Raises:
        WorldFileError: a file cannot be understood; line and key say where.
        ConfigError: a file cannot be read, or the folder holds none.
    """
    starts = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not starts:
        raise ConfigError(path, "", "holds no .yaml file", "at least one reaction network")
    found: dict[Path, WorldFile] = {}
    for start in starts:
        for item in _with_used(start, found):
            found[item.path.resolve()] = item
    return tuple(found.values())


def parse_world(path: Path, text: str) -> WorldFile:
    """Understand the text of a world's file.

    Raises:
        WorldFileError: it makes no sense; line and key say where.
        ConfigError: it is no YAML.
    """
    data = mapping_in(path, text)
    try:
        lines = lines_of(text)
    except KeyTwice as twice:
        raise WorldFileError(
            path,
            ".".join(map(str, twice.path)),
            "the key stands twice",
            "every key once",
            twice.line,
        ) from None
    try:
        network = NetworkConfig.model_validate(data)
    except ValidationError as error:
        # A key that is not known explains one that is missing, not the other way round.
        found = error.errors()
        first = next((item for item in found if item["type"] == "extra_forbidden"), found[0])
        problem, expected = explain(first, NetworkConfig)
        key = ".".join(str(part) for part in first["loc"])
        raise WorldFileError(
            path, key, problem, expected, line_at(lines, tuple(first["loc"]))
        ) from None
    return WorldFile(path, network, lines)


def _with_used(start: Path, known: Mapping[Path, WorldFile]) -> Iterator[WorldFile]:
    """A file and those that it uses, each once, without those that are known."""
    waiting, seen = [start], set(known)
    while waiting:
        path = waiting.pop(0)
        if path.resolve() in seen:
            continue
        seen.add(path.resolve())
        world = parse_world(path, read_text(path))
        for index, name in enumerate(world.network.uses):
            used = path.parent / name
            if not used.is_file():
                raise world.error(
                    ("uses", index), "uses", f"there is no {name!r}", "a file in the same folder"
                )
            waiting.append(used)
        yield world
