"""How real the virtual diffractometer's patterns look: the same fits on them and on real ones.

    python benchmarks/virtual_patterns.py --data ../shared/datasets [--samples 60]

Writes benchmarks/results/virtual_patterns.md beside this file and prints the same.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from diffraction import weighed

from matlab_ros.model.errors import LabError
from matlab_ros.share import config_file, share_dir
from matlab_ros.virtual.diffraction import VirtualDiffractometer
from matlab_ros.virtual.reactions import load_chemistry
from matlab_ros.virtual.scan_programs import scan_program
from matlab_ros.xrd.analyse import Analysis, analyse
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.readers import read_pattern

RESULT = Path(__file__).resolve().parent / "results" / "virtual_patterns.md"
PROGRAM = "10-100_8-minutes"
HEATS_C = (25.0, 700.0, 1100.0, 1300.0)
# Where a phase gives at least this share of the background, there is a peak.
PEAK = 0.15
CLEAR = 0.03


@dataclass
class Look:
    """What fits of a kind of patterns look like."""

    gof: list[float] = field(default_factory=list)
    strongest: list[float] = field(default_factory=list)
    scatter: list[float] = field(default_factory=list)
    displacement: list[float] = field(default_factory=list)
    roughness: list[float] = field(default_factory=list)
    asymmetry: list[float] = field(default_factory=list)
    march: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)
    wrong: int = 0

    def add(self, analysis: Analysis, truth: dict[str, float]) -> None:
        """Counts one pattern; `truth` gives weight fractions by formula."""
        fit = analysis.fit
        self.gof.append(fit.gof)
        self.strongest.append(float(fit.pattern.counts.max()))
        self.scatter.append(intensity_scatter(analysis))
        self.displacement.append(fit.instrument.displacement_deg)
        self.roughness.append(fit.instrument.roughness)
        self.asymmetry.append(fit.instrument.asymmetry)
        self.march += [p.state.march for p in fit.phases if p.state.axis is not None]
        self.wrong += {p.structure.formula for p in fit.phases} != truth.keys()
        for formula, weight in truth.items():
            error = analysis.weight_fraction(formula) - weight
            own = [p.sigma for p in fit.phases if p.structure.formula == formula]
            self.errors.append(100 * error)
            self.covered.append(abs(error) <= 1.96 * float(np.hypot.reduce([0.0, *own])))

    def row(self, name: str) -> str:
        """A line of the table."""
        size = np.abs(self.errors)
        cells = [
            name,
            str(len(self.gof)),
            spread(self.gof),
            spread(self.strongest, 0),
            spread(self.scatter),
            spread(self.displacement),
            spread(self.roughness, 3),
            spread(self.asymmetry),
            spread(self.march) if self.march else "none",
            f"{np.sqrt(np.mean(size**2)):.2f}",
            f"{np.median(size):.2f}",
            f"{100 * np.mean(self.covered):.0f} %",
            str(self.wrong),
        ]
        return f"| {' | '.join(cells)} |"


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median and the range of the middle 80 %."""
    low, middle, high = np.nanpercentile(values, (10, 50, 90))
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def intensity_scatter(analysis: Analysis) -> float:
    """Relative root mean square deviation of peaks' intensities from the fit's.

    Of clusters of peaks that the counts allow to know to 3 %; nan if there is none.
    """
    fit = analysis.fit
    net = fit.calculated - fit.background
    residual, variance = fit.pattern.counts - fit.calculated, fit.pattern.uncertainty() ** 2
    inside = np.concatenate([[0], (net > PEAK * fit.background).astype(int), [0]])
    starts, ends = np.flatnonzero(np.diff(inside) > 0), np.flatnonzero(np.diff(inside) < 0)
    found = []
    for start, end in zip(starts, ends, strict=True):
        part = slice(start, end)
        known = float(net[part] @ (net[part] / variance[part]))
        if known > CLEAR**-2:
            found.append(float(residual[part] @ (net[part] / variance[part])) / known)
    return float(np.sqrt(np.mean(np.square(found)))) if found else float("nan")


def real(data: Path) -> Look:
    """The weighed mixtures of the A-Lab, phases named."""
    look, library = Look(), Library(data / "cifs")
    paths = sorted((data / "xrd" / "mixtures").glob("*--8min.xrdml"))
    if not paths:
        raise SystemExit(f"{data / 'xrd' / 'mixtures'}: there is no 8-min .xrdml in it")
    for path in paths:
        truth = weighed(path)
        look.add(analyse(read_pattern(path), library, phases=list(truth)), truth)
    return look


def virtual(samples: int) -> tuple[Look, float, float]:
    """Mixtures in the virtual world's chemistry, phases searched for.

    Returns:
        The look, and processor milliseconds of a pattern and of its analysis.
    """
    structures = share_dir() / "config" / "structures"
    species = {s.name: s for s in load_chemistry(config_file("chemistry", "mg_ti_o")).species}
    phases = [item.phase for item in species.values()]
    library, look = Library(structures), Look()
    formulas = {phase: library.named(phase)[0].formula for phase in phases}
    drawn, analysed = [], []
    for i in range(samples):
        optics = VirtualDiffractometer([structures], phases, seed=i % 10)
        rng = np.random.default_rng(i)
        n = int(rng.integers(2, 5))
        names = rng.choice(sorted(species), n, replace=False)
        shares = 0.1 / n + 0.9 * rng.dirichlet(np.full(n, 1.5))
        contents = [(species[k], 1000.0 * float(w)) for k, w in zip(names, shares, strict=True)]
        truth: dict[str, float] = {}
        for item, mass in contents:
            formula = formulas[item.phase]
            truth[formula] = truth.get(formula, 0.0) + mass / 1000.0
        program = scan_program(PROGRAM)
        for again in range(2):
            began = time.process_time()
            pattern = optics.measure(contents, program, f"s{i}", again, HEATS_C[i % 4])
        drawn.append(1000 * (time.process_time() - began))
        began = time.process_time()
        analysis = analyse(pattern, library, elements={"Mg", "Ti", "O", "C", "H"})
        analysed.append(1000 * (time.process_time() - began))
        look.add(analysis, truth)
    return look, statistics.median(drawn), statistics.median(analysed)


def main() -> int:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(os.environ.get("MATLAB_ROS_DATA", "../shared/datasets"))
    parser.add_argument("--data", type=Path, default=default, help="folder of the datasets")
    parser.add_argument("--samples", type=int, default=60, help="virtual ones (default: 60)")
    options = parser.parse_args()
    try:
        measured, (made, drawn_ms, analysed_ms) = real(options.data), virtual(options.samples)
    except LabError as error:
        print(error, file=sys.stderr)
        return 2
    lines = [
        "## Patterns of the virtual diffractometer",
        "",
        "8-min scans of the A-Lab's weighed mixtures (phases named) and of random mixtures of the "
        "virtual world's magnesium titanates (phases searched for), through the same fit. Median "
        "and the middle 80 % of: goodness of fit, counts in the strongest point, scatter of "
        "peaks' intensities about the fit's, displacement (degrees), roughness, asymmetry, "
        "March's r where a texture was accepted. Errors in wt%; 'covered' is the share of "
        "fractions inside the reported 95 % interval; 'wrong' are patterns of which another set "
        "of formulas was reported.",
        "",
        f"Python {platform.python_version()}, numpy {np.__version__}; {platform.machine()}.",
        "",
        "| | patterns | GoF | strongest | scatter | displacement | roughness | asymmetry | r "
        "| RMSE | median | covered | wrong |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        measured.row("real"),
        made.row("virtual"),
        "",
        f"A virtual pattern takes {drawn_ms:.0f} ms of processor time at the median, its analysis "
        f"{analysed_ms:.0f} ms.",
    ]
    section = "\n".join(lines) + "\n"
    print(section)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(section, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
