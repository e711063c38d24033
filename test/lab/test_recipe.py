"""Recipes are read whole or refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from matlab_ros.model.errors import ConfigError
from matlab_ros.model.expressions import Kind
from matlab_ros.model.lab_config import StationKind
from matlab_ros.model.recipe import Recipe, load_recipe, load_recipes

GOOD = """
name: short
version: 2
parameters: [sample_mass_mg, temperature_c, target_phase, precursors]
steps:
  - {id: weigh, action: dispense, deadline_min: 60,
     with: {precursors: $precursors, mass_mg: $sample_mass_mg}}
  - {id: fire, action: heat, needs: [weigh], deadline_min: 600,
     with: {temperature_c: $temperature_c, dwell_h: 4, ramp_c_per_min: 5}}
  - {id: look, action: measure, needs: [fire], deadline_min: 60, with: {program: quick}}
  - {id: judge, action: analyse, needs: [look], deadline_min: 60}
"""


def read(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(path)


def test_steps_know_their_stations_and_order(tmp_path):
    recipe = read(tmp_path, GOOD)
    assert recipe.order == ("weigh", "fire", "look", "judge")
    assert recipe.step("fire").station is StationKind.FURNACE
    assert recipe.step("judge").station is None
    assert recipe.kinds["temperature_c"] is Kind.NUMBER
    assert recipe.kinds["target_phase"] is Kind.WORD


def test_the_hash_is_of_the_meaning_and_not_of_the_layout(tmp_path):
    recipe = read(tmp_path, GOOD)
    assert read(tmp_path, "# a remark\n" + GOOD).sha256 == recipe.sha256
    assert read(tmp_path, GOOD.replace("dwell_h: 4", "dwell_h: 4.0")).sha256 == recipe.sha256
    assert read(tmp_path, GOOD.replace("dwell_h: 4", "dwell_h: 5")).sha256 != recipe.sha256
    assert Recipe.model_validate(json.loads(recipe.canonical_text)) == recipe


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("version: 2", "version: 2\ncolour: red", ["colour", "unknown key"]),
        ("needs: [fire]", "needs: [fry]", ["'fry'", "weigh"]),
        ("needs: [weigh]", "needs: [look]", ["circle", "fire"]),
        ("dwell_h: 4", "dwell_hours: 4", ["steps.1", "dwell_hours", "dwell_h"]),
        ("dwell_h: 4", "dwell_h: long", ["steps.1", "dwell_h", "'long'", "number"]),
        ("dwell_h: 4", "dwell_h: $dwell_h", ["dwell_h", "no parameter"]),
        ("program: quick", "program: 4", ["steps.2", "program", "text"]),
        ("action: heat", "action: fry", ["steps.1", "action", "fry"]),
        ("id: look", "id: move", ["steps.2", "reserved"]),
        ("id: look", "id: fire", ["'fire'", "twice"]),
        ("[sample_mass_mg,", "[sample_mass_mg, unused,", ["'unused'", "no step"]),
        (", with: {program: quick}", "", ["steps.2", "program", "missing"]),
    ],
)
def test_a_mistake_is_named_with_file_key_and_expectation(tmp_path, before, after, words):
    assert before in GOOD
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, GOOD.replace(before, after))
    message = str(caught.value)
    for word in ["recipe.yaml", "expected", *words]:
        assert word in message
    assert "\n" not in message


def test_two_recipes_of_one_name_are_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(ConfigError, match="taken by another file"):
        load_recipes(tmp_path)
