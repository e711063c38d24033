"""PANalytical's .xrdml: reading what the diffractometer wrote, and writing the same."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.pattern import FloatArray, Pattern, Radiation

NAMESPACE = "http://www.xrdml.com/XRDMeasurement/2.3"
MAX_BYTES = 64 * 1024 * 1024
MAX_POINTS = 2_000_000
EXPORT_AGAIN = "export the scan again from the diffractometer's software"


def read_xrdml(path: str | Path) -> Pattern:
    """Reads one scan, or the sum of the repeated scans of one measurement.

    Args:
        path: an .xrdml file of any schema version.

    Returns:
        The pattern; counts are what the detector counted, with the beam attenuator's factor
        applied where the file has one.

    Raises:
        DataError: the file is missing, not XML, truncated, or its numbers make no sense.
    """
    root = _parse(Path(path))
    if _local(root.tag) != "xrdMeasurements":
        raise DataError(
            path,
            f"the outermost element is <{_local(root.tag)}>, not <xrdMeasurements>",
            "give a file that a PANalytical instrument wrote",
        )
    scans = [e for e in root.iter() if _local(e.tag) == "dataPoints"]
    if not scans:
        raise DataError(path, "it holds no scan (no <dataPoints>)", EXPORT_AGAIN)
    angles, counts, time_s = _scan(path, scans[0])
    for repeat in scans[1:]:
        more_angles, more_counts, more_time = _scan(path, repeat)
        if more_angles.shape != angles.shape or not np.allclose(more_angles, angles, atol=1e-4):
            raise DataError(
                path,
                f"its {len(scans)} scans cover different angles",
                "split it into one file per scan",
            )
        counts = counts + more_counts
        time_s += more_time
    return Pattern(
        two_theta_deg=angles,
        counts=counts,
        radiation=_radiation(path, root),
        counting_time_s=time_s,
        sample_id=_text(root, "sample", "id") or "",
        source=str(path),
    )


@dataclass(frozen=True)
class ScanInfo:
    """What an .xrdml says beside its data points.

    Attributes:
        instrument_id: serial number of the instrument.
        author: who or what started the scan.
        start: when the scan began.
        duration_s: how long it took.
        tension_kv: tube voltage.
        current_ma: tube current.
    """

    instrument_id: str
    author: str
    start: datetime
    duration_s: float
    tension_kv: float = 40.0
    current_ma: float = 15.0


def write_xrdml(path: str | Path, pattern: Pattern, info: ScanInfo) -> None:
    """Writes a pattern the way an Aeris does (schema 2.3, gonio scan, fixed step).

    Args:
        path: file to write; an existing one is replaced.
        pattern: a pattern with a constant step; counts are rounded to integers.
        info: what else the file says.
    """
    ET.register_namespace("", NAMESPACE)
    root = ET.Element(_q("xrdMeasurements"), {"status": "Completed"})
    sample = _add(root, "sample", attributes={"type": "To be analyzed"})
    _add(sample, "id", pattern.sample_id)
    measurement = _add(
        root,
        "xrdMeasurement",
        attributes={
            "measurementType": "Scan",
            "status": "Completed",
            "sampleMode": "Reflection",
        },
    )
    radiation = pattern.radiation
    wavelength = _add(measurement, "usedWavelength", attributes={"intended": "K-Alpha 1"})
    angstrom = {"unit": "Angstrom"}
    _add(wavelength, "kAlpha1", f"{radiation.kalpha1_angstrom:.7f}", angstrom)
    _add(wavelength, "kAlpha2", f"{radiation.kalpha2_angstrom:.7f}", angstrom)
    _add(wavelength, "ratioKAlpha2KAlpha1", f"{radiation.kalpha2_ratio:.4f}")
    tube = _add(_add(measurement, "incidentBeamPath"), "xRayTube")
    _add(tube, "tension", f"{info.tension_kv:.1f}", {"unit": "kV"})
    _add(tube, "current", f"{info.current_ma:.1f}", {"unit": "mA"})
    _add(tube, "anodeMaterial", radiation.anode)
    scan = _add(
        measurement,
        "scan",
        attributes={
            "appendNumber": "0",
            "mode": "Continuous",
            "scanAxis": "Gonio",
            "status": "Completed",
        },
    )
    header = _add(scan, "header")
    _add(header, "startTimeStamp", info.start.isoformat(timespec="seconds"))
    end = info.start + timedelta(seconds=info.duration_s)
    _add(header, "endTimeStamp", end.isoformat(timespec="seconds"))
    _add(_add(header, "author"), "name", info.author)
    _add(_add(header, "source"), "instrumentID", info.instrument_id)
    points = _add(scan, "dataPoints")
    first, last = float(pattern.two_theta_deg[0]), float(pattern.two_theta_deg[-1])
    for axis, factor in (("2Theta", 1.0), ("Omega", 0.5)):
        positions = _add(points, "positions", attributes={"axis": axis, "unit": "deg"})
        _add(positions, "startPosition", f"{first * factor:.8f}")
        _add(positions, "endPosition", f"{last * factor:.8f}")
    if math.isfinite(pattern.counting_time_s):
        _add(points, "commonCountingTime", f"{pattern.counting_time_s:.3f}", {"unit": "seconds"})
    counts = " ".join(str(int(c)) for c in np.rint(pattern.counts))
    _add(points, "counts", counts, {"unit": "counts"})
    tree = ET.ElementTree(root)
    ET.indent(tree, "\t")
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _parse(path: Path) -> ET.Element:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(
                path,
                f"it is {size / 1e6:.0f} MB, more than any single scan",
                "give the file of one scan",
            )
        data = path.read_bytes()
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})", "check the path") from error
    # A document type can define entities that expand without end; instruments never write one.
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise DataError(path, "it defines XML entities, which no instrument does", EXPORT_AGAIN)
    try:
        return ET.fromstring(data)
    except ET.ParseError as error:
        raise DataError(
            path,
            f"it is not complete XML ({error.msg if hasattr(error, 'msg') else error})",
            EXPORT_AGAIN + " or copy the file again",
        ) from error
    except (ValueError, LookupError) as error:
        raise DataError(path, f"its text cannot be decoded ({error})", EXPORT_AGAIN) from error


def _scan(path: str | Path, points: ET.Element) -> tuple[FloatArray, FloatArray, float]:
    counts = _numbers(path, points, "counts")
    if counts is None:
        counts = _numbers(path, points, "intensities")
    if counts is None:
        raise DataError(path, "it holds no <counts> and no <intensities>", EXPORT_AGAIN)
    n = counts.size
    if n < 10 or n > MAX_POINTS:
        raise DataError(path, f"it has {n} data points", EXPORT_AGAIN)
    factors = _numbers(path, points, "beamAttenuationFactors")
    if factors is not None and factors.size == n:
        counts = counts * factors
    if not np.all(np.isfinite(counts)) or np.any(counts < 0):
        raise DataError(path, "some of its counts are negative or not numbers", EXPORT_AGAIN)
    angles = _angles(path, points, n)
    times = _numbers(path, points, "commonCountingTime")
    time_s = float(times[0]) if times is not None and times.size else math.nan
    return angles, counts, time_s


def _angles(path: str | Path, points: ET.Element, n: int) -> FloatArray:
    for positions in points:
        if _local(positions.tag) != "positions" or positions.get("axis") != "2Theta":
            continue
        listed = _numbers(path, positions, "listPositions")
        if listed is not None:
            if listed.size != n:
                raise DataError(path, f"{listed.size} angles for {n} counts", EXPORT_AGAIN)
            angles = listed
        else:
            start = _numbers(path, positions, "startPosition")
            end = _numbers(path, positions, "endPosition")
            if start is None or end is None or start.size != 1 or end.size != 1:
                raise DataError(path, "the first or last angle is missing", EXPORT_AGAIN)
            angles = np.linspace(start[0], end[0], n)
        increasing = bool(np.all(np.diff(angles) > 0))
        if not increasing or angles[0] < -10 or angles[-1] > 180:
            raise DataError(
                path,
                f"its angles run from {angles[0]:g} to {angles[-1]:g} degrees",
                "give a scan over increasing 2theta",
            )
        return angles
    raise DataError(path, "it has no 2Theta positions", "give a 2theta scan")


def _radiation(path: str | Path, root: ET.Element) -> Radiation:
    default = Radiation()
    used = next((e for e in root.iter() if _local(e.tag) == "usedWavelength"), None)
    if used is None:
        return default
    values: list[float] = []
    names = ("kAlpha1", "kAlpha2", "ratioKAlpha2KAlpha1")
    fallback = (default.kalpha1_angstrom, default.kalpha2_angstrom, default.kalpha2_ratio)
    for name, otherwise in zip(names, fallback, strict=True):
        found = _numbers(path, used, name)
        values.append(float(found[0]) if found is not None and found.size else otherwise)
    if not (0.1 < values[0] < 5 and 0.1 < values[1] < 5 and 0 <= values[2] <= 1):
        raise DataError(path, f"its wavelengths are {values[0]:g} and {values[1]:g}", EXPORT_AGAIN)
    intended = used.get("intended", "K-Alpha")
    ratio = 0.0 if intended == "K-Alpha 1" and values[2] == 0 else values[2]
    return Radiation(_text(root, "anodeMaterial") or default.anode, values[0], values[1], ratio)


def _numbers(path: str | Path, parent: ET.Element, name: str) -> FloatArray | None:
    element = next((e for e in parent if _local(e.tag) == name), None)
    if element is None or not (element.text or "").strip():
        return None
    try:
        return np.array((element.text or "").split(), dtype=np.float64)
    except ValueError as error:
        raise DataError(path, f"<{name}> holds something other than numbers", EXPORT_AGAIN) from (
            error
        )


def _text(root: ET.Element, *names: str) -> str | None:
    element: ET.Element | None = root
    for name in names:
        if element is None:
            return None
        element = next((e for e in element.iter() if _local(e.tag) == name), None)
    return None if element is None else (element.text or "").strip()


def _local(tag: str) -> str:
    return tag.rsplit("}", 1)[-1]


def _q(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _add(
    parent: ET.Element, name: str, text: str = "", attributes: dict[str, str] | None = None
) -> ET.Element:
    element = ET.SubElement(parent, _q(name), attributes or {})
    element.text = text or None
    return element
