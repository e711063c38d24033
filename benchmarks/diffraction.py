"""How well and how fast measured patterns are analysed: weighed mixtures against the answer.

    python benchmarks/diffraction.py --data ../shared/datasets

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

import numpy as np

from matlab_ros.model.errors import LabError
from matlab_ros.xrd.analyse import Analysis, AnalysisSettings, analyse
from matlab_ros.xrd.composition import formula_amounts, reduced_formula
from matlab_ros.xrd.fit import FitSettings
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.readers import read_pattern
from matlab_ros.xrd.search import SearchSettings
from matlab_ros.xrd.uncertainty import NOMINAL_GRAIN_UM, correct_fractions

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
    """What one way of analysing made of all patterns of one scan time."""

    errors: list[float] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)
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
        self.candidates.append(analysis.n_candidates)
        for formula, fraction in truth.items():
            error = analysis.weight_fraction(formula) - fraction
            self.errors.append(100 * error)
            sigma = math.hypot(
                *(p.sigma for p in analysis.phases if p.structure.formula == formula)
            )
            self.covered.append(abs(error) <= 1.96 * sigma)

    def row(self, name: str) -> str:
        """A line of the table."""
        size = np.abs(self.errors)
        return (
            f"| {name} | {len(self.seconds)} | {np.sqrt(np.mean(np.square(self.errors))):.2f} "
            f"| {size.mean():.2f} | {np.median(size):.2f} | {size.max():.1f} "
            f"| {100 * np.mean(self.covered):.0f} % "
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


def measure(data: Path) -> str:
    """Runs everything and returns the section as Markdown."""
    library = Library(data / "cifs")
    patterns = sorted((data / "xrd" / "mixtures").glob("*.xrdml"))
    if not patterns:
        raise SystemExit(f"{data / 'xrd' / 'mixtures'}: there is no .xrdml in it")
    no_absorption = AnalysisSettings(search=SearchSettings(fit=FitSettings(grain_um=0.0)))
    scores: dict[str, Score] = {}
    by_grain: list[list[float]] = [[] for _ in GRAINS_UM]
    # The first analysis loads compiled code and reads structures; it is not timed.
    analyse(read_pattern(patterns[0]), library, phases=list(weighed(patterns[0])))
    for path in patterns:
        truth = weighed(path)
        pattern = read_pattern(path)
        scan = path.stem.split("--")[1]
        elements = {"C", "H", "O"}.union(*(formula_amounts(formula) for formula in truth))
        for name, named, settings in (
            (f"phases named, {scan}", True, AnalysisSettings()),
            (f"phases named, {scan}, no absorption correction", True, no_absorption),
            (f"elements only, {scan}", False, AnalysisSettings()),
        ):
            start = time.perf_counter()
            analysis = analyse(
                pattern,
                library,
                phases=list(truth) if named else None,
                elements=elements,
                settings=settings,
            )
            seconds = time.perf_counter() - start
            scores.setdefault(name, Score()).add(analysis, truth, seconds)
            if named and settings is no_absorption:
                for errors, more in zip(by_grain, errors_by_grain(analysis, truth), strict=True):
                    errors += more
    together = Score()
    for name, score in scores.items():
        if name.startswith("phases named") and "absorption" not in name:
            together.errors += score.errors
    overall = float(np.sqrt(np.mean(np.square(together.errors))))
    packages = ", ".join(f"{p} {version(p)}" for p in ("numpy", "scipy", "numba", "gemmi"))
    lines = [
        "## Diffraction",
        "",
        f"{len(patterns)} patterns of 10 weighed mixtures (A-Lab's Aeris; CederGroupHub/dara), "
        f"library of {len(library)} CIFs. Errors in wt% against the weighed masses; "
        "'covered' is the share of fractions inside the reported 95 % interval.",
        "",
        f"Python {platform.python_version()}, {packages}; {platform.machine()}, "
        f"{os.cpu_count()} cores, shared; one thread.",
        "",
        "| | patterns | RMSE | mean | median | max | covered | recall | precision | exact "
        "| candidates | s per pattern |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        *(scores[name].row(name) for name in sorted(scores, reverse=True)),
        "",
        f"RMSE with named phases over all {len(patterns)} patterns: {overall:.2f} wt%.",
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
        f"The default of {NOMINAL_GRAIN_UM:g} um is one number for every sample, from the usual "
        "range of ground powders, but it was picked after a scan like this one on these same "
        "patterns; the acceptance rule of the search and the size of the intensity error "
        "also come from them. So these are figures of development, not a blind test. No sample "
        "and no compound has a parameter of its own.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(os.environ.get("MATLAB_ROS_DATA", "../shared/datasets"))
    parser.add_argument("--data", type=Path, default=default, help="folder of the datasets")
    try:
        section = measure(parser.parse_args().data)
    except LabError as error:
        print(error, file=sys.stderr)
        return 2
    print(section)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(section, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
