"""A table of the structures in a folder: formula, cell, density, where each comes from.

``python -m matlab_ros.xrd.catalogue config/structures`` writes the table into the folder's
README.md, below the line that says so.
"""

from __future__ import annotations

import sys
from pathlib import Path

from matlab_ros.model.errors import ConfigError, LabError
from matlab_ros.xrd.structure import Structure, read_structure

MARKER = "<!-- table written by python -m matlab_ros.xrd.catalogue -->"


def catalogue(folder: Path) -> str:
    """A Markdown table of all CIFs of a folder, sorted by formula.

    Raises:
        DataError: one of them cannot be read.
    """
    structures = [read_structure(path) for path in folder.glob("*.cif")]
    structures.sort(key=lambda s: (s.formula, s.name))
    rows = [_row(structure) for structure in structures]
    head = "| formula | file | space group | a, b, c / Å; α, β, γ / ° | g/cm³ | source |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows]) + "\n"


def write_catalogue(folder: Path) -> None:
    """Replaces the table in the folder's README.md.

    Raises:
        ConfigError: the README has no line that says where the table begins.
    """
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8")
    if MARKER not in text:
        raise ConfigError(readme, "", "it has no place for the table", f"a line {MARKER!r}")
    before = text.split(MARKER)[0]
    readme.write_text(f"{before}{MARKER}\n\n{catalogue(folder)}", encoding="utf-8")


def _row(s: Structure) -> str:
    lengths = ", ".join(f"{value:.4f}" for value in s.cell[:3])
    angles = ", ".join(f"{value:g}" for value in s.cell[3:])
    return (
        f"| {s.formula} | `{Path(s.file).name}` | {s.space_group} | {lengths}; {angles} "
        f"| {s.density:.2f} | {s.citation} |"
    )


if __name__ == "__main__":
    try:
        write_catalogue(Path(sys.argv[1]))
    except (IndexError, OSError, LabError) as problem:
        sys.exit(f"usage: python -m matlab_ros.xrd.catalogue FOLDER ({problem})")
