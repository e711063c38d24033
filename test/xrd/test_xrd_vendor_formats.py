"""What Bruker's, Rigaku's and PANalytical's instruments write is read, or refused in a sentence."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.noise import variance_ratio
from matlab_ros.xrd.pattern import Pattern, Radiation
from matlab_ros.xrd.readers import PATTERN_SUFFIXES, read_pattern

DATA = Path(__file__).parent / "data"
MEASURED = DATA / "TiO2_0p4009-ZnO_0p6010--2min.xrdml"
DATASETS = Path(
    os.environ.get("MATLAB_ROS_DATA", Path(__file__).parents[3] / "shared" / "datasets")
)
vendor = pytest.mark.skipif(
    importlib.util.find_spec("rietx") is None, reason="rietx needs Python 3.11"
)

ANGLES = np.round(20.0 + 0.02 * np.arange(300), 4)
COUNTS = np.random.default_rng(5).poisson(400 + 3000 * np.exp(-(((ANGLES - 23) / 0.1) ** 2)))


def brml(
    scans: Sequence[tuple[np.ndarray, np.ndarray]] = ((ANGLES, COUNTS),),
    *,
    tube: str = "<TubeMaterial>Cu</TubeMaterial>",
    axis: str = "TwoTheta",
    absorption: np.ndarray | None = None,
    channels: int = 1,
) -> bytes:
    """A measurement as DIFFRAC.MEASUREMENT packs it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        names = [f"Experiment0/RawData{i}.xml" for i in range(len(scans))]
        listed = "".join(f"<string>{name}</string>" for name in names)
        archive.writestr(
            "Experiment0/DataContainer.xml",
            f"<DataContainer><RawDataReferenceList>{listed}</RawDataReferenceList></DataContainer>",
        )
        for name, (angles, counts) in zip(names, scans, strict=True):
            factors = np.ones(angles.size) if absorption is None else absorption
            rows = "".join(
                f"<Datum>1,{a:g},{x:.4f},{x / 2:.4f},{y:.6g}</Datum>"
                for x, y, a in zip(angles, counts, factors, strict=True)
            )
            archive.writestr(
                name,
                '<RawData xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
                f"<FixedInformation>{tube}<SampleName>made up</SampleName></FixedInformation>"
                '<DataRoutes><DataRoute RouteFlag="Measured">'
                '<ScanInformation ScanName="Scan"><ScanAxes>'
                f'<ScanAxisInfo AxisId="{axis}"/></ScanAxes></ScanInformation>{rows}<DataViews>'
                '<RawDataView xsi:type="FixedRawDataView" Start="0" Length="1" '
                'LogicName="MeasuredTime"/>'
                '<RawDataView xsi:type="FixedRawDataView" Start="1" Length="1" '
                'LogicName="AbsorptionFactor"/>'
                '<RawDataView xsi:type="VaryingRawDataView" Start="2" Length="2"><Varying>'
                f'<FieldDefinitions FieldName="{axis}" AxisId="{axis}"/>'
                '<FieldDefinitions FieldName="Theta" AxisId="Theta"/></Varying></RawDataView>'
                '<RawDataView xsi:type="RecordedRawDataView" Start="4" '
                f'Length="{channels}"><Recording><Unit Base="Counts"/></Recording></RawDataView>'
                "</DataViews></DataRoute></DataRoutes></RawData>",
            )
    return out.getvalue()


def rasx(values: np.ndarray = COUNTS, *, unit: str = "counts", target: str = "Cu") -> bytes:
    """A measurement as SmartLab Studio II packs it; 1.2 degrees a minute, so 1 s a point."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "Data0/Profile0.txt",
            "\n".join(f"{x:.4f}\t{y:.6f}\t1.0" for x, y in zip(ANGLES, values, strict=True)),
        )
        archive.writestr(
            "Data0/MesurementConditions0.xml",
            "<M><ScanInformation><AxisName>TwoThetaTheta</AxisName><Step>0.02</Step>"
            f"<Speed>4.8</Speed><SpeedUnit>deg/min</SpeedUnit><IntensityUnit>{unit}</IntensityUnit>"
            f"</ScanInformation><XrayGenerator><TargetName>{target}</TargetName>"
            "</XrayGenerator></M>",
        )
        archive.writestr(
            "root.xml",
            '<Root><Data0><ContentHashList Name="Profile0.txt"/>'
            '<ContentHashList Name="MesurementConditions0.xml"/></Data0></Root>',
        )
    return out.getvalue()


def ras() -> bytes:
    """Rigaku's text, two columns and the attenuator."""
    rows = "\n".join(f"{x:.4f} {y:.4f} 1.0000" for x, y in zip(ANGLES, COUNTS, strict=True))
    return (
        '*RAS_DATA_START\n*RAS_HEADER_START\n*MEAS_SCAN_AXIS_X "TwoThetaTheta"\n'
        '*HW_XG_TARGET_NAME "Co"\n*RAS_HEADER_END\n*RAS_INT_START\n'
        f"{rows}\n*RAS_INT_END\n*RAS_DATA_END\n"
    ).encode()


def raw3(points: int | None = None) -> bytes:
    """Bruker's RAW1.01, one range; `points` is what the header claims."""
    head = bytearray(712)
    head[:7] = b"RAW1.01"
    struct.pack_into("<i", head, 12, 1)
    head[326:333] = b"made up"
    head[608:610] = b"Cu"
    block = bytearray(304)
    struct.pack_into("<i", block, 0, 304)
    struct.pack_into("<i", block, 4, COUNTS.size if points is None else points)
    struct.pack_into("<d", block, 16, float(ANGLES[0]))
    struct.pack_into("<d", block, 176, 0.02)
    struct.pack_into("<f", block, 192, 1.0)
    struct.pack_into("<d", block, 240, 1.540598)
    struct.pack_into("<iii", block, 248, 0, 4, 0)
    return bytes(head) + bytes(block) + COUNTS.astype("<f4").tobytes()


def raw4() -> bytes:
    """Bruker's RAW4.00: a tube, a sample's name, one coupled scan."""
    name = struct.pack("<II", 10, 60).ljust(12, b"\0") + b"SAMPLEID".ljust(24, b"\0")
    name = (name + b"made up").ljust(60, b"\0")
    tube = struct.pack("<II", 30, 120).ljust(72, b"\0")
    tube += struct.pack("<5d", 1.5418, 1.540598, 1.544426, 1.3922, 0.5)
    tube = (tube + b"\0" * 4 + b"Cu").ljust(120, b"\0")
    drive = struct.pack("<III", 50, 64, 1) + b"2Theta".ljust(24, b"\0")
    drive = drive.ljust(56, b"\0") + struct.pack("<d", float(ANGLES[0]))
    block = bytearray(72 + 88)
    block[32:46] = b"Locked Coupled"
    struct.pack_into("<ddIf", block, 72, float(ANGLES[0]), 0.02, COUNTS.size, 1000.0)
    struct.pack_into("<d", block, 72 + 40, 1.540598)
    struct.pack_into("<II", block, 72 + 64, 4, len(drive))
    return (
        b"RAW4.00".ljust(61, b"\0") + name + tube + block + drive + COUNTS.astype("<f4").tobytes()
    )


def xy() -> bytes:
    return "\n".join(f"{x:.4f} {y}" for x, y in zip(ANGLES, COUNTS, strict=True)).encode()


MAKERS: dict[str, Callable[[], bytes]] = {
    "a.brml": brml,
    "a.rasx": rasx,
    "a.ras": ras,
    "b.raw": raw3,
    "c.raw": raw4,
    "a.xy": xy,
    "a.xrdml": MEASURED.read_bytes,
}


def read(folder: Path, name: str, content: bytes, scan: int | None = None) -> Pattern:
    (folder / name).write_bytes(content)
    return read_pattern(folder / name, scan)


@vendor
@pytest.mark.parametrize("name", ["a.brml", "a.rasx", "a.ras", "b.raw", "c.raw", "a.xy"])
def test_every_format_gives_the_angles_and_counts_that_were_written(
    tmp_path: Path, name: str
) -> None:
    pattern = read(tmp_path, name, MAKERS[name]())
    assert np.allclose(pattern.two_theta_deg, ANGLES, atol=1e-6)
    assert np.array_equal(pattern.counts, COUNTS)
    assert pattern.sigma is None
    assert pattern.radiation.anode == ("Co" if name == "a.ras" else "Cu")
    assert pattern.source.endswith(name)


@vendor
def test_a_real_rigaku_measurement_is_read() -> None:
    path = DATASETS / "xrd" / "tutorial" / "RM20220915Si01.rasx"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    pattern = read_pattern(path)
    assert (pattern.two_theta_deg[0], pattern.two_theta_deg[-1]) == (8.5, 30.0)
    assert pattern.radiation == Radiation("Cu", 1.540593, 1.544414, 0.5)
    assert (pattern.counting_time_s, pattern.counts.max()) == (0.6, 639.0)


@vendor
def test_other_anodes_have_their_own_wavelengths(tmp_path: Path) -> None:
    cobalt = read(tmp_path, "a.brml", brml(tube="<TubeMaterial>Co</TubeMaterial>"))
    assert cobalt.radiation == Radiation("Co", 1.788996, 1.792835, 0.5)
    with pytest.raises(DataError, match="anode Xx"):
        read(tmp_path, "b.brml", brml(tube="<TubeMaterial>Xx</TubeMaterial>"))
    unnamed = read(tmp_path, "c.brml", brml(tube=""))
    assert unnamed.radiation == Radiation()
    assert any("copper is assumed" in remark for remark in unnamed.remarks)


def test_an_xrdml_that_names_only_its_anode_does_not_become_copper(tmp_path: Path) -> None:
    text = MEASURED.read_text(encoding="utf-8-sig")
    first, last = text.index("<usedWavelength"), text.index("</usedWavelength>") + 17
    text = (text[:first] + text[last:]).replace("<anodeMaterial>Cu<", "<anodeMaterial>Mo<")
    assert read(tmp_path, "a.xrdml", text.encode()).radiation.kalpha1_angstrom == 0.70931715


@vendor
def test_repeats_are_summed_and_other_scans_are_asked_about(tmp_path: Path) -> None:
    repeats = read(tmp_path, "a.brml", brml([(ANGLES, COUNTS), (ANGLES, COUNTS + 1)]))
    assert np.array_equal(repeats.counts, 2 * COUNTS + 1)
    assert any("2 scans" in remark for remark in repeats.remarks)
    session = brml([(ANGLES, COUNTS), (ANGLES + 30, COUNTS + 7)])
    with pytest.raises(DataError, match=r"2 scans cover different angles .*2: 50 to 55.98"):
        read(tmp_path, "b.brml", session)
    assert np.array_equal(read(tmp_path, "b.brml", session, 2).counts, COUNTS + 7)
    with pytest.raises(DataError, match="no scan 3"):
        read(tmp_path, "b.brml", session, 3)
    with pytest.raises(DataError, match="no scan 2"):
        read(tmp_path, "a.xy", xy(), 2)


@vendor
def test_an_absorber_leaves_the_noise_of_what_was_counted(tmp_path: Path) -> None:
    """A point of 8000 behind a factor of 8 was counted 1000 times."""
    factors = np.where(COUNTS > 2000, 8.0, 1.0)
    counts = np.where(factors > 1, COUNTS // 8 * 8, COUNTS)
    pattern = read(tmp_path, "a.brml", brml([(ANGLES, counts)], absorption=factors))
    assert np.array_equal(pattern.counts, counts)
    assert np.allclose(pattern.uncertainty(), np.sqrt(counts / factors) * factors)


def test_an_attenuated_xrdml_is_brought_to_scale_and_keeps_the_noise_of_its_counts(
    tmp_path: Path,
) -> None:
    text = MEASURED.read_text(encoding="utf-8-sig")
    plain = read_pattern(MEASURED)
    factors = np.ones(plain.counts.size)
    factors[500:510] = 50.0
    listed = " ".join(f"{f:g}" for f in factors)
    text = text.replace(
        "<counts", f"<beamAttenuationFactors>{listed}</beamAttenuationFactors><counts"
    )
    pattern = read(tmp_path, "a.xrdml", text.encode())
    assert np.array_equal(pattern.counts, plain.counts * factors)
    assert np.allclose(pattern.uncertainty(), np.sqrt(plain.counts) * factors)


@vendor
@pytest.mark.parametrize("time_s", [0.25, 8.0])
def test_rates_weigh_as_the_counts_they_come_from(tmp_path: Path, time_s: float) -> None:
    """As told by the counting time, or by the scatter where there is none."""
    if time_s == 0.25:
        pattern = read(tmp_path, "a.rasx", rasx(COUNTS / 0.25 + 0.0, unit="cps"))
        # All whole numbers: nothing tells them from counts, and the file's word is not taken.
        assert pattern.sigma is None
        return
    lines = "\n".join(f"{x:.4f} {y / time_s:.5f}" for x, y in zip(ANGLES, COUNTS, strict=True))
    pattern = read(tmp_path, "a.xy", lines.encode())
    expected = np.sqrt(COUNTS) / time_s
    assert np.median(pattern.uncertainty() / expected) == pytest.approx(1.0, abs=0.25)
    assert pattern.remarks


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-3, 1e3), level=st.floats(100, 5000), seed=st.integers(0, 99))
def test_the_scale_of_a_scaled_scan_shows_in_its_scatter(
    scale: float, level: float, seed: int
) -> None:
    x = np.arange(2000)
    expected = level * (1 + 0.3 * np.cos(x / 300) + 5 * np.exp(-(((x % 400) - 200) ** 2) / 50))
    counts = np.random.default_rng(seed).poisson(expected).astype(float)
    # Its own scatter is 13 %: a noise known to a few percent is more than an estimate must give.
    assert variance_ratio(counts * scale) == pytest.approx(scale, rel=0.7)


@vendor
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.brml", brml(axis="Chi"), "no TwoTheta axis"),
        ("a.brml", brml(channels=1280), "1280 channels"),
        ("a.brml", b"PK\x03\x04 and no more", "archive"),
        ("a.brml", b"", "it is empty"),
        ("a.raw", b"RAW2" + b"\0" * 500, "version 2"),
        ("a.raw", raw3(10**9), "the file holds 2216"),
        ("a.raw", bytes(range(1, 101)), "no numeric data"),
        ("a.ras", ras()[:3000], "incomplete"),
        ("a.rasx", rasx(target="Zz"), "anode Zz"),
    ],
)
def test_what_is_no_powder_pattern_is_refused_in_a_sentence(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read(tmp_path, name, content)
    assert "\n" not in str(caught.value)


@vendor
def test_an_archive_that_unpacks_without_end_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.brml"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Experiment0/DataContainer.xml", "<a/>")
        with archive.open("Experiment0/RawData0.xml", "w") as member:
            for _ in range(100):
                member.write(bytes(1024 * 1024))
    assert path.stat().st_size < 200_000
    with pytest.raises(DataError, match="unpacks to"):
        read_pattern(path)


def test_a_scan_of_another_axis_is_refused(tmp_path: Path) -> None:
    text = MEASURED.read_text(encoding="utf-8-sig").replace('scanAxis="Gonio"', 'scanAxis="Phi"')
    with pytest.raises(DataError, match="axis Phi"):
        read(tmp_path, "a.xrdml", text.encode())


def damaged(whole: bytes, data: st.DataObject) -> bytes:
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + 1] = data.draw(
            st.binary(max_size=6) | st.text("0123456789.-+e<>/", max_size=6).map(str.encode)
        )
    return bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])


@vendor
@pytest.mark.parametrize("name", MAKERS)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_ends_in_a_pattern_or_in_a_sentence(
    tmp_path: Path, name: str, data: st.DataObject
) -> None:
    content = damaged(MAKERS[name](), data)
    if name in ("a.brml", "a.rasx") and data.draw(st.booleans()):
        # A whole archive of a damaged member.
        source = zipfile.ZipFile(io.BytesIO(MAKERS[name]()))
        hit = data.draw(st.sampled_from(source.namelist()))
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for member in source.namelist():
                text = source.read(member)
                archive.writestr(member, damaged(text, data) if member == hit else text)
        content = out.getvalue()
    path = tmp_path / name
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        pattern = read_pattern(path)
        assert np.all(np.isfinite(pattern.counts))
        assert np.all(np.diff(pattern.two_theta_deg) > 0)


@vendor
def test_the_content_tells_the_format(tmp_path: Path) -> None:
    assert np.array_equal(read(tmp_path, "a.rasx", brml()).counts, COUNTS)


def test_every_ending_that_is_offered_is_answered(tmp_path: Path) -> None:
    for suffix in PATTERN_SUFFIXES:
        with pytest.raises(DataError, match="cannot be read"):
            read_pattern(tmp_path / f"absent{suffix}")
