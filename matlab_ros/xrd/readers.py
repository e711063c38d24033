"""Reading a measured pattern from the formats that instruments and people write."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.noise import estimated_sigma, is_integral
from matlab_ros.xrd.pattern import FloatArray, Pattern
from matlab_ros.xrd.scans import MAX_BYTES, MAX_POINTS, combined
from matlab_ros.xrd.vendor import SUFFIXES, read_vendor
from matlab_ros.xrd.xrdml import read_xrdml

MIN_POINTS = 10
COLUMN_SUFFIXES = (".xy", ".xye", ".dat", ".csv", ".txt")
PATTERN_SUFFIXES = (".xrdml", *SUFFIXES, *COLUMN_SUFFIXES)
"""Endings of the files that can be read."""


def read_pattern(path: str | Path, scan: int | None = None) -> Pattern:
    """Reads a pattern; the file's ending says how.

    Args:
        path: .xrdml; .brml, .rasx, .ras, .raw and others of `matlab_ros.xrd.vendor`; or two
            columns .xy / .dat / .csv / .txt (angle, counts), or three columns .xye (angle,
            counts, standard uncertainty).
        scan: which scan of a file with several, from 1; without it repeats are summed, and scans
            over different angles are refused.

    Raises:
        DataError: the file is missing, of an unknown kind, truncated, or makes no sense.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".xrdml":
        return read_xrdml(path, scan)
    if suffix in SUFFIXES:
        return read_vendor(path, scan)
    if suffix in COLUMN_SUFFIXES:
        return combined(path, [read_columns(path)], scan)
    raise DataError(
        path, f"files ending in {path.suffix!r} are not known", f"use {', '.join(PATTERN_SUFFIXES)}"
    )


def read_columns(path: str | Path) -> Pattern:
    """Reads angle, counts and, if there is one, uncertainty from a text file in columns.

    Columns are separated by blanks, tabs, commas or semicolons. Lines at the top that are not
    numbers are a header; such a line further down is an error. Copper radiation is assumed. Where
    the values are no whole numbers and scatter otherwise than counts do, they are rates or scaled,
    and their uncertainty is estimated from the scatter.

    Raises:
        DataError: as for `read_pattern`.
    """
    path = Path(path)
    rows = _rows(path)
    widths = {len(row) for row in rows}
    if len(rows) < MIN_POINTS:
        raise DataError(path, f"it has {len(rows)} lines of numbers", "give a whole scan")
    if len(widths) != 1 or not widths <= {2, 3}:
        raise DataError(
            path,
            "its lines do not all have two (angle, counts) or three (and uncertainty) numbers",
            "export it again as .xy or .xye",
        )
    table: FloatArray = np.array(rows, dtype=np.float64)
    angles, counts = table[:, 0].copy(), table[:, 1].copy()
    if not np.all(np.isfinite(table)) or not np.all(np.diff(angles) > 0):
        raise DataError(path, "its angles do not increase", "export it again as .xy or .xye")
    if angles[0] < -10 or angles[-1] > 180:
        raise DataError(
            path,
            f"its angles run from {angles[0]:g} to {angles[-1]:g}",
            "the first column must be 2theta in degrees",
        )
    if np.any(counts < 0):
        raise DataError(path, "some of its counts are negative", "give the scan as measured")
    sigma = None
    if table.shape[1] == 3:
        sigma = table[:, 2].copy()
        if np.any(sigma <= 0):
            raise DataError(path, "some uncertainties are not above zero", "leave the column out")
    remarks: tuple[str, ...] = ()
    if sigma is None and not is_integral(counts):
        sigma = estimated_sigma(counts)
        if sigma is not None:
            remarks = ("The values are no counts; their noise was estimated from their scatter.",)
    return Pattern(
        angles, counts, sample_id=path.stem, source=str(path), sigma=sigma, remarks=remarks
    )


def _rows(path: Path) -> list[list[float]]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(path, "it is larger than any single scan", "give one scan")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})", "check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(path, "it is not text", "export it again as .xy") from error
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line[0] in "#!;'":
            continue
        try:
            row = [float(word) for word in line.replace(",", " ").replace(";", " ").split()]
        except ValueError:
            if not rows:
                continue
            raise DataError(
                path, f"line {number} is not numbers", "export it again as .xy or .xye"
            ) from None
        rows.append(row)
        if len(rows) > MAX_POINTS:
            raise DataError(path, f"it has more than {MAX_POINTS} points", "give one scan")
    return rows
