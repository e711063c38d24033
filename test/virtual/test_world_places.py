"""A container is in exactly one place, and powder is where it was put, whatever is done."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from matlab_ros.model.lab_config import LabConfig
from matlab_ros.virtual.reactions import load_chemistry
from matlab_ros.virtual.world import GRIPPER, World

CHEMISTRY = load_chemistry(Path(__file__).parents[2] / "config" / "chemistry" / "mg_ti_o.yaml")


def station(name: str, kind: str, count: int) -> dict[str, object]:
    grid = {"count": count, "columns": count, "origin_m": (0, 0, 1), "pitch_m": (0.1, 0.1)}
    return {"name": name, "kind": kind, "base_pose": (0, 0, 0), "grid": grid}


LAB = LabConfig.model_validate(
    {
        "name": "small_lab",
        "simulated": True,
        "stations": [
            station("rack", "rack", 3),
            station("dispenser", "dispenser", 1),
            station("furnace_1", "furnace", 2),
            station("diffractometer", "diffractometer", 1),
        ],
        "devices": [{"name": "arm", "kind": "arm"}],
        "containers": {"count": 3, "station": "rack", "capacity_mg": 3000},
        "stock": [
            {"name": "MgO", "formula": "MgO", "slot": 1, "mass_g": 10},
            {"name": "TiO2-rutile", "formula": "TiO2", "slot": 2, "mass_g": 10},
            {"name": "MgCO3", "formula": "MgCO3", "slot": 3, "mass_g": 10},
            {"name": "Al2O3", "formula": "Al2O3", "slot": 4, "mass_g": 10},
        ],
    }
)
PLACES = World(LAB, CHEMISTRY, 0).positions
SUBSTANCES = tuple(item.name for item in LAB.stock)


class Handling(RuleBasedStateMachine):
    """Anything that arms, dispensers and furnaces can do, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(LAB, CHEMISTRY, 1)
        self.now_s = 0.0

    @rule(position=st.sampled_from(PLACES))
    def pick(self, position: str) -> None:
        held, there = self.world.container_at(GRIPPER), self.world.container_at(position)
        done = self.world.pick(position)
        assert done == (held is None and there is not None)
        if done:
            assert self.world.container_at(GRIPPER) == there
            assert self.world.container_at(position) is None

    @rule(position=st.sampled_from(PLACES))
    def place(self, position: str) -> None:
        held, there = self.world.container_at(GRIPPER), self.world.container_at(position)
        done = self.world.place(position)
        assert done == (held is not None and there is None)
        if done:
            assert self.world.container_at(position) == held
            assert self.world.container_at(GRIPPER) is None

    @rule(
        position=st.sampled_from(PLACES),
        substance=st.sampled_from(SUBSTANCES),
        mass_mg=st.floats(0, 4000),
    )
    def dose(self, position: str, substance: str, mass_mg: float) -> None:
        before = self.world.gross_mass_mg(position)
        landed = self.world.dose(position, substance, mass_mg)
        assert 0 <= landed <= mass_mg
        if before is None:
            assert landed == 0
        else:
            assert self.world.gross_mass_mg(position) == pytest.approx(before + landed)

    @rule(position=st.sampled_from(PLACES))
    def mix(self, position: str) -> None:
        assert self.world.mix(position) == (self.world.container_at(position) is not None)

    @rule(
        positions=st.sets(st.sampled_from(PLACES)),
        temperature=st.floats(20, 1500),
        hours=st.floats(0.1, 30),
    )
    def heat(self, positions: set[str], temperature: float, hours: float) -> None:
        times = self.now_s + np.array([0, 0.1, 0.9, 1.0]) * hours * 3600
        self.now_s = times[-1]
        self.world.expose(sorted(positions), times, [25, temperature, temperature, 25])

    @invariant()
    def every_container_is_in_exactly_one_place(self) -> None:
        found = [self.world.container_at(place) for place in PLACES]
        standing = [name for name in found if name is not None]
        assert sorted(standing) == sorted(self.world.containers)
        for name in standing:
            assert self.world.container_at(self.world.position_of(name)) == name

    @invariant()
    def no_mass_is_made_or_lost(self) -> None:
        world = self.world
        total = sum(world.stock_mg(name) for name in SUBSTANCES) + world.spilled_mg()
        for name in world.containers:
            contents = sum(world.composition(name).values())
            assert contents <= 3000 * (1 + 1e-9)
            total += contents + sum(world.losses(name).values())
        assert total == pytest.approx(40_000, rel=1e-9)


Handling.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
test_handling = Handling.TestCase


def filled(world: World, position: str = "rack/1") -> None:
    world.dose(position, "MgO", 335.4)
    world.dose(position, "TiO2-rutile", 664.6)
    world.mix(position)


TIMES = np.array([0.0, 6000.0, 20_400.0, 26_400.0])
TEMPERATURE = np.array([25.0, 1025.0, 1025.0, 25.0])


def test_result_does_not_depend_on_where_a_trace_is_cut() -> None:
    whole, cut = World(LAB, CHEMISTRY, 0), World(LAB, CHEMISTRY, 0)
    filled(whole)
    filled(cut)
    grid = np.arange(0.0, 26_401.0, 60.0)
    values = np.interp(grid, TIMES, TEMPERATURE)
    whole.expose(["rack/1"], grid, values)
    for start in range(0, grid.size - 1, 37):
        cut.expose(["rack/1"], grid[start : start + 38], values[start : start + 38])
    assert cut.composition("crucible-01") == whole.composition("crucible-01")


def test_looking_does_not_change_what_is_seen() -> None:
    watched, alone = World(LAB, CHEMISTRY, 0), World(LAB, CHEMISTRY, 0)
    for world in (watched, alone):
        filled(world)
        world.expose(["rack/1"], TIMES[:3], TEMPERATURE[:3])
    for _ in range(3):
        watched.composition("crucible-01")
    for world in (watched, alone):
        world.expose(["rack/1"], TIMES[2:], TEMPERATURE[2:])
    assert watched.composition("crucible-01") == pytest.approx(
        alone.composition("crucible-01"), abs=2.0
    )


def test_neighbours_react_alike_in_any_order() -> None:
    compositions = []
    for positions in (["rack/1", "rack/2", "rack/3"], ["rack/3", "rack/1", "rack/2"]):
        world = World(LAB, CHEMISTRY, 0)
        for position in positions:
            filled(world, position)
        world.expose(positions, TIMES, TEMPERATURE)
        compositions.append([world.composition(name) for name in world.containers])
    first, second = compositions
    assert first == second
    assert first[0] == first[1] == first[2]


def test_a_furnace_80_c_too_cold_gives_lower_yields() -> None:
    right, cold = World(LAB, CHEMISTRY, 0), World(LAB, CHEMISTRY, 0)
    for world, offset in ((right, 0.0), (cold, -80.0)):
        filled(world)
        world.expose(["rack/1"], TIMES, TEMPERATURE + offset)
    made = [world.composition("crucible-01").get("MgTiO3", 0) for world in (right, cold)]
    assert made[1] < 0.7 * made[0]


def test_mixing_is_undone_by_fresh_powder_and_helps() -> None:
    made = []
    for actions in (("pour",), ("pour", "mix"), ("pour", "mix", "pour", "mix")):
        world = World(LAB, CHEMISTRY, 0)
        for action in actions:
            if action == "mix":
                world.mix("rack/1")
            else:
                world.dose("rack/1", "MgO", 33.5)
                world.dose("rack/1", "TiO2-rutile", 66.5)
        world.expose(["rack/1"], TIMES, TEMPERATURE)
        masses = world.composition("crucible-01")
        made.append(masses.get("MgTiO3", 0.0) / sum(masses.values()))
    assert made[0] < 0.5 * made[1]
    assert made[2] == pytest.approx(made[1], rel=0.02)


def test_a_head_gives_no_more_than_it_holds() -> None:
    world = World(LAB, CHEMISTRY, 0)
    for position in ("rack/1", "rack/2", "rack/3"):
        assert world.dose(position, "MgO", 2900) == 2900
    assert world.dose("dispenser/1", "MgO", 1000) == 0
    assert world.stock_mg("MgO") == pytest.approx(300)
    assert world.dose("rack/1", "MgO", 500) == pytest.approx(100)
    assert world.spilled_mg() == pytest.approx(1200)
    assert world.stock_mg("MgO") == 0


def test_tares_depend_on_seed_and_container_only() -> None:
    world, twin, other = (World(LAB, CHEMISTRY, seed) for seed in (0, 0, 1))
    twin.pick("rack/1")
    twin.place("dispenser/1")
    assert twin.tare_mass_mg("dispenser/1") == world.tare_mass_mg("rack/1")
    assert world.tare_mass_mg("rack/1") != world.tare_mass_mg("rack/2")
    assert other.tare_mass_mg("rack/1") != world.tare_mass_mg("rack/1")
    assert world.tare_mass_mg("dispenser/1") is None
    assert world.gross_mass_mg("dispenser/1") is None


@pytest.mark.parametrize("mass", [-1.0, np.nan, np.inf])
def test_impossible_doses_are_refused(mass: float) -> None:
    world = World(LAB, CHEMISTRY, 0)
    with pytest.raises(ValueError, match="cannot fall"):
        world.dose("rack/1", "MgO", mass)
    assert world.composition("crucible-01") == {}


def test_unknown_names_are_refused() -> None:
    world = World(LAB, CHEMISTRY, 0)
    for call in (
        lambda: world.container_at("shelf/1"),
        lambda: world.pick("shelf/1"),
        lambda: world.dose("rack/1", "Nb2O5", 1.0),
        lambda: world.position_of("crucible-99"),
        lambda: world.expose(["shelf/1"], TIMES, TEMPERATURE),
        lambda: world.composition("crucible-99"),
    ):
        with pytest.raises(KeyError):
            call()


def test_threads_do_not_lose_powder_or_crucibles() -> None:
    world = World(LAB, CHEMISTRY, 0)
    barrier = threading.Barrier(4)

    def pour(substance: str) -> None:
        barrier.wait(10)
        for _ in range(200):
            world.dose("rack/1", substance, 1.0)
            world.pick("rack/2")
            world.place("furnace_1/1")
            world.pick("furnace_1/1")
            world.place("rack/2")

    threads = [threading.Thread(target=pour, args=(name,)) for name in SUBSTANCES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert sum(world.composition("crucible-01").values()) == pytest.approx(800)
    where = [world.position_of(name) for name in world.containers]
    assert len(set(where)) == len(where)
