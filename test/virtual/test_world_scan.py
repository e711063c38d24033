"""A scan shows what is in the crucible, with flaws that depend on seed and sample only."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from matlab_ros.model.errors import DataError
from matlab_ros.model.lab_config import LabConfig, load_lab
from matlab_ros.virtual.reactions import load_chemistry
from matlab_ros.virtual.scan_programs import UnknownProgram
from matlab_ros.virtual.world import World
from matlab_ros.xrd.fit import fit_pattern
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.pattern import Pattern
from matlab_ros.xrd.xrdml import read_xrdml

CONFIG = Path(__file__).parents[2] / "config"
FOLDERS = (CONFIG / "structures",)
CHEMISTRY = load_chemistry(CONFIG / "chemistry" / "mg_ti_o.yaml")
PROGRAM = "10-100_8-minutes"
STAGE = "diffractometer/1"


@pytest.fixture(scope="module")
def lab() -> LabConfig:
    return load_lab(CONFIG / "labs" / "virtual_lab.yaml")


def make_world(lab: LabConfig, seed: int = 0) -> World:
    return World(lab, CHEMISTRY, seed, FOLDERS)


def put(world: World, source: str, doses: dict[str, float]) -> None:
    """Fill the crucible at `source` and carry it to the diffractometer."""
    for substance, mass in doses.items():
        world.dose(source, substance, mass)
    assert world.pick(source)
    assert world.place(STAGE)


def parsed(data: bytes, tmp_path: Path) -> Pattern:
    path = tmp_path / "scan.xrdml"
    path.write_bytes(data)
    return read_xrdml(path)


def test_true_composition_is_recovered_by_a_fit(lab: LabConfig, tmp_path: Path) -> None:
    world = make_world(lab)
    put(world, "rack/1", {"Mg(OH)2": 421.9, "TiO2-rutile": 578.1})
    world.mix(STAGE)
    world.expose([STAGE], [0, 6000, 20_000, 26_000], [25, 1000, 1000, 25])
    truth = world.composition("crucible-01")
    library = Library(FOLDERS)
    shown = sorted(name for name, mass in truth.items() if mass > 0.001 * sum(truth.values()))
    assert len(shown) >= 3
    pattern = parsed(world.scan(STAGE, PROGRAM, "e0001-s1", 100.0), tmp_path)
    fit = fit_pattern(pattern, [library.named(name)[0].structure for name in shown])
    for phase in fit.phases:
        expected = truth[phase.structure.name] / sum(truth.values())
        assert phase.weight_fraction == pytest.approx(expected, abs=0.04)
    assert fit.gof < 2.5
    assert pattern.sample_id == "e0001-s1"


def test_same_sample_same_pattern_whatever_came_before(lab: LabConfig) -> None:
    doses = {"MgO": 300.0, "TiO2-anatase": 600.0}
    quiet, busy = make_world(lab), make_world(lab)
    put(quiet, "rack/2", doses)
    put(busy, "rack/1", {"TiO2-rutile": 500.0})
    busy.scan(STAGE, PROGRAM, "other")
    assert busy.pick(STAGE)
    assert busy.place("rack/1")
    put(busy, "rack/2", doses)
    assert busy.scan(STAGE, PROGRAM, "s") == quiet.scan(STAGE, PROGRAM, "s")


def test_repeats_differ_by_counting_statistics_only(lab: LabConfig, tmp_path: Path) -> None:
    world = make_world(lab)
    put(world, "rack/1", {"TiO2-rutile": 500.0})
    first, second = (parsed(world.scan(STAGE, PROGRAM, "s"), tmp_path).counts for _ in range(2))
    assert not np.array_equal(first, second)
    deviation = (first - second) / np.sqrt(first + second)
    assert np.std(deviation) == pytest.approx(1.0, abs=0.05)


def test_samples_and_seeds_differ_in_alignment(lab: LabConfig, tmp_path: Path) -> None:
    centres = []
    for seed, sample in ((0, "a"), (0, "b"), (1, "a")):
        world = make_world(lab, seed)
        put(world, "rack/1", {"TiO2-rutile": 500.0})
        pattern = parsed(world.scan(STAGE, PROGRAM, sample), tmp_path).cropped(27.0, 28.0)
        above = pattern.counts - np.median(pattern.counts)
        centres.append(float(pattern.two_theta_deg @ above / above.sum()))
    assert np.ptp(centres) < 0.3
    assert min(abs(centres[0] - centres[1]), abs(centres[0] - centres[2])) > 1e-3


def test_an_empty_stage_shows_background(lab: LabConfig, tmp_path: Path) -> None:
    counts = parsed(make_world(lab).scan(STAGE, PROGRAM), tmp_path).counts
    assert counts[:50].mean() > 3 * counts[-50:].mean() > 0


def test_both_programs_have_the_grid_of_the_real_files(lab: LabConfig, tmp_path: Path) -> None:
    world = make_world(lab)
    long, short = (
        parsed(world.scan(STAGE, program), tmp_path) for program in (PROGRAM, "10-100_2-minutes")
    )
    assert (long.counts.size, short.counts.size) == (8282, 2071)
    assert long.step_deg == pytest.approx(0.010866, abs=1e-5)


def test_programs_of_the_lab_have_their_range_and_time(lab: LabConfig, tmp_path: Path) -> None:
    world = make_world(lab)
    assert {program.name for program in lab.scan_programs} <= world.scans_s.keys()
    for program in lab.scan_programs:
        pattern = parsed(world.scan(STAGE, program.name), tmp_path)
        ends = (pattern.two_theta_deg[0], pattern.two_theta_deg[-1])
        assert ends == pytest.approx((program.first_deg, program.last_deg), abs=0.05)
        assert world.scans_s[program.name] == program.duration_s
    hurried, patient = (
        parsed(world.scan(STAGE, f"10-100_{time}"), tmp_path) for time in ("1-minute", "30-minutes")
    )
    assert hurried.step_deg == pytest.approx(4 * patient.step_deg, rel=0.01)
    assert patient.counting_time_s > 10 * hurried.counting_time_s


def test_unknown_program_and_missing_structure_are_explained(
    lab: LabConfig, tmp_path: Path
) -> None:
    with pytest.raises(UnknownProgram, match="expected one of 10-100_2-minutes"):
        make_world(lab).scan(STAGE, "5-140_days")
    with pytest.raises(ValueError, match="without structures"):
        World(lab, CHEMISTRY, 0).scan(STAGE, PROGRAM)
    few = tmp_path / "few"
    few.mkdir()
    shutil.copy(FOLDERS[0] / "MgO-Periclase.cif", few)
    with pytest.raises(DataError, match=r"Mg\(OH\)2-Brucite"):
        World(lab, CHEMISTRY, 0, [few])
