"""How well and how fast measured patterns are analysed: weighed mixtures against the answer.

    python benchmarks/diffraction.py --data ../shared/datasets [--rietx 4] [--standard Si.xy]

Beside the fit runs rietx's staged plan on some of the patterns, from its own starting values. What
verdicts the analyses get is measured by verdicts.py, the index of structures by structures.py.
Writes benchmarks/results/diffraction.md beside this file and prints the same.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import gemmi
import numpy as np
from diffraction_kit.cells import deviations
from diffraction_kit.rietx_fit import staged_fit

from matlab_ros.model.errors import LabError
from matlab_ros.xrd.analyse import Analysis, AnalysisSettings, analyse
from matlab_ros.xrd.composition import formula_amounts, reduced_formula
from matlab_ros.xrd.fit import fit_pattern
from matlab_ros.xrd.fit_parameters import INSTRUMENT_NAMES, SHAPE, FitSettings
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.readers import read_pattern
from matlab_ros.xrd.search import SearchSettings, search_phases
from matlab_ros.xrd.uncertainty import NOMINAL_GRAIN_UM, correct_fractions

NAMED = "phases named"
SEARCHED = "elements only"
SCANS = ("2min", "8min")
WITHOUT_ROUGHNESS = tuple(i for i in SHAPE if INSTRUMENT_NAMES[i] != "roughness")
CANDIDATES = 60
STRUCTURES = Path(__file__).resolve().parents[1] / "config" / "structures"
RESULT = Path(__file__).resolve().parent / "results" / "diffraction.md"


def weighed(path: Path) -> dict[str, float]:
    """Weight fractions from a name such as ``TiO2_0p4009-ZnO_0p6010--8min.xrdml``."""
    masses = {}
    for part in path.stem.split("--")[0].split("-"):
        formula, mass = part.rsplit("_", 1)
        masses[reduced_formula(formula_amounts(formula))] = float(mass.replace("p", "."))
    total = math.fsum(masses.values())
    return {formula: mass / total for formula, mass in masses.items()}


@dataclass
class Score:
    """What one way of analysing made of a set of patterns."""

    errors: list[float] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)
    sigmas: list[float] = field(default_factory=list)
    gofs: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    right: int = 0
    false: int = 0
    missed: int = 0
    exact: int = 0
    candidates: list[int] = field(default_factory=list)

    def add(self, analysis: Analysis, truth: dict[str, float], seconds: float) -> None:
        """Counts one pattern."""
        found = {phase.structure.formula for phase in analysis.phases}
        self.right += len(found & truth.keys())
        self.false += len(found - truth.keys())
        self.missed += len(truth.keys() - found)
        self.exact += found == truth.keys()
        self.seconds.append(seconds)
        self.gofs.append(analysis.fit.gof)
        self.candidates.append(analysis.n_candidates)
        for formula, fraction in truth.items():
            error = analysis.weight_fraction(formula) - fraction
            self.errors.append(100 * error)
            sigma = math.hypot(
                *(p.sigma for p in analysis.phases if p.structure.formula == formula)
            )
            self.sigmas.append(100 * sigma)
            self.covered.append(abs(error) <= 1.96 * sigma)

    def row(self, name: str) -> str:
        """A line of the table."""
        size = np.abs(self.errors)
        return (
            f"| {name} | {len(self.seconds)} | {np.sqrt(np.mean(np.square(self.errors))):.2f} "
            f"| {size.mean():.2f} | {np.median(size):.2f} | {size.max():.1f} "
            f"| {100 * np.mean(self.covered):.0f} % "
            f"| {np.mean(self.sigmas):.1f} | {statistics.median(self.gofs):.2f} "
            f"| {self.right / (self.right + self.missed):.2f} "
            f"| {self.right / max(self.right + self.false, 1):.2f} "
            f"| {self.exact}/{len(self.seconds)} "
            f"| {min(self.candidates)}-{max(self.candidates)} "
            f"| {statistics.median(self.seconds):.2f} (max {max(self.seconds):.2f}) |"
        )


GRAINS_UM = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0)


def errors_by_grain(analysis: Analysis, truth: dict[str, float]) -> list[list[float]]:
    """Errors in wt% of one pattern's phases for each of GRAINS_UM, from one fit."""
    phases = analysis.phases
    wavelength = analysis.fit.pattern.radiation.kalpha1_angstrom
    raw = np.array([phase.weight_fraction_uncorrected for phase in phases])
    mu = np.array([phase.structure.linear_absorption_per_cm(wavelength) for phase in phases])
    density = np.array([phase.structure.density for phase in phases])
    expected = np.array([truth[phase.structure.formula] for phase in phases])
    return [
        [float(e) for e in 100 * (correct_fractions(raw, mu, density, grain) - expected)]
        for grain in GRAINS_UM
    ]


def variants() -> dict[str, FitSettings]:
    """The fit as it is, and without each of its corrections."""
    return {
        NAMED: FitSettings(),
        "without texture": FitSettings(texture=False),
        "without surface roughness": FitSettings(refine=WITHOUT_ROUGHNESS),
        "without absorption in grains": FitSettings(grain_um=0.0),
        "without all three": FitSettings(texture=False, refine=WITHOUT_ROUGHNESS, grain_um=0.0),
    }


def measure_candidates(paths: list[Path], library: Library) -> list[str]:
    """Lines on the time of a search over many candidates: no element is ruled out."""
    every = {gemmi.Element(number).name for number in range(1, 93)}
    seconds, ranking, found, true, false, counts = [], [], 0, 0, 0, set()
    for path in paths:
        pattern = read_pattern(path)
        start = time.process_time()
        phases = library.candidates(every, pattern=pattern, most=CANDIDATES).phases
        ranking.append(time.process_time() - start)
        counts.add(len(phases))
        cropped = pattern.cropped(12.0, 120.0)
        start = time.process_time()
        result = search_phases(cropped, phases)
        seconds.append(time.process_time() - start)
        formulas = {accepted.phase.formula for accepted in result.accepted}
        truth = weighed(path).keys()
        found += len(formulas & truth)
        false += len(formulas - truth)
        true += len(truth)
    return [
        f"Search over {'-'.join(str(n) for n in sorted(counts))} candidates, those of all "
        f"elements that fit the pattern best: {statistics.median(seconds):.2f} s at the median, "
        f"{max(seconds):.2f} s at most; {statistics.median(ranking):.2f} s more to rank the "
        f"library. Recall {found / true:.2f}, precision {found / max(found + false, 1):.2f}.",
    ]


def measure_rietx(fits: list[tuple[Path, Analysis]], count: int) -> list[str]:
    """Lines on rietx beside our fit: the same points, structures and correction for grains."""
    rows = []
    ratios = []
    for path, analysis in fits[:: max(len(fits) // max(count, 1), 1)][:count]:
        truth = weighed(path)
        structures = [phase.structure for phase in analysis.phases]
        start = time.process_time()
        fit_pattern(analysis.fit.pattern, structures)
        ours = time.process_time() - start
        theirs = staged_fit(analysis.fit.pattern, structures)
        ratios.append(theirs.seconds / ours)
        errors = [
            max(abs(100 * (get(formula) - share)) for formula, share in truth.items())
            for get in (analysis.weight_fraction, lambda f: theirs.fractions.get(f, 0.0))  # noqa: B023
        ]
        rows.append(
            f"| {path.stem} | {ours:.2f} | {theirs.seconds:.1f} | {ratios[-1]:.0f} | "
            f"{errors[0]:.1f} | {errors[1]:.1f} | {100 * analysis.fit.rwp:.1f} | "
            f"{100 * theirs.rwp:.1f} |"
        )
    if not rows:
        return ["rietx was not asked for."]
    return [
        f"rietx {version('rietx')} with its plan lab_bragg_brentano from its own starting values, "
        "beside `fit_pattern` from ours; processor seconds, largest error of a fraction in wt%:",
        "",
        "| pattern | s, ours | s, rietx | ratio | error, ours | error, rietx | Rwp, ours "
        "| Rwp, rietx |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"Median ratio {statistics.median(ratios):.0f}.",
    ]


def measure_cells(analyses: list[Analysis], standard: Path | None, library: Library) -> list[str]:
    """Lines on refined cell constants beside the literature's."""
    if standard is not None:
        found = analyse(read_pattern(standard), library, phases=["Si-Silicon"])
        analyses = [found, *analyses]
    rows = []
    sizes = []
    for analysis in analyses:
        for reference, deviation, fraction in deviations(analysis):
            sizes.append(abs(deviation))
            rows.append(
                f"| {reference.formula} | {100 * deviation:+.3f} % | {100 * fraction:.0f} "
                f"| {Path(analysis.fit.pattern.source).stem} | {reference.source}"
                f"{' (certified)' if reference.certified else ''} |"
            )
    if not rows:
        return ["No phase with known cell constants."]
    return [
        "Refined cell constants (mean of a and c) against the literature's, each beside a refined "
        "displacement. The powders are reagents, not standards; references agree with each other "
        "within 0.01 to 0.02 %:",
        "",
        "| compound | deviation | wt% | pattern | reference |",
        "|---|---|---|---|---|",
        *rows,
        "",
        f"Median {100 * statistics.median(sizes):.3f} %, largest {100 * max(sizes):.3f} %.",
    ]


def measure(data: Path, rietx_patterns: int, standard: Path | None) -> str:
    """Runs everything and returns the section as Markdown."""
    library = Library(data / "cifs")
    patterns = sorted((data / "xrd" / "mixtures").glob("*.xrdml"))
    if not patterns:
        raise SystemExit(f"{data / 'xrd' / 'mixtures'}: there is no .xrdml in it")
    scores: dict[str, Score] = {}
    fits: list[tuple[Path, Analysis]] = []
    by_grain: list[list[float]] = [[] for _ in GRAINS_UM]
    # The first analysis loads compiled code and reads structures; it is not timed.
    analyse(read_pattern(patterns[0]), library, phases=list(weighed(patterns[0])))
    for path in patterns:
        truth = weighed(path)
        pattern = read_pattern(path)
        scan = path.stem.split("--")[1]
        elements = {"C", "H", "O"}.union(*(formula_amounts(formula) for formula in truth))
        for name, fit in [*variants().items(), (SEARCHED, FitSettings())]:
            start = time.process_time()
            analysis = analyse(
                pattern,
                library,
                phases=None if name == SEARCHED else list(truth),
                elements=elements,
                settings=AnalysisSettings(search=SearchSettings(fit=fit)),
            )
            seconds = time.process_time() - start
            for each in (f"{name}, {scan}", f"{name}, both"):
                scores.setdefault(each, Score()).add(analysis, truth, seconds)
            if name == NAMED:
                fits.append((path, analysis))
                for errors, more in zip(by_grain, errors_by_grain(analysis, truth), strict=True):
                    errors += more
    packages = ", ".join(f"{p} {version(p)}" for p in ("numpy", "scipy", "numba", "gemmi"))
    names = [*variants(), SEARCHED]
    rows = [scores[f"{n}, both"].row(f"{n}, both") for n in names]
    rows += [scores[f"{n}, {t}"].row(f"{n}, {t}") for n in (names[0], SEARCHED) for t in SCANS]
    named = [(path, analysis) for path, analysis in fits if path.stem.endswith("8min")]
    lines = [
        "## Diffraction",
        "",
        f"{len(patterns)} patterns of 10 weighed mixtures (A-Lab's Aeris; CederGroupHub/dara), "
        f"2-min and 8-min scans, library of {len(library)} CIFs. Errors in wt% against the "
        "weighed masses; 'covered' is the share of fractions inside the reported 95 % interval, "
        "whose mean standard uncertainty is 'sigma'; time is of the processor, one thread.",
        "",
        f"Python {platform.python_version()}, {packages}; {platform.machine()}, "
        f"{os.cpu_count()} cores, shared.",
        "",
        "| | patterns | RMSE | mean | median | max | covered | sigma | median GoF | recall "
        "| precision | exact | candidates | s per pattern |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        "The same by the grain diameter that the absorption correction assumes (named phases, "
        "all patterns):",
        "",
        "| grains / um | " + " | ".join(f"{grain:g}" for grain in GRAINS_UM) + " |",
        "|---|" + "---|" * len(GRAINS_UM),
        "| RMSE / wt% | "
        + " | ".join(f"{np.sqrt(np.mean(np.square(errors))):.2f}" for errors in by_grain)
        + " |",
        "",
        f"These are figures of development, not a blind test. The default of {NOMINAL_GRAIN_UM:g} "
        "um, the threshold of evidence and the steps of the search and the size of the intensity "
        "error come from these patterns. The form of the surface's factor, exp(-roughness / "
        "sin theta), is the one of five compared on them that, with its first-order twin, left "
        "the lowest chi^2, "
        "and also the smallest errors; its one parameter is refined for each pattern. The "
        "criterion for a texture has no constant from these patterns. No sample and no compound "
        "has a parameter of its own. Patterns of one mixture share its errors, so that coverage "
        "rests on 10 samples rather than 20.",
        "",
        *measure_candidates(patterns, Library([STRUCTURES, data / "cifs"])),
        "",
        *measure_rietx(named, rietx_patterns),
        "",
        *measure_cells([analysis for _, analysis in named], standard, library),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(os.environ.get("MATLAB_ROS_DATA", "../shared/datasets"))
    parser.add_argument("--data", type=Path, default=default, help="folder of the datasets")
    parser.add_argument("--rietx", type=int, default=4, help="patterns that rietx fits too")
    parser.add_argument("--standard", type=Path, help="pattern of a silicon standard")
    try:
        options = parser.parse_args()
        section = measure(options.data, options.rietx, options.standard)
    except LabError as error:
        print(error, file=sys.stderr)
        return 2
    print(section)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(section, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
