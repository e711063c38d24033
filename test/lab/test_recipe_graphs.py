"""Any valid recipe comes to an end, and any mistake in one is named with its step and line."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matlab_ros.cli import main
from matlab_ros.lab.engine import Engine
from matlab_ros.lab.events import AttemptIntended
from matlab_ros.lab.goals import AnalyseGoal
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.lab.recipe_limits import check_in_lab
from matlab_ros.lab.state import replay
from matlab_ros.lab.validate import check_campaign
from matlab_ros.model.errors import ConfigError, RecipeError
from matlab_ros.model.recipe import Recipe, load_recipe, load_recipes
from matlab_ros.nodes.table_lab import TableLab

by_chance = settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
PHASES = {"MgTiO3", "MgO-Periclase", "MgCO3-Magnesite", "TiO2-Anatase", "TiO2-Rutile"}
VALUES = {
    "dispense": ["mass_mg < 1500", "done"],
    "heat": ["max_measured_c > 950", "dwell_min > 1"],
    "grind": ["mixed_min > 0"],
    "mix": ["mixed_min > 0"],
    "analyse": ["target_fraction > 0.5", "target_fraction <= 0.3", "phases > 0", "confirmed"],
}


class _Author:
    """Writes a random recipe of blocks: steps, branches side by side, loops in loops."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.steps: list[dict[str, Any]] = []
        self.before: dict[str, set[str]] = {}
        self.often = 1

    def recipe(self) -> dict[str, Any]:
        last = [self.step("dispense", [])]
        last = [self.step("heat", last)]
        last = self.blocks(last, self.chance.randint(1, 4), 0)
        last = [self.step("measure", last)]
        last = [self.step("analyse", last)]
        if self.chance.random() < 0.5:
            self.step("store", last)
        return {
            "schema": 1,
            "name": "random",
            "version": 1,
            "parameters": [
                *("precursors", "sample_mass_mg", "target_phase", "temperature_c", "dwell_h"),
            ],
            "steps": self.steps,
        }

    def blocks(self, needs: list[str], count: int, loops: int) -> list[str]:
        for _ in range(count):
            kind = self.chance.random()
            if kind < 0.25 and self.often < 20 and loops < 2:
                needs = [self.loop(needs, loops)]
            elif kind < 0.45:
                needs = [self.any_step(needs, loops) for _ in range(2)]
            else:
                needs = [self.any_step(needs, loops)]
        return needs

    def loop(self, needs: list[str], loops: int) -> str:
        at_most = self.chance.randint(2, 3)
        self.often *= at_most
        first = self.any_step(needs, loops + 1, at_most)
        ends = self.blocks([first], self.chance.randint(0, 2), loops + 1)
        last = self.any_step(ends, loops + 1, at_most, may_discard=False)
        repeat: dict[str, Any] = {"from": first, "at_most": at_most}
        if self.chance.random() < 0.8:
            repeat["until"] = self.condition([*self.before[last], last], looped=True)
        next(item for item in self.steps if item["id"] == last)["repeat"] = repeat
        self.often //= at_most
        return last

    def any_step(
        self, needs: list[str], loops: int, rounds: int = 0, may_discard: bool = True
    ) -> str:
        before = set(needs).union(*(self.before[name] for name in needs))
        actions = ["heat", "grind", "mix", "wait", "cool", "store", "transfer", "measure"]
        if any(item["action"] == "measure" and item["id"] in before for item in self.steps):
            actions.extend(["analyse"] * 4)
        if may_discard and self.chance.random() < 0.1:
            actions = ["discard"]
        return self.step(self.chance.choice(actions), needs, rounds, loops > 0)

    def step(self, action: str, needs: list[str], rounds: int = 0, looped: bool = False) -> str:
        name = f"{action}_{len(self.steps)}"
        before = set(needs).union(*(self.before[item] for item in needs)) if needs else set()
        step: dict[str, Any] = {"id": name, "action": action, "needs": needs}
        arguments = self.arguments(action, rounds, looped)
        if arguments:
            step["with"] = arguments
        if action not in ("wait", "cool"):
            step["deadline_min"] = 600
            step["on_failure"] = {
                "retry": self.chance.randint(0, 2),
                "then": self.chance.choice(["skip", "abort_experiment"]),
            }
        if before and (action == "discard" or self.chance.random() < 0.3):
            step["when"] = self.condition(sorted(before), looped)
        self.steps.append(step)
        self.before[name] = before
        return name

    def arguments(self, action: str, rounds: int, looped: bool) -> dict[str, Any]:
        hot: Any = "$temperature_c"
        if rounds and self.chance.random() < 0.5:
            hot = [900 + 10 * index for index in range(rounds)]
        elif looped:
            hot = "min($temperature_c + 20 * round, 1350)"
        return {
            "dispense": {"precursors": "$precursors", "mass_mg": "$sample_mass_mg", "mix_min": 5},
            "heat": {"temperature_c": hot, "dwell_h": "$dwell_h", "ramp_c_per_min": 10},
            "grind": {"minutes": 5},
            "mix": {"minutes": "2 + round" if looped else 2},
            "wait": {"minutes": self.chance.choice([0, 20])},
            "cool": {"minutes": 15, "at": self.chance.choice(["here", "rack"])},
            "transfer": {"to": self.chance.choice(["rack", "dispenser", "diffractometer/1"])},
            "measure": {"program": "10-100_2-minutes"},
            "analyse": {},
        }.get(action, {})

    def condition(self, names: list[str], looped: bool) -> str:
        parts = []
        for _ in range(self.chance.randint(1, 2)):
            name = self.chance.choice(names)
            value = self.chance.choice(VALUES.get(name.split("_")[0], ["done"]))
            parts.append(f"{'not ' * (self.chance.random() < 0.3)}{name}.{value}")
        if looped and self.chance.random() < 0.3:
            parts.append("round > 0")
        if self.chance.random() < 0.2:
            parts.append("$temperature_c < 950")
        return self.chance.choice([" and ", " or "]).join(parts)


def random_recipe(seed: int) -> dict[str, Any]:
    """A random recipe that makes sense, as its file would hold it."""
    return _Author(random.Random(seed)).recipe()


@pytest.fixture(scope="session")
def set_up(lab, make_campaign, faulty_devices, drawing_planner):
    """Makes a table lab for a recipe, with devices that fail and analyses that say anything."""

    class Devices(faulty_devices):
        def outcome(self, device, goal, now_ns, end_ns):
            outcome = super().outcome(device, goal, now_ns, end_ns)
            if isinstance(goal, AnalyseGoal) and outcome.report.succeeded:
                chance = random.Random(f"{self.seed}/{goal.attempt_id}/found")
                return replace(outcome, target_fraction=round(chance.random(), 3))
            return outcome

    def make(data, seed, rate):
        campaign = make_campaign(recipe="random", budget={"experiments": 3, "max_in_flight": 3})
        plan = check_campaign(campaign, lab, Recipe.model_validate(data), PHASES, "test.yaml")
        journal = MemoryJournal()
        table = TableLab(Engine(lab, journal), Devices(lab, seed, rate), drawing_planner())
        table.plan, table.journal = plan, journal
        return table

    return make


@by_chance
@given(seed=st.integers(0, 100_000), rate=st.sampled_from([0.0, 0.1, 0.3]))
def test_every_recipe_ends_within_its_bound(set_up, check_places, lab, seed, rate):
    data = random_recipe(seed)
    table = set_up(data, seed, rate)
    recipe = table.plan.recipe
    most = sum(recipe.graph.times(step.id) for step in recipe.steps)
    table.start(table.plan)
    steps = 0
    while table.finished is None:
        assert table.step(), "nothing is left that could happen, and the campaign has not ended"
        check_places(table.engine)
        steps += 1
        # Each time a step is done it needs at most 3 attempts and 3 x 3 transfers, each with a
        # moment of waiting; every experiment is suggested, begun, reported and ended.
        assert steps < 3 * (40 + 40 * most)
    state = table.engine.state
    assert all(run.state.is_final for run in state.experiments.values())
    assert all(run.steps_done or run.abort is not None for run in state.experiments.values())
    ids = [
        entry.event.attempt_id
        for entry in table.journal.read()
        if isinstance(entry.event, AttemptIntended)
    ]
    assert len(ids) == len(set(ids))
    again = replay(table.engine.floor, ((e.ros_time_ns, e.event) for e in table.journal.read()))
    assert again == state


@by_chance
@given(seed=st.integers(0, 100_000))
def test_the_hash_does_not_depend_on_layout_and_the_text_is_the_recipe(seed):
    data = random_recipe(seed)
    recipe = Recipe.model_validate(data)
    turned = yaml.safe_load(yaml.safe_dump(_turned(data), sort_keys=False))
    assert Recipe.model_validate(turned).sha256 == recipe.sha256
    assert Recipe.model_validate(yaml.safe_load(recipe.canonical_text)) == recipe


def _turned(value: Any) -> Any:
    """The same with every mapping in the reverse order, and blanks in every expression."""
    if isinstance(value, dict):
        return {key: _turned(item) for key, item in reversed(list(value.items()))}
    if isinstance(value, list):
        return [_turned(item) for item in value]
    return value.replace(" ", "  ") if isinstance(value, str) and "." in value else value


# --- mistakes ---------------------------------------------------------------------------------


def _unknown_need(step, _data):
    step["needs"] = [*step["needs"], "nowhere"]


def _itself(step, _data):
    step["needs"] = [*step["needs"], step["id"]]


def _unknown_action(step, _data):
    step["action"] = "fry"


def _unknown_key(step, _data):
    step["colour"] = "red"


def _unknown_argument(step, _data):
    step["with"] = {**step.get("with", {}), "colour": "red"}


def _bad_deadline(step, _data):
    step["deadline_min"] = -1


def _future_condition(step, data):
    step["when"] = f"{data['steps'][-1]['id']}.done"


def _unknown_step(step, _data):
    step["when"] = "nowhere.done"


def _unknown_value(step, _data):
    step["when"] = f"{step['needs'][0]}.colour > 1"


def _no_condition(step, _data):
    step["when"] = "1 +"


def _number_for_truth(step, _data):
    step["when"] = "1 + 1"


def _never(step, _data):
    step["when"] = "2 < 1"


def _undeclared(step, _data):
    step["when"] = "$colour > 1"


def _strange_loop(step, data):
    step["repeat"] = {"from": data["steps"][-1]["id"], "at_most": 2}


def _loop_without_end(step, _data):
    step["repeat"] = {"from": step["id"], "at_most": 1_000_000}


def _loop_without_repeat(step, _data):
    step["repeat"] = {"from": step["id"], "at_most": 1}


def _taken_id(step, data):
    step["id"] = data["steps"][0]["id"]


def _reserved_id(step, _data):
    step["id"] = "move"


MISTAKES = [
    *(_unknown_need, _itself, _unknown_action, _unknown_key, _unknown_argument, _bad_deadline),
    *(_future_condition, _unknown_step, _unknown_value, _no_condition, _number_for_truth, _never),
    *(_undeclared, _strange_loop, _loop_without_end, _loop_without_repeat, _taken_id),
    _reserved_id,
]


@settings(by_chance, max_examples=100)
@given(seed=st.integers(0, 100_000), where=st.integers(0, 1_000), mistake=st.sampled_from(MISTAKES))
def test_a_mistake_anywhere_is_named_with_its_step_and_line(tmp_path, seed, where, mistake):
    data = copy.deepcopy(random_recipe(seed))
    # The first two use every parameter, and conditions on the last are mistakes before it.
    index = 2 + where % (len(data["steps"]) - 3)
    step = data["steps"][index]
    mistake(step, data)
    path = tmp_path / "random.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    error = caught.value
    assert error.step == step["id"]
    assert repr(error.step) in str(error)
    assert "expected" in str(error)
    assert "\n" not in str(error)
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines, 1) if line.startswith("- id:")]
    ends = [*starts[1:], len(lines) + 1]
    assert starts[index] <= error.line < ends[index]


BASE = """
name: fixed
version: 1
parameters: [precursors, sample_mass_mg, temperature_c, dwell_h, target_phase]
steps:
  - {id: weigh, action: dispense, deadline_min: 60,
     with: {precursors: $precursors, mass_mg: $sample_mass_mg}}
  - id: fire
    action: heat
    needs: [weigh]
    with: {temperature_c: $temperature_c, dwell_h: $dwell_h, ramp_c_per_min: 5}
    deadline_min: 600
  - {id: look, action: measure, needs: [fire], deadline_min: 60, with: {program: 10-100_2-minutes}}
  - id: judge
    action: analyse
    needs: [look]
    deadline_min: 60
    repeat: {from: fire, until: judge.target_fraction > 0.9, at_most: 3}
  - {id: keep, action: store, needs: [judge], deadline_min: 60}
"""


@pytest.mark.parametrize(
    ("before", "after", "step", "words"),
    [
        ("needs: [judge]", "needs: [look]", "keep", ["done again by the loop", "judge"]),
        ("ramp_c_per_min: 5", "ramp_c_per_min: $temperature_c", "fire", ["in C/min", "is in C;"]),
        ("$temperature_c,", "$temperature_c + $dwell_h,", "fire", ["mixes units"]),
        ("$temperature_c,", "[900, $temperature_c],", "fire", ["2 values", "3 rounds"]),
        ("$temperature_c,", "$temperature_c + weigh.mass_mg,", "fire", ["step's value"]),
        ("ramp_c_per_min: 5", "ramp_c_per_min: -5", "fire", ["the ramp -5", "more than 0"]),
        ("needs: [fire]", "needs: [weigh]", "judge", ["'fire'", "does not come before"]),
        (
            "until: judge.target_fraction > 0.9",
            "until: judge.target_fraction > 1.5",
            "judge",
            ["never ends its loop", "cannot hold"],
        ),
        (
            "until: judge.target_fraction > 0.9",
            "until: judge.target_fraction",
            "judge",
            ["a number", "true or false"],
        ),
        ("needs: [judge]", "needs: [judge], when: round > 1", "keep", ["no loop"]),
        ("action: store", "action: wait, with: {minutes: 5}", "keep", ["ends by itself"]),
        ("needs: [weigh]", "needs: []", "fire", ["empty crucible", "dispense"]),
        (
            "action: measure, needs: [fire], deadline_min: 60, with: {program: 10-100_2-minutes}",
            "action: grind, needs: [fire], deadline_min: 60, with: {minutes: 5}",
            "judge",
            ["analyses before it measures"],
        ),
        ("id: keep, action: store", "id: keep, action: discard", "", []),
        ("needs: [weigh]", "needs: [weigh]\n    needs: [weigh]", "fire", ["stands twice"]),
        ("name: fixed", "name: fixed\nschema: 7", "", ["language 7", "schema: 1"]),
    ],
)
def test_examples_of_mistakes(tmp_path, before, after, step, words):
    assert before in BASE
    path = tmp_path / "fixed.yaml"
    path.write_text(BASE.replace(before, after, 1), encoding="utf-8")
    if not words:
        assert load_recipe(path).name == "fixed"
        return
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert caught.value.step == step
    assert caught.value.line > 0
    for word in words:
        assert word in str(caught.value)


def test_nothing_comes_after_a_discard_without_condition(tmp_path):
    text = BASE.replace("action: store", "action: discard") + (
        "  - {id: again, action: measure, needs: [keep], deadline_min: 60, with: {program: q}}\n"
    )
    path = tmp_path / "fixed.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError, match="can never be reached") as caught:
        load_recipe(path)
    assert caught.value.step == "again"


def test_the_shipped_recipes_can_be_done_in_the_virtual_lab(lab):
    folder = Path(__file__).resolve().parents[2] / "config" / "recipes"
    recipes = load_recipes(folder)
    assert {"solid_state", "regrind", "screening"} <= set(recipes)
    for name, recipe in recipes.items():
        check_in_lab(recipe, folder / f"{name}.yaml", lab)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            "$temperature_c,",
            "[900, 1300, $temperature_c * 0 + 1450],",
            ["1450 C", "round 2", "1400"],
        ),
        ("$temperature_c,", "$temperature_c, unload_below_c: 60,", []),
        ("ramp_c_per_min: 5", "ramp_c_per_min: 5 * (round + 1)", ["15 C/min", "round 2"]),
        ("action: store", "action: transfer, with: {to: moon}", ["'moon'", "diffractometer"]),
        ("action: store", "action: transfer, with: {to: furnace_2}", ["furnace without heating"]),
        ("action: store", "action: transfer, with: {to: rack/3}", ["has its own"]),
        ("action: store", "action: transfer, with: {to: dispenser/1}", []),
    ],
)
def test_what_a_lab_cannot_do_is_named_with_the_round(tmp_path, lab, before, after, words):
    assert before in BASE
    path = tmp_path / "fixed.yaml"
    path.write_text(BASE.replace(before, after, 1), encoding="utf-8")
    recipe = load_recipe(path)
    if not words:
        check_in_lab(recipe, path, lab)
        return
    with pytest.raises(RecipeError) as caught:
        check_in_lab(recipe, path, lab)
    assert caught.value.step in ("fire", "keep")
    assert caught.value.line > 0
    for word in words:
        assert word in str(caught.value)


def test_the_command_line_checks_a_recipe(tmp_path, capsys):
    path = tmp_path / "fixed.yaml"
    path.write_text(BASE, encoding="utf-8")
    assert main(["recipe", "check", str(path), "--lab", "virtual_lab"]) == 0
    assert "from fire again until judge.target_fraction > 0.9" in capsys.readouterr().out
    path.write_text(BASE.replace("at_most: 3", "at_most: 1"), encoding="utf-8")
    assert main(["recipe", "check", str(path)]) == 2
    assert "step 'judge'" in capsys.readouterr().err


NONSENSE: list[Any] = [
    *(None, True, 0, -1, 1e308, float("nan"), float("inf"), 10**400, "", "a b", "$x", "1e999"),
    *("-" * 300, "9" * 400, "$a / 0", "step.done", [], {}, [1], [[1]], {"a": 1}, b"x"),
]


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Ways to every part of a recipe."""
    found = [path] if path else []
    keys = (
        range(len(value)) if isinstance(value, list) else value if isinstance(value, dict) else ()
    )
    for key in keys:
        found.extend(_paths(value[key], (*path, key)))
    return found


@settings(by_chance, max_examples=100)
@given(seed=st.integers(0, 100_000), where=st.integers(0, 10_000), what=st.sampled_from(NONSENSE))
def test_nonsense_anywhere_is_refused_with_one_sentence(tmp_path, seed, where, what):
    data = copy.deepcopy(random_recipe(seed))
    paths = _paths(data)
    path = paths[where % len(paths)]
    part: Any = data
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = what
    file = tmp_path / "random.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    recipe, message = None, ""
    try:
        recipe = load_recipe(file)
    except ConfigError as error:
        message = str(error)
    if recipe is None:
        assert "\n" not in message
        assert "expected" in message
    else:
        # Some of it makes sense in some places, and is then written down as any recipe.
        assert Recipe.model_validate(yaml.safe_load(recipe.canonical_text)) == recipe
