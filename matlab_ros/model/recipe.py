"""A recipe: a versioned, hashed graph of steps with arguments, deadlines and failure policies."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, ValidationError, model_validator

from matlab_ros.model.errors import ConfigError, RecipeError
from matlab_ros.model.expressions import Kind
from matlab_ros.model.failure_policy import FailurePolicy, RetryPolicy
from matlab_ros.model.lab_config import StationKind
from matlab_ros.model.lab_words import StepAction
from matlab_ros.model.recipe_checks import (
    LANGUAGE,
    RecipeProblem,
    check_recipe,
    kinds_of_parameters,
)
from matlab_ros.model.recipe_graph import Graph, graph_of
from matlab_ros.model.step_arguments import (
    AnyArguments,
    ArgumentProblem,
    Condition,
    CoolArguments,
    TransferArguments,
    read_arguments,
)
from matlab_ros.model.yaml_file import Strict, explain, mapping_in, read_text
from matlab_ros.model.yaml_lines import KeyTwice, line_at, lines_of

_STATIONS: dict[StepAction, StationKind] = {
    StepAction.DISPENSE: StationKind.DISPENSER,
    StepAction.MIX: StationKind.DISPENSER,
    StepAction.GRIND: StationKind.DISPENSER,
    StepAction.HEAT: StationKind.FURNACE,
    StepAction.MEASURE: StationKind.DIFFRACTOMETER,
    StepAction.STORE: StationKind.RACK,
    StepAction.DISCARD: StationKind.RACK,
}

PASSING = (StepAction.WAIT, StepAction.COOL)
"""Steps that only let time pass: no device carries them out."""


class Repeat(Strict):
    """The steps from one to this one are done again until a condition holds."""

    first: str = Field(alias="from")
    until: Condition | None = None
    """Looked at when this step has ended; None: the loop is done as often as `at_most` says."""
    at_most: int = Field(ge=2, le=20)
    """How often the steps are done, the first time included."""


class Step(Strict):
    """One step of a recipe; its action says at which kind of station it happens."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    action: StepAction
    needs: tuple[str, ...] = ()
    """Ids of steps that must have ended before."""
    when: Condition | None = None
    """Where it does not hold once all that it needs has ended, the step is skipped."""
    repeat: Repeat | None = None
    arguments: AnyArguments = Field(alias="with")
    deadline_min: float | None = Field(default=None, gt=0)
    """Minutes after which an attempt is late. Of a heat step: beyond its ramp and dwell, so the
    time that cooling may take. None: of a step that ends by itself."""
    on_failure: FailurePolicy = FailurePolicy()

    RESERVED_IDS: ClassVar[tuple[str, ...]] = (
        *("move", "round", "known", "min", "max"),
        *("and", "or", "not", "true", "false"),
    )
    """Words of the engine itself in attempt ids, and of the conditions."""

    @model_validator(mode="before")
    @classmethod
    def _arguments_of_the_action(cls, data: Any) -> Any:
        """Read ``with:`` as what the step's action takes."""
        if not isinstance(data, dict):
            return data
        try:
            action = StepAction(data.get("action"))
        except ValueError:
            return data
        return {**data, "with": read_arguments(action, data.get("with", {}))}

    @model_validator(mode="after")
    def _fits_itself(self) -> Step:
        if self.id in self.RESERVED_IDS:
            raise ValueError(f"id {self.id!r} is reserved; expected another id")
        if self.action in PASSING:
            if self.deadline_min is not None:
                raise ValueError(
                    f"step {self.id!r} has a deadline_min, and ends by itself after its minutes; "
                    "expected no deadline_min"
                )
        elif self.deadline_min is None:
            raise ValueError(f"step {self.id!r} has no deadline_min; expected one in minutes")
        return self

    @property
    def station(self) -> StationKind | None:
        """Kind of station where the crucible must stand; None: see `place`, else anywhere."""
        if isinstance(self.arguments, TransferArguments):
            kinds = {kind.value: kind for kind in StationKind}
            return kinds.get(self.arguments.to)
        if isinstance(self.arguments, CoolArguments):
            return StationKind.RACK if self.arguments.at == "rack" else None
        return _STATIONS.get(self.action)

    @property
    def place(self) -> str:
        """The one station, or position, where the crucible must stand; empty: see `station`."""
        if isinstance(self.arguments, TransferArguments) and self.station is None:
            return self.arguments.to
        return ""

    @property
    def uses_crucible(self) -> bool:
        """Whether nothing else may be done with the crucible meanwhile."""
        return self.action is not StepAction.ANALYSE


class MovePolicy(RetryPolicy):
    """How the transfers are made that the engine inserts between the steps."""

    deadline_min: float = Field(default=30.0, gt=0)
    retry: int = Field(default=2, ge=0, le=20)


class Recipe(Strict):
    """What is done to each sample."""

    language: int = Field(default=LANGUAGE, alias="schema")
    """Number of the language that the file is written in."""
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: int = Field(ge=1)
    parameters: tuple[str, ...] = ()
    """Names that the campaign must provide: by its search space or as a constant of it."""
    defaults: dict[str, float | str] = Field(default_factory=dict)
    """Values of parameters that the campaign may leave out."""
    steps: tuple[Step, ...] = Field(min_length=1)
    moves: MovePolicy = MovePolicy()

    @model_validator(mode="after")
    def _makes_sense(self) -> Recipe:
        check_recipe(self)
        return self

    @property
    def graph(self) -> Graph:
        """Which steps come before which, and what loops repeat."""
        return graph_of(
            tuple((step.id, step.needs) for step in self.steps),
            tuple(
                (step.id, step.repeat.first, step.repeat.at_most)
                for step in self.steps
                if step.repeat is not None
            ),
        )

    @property
    def order(self) -> tuple[str, ...]:
        """Step ids such that each comes after what it needs; among free ones the file's order."""
        return self.graph.order

    @property
    def kinds(self) -> dict[str, Kind]:
        """What each parameter has to be: a number or a word."""
        return kinds_of_parameters(self)

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
        """The recipe as JSON with sorted keys and every default written out but what is absent."""
        return json.dumps(
            self.model_dump(mode="json", by_alias=True, exclude_none=True),
            sort_keys=True,
            separators=(",", ":"),
        )

    @property
    def sha256(self) -> str:
        """Of the canonical text, lower-case hexadecimal; layout and comments do not change it."""
        return hashlib.sha256(self.canonical_text.encode()).hexdigest()


def load_recipe(path: Path) -> Recipe:
    """Read a recipe's file.

    Raises:
        RecipeError: it contradicts itself; step, key and line say where.
        ConfigError: it cannot be read, or is no YAML.
    """
    text = read_text(path)
    data = mapping_in(path, text)
    try:
        lines = lines_of(text)
    except KeyTwice as twice:
        raise RecipeError(
            path,
            ".".join(map(str, twice.path)),
            str(twice),
            "it once",
            _step_at(data, twice.path),
            twice.line,
        ) from None
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        key, problem, expected = _first_problem(error)
        step = _step_at(data, key)
        if step and repr(step) not in problem:
            problem = f"step {step!r}: {problem}"
        raise RecipeError(
            path, ".".join(map(str, key)), problem, expected, step, line_at(lines, key)
        ) from None


def _first_problem(error: ValidationError) -> tuple[tuple[str | int, ...], str, str]:
    """Key, problem and expectation of the first thing that is wrong."""
    first = error.errors()[0]
    key: tuple[str | int, ...] = first["loc"]
    problem, expected = explain(first, Recipe)
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, RecipeProblem):
        key = cause.path
    elif isinstance(cause, ArgumentProblem):
        key = (*key, "with", *cause.path)
    return key, problem, expected


def _step_at(data: dict[str, Any], key: tuple[str | int, ...]) -> str:
    """Id of the step that a key belongs to, empty where it belongs to none."""
    if len(key) < 2 or key[0] != "steps" or not isinstance(key[1], int):
        return ""
    step = data["steps"][key[1]]
    found = step.get("id") if isinstance(step, dict) else None
    return found if isinstance(found, str) else ""


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
