"""What a CIF says in words and numbers beside its coordinates."""

from __future__ import annotations

import math
import re
from pathlib import Path

import gemmi

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.composition import formula_amounts

MAX_BYTES = 8 * 1024 * 1024
USE_ANOTHER = "use another determination of this structure"


def structure_block(path: Path) -> gemmi.cif.Block:
    """The block of a file that has coordinates.

    Raises:
        DataError: there is none, or the file cannot be read.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(path, "it is larger than any CIF of one structure", USE_ANOTHER)
        document = gemmi.cif.read(str(path))
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})", "check the path") from error
    except (ValueError, RuntimeError, UnicodeDecodeError) as error:
        reason = str(error).replace(str(path), "").strip(": \n")
        raise DataError(path, f"it is no valid CIF ({reason})", "correct or replace it") from error
    for block in document:
        if block.find_loop("_atom_site_fract_x"):
            return block
    raise DataError(path, "it has no atom coordinates", "give a CIF with coordinates")


def element_of(site: gemmi.SmallStructure.Site) -> str | None:
    """The element of an atom; deuterium is hydrogen, and None is returned where it is unknown.

    Mineral CIFs often label oxygen by what it belongs to, and water as one: OH2, Ob1, OW2, Wat.
    """
    name = site.element.name
    if site.element.atomic_number == 0:
        label = (site.type_symbol or site.label).strip()
        if re.match(r"(?i)wat|o", label):
            return "O"
        return "H" if re.match(r"(?i)[hd]", label) else None
    return "H" if name == "D" else name


def stated_composition(block: gemmi.cif.Block) -> dict[str, float] | None:
    """Amounts by the formula, deuterium as hydrogen; None without a formula."""
    text = text_of(block, "_chemical_formula_sum")
    try:
        parsed = formula_amounts(text)
    except ValueError:
        return None
    parsed["H"] = parsed.get("H", 0.0) + parsed.pop("D", 0.0)
    return {k: v for k, v in parsed.items() if v > 0}


def text_of(block: gemmi.cif.Block, *tags: str) -> str:
    """The first of some tags that has a value, or ""."""
    for tag in tags:
        value = block.find_value(tag)
        if value and value not in ("?", "."):
            return " ".join(gemmi.cif.as_string(value).split())
    return ""


def number_of(block: gemmi.cif.Block, *tags: str) -> float:
    """The number of the first of some tags that is there, or nan."""
    for tag in tags:
        value = block.find_value(tag)
        if value:
            return float(gemmi.cif.as_number(value))
    return math.nan


def citation_of(block: gemmi.cif.Block) -> str:
    """Authors, journal and year as far as the file has them."""
    direct = text_of(block, "_publ_source")
    if direct:
        return direct
    names = [gemmi.cif.as_string(name) for name in block.find_loop("_publ_author_name")]
    journal = text_of(block, "_journal_name_full", "_journal_name_abbrev")
    volume = text_of(block, "_journal_volume")
    page = text_of(block, "_journal_page_first")
    year = text_of(block, "_journal_year")
    database = text_of(block, "_cod_database_code")
    parts = [", ".join(names), journal, volume, page, f"({year})" if year else ""]
    text = " ".join(part for part in parts if part)
    return f"{text}; COD {database}" if database else text


def year_of(block: gemmi.cif.Block) -> int:
    """Of publication, 0 when unknown."""
    stated = text_of(block, "_journal_year")
    found = re.search(r"\b(1[89]\d\d|20\d\d)\b", stated or text_of(block, "_publ_source"))
    return int(found.group(1)) if found else 0
