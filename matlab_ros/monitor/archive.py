"""A campaign for an archive: tables as CSV and Parquet, raw files, report, all in an RO-Crate.

An RO-Crate (https://w3id.org/ro/crate) is a folder with a description in JSON-LD; Zenodo and
the like read it. Every raw file is checked against the hash that the journal has of it.
"""

from __future__ import annotations

import csv
import hashlib
import importlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlparse

from matlab_ros.lab.goals import RawFile
from matlab_ros.model.errors import ConfigError, LabError
from matlab_ros.monitor.record import CampaignRecord
from matlab_ros.monitor.tables import Cell, Table, tables

_MEDIA = {
    ".csv": "text/csv",
    ".parquet": "application/vnd.apache.parquet",
    ".html": "text/html",
    ".yaml": "application/yaml",
}


@dataclass(frozen=True)
class Archived:
    """What came of it.

    Attributes:
        folder: the crate.
        raw_files: how many were taken in.
        missing: raw files that are gone or changed, a sentence each.
    """

    folder: Path
    raw_files: int
    missing: tuple[str, ...]


def write_archive(
    data: CampaignRecord,
    raw: Iterable[RawFile],
    folder: Path,
    report: Path | None = None,
    definition: Path | None = None,
) -> Archived:
    """Write the archive of a campaign.

    Args:
        data: of the campaign.
        raw: the files that its journal speaks of.
        folder: a new one.
        report: the campaign's page, taken in where it is there.
        definition: folder with campaign, lab and recipe, taken in likewise.

    Raises:
        ConfigError: the folder is there already, or the libraries are not installed.
        LabError: it cannot be written.
    """
    if folder.exists():
        raise ConfigError(folder, "", "is there already", "a new folder")
    crates = _library("rocrate.rocrate")
    try:
        folder.mkdir(parents=True)
        crate = crates.ROCrate()
        _describe(crate, data)
        for table in tables(data):
            _add_table(crate, folder, table)
        taken, missing = _add_raw(crate, folder, raw)
        if report is not None and report.is_file():
            _add(crate, folder, report, report.name, "The campaign's report, one page")
        if definition is not None and definition.is_dir():
            for file in sorted(item for item in definition.rglob("*") if item.is_file()):
                place = f"definition/{file.relative_to(definition).as_posix()}"
                _add(crate, folder, file, place, "What the campaign was made from")
        crate.metadata.write(folder)
    except OSError as error:
        raise LabError(f"The archive {folder} cannot be written ({error}).") from error
    return Archived(folder, taken, tuple(missing))


def _describe(crate: Any, data: CampaignRecord) -> None:
    kind = "emulated instruments, simulated chemistry" if data.simulated else "real instruments"
    crate.name = f"Campaign {data.name}: {data.target_formula}"
    crate.description = (
        f"{len(data.experiments)} syntheses of {data.target_phase} by a self-driving laboratory "
        f"({kind}). Recipe {data.recipe} (SHA-256 {data.recipe_sha256}), seed {data.seed}."
    )
    crate.root_dataset["keywords"] = ["self-driving laboratory", "solid-state synthesis", kind]
    for name, version in sorted(data.versions.items()):
        crate.add_jsonld(
            {
                "@id": f"#software-{name}",
                "@type": "SoftwareApplication",
                "name": name,
                "softwareVersion": version,
            }
        )
        crate.root_dataset.append_to("instrument", {"@id": f"#software-{name}"})


def _add_table(crate: Any, folder: Path, table: Table) -> None:
    columns = "; ".join(f"{name}: {about}" for name, about in table.columns.items())
    about = f"Each row is {table.about}. Columns: {columns}."
    with (folder / f"{table.name}.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(table.columns)
        writer.writerows(["" if cell is None else cell for cell in row] for row in table.rows)
    arrow = _library("pyarrow")
    parquet = _library("pyarrow.parquet")
    cells = zip(*table.rows, strict=True) if table.rows else ((),) * len(table.columns)
    made = arrow.table(
        {
            name: arrow.array(*_typed(arrow, column))
            for name, column in zip(table.columns, cells, strict=True)
        }
    )
    parquet.write_table(made, folder / f"{table.name}.parquet")
    for ending in (".csv", ".parquet"):
        file = folder / f"{table.name}{ending}"
        _add(crate, folder, file, file.name, about)


def _typed(arrow: ModuleType, column: tuple[Cell, ...]) -> tuple[list[Cell], Any]:
    """A column's values and its type; text where they are of several."""
    values = [item for item in column if item is not None]
    if values and all(isinstance(item, bool) for item in values):
        return list(column), arrow.bool_()
    if values and all(isinstance(item, (int, float)) and item is not True for item in values):
        return [None if item is None else float(item) for item in column], arrow.float64()
    return [None if item is None else str(item) for item in column], arrow.string()


def _add_raw(crate: Any, folder: Path, raw: Iterable[RawFile]) -> tuple[int, list[str]]:
    taken, missing = 0, []
    for item in {item.sha256: item for item in raw}.values():
        url = urlparse(item.uri)
        source = Path(unquote(url.path))
        if url.scheme != "file" or not source.is_file():
            missing.append(f"{item.uri} is not on this machine.")
            continue
        if hashlib.sha256(source.read_bytes()).hexdigest() != item.sha256:
            missing.append(f"{source} is not what it was when it was measured.")
            continue
        place = f"raw/{item.sha256}{''.join(source.suffixes)}"
        _add(crate, folder, source, place, "As an instrument or the analysis wrote it", item.sha256)
        taken += 1
    return taken, missing


def _add(
    crate: Any, folder: Path, source: Path, place: str, about: str, sha256: str | None = None
) -> None:
    target = folder / place
    if target != source:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    properties = {
        "name": target.name,
        "description": about,
        "contentSize": str(target.stat().st_size),
        "sha256": sha256 or hashlib.sha256(target.read_bytes()).hexdigest(),
    }
    media = _MEDIA.get(target.suffix)
    if media is not None:
        properties["encodingFormat"] = media
    crate.add_file(str(target), dest_path=place, properties=properties)


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            "this installation",
            error.name or name,
            "is missing",
            "pip install 'matlab_ros[archive]'",
        ) from error
