"""Grinding what was fired gives fresh contact, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from matlab_ros.model.lab_config import load_lab
from matlab_ros.virtual.reactions import load_chemistry
from matlab_ros.virtual.world import World

CONFIG = Path(__file__).parents[2] / "config"
HERE = "rack/1"
TARGET = "MgTiO3"


@pytest.fixture
def make_world():
    """Makes a world with a mixed sample of magnesia and rutile at `HERE`."""

    def make(mixed_min: float = 10.0) -> World:
        lab = load_lab(CONFIG / "labs" / "virtual_lab.yaml")
        world = World(lab, load_chemistry(CONFIG / "chemistry"), 1)
        world.dose(HERE, "MgO", 335.0)
        world.dose(HERE, "TiO2-rutile", 665.0)
        world.mix(HERE, mixed_min)
        return world

    return make


def fire(world: World, start_s: float, temperature_c: float = 1150.0, dwell_h: float = 4.0) -> None:
    ramp_s = (temperature_c - 25.0) * 6.0
    ends = [start_s, start_s + ramp_s, start_s + ramp_s + 3600.0 * dwell_h]
    world.expose([HERE], [*ends, ends[-1] + ramp_s], [25.0, temperature_c, temperature_c, 25.0])


def share(world: World) -> float:
    masses = world.composition(world.container_at(HERE))
    return masses.get(TARGET, 0.0) / sum(masses.values())


def fired_twice(world: World, ground_min: float) -> float:
    fire(world, 0.0)
    first = share(world)
    if ground_min:
        world.mix(HERE, ground_min)
    assert share(world) == first, "grinding alone makes nothing"
    fire(world, 100_000.0)
    return share(world)


def test_a_ground_sample_goes_on_faster_than_one_that_was_not(make_world):
    plain, ground, well_ground = (fired_twice(make_world(), minutes) for minutes in (0, 2, 20))
    assert plain < ground < well_ground
    assert well_ground - plain > 0.02


def test_mixing_before_the_first_firing_breaks_no_layer(make_world):
    once, twice = make_world(30.0), make_world(15.0)
    twice.mix(HERE, 15.0)
    fire(once, 0.0)
    fire(twice, 0.0)
    assert share(once) == pytest.approx(share(twice), rel=1e-9)


def test_grinding_conserves_mass(make_world):
    world = make_world()
    fire(world, 0.0)
    before = sum(world.composition(world.container_at(HERE)).values())
    world.mix(HERE, 20.0)
    assert sum(world.composition(world.container_at(HERE)).values()) == before
