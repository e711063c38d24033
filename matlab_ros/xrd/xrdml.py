"""PANalytical's .xrdml: reading what the diffractometer wrote, and writing the same."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.anodes import radiation_stated
from matlab_ros.xrd.noise import estimated_sigma
from matlab_ros.xrd.pattern import FloatArray, Pattern, Radiation
from matlab_ros.xrd.scans import MAX_BYTES, MAX_POINTS, combined

NAMESPACE = "http://www.xrdml.com/XRDMeasurement/2.3"
TWO_THETA_AXES = frozenset({"gonio", "2theta", "2thetaomega", "omega2theta"})
EXPORT_AGAIN = "export the scan again from the diffractometer's software"


def read_xrdml(path: str | Path, scan: int | None = None) -> Pattern:
    """Reads one scan, or the sum of the repeated scans of one measurement.

    Args:
        path: an .xrdml file of any schema version.
        scan: which of several scans, from 1; None where there is one, or where all cover the same
            angles and are summed.

    Returns:
        The pattern; counts are what the detector counted, with the beam attenuator's factor
        applied, and a rate multiplied by its counting time, where the file has them.

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
    elements = [e for e in root.iter() if any(_local(child.tag) == "dataPoints" for child in e)]
    if not elements:
        raise DataError(path, "it holds no scan (no <dataPoints>)", EXPORT_AGAIN)
    pattern = combined(path, [_scan(path, element) for element in elements], scan)
    return replace(
        pattern,
        radiation=_radiation(path, root),
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


def _scan(path: str | Path, scan: ET.Element) -> Pattern:
    """One scan as a pattern without radiation and names."""
    axis = scan.get("scanAxis", "Gonio")
    if axis.lower().replace("-", "").replace("/", "") not in TWO_THETA_AXES:
        raise DataError(path, f"it scans the axis {axis}, not 2theta", "give a 2theta scan")
    points = next(child for child in scan if _local(child.tag) == "dataPoints")
    counts = _numbers(path, points, "counts")
    attenuated = counts is not None
    if counts is None:
        counts = _numbers(path, points, "intensities")
    if counts is None:
        raise DataError(path, "it holds no <counts> and no <intensities>", EXPORT_AGAIN)
    n = counts.size
    if n < 10 or n > MAX_POINTS:
        raise DataError(path, f"it has {n} data points", EXPORT_AGAIN)
    if not np.all(np.isfinite(counts)) or np.any(counts < 0):
        raise DataError(path, "some of its counts are negative or not numbers", EXPORT_AGAIN)
    angles = _angles(path, points, n)
    times = _per_point(path, points, n, "commonCountingTime", "countingTimes")
    factors = _per_point(path, points, n, "beamAttenuationFactors")
    remarks: list[str] = []
    sigma: FloatArray | None = None
    if _unit(points) == "cps":
        if times is None:
            sigma = estimated_sigma(counts)
            remarks.append("The file gives rates and no counting time; noise was estimated.")
        else:
            counts = counts * times
    if factors is not None and np.any(factors != 1.0):
        # What was counted is the number before the factor; <intensities> hold it applied already.
        counted = counts if attenuated else counts / factors
        sigma = np.sqrt(np.maximum(counted, 1.0)) * factors
        counts = counted * factors
    if times is not None and np.ptp(times) > 1e-6 * times.max():
        # Longer counting at some angles is no higher intensity: to the mean time, noise with it.
        scale = times.mean() / times
        sigma = (np.sqrt(np.maximum(counts, 1.0)) if sigma is None else sigma) * scale
        counts = counts * scale
        remarks.append("Counting times differ between angles; counts are brought to their mean.")
    time_s = float(times.mean()) if times is not None else math.nan
    return Pattern(angles, counts, counting_time_s=time_s, sigma=sigma, remarks=tuple(remarks))


def _per_point(path: str | Path, points: ET.Element, n: int, *names: str) -> FloatArray | None:
    """The first of some quantities that is there, for every point, shape (n,); all above 0."""
    for name in names:
        values = _numbers(path, points, name)
        if values is None:
            continue
        if values.size not in (1, n) or not np.all(np.isfinite(values)) or np.any(values <= 0):
            raise DataError(
                path, f"<{name}> are not one number above zero for each of {n} points", EXPORT_AGAIN
            )
        return np.array(np.broadcast_to(values, n))
    return None


def _unit(points: ET.Element) -> str:
    element = next((e for e in points if _local(e.tag) in ("counts", "intensities")), None)
    return "" if element is None else element.get("unit", "counts").lower()


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
    anode = _text(root, "anodeMaterial") or None
    used = next((e for e in root.iter() if _local(e.tag) == "usedWavelength"), None)
    stated: list[float | None] = []
    for name in ("kAlpha1", "kAlpha2", "ratioKAlpha2KAlpha1"):
        found = None if used is None else _numbers(path, used, name)
        stated.append(float(found[0]) if found is not None and found.size else None)
    if anode is None and stated[0] is None:
        return Radiation()
    radiation = radiation_stated(anode, *stated)
    if radiation is None:
        raise DataError(
            path,
            f"its wavelengths are {stated[0]} and {stated[1]} with the anode {anode}",
            EXPORT_AGAIN,
        )
    return radiation


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
