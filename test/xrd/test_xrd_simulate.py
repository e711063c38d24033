"""Simulated patterns: every effect does what its formula says, the command writes what is read."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from matlab_ros.xrd.aberrations import Geometry, Surface
from matlab_ros.xrd.anodes import ANODES, radiation_of, with_k_beta
from matlab_ros.xrd.pattern import FloatArray, Pattern, Radiation
from matlab_ros.xrd.profile import Instrument, size_broadening_deg
from matlab_ros.xrd.readers import read_pattern
from matlab_ros.xrd.simulate import (
    Background,
    Hump,
    PhaseInMixture,
    Scan,
    Specimen,
    expected,
    simulate,
)
from matlab_ros.xrd.simulate_command import add_arguments, run
from matlab_ros.xrd.structure import Structure, read_structure, reflections

ROOT = Path(__file__).parents[2]
STRUCTURES = ROOT / "config" / "structures"
GOLDEN = Path(__file__).parent / "data" / "pymatgen_intensities.json"
EMPTY = Background(air_per_s=0.0, flat_per_s=0.0)
SHARP = Instrument(u=0.0, v=0.0, w=1e-4, x=0.0, asymmetry=0.0, axial_deg=0.0)
MONOCHROMATIC = Radiation(kalpha2_ratio=0.0)


def shipped(name: str) -> Structure:
    return read_structure(STRUCTURES / f"{name}.cif")


def silicon(**how: float) -> PhaseInMixture:
    return PhaseInMixture(shipped("Si-Silicon"), 1.0, **{"size_nm": math.inf, **how})


def narrow_scan(first: float, last: float, **how: object) -> Scan:
    return replace(Scan(start_deg=first, end_deg=last, step_deg=0.005, background=EMPTY), **how)


def width_deg(pattern: Pattern) -> float:
    """Integral breadth."""
    return float(pattern.counts.sum() * pattern.step_deg / pattern.counts.max())


def centroid(angles: FloatArray, intensity: FloatArray) -> float:
    return float(angles @ intensity / intensity.sum())


@pytest.mark.parametrize("name", sorted(json.loads(GOLDEN.read_text())["structures"]))
def test_intensities_are_those_of_an_independent_program(name: str) -> None:
    """pymatgen's XRDCalculator, see data/README.md.

    It has other form factors and neither dispersion nor displacements; ours are switched off here
    as far as they can be. What is left are 2 % of the strongest line.
    """
    golden = json.loads(GOLDEN.read_text())["structures"][name]
    structure = shipped(name)
    still = replace(structure, u_iso=np.zeros(len(structure.symbols)), anisotropy=None)
    wavelength = 1.5405929
    found = reflections(still, wavelength / 2 / math.sin(math.radians(50.0)), 0.2)
    theta = np.arcsin(wavelength / 2 / found.d)
    height = found.f_squared * found.multiplicity
    height *= (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    angles = 2 * np.degrees(theta)
    lines = [(a, float(height[np.abs(angles - a) < 0.02].sum())) for a, _ in golden["lines"]]
    strongest = max(value for _, value in lines)
    for (_, ours), (angle, theirs) in zip(lines, golden["lines"], strict=True):
        assert 100 * ours / strongest == pytest.approx(theirs, abs=2.0), angle


@pytest.mark.parametrize("anode", ANODES)
def test_lines_of_every_anode_obey_bragg(anode: str) -> None:
    """Both K-alpha lines of silicon's 220 stand where they must, at half the intensity."""
    radiation = radiation_of(anode)
    assert radiation is not None
    spacing = 5.43102 / math.sqrt(8)
    first, second = (
        2 * math.degrees(math.asin(wavelength / 2 / spacing))
        for wavelength in (radiation.kalpha1_angstrom, radiation.kalpha2_angstrom)
    )
    scan = narrow_scan(first - 0.6, second + 0.6, step_deg=0.002)
    pattern = expected([silicon()], replace(SHARP, w=2e-5), scan, radiation).pattern
    assert pattern.two_theta_deg[int(np.argmax(pattern.counts))] == pytest.approx(first, abs=0.003)
    middle = (first + second) / 2
    left = pattern.counts[pattern.two_theta_deg < middle].sum()
    right = pattern.counts[pattern.two_theta_deg > middle].sum()
    assert right / left == pytest.approx(0.5, abs=0.06)


def test_filter_leaves_a_little_k_beta() -> None:
    spacing = 5.43102 / math.sqrt(3)
    at = 2 * math.degrees(math.asin(1.392234 / 2 / spacing))
    scan = narrow_scan(at - 0.5, at + 0.5)
    clean = expected([silicon()], SHARP, scan).pattern.counts
    leaking = expected([silicon()], SHARP, scan, with_k_beta(Radiation(), 0.01)).pattern.counts
    assert scan.angles()[int(np.argmax(leaking))] == pytest.approx(at, abs=0.01)
    assert leaking.max() > 20 * clean.max()


def test_monochromator_polarises() -> None:
    """At 90 degrees nothing of the parallel half is left: 1/2 without, 1/(1 + cos^2) with one."""
    scan = narrow_scan(86.0, 90.0)
    plain = expected([silicon()], SHARP, scan, MONOCHROMATIC).pattern.counts.sum()
    graphite = replace(SHARP, monochromator_two_theta_deg=26.6)
    polarised = expected([silicon()], graphite, scan, MONOCHROMATIC).pattern.counts.sum()
    p = math.cos(math.radians(26.6)) ** 2
    cos2 = math.cos(math.radians(88.03)) ** 2
    expected_ratio = (1 + p * cos2) / (1 + p) / ((1 + cos2) / 2)
    assert polarised / plain == pytest.approx(expected_ratio, rel=1e-3)


def test_small_crystals_broaden_with_the_secant_and_strain_with_the_tangent() -> None:
    low, high = narrow_scan(26.0, 31.0), narrow_scan(84.0, 92.0)
    ratios = {}
    for kind in ({"size_nm": 20.0}, {"microstrain": 3e-3}):
        widths = [
            width_deg(expected([silicon(**kind)], SHARP, scan, MONOCHROMATIC).pattern)
            for scan in (low, high)
        ]
        ratios[next(iter(kind))] = widths[1] / widths[0]
        if "size_nm" in kind:
            lorentz = size_broadening_deg(20.0, 1.5405929) / math.cos(math.radians(14.22))
            assert widths[0] == pytest.approx(lorentz * math.pi / 2, rel=0.06)
    theta1, theta2 = math.radians(28.44 / 2), math.radians(88.03 / 2)
    assert ratios["size_nm"] == pytest.approx(math.cos(theta1) / math.cos(theta2), rel=0.05)
    assert ratios["microstrain"] == pytest.approx(math.tan(theta2) / math.tan(theta1), rel=0.08)


def test_sample_that_stands_too_high_shifts_with_the_cosine() -> None:
    geometry = Geometry(radius_mm=200.0)
    shift = geometry.displacement_deg(100.0)
    assert shift == pytest.approx(0.0573, abs=1e-4)
    for first, last, theta in ((28.0, 29.0, 14.22), (87.5, 88.7, 44.02)):
        scan = narrow_scan(first, last)
        plain, moved = (
            expected(
                [silicon()], replace(SHARP, displacement_deg=d), scan, MONOCHROMATIC
            ).pattern.counts
            for d in (0.0, shift)
        )
        angles = scan.angles()
        assert angles[int(np.argmax(moved))] - angles[int(np.argmax(plain))] == pytest.approx(
            shift * math.cos(math.radians(theta)), abs=0.006
        )


@pytest.mark.parametrize("at", [15.0, 30.0, 60.0, 95.0, 140.0])
def test_axial_divergence_moves_the_centroid_as_theory_says(at: float) -> None:
    """Mean shift -(S^2 + H^2) cot(2 theta) / 6 (Wilson, Mathematical Theory of X-ray Powder
    Diffractometry, 1963), towards lower angles below 90 degrees; nothing is lost."""
    x = np.linspace(at - 5, at + 5, 2001)
    peak = np.exp(-(((x - at) / 0.04) ** 2))
    for sample, detector in ((0.02, 0.02), (0.03, 0.01)):
        smeared = Geometry(145.0, sample, detector).with_axial_tails(x, peak)
        theory = -math.degrees((sample**2 + detector**2) / 6 / math.tan(math.radians(at)))
        assert centroid(x, smeared) - at == pytest.approx(theory, rel=0.03, abs=2e-5)
        assert smeared.sum() == pytest.approx(peak.sum())
        assert smeared.min() > -1e-6 * peak.max()
    for narrow in (0.0, 1e-300, 1e-5):
        assert Geometry(145.0, narrow, 0.02).with_axial_tails(x, peak) is peak


def test_beam_that_goes_deep_shifts_peaks_to_lower_angles() -> None:
    x = np.linspace(40.0, 60.0, 4001)
    peak = np.exp(-(((x - 50.0) / 0.05) ** 2))
    smeared = Geometry(radius_mm=145.0).with_penetration_tails(x, peak, 40.0)
    theory = -math.degrees(math.sin(math.radians(50.0)) / (2 * 40.0 * 14.5))
    assert centroid(x, smeared) - 50.0 == pytest.approx(theory, rel=0.01)
    assert smeared.sum() == pytest.approx(peak.sum())


def test_rough_surface_takes_from_low_angles() -> None:
    factor = Surface(roughness=0.1, smooth=0.2).factor(np.array([20.0, 60.0, 120.0]))
    assert factor == pytest.approx(
        [0.2 + 0.8 * math.exp(-0.1 / math.sin(math.radians(t))) for t in (10.0, 30.0, 60.0)]
    )
    assert Surface().factor(np.array([20.0])) == pytest.approx([1.0])


def test_plates_lying_flat_and_hot_atoms_change_intensities() -> None:
    zinc = shipped("ZnO-Zincite")
    scan = Scan(30.0, 100.0, background=EMPTY)

    def areas(phase: PhaseInMixture) -> tuple[float, float]:
        pattern = expected([phase], SHARP, scan).pattern
        return (
            float(pattern.cropped(34.0, 34.9).counts.sum()),  # (0 0 2)
            float(pattern.cropped(88.0, 97.0).counts.sum()),
        )

    plain = areas(PhaseInMixture(zinc, 1.0))
    flat = areas(PhaseInMixture(zinc, 1.0, axis=(0, 0, 1), march=0.7))
    hot = areas(PhaseInMixture(zinc, 1.0, b_change_angstrom2=1.0))
    assert flat[0] / plain[0] == pytest.approx(0.7**-3, rel=0.03)
    assert hot[0] / plain[0] == pytest.approx(math.exp(-1.0 / (2 * 2.603**2)), rel=0.02)
    assert hot[1] / plain[1] == pytest.approx(math.exp(-1.0 / (2 * 1.07**2)), rel=0.05)


def test_too_few_grains_scatter_intensities_about_the_mean() -> None:
    """Rare reflections more than frequent ones, the same in every range, another for each seed."""
    rutile = shipped("TiO2-Rutile")

    def rate(seed: int, last: float, graininess: float = 0.1) -> FloatArray:
        phase = PhaseInMixture(rutile, 1.0, graininess=graininess, grain_seed=seed)
        return expected([phase], SHARP, Scan(25.0, last, background=EMPTY)).pattern.counts

    wide, short = rate(1, 100.0), rate(1, 60.0)
    n = short.size - 100
    assert short[:n] == pytest.approx(wide[:n], rel=0.01, abs=0.01 * wide.max())
    peak = int(np.argmax(rate(0, 60.0, 0.0)))
    heights = np.array([rate(seed, 60.0)[peak] for seed in range(60)])
    ratio = heights / rate(0, 60.0, 0.0)[peak]
    assert ratio.mean() == pytest.approx(1.0, abs=0.06)
    # (1 1 0) has four equivalents.
    assert ratio.std() == pytest.approx(0.1 * math.sqrt(2), rel=0.3)


def test_background_is_the_sum_of_its_parts() -> None:
    x = np.linspace(10.0, 50.0, 5)
    made = Background(50.0, 10.0, 5.0, (2.0, 1.0), (Hump(30.0, 30.0, 4.0),)).rate(x)
    unit = (x - 30.0) / 20.0
    assert made == pytest.approx(
        50.0 * np.exp(-(x - 10.0) / 10.0)
        + 5.0
        + 2.0 * unit
        + (2.0 * unit**2 - 1.0)
        + 30.0 * np.exp(-0.5 * ((x - 30.0) / 4.0) ** 2)
    )
    assert Background(0.0, flat_per_s=1.0, polynomial=(-5.0,)).rate(x).min() == 0.0


def test_dead_time_flattens_the_strongest() -> None:
    scan = narrow_scan(28.0, 29.0, flux=100.0)
    free = expected([silicon()], SHARP, scan).pattern.counts / scan.counting_time_s
    dead = expected([silicon()], SHARP, replace(scan, dead_time_s=1e-6)).pattern.counts
    assert dead / scan.counting_time_s == pytest.approx(free / (1 + free * 1e-6))


def test_noise_is_that_of_counting() -> None:
    scan = Scan(background=Background(flat_per_s=40.0))
    mean = expected([silicon()], scan=scan).pattern.counts
    counted = simulate([silicon()], np.random.default_rng(0), scan=scan).counts
    deviation = (counted - mean) / np.sqrt(mean)
    assert np.std(deviation) == pytest.approx(1.0, abs=0.03)
    assert np.mean(deviation) == pytest.approx(0.0, abs=0.05)


def test_thin_sample_gives_its_share() -> None:
    scan = narrow_scan(28.0, 29.0)
    whole = expected([silicon()], scan=scan).pattern.counts
    thin = expected([silicon()], scan=scan, specimen=Specimen(signal=0.25)).pattern.counts
    assert thin == pytest.approx(0.25 * whole)


def command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def test_command_writes_the_same_pattern_for_the_same_seed(tmp_path: Path) -> None:
    phases = ["TiO2-Rutile=0.4", f"{STRUCTURES / 'ZnO-Zincite.cif'}=0.6", "--cif", str(STRUCTURES)]
    how = [*phases, "--texture", "TiO2-Rutile=1,1,0,0.8", "--axial", "0.03"]
    for name in ("a.xy", "b.xy", "c.xrdml"):
        picture = ["--plot", str(tmp_path / "a.svg")] if name == "a.xy" else []
        assert command(*how, *picture, "--out", str(tmp_path / name)) == 0
    assert command(*how, "--seed", "1", "--out", str(tmp_path / "d.xy")) == 0
    same, other = (tmp_path / "a.xy").read_text(), (tmp_path / "d.xy").read_text()
    assert same == (tmp_path / "b.xy").read_text() != other
    columns, xml = read_pattern(tmp_path / "a.xy"), read_pattern(tmp_path / "c.xrdml")
    assert columns.counts == pytest.approx(xml.counts)
    assert columns.two_theta_deg == pytest.approx(xml.two_theta_deg, abs=1e-4)
    assert "<svg" in (tmp_path / "a.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["TiO2=1", "--cif", "{cif}", "--out", "{tmp}/a.xy"], "TiO2-Rutile"),
        (["TiO2-Rutile=1", "--out", "{tmp}/a.xy"], "no such file"),
        (["TiO2-Rutile", "--cif", "{cif}", "--out", "{tmp}/a.xy"], "STRUCTURE=WEIGHT"),
        (["TiO2-Rutile=-1", "--cif", "{cif}", "--out", "{tmp}/a.xy"], "above 0"),
        (["--out", "{tmp}/a.raw"], ".xrdml"),
        (["--out", "{tmp}/absent/a.xy"], "cannot be written"),
        (["--out", "{tmp}/a.xrdml", "--no-noise"], "whole counts"),
        (["--out", "{tmp}/a.xy", "--to", "5"], "no scan"),
        (["--out", "{tmp}/a.xy", "--step", "0"], "--step"),
        (["--out", "{tmp}/a.xy", "--texture", "MgO=0,0,1,0.8"], "none of the phases"),
        (["--out", "{tmp}/a.xy", "--texture", "MgO=0,0,0,1"], "0,0,1,0.8"),
        (["--out", "{tmp}/a.xy", "--plot", "{tmp}/a.doc"], ".doc"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert command(*(a.format(cif=STRUCTURES, tmp=tmp_path) for a in arguments)) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
