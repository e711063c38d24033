"""What is claimed of measured samples: weighed mixtures, and products of reactions nobody knows.

    python benchmarks/verdicts.py --data ../shared/datasets

Writes benchmarks/results/verdicts.md beside this file and prints the same. Ends with 1 where a
sample is confirmed whose fit is bad.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import gemmi

from matlab_ros.model.errors import LabError
from matlab_ros.model.lab_words import SecondOutcome, Verdict
from matlab_ros.xrd.analyse import Analysis, analyse
from matlab_ros.xrd.composition import formula_amounts
from matlab_ros.xrd.evidence import WORST_GOF
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.readers import read_pattern
from matlab_ros.xrd.second_opinion import is_installed, second_opinion
from matlab_ros.xrd.verdict import STRONGEST_STRAY, Assessment, is_worth_confirming, verdict

STRUCTURES = Path(__file__).resolve().parents[1] / "config" / "structures"
RESULT = Path(__file__).resolve().parent / "results" / "verdicts.md"
WEIGHING = 0.01
"""Relative uncertainty of what was weighed in, and of the ratio in a product's name."""


@dataclass(frozen=True)
class Judged:
    """A sample and what was said of it.

    Attributes:
        name: of its file.
        analysis: with the second refinement, where one was made.
        assessment: the verdict.
        second_s: processor seconds of the second refinement; None: none was made.
    """

    name: str
    analysis: Analysis
    assessment: Assessment
    second_s: float | None

    @property
    def stray(self) -> float:
        """Share of the strongest peak that the strongest unexplained one has."""
        peaks = self.analysis.unexplained.peaks
        return max((peak.share_of_strongest for peak in peaks), default=0.0)

    @property
    def is_wrong(self) -> bool:
        """Whether it is confirmed and must not be."""
        bad = not self.analysis.fit.gof <= WORST_GOF or self.stray > STRONGEST_STRAY
        return bad and self.assessment.kind is Verdict.CONFIRMED


def products(data: Path) -> Iterator[tuple[Path, dict[str, float]]]:
    """Products of reactions and the amounts of the elements in their precursors."""
    for path in sorted((data / "xrd" / "reactions").glob("*.xrdml")):
        amounts: dict[str, float] = {}
        for number, formula in re.findall(r"(\d*)([A-Z][^-]*)", path.stem.split("_")[0]):
            for element, n in formula_amounts(formula).items():
                amounts[element] = amounts.get(element, 0.0) + n * int(number or 1)
        yield path, amounts


def mixtures(data: Path) -> Iterator[tuple[Path, dict[str, float]]]:
    """Weighed mixtures and the amounts of the elements in them."""
    for path in sorted((data / "xrd" / "mixtures").glob("*.xrdml")):
        amounts: dict[str, float] = {}
        for part in path.stem.split("--")[0].split("-"):
            formula, mass = part.rsplit("_", 1)
            composition = formula_amounts(formula)
            units = float(mass.replace("p", ".")) / _molar_mass(composition)
            for element, n in composition.items():
                amounts[element] = amounts.get(element, 0.0) + n * units
        yield path, amounts


def _molar_mass(composition: Mapping[str, float]) -> float:
    return sum(gemmi.Element(element).weight * n for element, n in composition.items())


def judge(path: Path, amounts: Mapping[str, float], library: Library) -> Judged:
    """Analyses a pattern by its elements, and confirms it where that is worth a try."""
    analysis = analyse(
        read_pattern(path),
        library,
        elements={"C", "H", "O", *amounts},
        dispensed_mmol={element: (n, WEIGHING * n) for element, n in amounts.items()},
    )
    second_s = None
    if is_worth_confirming(analysis):
        start = time.process_time()
        analysis = replace(analysis, second=second_opinion(analysis.fit))
        second_s = time.process_time() - start
    return Judged(path.stem, analysis, verdict(analysis), second_s)


def table(judged: list[Judged]) -> list[str]:
    """Lines of a table of samples."""
    lines = [
        "| sample | GoF | strongest unexplained | unexplained | phases (wt%) | verdict | why |",
        "|---|---|---|---|---|---|---|",
    ]
    for item in judged:
        phases = ", ".join(
            f"{phase.structure.formula} {100 * phase.weight_fraction:.0f}"
            for phase in item.analysis.phases
        )
        why = (*item.assessment.reasons, *item.assessment.remarks, "")[0]
        lines.append(
            f"| {item.name} | {item.analysis.fit.gof:.2f} | {100 * item.stray:.0f} % "
            f"| {100 * item.analysis.unexplained.share_of_intensity:.0f} % | {phases or 'none'} "
            f"| {item.assessment.kind.name} | {why} |"
        )
    return lines


def counts(judged: list[Judged]) -> str:
    """How many of each kind."""
    kinds = [item.assessment.kind for item in judged]
    return ", ".join(f"{kinds.count(kind)} {kind.name}" for kind in sorted(set(kinds)))


def measure(data: Path) -> tuple[str, bool]:
    """The section as Markdown, and whether nothing is confirmed that must not be."""
    library = Library([STRUCTURES, data / "cifs"])
    unknown = [judge(path, amounts, library) for path, amounts in products(data)]
    known = [judge(path, amounts, library) for path, amounts in mixtures(data)]
    if not unknown or not known:
        raise SystemExit(f"{data / 'xrd'}: there are no patterns in it")
    wrong = [item.name for item in (*unknown, *known) if item.is_wrong]
    seconds = [item.second_s for item in (*unknown, *known) if item.second_s is not None]
    try:
        other = f"rietx {version('rietx')}"
    except PackageNotFoundError:
        other = "rietx is not installed, so nothing can be confirmed"
    agreeing = [i for i in (*unknown, *known) if i.analysis.second.outcome is SecondOutcome.AGREES]
    largest = max((i.analysis.second.largest_difference for i in agreeing), default=float("nan"))
    lines = [
        "# Verdicts on measured samples",
        "",
        f"Python {platform.python_version()}, {platform.machine()}, {other}; elements only, "
        f"library of {len(library)} structures.",
        "",
        f"Products of reactions, phases not known ({len(unknown)}): {counts(unknown)}. "
        f"Weighed mixtures, phases not given ({len(known)}): {counts(known)}.",
        "",
        f"Confirmed with a goodness of fit above {WORST_GOF:g} or an unexplained peak above "
        f"{100 * STRONGEST_STRAY:.0f} % of the strongest: {', '.join(wrong) or 'none'}.",
        "",
    ]
    if seconds and is_installed():
        lines += [
            f"Second refinements: {len(seconds)}, median {statistics.median(seconds):.2f} s of "
            f"processor time, largest {max(seconds):.2f} s (the first loads the program); "
            f"{len(agreeing)} agree, within {100 * largest:.1f} wt%.",
            "",
        ]
    lines += ["## Products", "", *table(unknown), "", "## Mixtures", "", *table(known)]
    return "\n".join(lines) + "\n", not wrong


def main() -> int:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(os.environ.get("MATLAB_ROS_DATA", "../shared/datasets"))
    parser.add_argument("--data", type=Path, default=default, help="folder of the datasets")
    try:
        section, is_right = measure(parser.parse_args().data)
    except LabError as error:
        print(error, file=sys.stderr)
        return 2
    print(section)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(section, encoding="utf-8")
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
