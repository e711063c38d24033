"""``matlab-ros target``: whether a target can exist, its pattern, and what competes with it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from matlab_ros.chemistry.energies import ATMOSPHERES, Atmosphere
from matlab_ros.chemistry.formula import Formula, FormulaError, parse_formula
from matlab_ros.chemistry.open_hull import Stability, same_solid
from matlab_ros.chemistry.ranking import Ranking
from matlab_ros.chemistry.stoichiometry import VOLATILE, balance
from matlab_ros.chemistry.target_checks import (
    Finding,
    Level,
    check_charges,
    check_distances,
    check_room,
)
from matlab_ros.chemistry.thermodynamics import Thermodynamics
from matlab_ros.console import console
from matlab_ros.model.errors import ConfigError, DataError, UnreachableComposition
from matlab_ros.xrd.eligibility import Atmosphere as FiredIn
from matlab_ros.xrd.generated_cif import read_generated, repaired_text
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.lines import Line, hidden_share, powder_lines
from matlab_ros.xrd.simulate import PhaseInMixture, Scan, expected
from matlab_ros.xrd.structure import Structure
from matlab_ros.xrd.structures_command import folders_of

DONE, WRONG = 0, 1
_STRONGEST = 8
_MARKS = {Level.FINE: "green", Level.DOUBTFUL: "yellow", Level.WRONG: "red"}
_ALIKE = 0.5
"""Share of a pattern's intensity hidden behind another from which both are easily confused."""


@dataclass(frozen=True)
class Rival:
    """A phase that may form beside a target or be taken for it.

    Attributes:
        name: of its structure.
        formula: reduced.
        hides: share of the target's intensity that falls on its lines.
    """

    name: str
    formula: str
    hides: float


@dataclass(frozen=True)
class Report:
    """What is known of a target.

    Attributes:
        formula: of it.
        structure: None where only a formula is known.
        findings: of the checks.
        lines: of its pattern, strongest first.
        rivals: other structures of its chemical system, those that hide most of it first.
        stability: None where energies are not known.
    """

    formula: Formula
    structure: Structure | None
    findings: tuple[Finding, ...]
    lines: tuple[Line, ...]
    rivals: tuple[Rival, ...]
    stability: Stability | None

    @property
    def is_possible(self) -> bool:
        """Whether nothing is wrong with it; what is doubtful is not."""
        return all(item.level is not Level.WRONG for item in self.findings)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command ``target``."""
    parser.add_argument("target", help="a formula, or a CIF, also one of a generative model")
    parser.add_argument(
        "--structures",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="of CIFs to compare with (default: those of every analysis)",
    )
    parser.add_argument(
        "--temperature", type=float, default=900.0, metavar="C", help="for its stability (900)"
    )
    parser.add_argument(
        "--atmosphere", choices=sorted(ATMOSPHERES), default="air", help="default: air"
    )
    parser.add_argument(
        "--energies", type=Path, action="append", default=[], metavar="FILE", help="of your own"
    )
    parser.add_argument("--pattern", type=Path, metavar="FILE.xy", help="write its pattern")
    parser.add_argument(
        "--write-cif", type=Path, metavar="FILE", help="write the CIF with its symmetry set right"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Carry the command out.

    Returns:
        0: it can exist; 1: something is wrong with it.

    Raises:
        ConfigError: an argument cannot be used.
        DataError: a CIF cannot be read as a structure.
    """
    if options.pattern is not None and options.pattern.suffix.lower() != ".xy":
        raise ConfigError(
            "command line", "--pattern", f"ends in {options.pattern.suffix!r}", "a name in .xy"
        )
    library = Library(folders_of(options.structures))
    formula, structure, notes = _target(options.target, library)
    ranking = Ranking(
        formula.text,
        Thermodynamics.default(*options.energies),
        options.temperature,
        Atmosphere.named(options.atmosphere),
    )
    report = examine(formula, structure, notes, library, ranking)
    _write_files(options, structure)
    if options.json:
        print(json.dumps(document(report), indent=2, ensure_ascii=False))
    else:
        out = console()
        out.print(shown(report, options.temperature, options.atmosphere))
    return DONE if report.is_possible else WRONG


def examine(
    formula: Formula,
    structure: Structure | None,
    notes: Sequence[str],
    library: Library,
    ranking: Ranking,
) -> Report:
    """Look at a target from all sides.

    Args:
        formula: of it.
        structure: its crystal, if known.
        notes: what had to be assumed to read it.
        library: structures to compare with.
        ranking: of the same target, for its stability.
    """
    findings = [check_charges(formula)]
    findings += [Finding(Level.DOUBTFUL, "symmetry", note) for note in notes]
    lines: tuple[Line, ...] = ()
    rivals: tuple[Rival, ...] = ()
    if structure is not None:
        lines = powder_lines(structure)
        findings.append(
            check_distances(
                structure.symbols, structure.positions, structure.occupancies, structure.cell
            )
        )
        room = _room(formula, structure, library)
        if room is not None:
            findings.append(room)
        rivals = _rivals(structure, lines, library)
    return Report(formula, structure, tuple(findings), lines, rivals, ranking.target_stability())


def _target(given: str, library: Library) -> tuple[Formula, Structure | None, tuple[str, ...]]:
    path = Path(given)
    if path.suffix.lower() in (".cif", ".mcif") or path.is_file():
        structure, notes = read_generated(path)
        return parse_formula(structure.formula), structure, notes
    try:
        formula = parse_formula(given)
    except FormulaError as error:
        raise ConfigError(
            "command line", "TARGET", str(error).rstrip("."), "a formula or a CIF"
        ) from error
    try:
        found = library.named(given)
    except DataError:
        return formula, None, ()
    return formula, found[0].structure, ()


def _room(formula: Formula, structure: Structure, library: Library) -> Finding | None:
    """Its volume against that of its oxides, as far as the library has them."""
    staying = sorted(formula.elements - VOLATILE)
    oxides: dict[str, Structure] = {}
    for element in staying:
        for phase in library.candidates({element, "O"}, FiredIn.INERT).phases:
            if phase.structure.elements == {element, "O"}:
                oxides.setdefault(phase.formula, phase.structure)
                break
    if "O" not in formula.elements or len(staying) < 2 or len(oxides) != len(staying):
        return None
    try:
        reaction = balance(formula.text, list(oxides))
    except UnreachableComposition:
        return None
    parts = {
        part.text: (float(n), _formula_volume(oxides[part.text], part))
        for part, n in zip(reaction.precursors, reaction.amounts, strict=True)
    }
    return check_room(_formula_volume(structure, formula), parts)


def _formula_volume(structure: Structure, formula: Formula) -> float:
    """Cubic angstrom of one formula unit."""
    return structure.volume_per_atom * float(sum(formula.amounts.values()))


def _rivals(structure: Structure, lines: tuple[Line, ...], library: Library) -> tuple[Rival, ...]:
    """The structures of its chemical system with carbonates and hydroxides, without itself."""
    found = []
    for phase in library.candidates(structure.elements | {"C", "H", "O"}).phases:
        hides = hidden_share(lines, powder_lines(phase.structure))
        same = phase.formula == structure.formula
        volume = phase.structure.volume_per_atom / structure.volume_per_atom
        if same and hides > 0.95 and abs(volume - 1.0) < 0.02:
            continue
        found.append(Rival(phase.name, phase.formula, hides))
    return tuple(sorted(found, key=lambda rival: (-rival.hides, rival.name)))


def _write_files(options: argparse.Namespace, structure: Structure | None) -> None:
    try:
        if options.pattern is not None:
            if structure is None:
                raise ConfigError(
                    "command line", "--pattern", "there is no structure of it", "a CIF as target"
                )
            pattern = expected([PhaseInMixture(structure, 1.0)], scan=Scan()).pattern
            rows = np.column_stack([pattern.two_theta_deg, pattern.counts])
            np.savetxt(options.pattern, rows, fmt=("%.5f", "%.6g"))
        if options.write_cif is not None:
            if not Path(options.target).is_file():
                raise ConfigError("command line", "--write-cif", "the target is no CIF", "a CIF")
            options.write_cif.write_text(repaired_text(Path(options.target)), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            error.filename or "", "", f"cannot be written ({error.strerror})", "another place"
        ) from error


def document(report: Report) -> dict[str, Any]:
    """The report for programs."""
    structure, stability = report.structure, report.stability
    return {
        "formula": report.formula.text,
        "possible": report.is_possible,
        "structure": None
        if structure is None
        else {
            "name": structure.name,
            "space_group": structure.space_group,
            "cell": [round(value, 5) for value in structure.cell],
            "density_g_cm3": round(structure.density, 4),
        },
        "findings": [
            {"subject": f.subject, "level": f.level.value, "sentence": f.sentence}
            for f in report.findings
        ],
        "lines": [
            {
                "hkl": list(line.hkl),
                "d_angstrom": round(line.d_angstrom, 5),
                "two_theta_deg": round(line.two_theta_deg, 4),
                "intensity": round(line.intensity, 5),
            }
            for line in report.lines
        ],
        "rivals": [
            {"name": r.name, "formula": r.formula, "hides": round(r.hides, 4)}
            for r in report.rivals
        ],
        "stability": None
        if stability is None
        else {
            "kj_per_mol_of_staying_atoms": round(stability.kj_per_mol_of_atoms, 3),
            "rivals": {name: round(n, 6) for name, n in stability.rivals.items()},
        },
    }


def shown(report: Report, temperature_c: float, atmosphere: str) -> Group:
    """The report for people."""
    structure = report.structure
    title = Text(report.formula.text, style="bold")
    if structure is not None:
        a, b, c, *angles = structure.cell
        title.append(
            f"  {structure.name}, {structure.space_group}, {a:.4f} {b:.4f} {c:.4f} Å, "
            f"{angles[0]:.2f} {angles[1]:.2f} {angles[2]:.2f}°, {structure.density:.2f} g/cm³",
            style="not bold",
        )
    else:
        title.append("  no structure in the library: give its CIF for a pattern", style="not bold")
    parts: list[Any] = [title]
    for item in report.findings:
        line = Text("  ")
        line.append(f"{item.level.value:9s}", style=_MARKS[item.level])
        line.append(f"{item.subject}: {item.sentence}")
        parts.append(line)
    parts.append(_stability(report.stability, temperature_c, atmosphere))
    if report.lines:
        parts.append(Text())
        parts.append(_lines(report.lines[:_STRONGEST]))
    if report.rivals:
        parts.append(Text())
        parts.append(_rival_table(report))
    return Group(*parts)


def _stability(stability: Stability | None, temperature_c: float, atmosphere: str) -> Text:
    where = f"at {temperature_c:g} °C in {atmosphere}"
    if stability is None:
        return Text(f"  unknown  stability {where}: no energy of it is known", style="dim")
    value = stability.kj_per_mol_of_atoms
    rivals = " + ".join(f"{n:.2g} {name}" for name, n in stability.rivals.items())
    text = Text("  ")
    if value < 0:
        text.append("fine     ", style="green")
        text.append(f"stability {where}: {-value:.1f} kJ per mol of cations below {rivals}")
    else:
        text.append("doubtful ", style="yellow")
        text.append(f"stability {where}: {value:.1f} kJ per mol of cations above {rivals}")
    return text


def _lines(lines: Sequence[Line]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.add_column("strongest lines, Cu Kα1")
    for name in ("2θ / °", "d / Å", "I / %"):
        table.add_column(name, justify="right")
    for line in lines:
        hkl = " ".join(str(n) for n in line.hkl)
        bar = "█" * max(1, round(20 * line.intensity))
        table.add_row(
            Text.assemble(f"{hkl:10s} ", (bar, "cyan")),
            f"{line.two_theta_deg:.2f}",
            f"{line.d_angstrom:.4f}",
            f"{100 * line.intensity:.0f}",
        )
    return table


def _rival_table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("what may be taken for it")
    table.add_column("hides of its pattern", justify="right")
    table.add_column("")
    for rival in report.rivals[:_STRONGEST]:
        same = same_solid(parse_formula(rival.formula), report.formula)
        remark = "another form of the target" if same else ""
        style = "yellow" if rival.hides >= _ALIKE else ""
        table.add_row(rival.name, Text(f"{100 * rival.hides:.0f} %", style), remark)
    return table
