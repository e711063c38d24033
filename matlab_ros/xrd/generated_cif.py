"""Reading CIFs as generative models and scripts write them, which are not quite CIFs.

They name a space group and list the identity as its only operation, or name none at all; the atoms
are then those of the asymmetric unit, or all of the cell. What is meant is decided by the formula,
and what was assumed is said. Everything else must be as in any CIF.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import gemmi

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.cif_block import element_of, stated_composition, structure_block, text_of
from matlab_ros.xrd.structure import Structure, read_structure

_OPERATIONS = ("_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz")
_SYMBOLS = ("_symmetry_space_group_name_H-M", "_space_group_name_H-M_alt")
_NUMBERS = ("_symmetry_Int_Tables_number", "_space_group_IT_number")


def read_generated(path: Path) -> tuple[Structure, tuple[str, ...]]:
    """A structure, and what had to be assumed to read it.

    Raises:
        DataError: the file holds no structure that can be, whatever is assumed.
    """
    block = structure_block(path)
    repaired, notes = _repaired(path, block)
    if repaired is None:
        return read_structure(path), ()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"{path.stem}.cif"
        copy.write_text(repaired, encoding="utf-8")
        try:
            structure = read_structure(copy)
        except DataError as error:
            raise DataError(path, error.problem, error.remedy) from error
    return replace(structure, file=str(path)), notes


def repaired_text(path: Path) -> str:
    """The file as a CIF that every program reads alike.

    Raises:
        DataError: it cannot be read.
    """
    repaired, _ = _repaired(path, structure_block(path))
    return repaired if repaired is not None else path.read_text(encoding="utf-8")


def _repaired(path: Path, block: gemmi.cif.Block) -> tuple[str | None, tuple[str, ...]]:
    """The text with its symmetry set right and what was assumed; None where nothing is to do."""
    operations = [
        gemmi.cif.as_string(text).replace(" ", "").lower()
        for tag in _OPERATIONS
        for text in block.find_loop(tag)
    ]
    if any(text not in ("x,y,z", "+x,+y,+z") for text in operations):
        return None, ()
    group = _named_group(block)
    if group is None or group.number == 1:
        if operations or group is not None:
            return None, ()
        return _with_group(block, gemmi.SpaceGroup("P 1")), (
            "names no symmetry, so its atoms were taken as all of the cell",
        )
    if not operations:
        return None, ()
    if _lists_the_whole_cell(block):
        return _with_group(block, gemmi.SpaceGroup("P 1")), (
            f"names {group.xhm()}, but lists all atoms of the cell, so these were taken",
        )
    return _with_group(block, group), (
        f"names {group.xhm()} with the identity alone, so its operations were filled in",
    )


def _named_group(block: gemmi.cif.Block) -> gemmi.SpaceGroup | None:
    symbol = text_of(block, *_SYMBOLS)
    group: gemmi.SpaceGroup | None = None
    if symbol:
        try:
            cell = gemmi.make_small_structure_from_block(block).cell
        except (RuntimeError, ValueError):
            return None
        group = gemmi.find_spacegroup_by_name(symbol, cell.alpha, cell.gamma)
    number = text_of(block, *_NUMBERS)
    if group is None and number.isdigit():
        group = gemmi.find_spacegroup_by_number(int(number))
    return group


def _lists_the_whole_cell(block: gemmi.cif.Block) -> bool:
    """Whether as many atoms are listed as the formula says that the cell holds."""
    stated = stated_composition(block)
    units = text_of(block, "_cell_formula_units_Z")
    if stated is None or not units.isdigit():
        return False
    try:
        small = gemmi.make_small_structure_from_block(block)
    except (RuntimeError, ValueError):
        return False
    listed: dict[str, float] = {}
    for site in small.sites:
        symbol = element_of(site)
        if symbol is not None:
            listed[symbol] = listed.get(symbol, 0.0) + float(site.occ)
    # Some write the sum of the cell, others that of one formula unit.
    return any(
        all(abs(listed.get(e, 0.0) - n * factor) < 0.01 * n * factor for e, n in stated.items())
        for factor in (1, int(units))
    )


def _with_group(block: gemmi.cif.Block, group: gemmi.SpaceGroup) -> str:
    """The block with one symbol for its symmetry and no operations."""
    for tag in _OPERATIONS:
        column = block.find_loop(tag)
        loop = column.get_loop() if column else None
        if loop is not None:
            block.find(list(loop.tags)).erase()
    for tag in (*_SYMBOLS, *_NUMBERS, *_OPERATIONS):
        item = block.find_pair_item(tag)
        if item is not None:
            item.erase()
    block.set_pair(_SYMBOLS[0], gemmi.cif.quote(group.xhm()))
    return block.as_string()
