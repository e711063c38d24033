"""Patterns in the formats of instruments' makers, read by rietx.

It is loaded only when such a file comes up: it takes a second and 60 MB.
"""

from __future__ import annotations

import math
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.anodes import ANODES, radiation_stated
from matlab_ros.xrd.noise import estimated_sigma, is_integral
from matlab_ros.xrd.pattern import FloatArray, Pattern, Radiation
from matlab_ros.xrd.scans import MAX_BYTES, MAX_POINTS, combined

SUFFIXES = (".brml", ".rasx", ".ras", ".raw", ".uxd", ".udf", ".rd")
"""Bruker, Rigaku, Rigaku's text, Bruker's and GSAS's raw, Siemens's text, Philips."""

_ZIP_MAGIC = b"PK\x03\x04"
# Of one member and of all; a scan of a million points is 40 MB of text.
_MAX_MEMBER_BYTES = 96 * 1024 * 1024
_MAX_MEMBERS = 5000
_MAX_SCANS = 64
_EXPORT_AGAIN = "export the scan again, best as .xy in counts"


def read_vendor(path: str | Path, scan: int | None = None) -> Pattern:
    """Reads a scan, or the sum of the repeated scans of one measurement.

    Which format it is, is told from the content. Where the intensities are no counts and their
    scale is not stated, the noise is estimated from the scatter of the points.

    Args:
        path: the file.
        scan: which of several scans, from 1; None where there is one, or where all cover the same
            angles and are summed.

    Raises:
        DataError: it cannot be read, is none of the formats, is truncated, or makes no sense.
    """
    path = Path(path)
    _check_container(path)
    try:
        from rietx.io import readers
    except ImportError as error:
        raise DataError(
            path,
            f"reading {path.suffix} needs the package rietx, which needs Python 3.11 ({error})",
            "export the scan as .xy, or install it",
        ) from error
    try:
        held = _how_many(readers, path)
        if scan is not None and not 1 <= scan <= held:
            raise DataError(path, f"it has no scan {scan}", f"ask for one of 1 to {held}")
        if scan is None and held > _MAX_SCANS:
            raise DataError(path, f"it holds {held} scans", "say which one is meant (--scan)")
        wanted = range(held) if scan is None else [scan - 1]
        with np.errstate(all="ignore"):
            scans = [_pattern(path, readers, i if held > 1 else None) for i in wanted]
    except DataError:
        raise
    except OSError as error:
        raise DataError(
            path, f"cannot be read ({error.strerror or error})", "check the path"
        ) from error
    # What a damaged file does to somebody else's parser is not written down anywhere.
    except Exception as error:
        raise DataError(path, _reason(path, error), _EXPORT_AGAIN) from error
    return combined(path, scans)


def _check_container(path: Path) -> None:
    """Refuses what would not fit into memory; a zip's members never unpack to more than it says."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(path, "it is larger than any single scan", "give one scan")
        if path.stat().st_size == 0:
            raise DataError(path, "it is empty", "copy the file again")
        with path.open("rb") as file:
            if file.read(4) != _ZIP_MAGIC:
                return
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})", "check the path") from error
    except (
        zipfile.BadZipFile,
        ValueError,
        LookupError,
        NotImplementedError,
        struct.error,
    ) as error:
        raise DataError(
            path, f"it is no complete archive ({error})", "copy the file again"
        ) from error
    if len(members) > _MAX_MEMBERS or any(m.file_size > _MAX_MEMBER_BYTES for m in members):
        raise DataError(
            path,
            f"it unpacks to {sum(m.file_size for m in members) / 1e6:.0f} MB in "
            f"{len(members)} files, more than any scan",
            "give the file of one measurement",
        )


def _how_many(readers: Any, path: Path) -> int:
    """How many scans a file holds."""
    if readers.identify_format(path).scans is None:
        return 1
    return len(readers.list_scans(path))


def _pattern(path: Path, readers: Any, scan: int | None) -> Pattern:
    found: list[Any] = []
    data = readers.read_pattern(path, scan=scan, diagnostics=found)
    angles, values = _checked(path, data)
    sigma: FloatArray | None = None
    if data.sigma is not None:
        sigma = np.asarray(data.sigma, dtype=np.float64)
        if not np.all(np.isfinite(sigma)) or np.any(sigma <= 0):
            raise DataError(path, "some uncertainties are not above zero", _EXPORT_AGAIN)
    elif not is_integral(values):
        sigma = estimated_sigma(values)
    meta: dict[str, str] = data.metadata
    radiation, assumed = _radiation(path, meta)
    remarks = [each.message for each in found if each.level != "info"]
    return Pattern(
        angles,
        values,
        radiation,
        counting_time_s=_number(meta, "count_time_s") or math.nan,
        sample_id=meta.get("sample", "") or path.stem,
        source=str(path),
        sigma=sigma,
        remarks=(*remarks, *assumed),
    )


def _checked(path: Path, data: Any) -> tuple[FloatArray, FloatArray]:
    if data.two_theta is None:
        raise DataError(path, "it is a scan over time of flight", "give a 2theta scan with X-rays")
    angles = np.asarray(data.two_theta, dtype=np.float64)
    values = np.asarray(data.intensity, dtype=np.float64)
    if not 10 <= angles.size <= MAX_POINTS:
        raise DataError(path, f"it has {angles.size} data points", _EXPORT_AGAIN)
    if not np.all(np.isfinite(angles)) or not -10 <= angles[0] < angles[-1] <= 180:
        raise DataError(path, "its angles are no 2theta in degrees", "give a 2theta scan")
    if not np.all(np.isfinite(values)) or np.any(values < 0):
        raise DataError(path, "some of its counts are negative or not numbers", _EXPORT_AGAIN)
    return angles, values


def _radiation(path: Path, meta: dict[str, str]) -> tuple[Radiation, tuple[str, ...]]:
    """What the file says, or copper's lines and a remark that they were assumed."""
    anode = meta.get("anode")
    first, second = _number(meta, "wavelength"), _number(meta, "wavelength_alpha2")
    if not anode and not first:
        return Radiation(), ("The file does not name its radiation; copper is assumed.",)
    # Some write 0 where nothing was set; a monochromator is told only beside a first wavelength.
    radiation = radiation_stated(anode or None, first or None, second if first else None)
    if radiation is None:
        raise DataError(
            path,
            f"its radiation (anode {anode}, {first or '?'} angstrom) is not known",
            f"use one of the anodes {', '.join(ANODES)}, or give the scan as .xrdml with both "
            "wavelengths",
        )
    return radiation, ()


def _number(meta: dict[str, str], key: str) -> float | None:
    try:
        value = float(meta[key])
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _reason(path: Path, error: Exception) -> str:
    """The parser's own sentence as part of ours."""
    text = " ".join(str(error).split())
    for name in (str(path), path.name):
        text = text.replace(f"{name}: ", "").replace(name, "it")
    first = text.split(". ")[0].rstrip(".;")
    return first or f"it cannot be made sense of ({type(error).__name__})"
