"""A recipe: a versioned, hashed graph of steps with arguments, deadlines and failure policies."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, ValidationError, field_serializer, model_validator

from matlab_ros.model.errors import ConfigError
from matlab_ros.model.lab_config import StationKind
from matlab_ros.model.lab_words import Atmosphere, Remedy, StepAction
from matlab_ros.model.yaml_file import Strict, load_yaml

_REFERENCE = re.compile(r"^\$[a-z][a-z0-9_]*$")


def referenced(value: object) -> str | None:
    """Name of the parameter an argument refers to (``"$dwell_h"``: ``dwell_h``), if it does."""
    return value[1:] if isinstance(value, str) and _REFERENCE.match(value) else None


def _number(value: object) -> object:
    if referenced(value) is not None:
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"has the value {value!r}; expected a number or $parameter")


def _text(value: object) -> object:
    if isinstance(value, str) and value and (value[0] != "$" or referenced(value) is not None):
        return value
    raise ValueError(f"has the value {value!r}; expected a text or $parameter")


def _atmosphere(value: object) -> object:
    words = {atmosphere.name.lower(): atmosphere for atmosphere in Atmosphere}
    if isinstance(value, Atmosphere):
        return value
    if isinstance(value, str) and value in words:
        return words[value]
    raise ValueError(f"has the value {value!r}; expected one of {', '.join(words)}")


Number = Annotated[float | str, BeforeValidator(_number)]
"""A number, or ``$name`` of a parameter that holds one."""

Text = Annotated[str, BeforeValidator(_text)]
"""A text, or ``$name`` of a parameter that holds one."""


class DispenseArguments(Strict):
    """Weigh the powders of a precursor set into the crucible."""

    precursors: Text
    mass_mg: Number
    """Of all powders together, milligrams."""
    mix_min: Number = 0.0


class TransferArguments(Strict):
    """Carry the crucible to any free position of a kind of station."""

    to: StationKind


class HeatArguments(Strict):
    """Ramp, dwell, cool, and wait until the crucible can be taken out."""

    temperature_c: Number
    dwell_h: Number
    ramp_c_per_min: Number
    unload_below_c: Number = 100.0
    atmosphere: Annotated[Atmosphere, BeforeValidator(_atmosphere)] = Atmosphere.AIR

    @field_serializer("atmosphere")
    def _atmosphere_word(self, atmosphere: Atmosphere) -> str:
        return atmosphere.name.lower()


class MeasureArguments(Strict):
    """Measure a diffraction pattern."""

    program: Text


class AnalyseArguments(Strict):
    """Find the phases in the pattern measured last; the target's fraction is the objective."""

    target: Text = "$target_phase"


class NoArguments(Strict):
    """The step has nothing to be told."""


Arguments = (
    DispenseArguments
    | TransferArguments
    | HeatArguments
    | MeasureArguments
    | AnalyseArguments
    | NoArguments
)

_ARGUMENTS: dict[StepAction, type[Strict]] = {
    StepAction.DISPENSE: DispenseArguments,
    StepAction.TRANSFER: TransferArguments,
    StepAction.HEAT: HeatArguments,
    StepAction.MEASURE: MeasureArguments,
    StepAction.ANALYSE: AnalyseArguments,
    StepAction.STORE: NoArguments,
    StepAction.DISCARD: NoArguments,
}

_STATIONS: dict[StepAction, StationKind] = {
    StepAction.DISPENSE: StationKind.DISPENSER,
    StepAction.HEAT: StationKind.FURNACE,
    StepAction.MEASURE: StationKind.DIFFRACTOMETER,
    StepAction.STORE: StationKind.RACK,
    StepAction.DISCARD: StationKind.RACK,
}


class FailurePolicy(Strict):
    """What to do when an attempt of a step fails."""

    retry: int = Field(default=1, ge=0, le=20)
    """Further attempts, where the fault allows it and the sample was not touched."""
    wait_min: float = Field(default=1.0, ge=0)
    """Minutes before each further attempt."""
    then: Remedy = Remedy.ABORT_EXPERIMENT


class Step(Strict):
    """One step of a recipe; its action says at which kind of station it happens."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    action: StepAction
    needs: tuple[str, ...] = ()
    """Ids of steps that must have ended before."""
    arguments: Arguments = Field(alias="with")
    deadline_min: float = Field(gt=0)
    """Minutes after which an attempt is late. Of a heat step: beyond its ramp and dwell, so the
    time that cooling may take."""
    on_failure: FailurePolicy = FailurePolicy()

    RESERVED_IDS: ClassVar[tuple[str, ...]] = ("move",)
    """Words the engine itself uses in attempt ids."""

    @model_validator(mode="before")
    @classmethod
    def _arguments_of_the_action(cls, data: Any) -> Any:
        """Read ``with:`` as what the step's action takes."""
        if not isinstance(data, dict):
            return data
        try:
            model = _ARGUMENTS[StepAction(data.get("action"))]
        except ValueError:
            return data
        given = data.get("with", {})
        if isinstance(given, model):
            return data
        if not isinstance(given, dict):
            raise ValueError(f"with has the value {given!r}; expected a mapping of arguments")
        try:
            return {**data, "with": model.model_validate(given)}
        except ValidationError as error:
            raise ValueError(_argument_problem(error, model, str(data["action"]))) from None

    @model_validator(mode="after")
    def _id_is_free(self) -> Step:
        if self.id in self.RESERVED_IDS:
            raise ValueError(f"id {self.id!r} is reserved; expected another id")
        return self

    @property
    def station(self) -> StationKind | None:
        """Kind of station where the crucible must stand; None: it may be anywhere."""
        if isinstance(self.arguments, TransferArguments):
            return self.arguments.to
        return _STATIONS.get(self.action)

    @property
    def references(self) -> dict[str, str]:
        """Parameter's name for each argument that refers to one."""
        found = {name: referenced(value) for name, value in self.arguments}
        return {argument: name for argument, name in found.items() if name is not None}


class MovePolicy(Strict):
    """How the transfers are made that the engine inserts between the steps."""

    deadline_min: float = Field(default=30.0, gt=0)
    retry: int = Field(default=2, ge=0, le=20)
    wait_min: float = Field(default=1.0, ge=0)


class Recipe(Strict):
    """What is done to each sample."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: int = Field(ge=1)
    parameters: tuple[str, ...] = ()
    """Names that the campaign must provide: by its search space or as a constant of it."""
    defaults: dict[str, float | str] = Field(default_factory=dict)
    """Values of parameters that the campaign may leave out."""
    steps: tuple[Step, ...] = Field(min_length=1)
    moves: MovePolicy = MovePolicy()

    @model_validator(mode="after")
    def _is_a_graph(self) -> Recipe:
        ids = [step.id for step in self.steps]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"step id {twice[0]!r} stands twice; expected unique ids")
        for step in self.steps:
            for needed in step.needs:
                if needed not in ids:
                    raise ValueError(
                        f"step {step.id!r} needs unknown step {needed!r}; "
                        f"expected one of {', '.join(ids)}"
                    )
        if len(self.order) < len(self.steps):
            rest = [step.id for step in self.steps if step.id not in self.order]
            raise ValueError(
                f"steps {', '.join(rest)} need each other in a circle; "
                "expected an order in which each comes after what it needs"
            )
        return self

    @model_validator(mode="after")
    def _parameters_are_declared_and_used(self) -> Recipe:
        used = set()
        for step in self.steps:
            for argument, name in step.references.items():
                used.add(name)
                if name not in self.parameters:
                    raise ValueError(
                        f"step {step.id!r} uses ${name} for {argument}, which is no parameter; "
                        f"expected one of {', '.join(self.parameters) or 'the key parameters'}"
                    )
        for name in self.defaults:
            if name not in self.parameters:
                raise ValueError(
                    f"defaults name {name!r}, which is no parameter; "
                    f"expected one of {', '.join(self.parameters)}"
                )
        unused = [name for name in self.parameters if name not in used]
        if unused:
            raise ValueError(
                f"parameter {unused[0]!r} is used by no step; expected ${unused[0]} in a step"
            )
        return self

    @property
    def order(self) -> tuple[str, ...]:
        """Step ids such that each comes after what it needs; among free ones the file's order.

        Steps in or behind a circle are left out.
        """
        done: list[str] = []
        while True:
            free = [
                step.id
                for step in self.steps
                if step.id not in done and all(needed in done for needed in step.needs)
            ]
            if not free:
                return tuple(done)
            done.append(free[0])

    def step(self, step_id: str) -> Step:
        """The step of that id.

        Raises:
            KeyError: there is none.
        """
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)

    def steps_of(self, action: StepAction) -> tuple[Step, ...]:
        """All steps with one action, in the file's order."""
        return tuple(step for step in self.steps if step.action is action)

    @property
    def canonical_text(self) -> str:
        """The recipe as JSON with sorted keys and every default written out."""
        return json.dumps(
            self.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":")
        )

    @property
    def sha256(self) -> str:
        """Of the canonical text, lower-case hexadecimal; layout and comments do not change it."""
        return hashlib.sha256(self.canonical_text.encode()).hexdigest()


def _argument_problem(error: ValidationError, model: type[Strict], action: str) -> str:
    """The first problem of a step's arguments in words."""
    # A misspelt argument is unknown and missing at once: its name says more.
    first = min(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
    key = ".".join(["with", *(str(part) for part in first["loc"][:1])])
    known = ", ".join(model.model_fields) or "no argument at all"
    if first["type"] == "extra_forbidden":
        return f"{key} is unknown to {action}; expected {known}"
    if first["type"] == "missing":
        return f"{key} is missing; expected it for {action}"
    message = first["msg"].removeprefix("Value error, ")
    if "; expected " in message:
        return f"{key} {message}"
    return f"{key} has the value {first['input']!r}; expected {message}"


def load_recipe(path: Path) -> Recipe:
    """Read a recipe's file.

    Raises:
        ConfigError: it cannot be read or contradicts itself.
    """
    return load_yaml(path, Recipe)


def load_recipes(directory: Path) -> dict[str, Recipe]:
    """All recipes (``*.yaml``) of a directory by their names.

    Raises:
        ConfigError: one of them cannot be used, or two have the same name.
    """
    recipes: dict[str, Recipe] = {}
    for path in sorted(directory.glob("*.yaml")):
        recipe = load_recipe(path)
        if recipe.name in recipes:
            raise ConfigError(
                path, "name", f"{recipe.name!r} is taken by another file", "another name"
            )
        recipes[recipe.name] = recipe
    return recipes
