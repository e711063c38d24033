"""What is simulated is found again; what was weighed is found in measured patterns."""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.analyse import Analysis, analyse
from matlab_ros.xrd.cli import add_arguments, run
from matlab_ros.xrd.composition import formula_amounts, reduced_formula
from matlab_ros.xrd.fit import fit_pattern
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.pattern import Radiation
from matlab_ros.xrd.profile import Instrument, phase_profile
from matlab_ros.xrd.readers import read_pattern
from matlab_ros.xrd.simulate import (
    Background,
    Hump,
    PhaseInMixture,
    Scan,
    expected,
    simulate,
)
from matlab_ros.xrd.structure import Structure, read_structure
from matlab_ros.xrd.uncertainty import brindley_factor, correct_fractions

ROOT = Path(__file__).parents[2]
STRUCTURES = ROOT / "config" / "structures"
FIXTURES = Path(__file__).parent / "data"
DATASETS = Path(os.environ.get("MATLAB_ROS_DATA", ROOT.parent / "shared" / "datasets"))


def shipped(name: str) -> Structure:
    return read_structure(STRUCTURES / f"{name}.cif")


def weighed(path: Path) -> dict[str, float]:
    masses = {}
    for part in path.stem.split("--")[0].split("-"):
        formula, mass = part.rsplit("_", 1)
        masses[reduced_formula(formula_amounts(formula))] = float(mass.replace("p", "."))
    return {formula: mass / sum(masses.values()) for formula, mass in masses.items()}


def elements_of(formulas: dict[str, float]) -> set[str]:
    return {"C", "H", "O"}.union(*(formula_amounts(f) for f in formulas))


def errors(analysis: Analysis, truth: dict[str, float]) -> list[float]:
    return [100 * (analysis.weight_fraction(f) - w) for f, w in truth.items()]


POOL = ("MgO-Periclase", "TiO2-Rutile", "TiO2-Anatase", "MgTiO3", "CaTiO3-Perovskite", "CaO-Lime")


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    names=st.lists(st.sampled_from(POOL), min_size=1, max_size=3, unique=True),
    parts=st.lists(st.floats(0.1, 1.0), min_size=3, max_size=3),
    size_nm=st.floats(30.0, 200.0),
    displacement=st.floats(-0.12, 0.12),
    strain=st.floats(-2e-3, 2e-3),
    seed=st.integers(0, 2**31),
)
def test_simulated_mixture_is_found_again_from_its_elements(
    names: list[str],
    parts: list[float],
    size_nm: float,
    displacement: float,
    strain: float,
    seed: int,
) -> None:
    """Phases by name, fractions within 2 wt%, displaced samples and strained cells included."""
    total = sum(parts[: len(names)])
    mixture = []
    for name, part in zip(names, parts, strict=False):
        structure = shipped(name)
        n_free = len(phase_profile(structure, Radiation(), 100.0, Instrument()).free)
        mixture.append(PhaseInMixture(structure, part / total, size_nm, np.full(n_free, strain)))
    pattern = simulate(
        mixture, np.random.default_rng(seed), Instrument(displacement_deg=displacement)
    )
    analysis = analyse(pattern, Library(STRUCTURES), elements={"Mg", "Ca", "Ti", "O", "C", "H"})
    found = {phase.structure.name: phase for phase in analysis.phases}
    for name, part in zip(names, parts, strict=False):
        assert name in found
        assert found[name].weight_fraction == pytest.approx(part / total, abs=0.02)
        assert found[name].cell_shift == pytest.approx(strain, abs=1.5e-3)
    assert all(found[n].weight_fraction < 0.02 for n in found.keys() - set(names))
    assert analysis.fit.gof < 1.15


def test_same_seed_gives_the_same_counts() -> None:
    mixture = [PhaseInMixture(shipped("MgO-Periclase"), 1.0)]
    first = simulate(mixture, np.random.default_rng(5))
    second = simulate(mixture, np.random.default_rng(5))
    other = simulate(mixture, np.random.default_rng(6))
    assert np.array_equal(first.counts, second.counts)
    assert not np.array_equal(first.counts, other.counts)


def test_heavy_absorber_weakens_its_neighbours() -> None:
    """The same share of MgO diffracts less beside Bi2O3 than beside Al2O3."""
    scan = Scan(background=Background(air_per_s=0.0, flat_per_s=0.0))
    low, high = 42.0, 43.8  # (200) of MgO

    def height(neighbour: str) -> float:
        pattern = expected(
            [
                PhaseInMixture(shipped("MgO-Periclase"), 0.5),
                PhaseInMixture(shipped(neighbour), 0.5),
            ],
            scan=scan,
        ).pattern.cropped(low, high)
        return float(pattern.counts.max())

    assert height("Al2O3-Corundum") > 2.5 * height("Bi2O3-alpha")


def test_absorption_correction_undoes_the_absorption() -> None:
    mu, density = np.array([2000.0, 260.0]), np.array([9.4, 6.8])
    truth = np.array([0.4, 0.6])
    volumes = truth / density
    seen = truth * brindley_factor(volumes / volumes.sum(), mu, 3.0)
    seen /= seen.sum()
    assert seen[0] < 0.36
    assert correct_fractions(seen, mu, density, 3.0) == pytest.approx(truth, abs=1e-4)


def test_cell_and_size_of_a_simulated_standard_are_found_again() -> None:
    silicon = shipped("Si-Silicon")
    pattern = simulate(
        [PhaseInMixture(silicon, 1.0, 60.0, np.array([1e-3]))],
        np.random.default_rng(1),
        Instrument(displacement_deg=0.06),
    )
    fit = fit_pattern(pattern, [silicon])
    assert fit.converged
    assert fit.phases[0].cell[0] == pytest.approx(5.43102 * 1.001, rel=2e-4)
    assert fit.instrument.displacement_deg == pytest.approx(0.06, abs=0.03)
    assert fit.gof < 1.1
    assert fit.phases[0].weight_fraction == 1.0


def test_peaks_of_no_phase_are_reported() -> None:
    pattern = simulate(
        [
            PhaseInMixture(shipped("MgO-Periclase"), 0.8),
            PhaseInMixture(shipped("TiO2-Rutile"), 0.2),
        ],
        np.random.default_rng(2),
    )
    analysis = analyse(pattern, Library(STRUCTURES), phases=["MgO"])
    assert analysis.unexplained.peaks[0].two_theta_deg == pytest.approx(27.44, abs=0.15)
    assert analysis.unexplained.peaks[0].share_of_strongest > 0.05
    assert 0.1 < analysis.unexplained.share_of_intensity < 0.9
    complete = analyse(pattern, Library(STRUCTURES), phases=["MgO", "TiO2"])
    assert not complete.unexplained.peaks


def test_background_alone_has_no_phase() -> None:
    scan = Scan(background=Background(humps=(Hump(80.0),)))
    pattern = simulate([], np.random.default_rng(3), scan=scan)
    analysis = analyse(pattern, Library(STRUCTURES), elements={"Mg", "Ti", "O"})
    assert analysis.phases == ()
    assert "no phase found" in analysis.table()


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.xrdml")), ids=lambda p: p.stem[:20])
def test_measured_mixture_gives_the_weighed_phases(path: Path) -> None:
    truth = weighed(path)
    analysis = analyse(read_pattern(path), Library(STRUCTURES), elements=elements_of(truth))
    assert {phase.structure.formula for phase in analysis.phases} == truth.keys()
    assert max(abs(e) for e in errors(analysis, truth)) < 5.0
    for phase in analysis.phases:
        assert 0.005 < phase.sigma_systematic < 0.15


@pytest.mark.skipif(
    not (DATASETS / "xrd" / "mixtures").is_dir(), reason=f"no measured mixtures in {DATASETS}"
)
def test_named_phases_of_all_measured_mixtures_are_within_4_5_weight_percent() -> None:
    library = Library(DATASETS / "cifs")
    all_errors: list[float] = []
    within: list[bool] = []
    for path in sorted((DATASETS / "xrd" / "mixtures").glob("*.xrdml")):
        truth = weighed(path)
        analysis = analyse(read_pattern(path), library, phases=list(truth))
        all_errors += errors(analysis, truth)
        sigmas = {p.structure.formula: 100 * p.sigma for p in analysis.phases}
        within += [
            abs(e) <= 1.96 * sigmas[f] for e, f in zip(errors(analysis, truth), truth, strict=True)
        ]
    assert len(all_errors) >= 40
    assert math.sqrt(float(np.mean(np.square(all_errors)))) <= 4.5
    assert float(np.median(np.abs(all_errors))) <= 2.0
    assert float(np.mean(within)) >= 0.9


@pytest.mark.skipif(
    not (DATASETS / "xrd" / "mixtures").is_dir(), reason=f"no measured mixtures in {DATASETS}"
)
def test_search_by_elements_finds_the_weighed_phases() -> None:
    library = Library(DATASETS / "cifs")
    right = false = missed = 0
    for path in sorted((DATASETS / "xrd" / "mixtures").glob("*8min.xrdml")):
        truth = weighed(path)
        analysis = analyse(read_pattern(path), library, elements=elements_of(truth))
        found = {phase.structure.formula for phase in analysis.phases}
        right += len(found & truth.keys())
        false += len(found - truth.keys())
        missed += len(truth.keys() - found)
    assert right / (right + missed) >= 0.98
    assert right / (right + false) >= 0.95


def command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(list(arguments)))


def test_command_prints_json_and_writes_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(FIXTURES / "TiO2_0p4009-ZnO_0p6010--2min.xrdml")
    cif = str(STRUCTURES)
    picture = tmp_path / "a.png"
    code = command(path, "--phases", "TiO2,ZnO", "--cif", cif, "--json", "--plot", str(picture))
    document = json.loads(capsys.readouterr().out)
    assert code == 0
    assert {p["formula"] for p in document["phases"]} == {"TiO2", "ZnO"}
    assert sum(p["weight_fraction"] for p in document["phases"]) == pytest.approx(1.0)
    assert picture.read_bytes().startswith(b"\x89PNG")
    page = tmp_path / "a.html"
    assert command(path, "--elements", "Ti,Zn,O", "--cif", cif, "--plot", str(page)) == 0
    assert "plotly" in page.read_text(encoding="utf-8")
    assert "ZnO" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{absent}", "--elements", "Ti,O", "--cif", "{cif}"], "absent.xrdml"),
        (["{file}", "--elements", "Ti,Xq", "--cif", "{cif}"], "Xq"),
        (["{file}", "--elements", "Ti,O", "--cif", "{absent}"], "no such folder"),
        (["{file}", "--elements", "Ti,O", "--cif", "{empty}"], "there is no CIF"),
        (["{broken}", "--elements", "Ti,O", "--cif", "{cif}"], "not complete XML"),
        (["{file}", "--phases", "Ca3Ti2O7", "--cif", "{cif}"], "Ca3Ti2O7"),
        (["{file}", "--cif", "{cif}"], "--elements"),
        (["{file}", "--phases", "ZnO", "--cif", "{cif}", "--plot", "a.doc"], ".doc"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    places = {
        "file": FIXTURES / "TiO2_0p4009-ZnO_0p6010--2min.xrdml",
        "absent": tmp_path / "absent.xrdml",
        "cif": STRUCTURES,
        "empty": tmp_path / "empty",
        "broken": tmp_path / "broken.xrdml",
    }
    places["empty"].mkdir()
    places["broken"].write_bytes(places["file"].read_bytes()[:10000])
    assert command(*(argument.format(**places) for argument in arguments)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert captured.err.count("\n") == 1


def test_reader_that_leaves_early_ends_the_command_quietly() -> None:
    program = (
        "import argparse, sys; from matlab_ros.xrd.cli import add_arguments, run; "
        "p = argparse.ArgumentParser(); add_arguments(p); sys.exit(run(p.parse_args()))"
    )
    path = str(FIXTURES / "TiO2_0p4009-ZnO_0p6010--2min.xrdml")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, path, "--phases", "ZnO", "--cif", str(STRUCTURES)],
            stdout=writing,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 141


def test_pattern_outside_the_range_is_refused() -> None:
    pattern = read_pattern(FIXTURES / "TiO2_0p4009-ZnO_0p6010--2min.xrdml").cropped(10.0, 13.0)
    with pytest.raises(DataError, match="points lie between"):
        analyse(pattern, Library(STRUCTURES), elements={"Ti", "O"})
