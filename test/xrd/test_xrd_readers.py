"""Patterns are read as they were written, and what is no pattern is refused in a sentence."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.pattern import Pattern, Radiation
from matlab_ros.xrd.readers import read_pattern
from matlab_ros.xrd.xrdml import ScanInfo, write_xrdml

DATA = Path(__file__).parent / "data"
MEASURED = DATA / "TiO2_0p4009-ZnO_0p6010--2min.xrdml"
INFO = ScanInfo("950485", "robot", datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc), 120.0)


def test_measured_xrdml_has_its_angles_counts_and_wavelengths() -> None:
    pattern = read_pattern(MEASURED)
    assert pattern.two_theta_deg[0] == pytest.approx(10.0217, abs=1e-3)
    assert pattern.two_theta_deg[-1] == pytest.approx(99.9959, abs=1e-3)
    assert pattern.radiation == Radiation("Cu", 1.540598, 1.544426, 0.5)
    assert pattern.counting_time_s == pytest.approx(10.965)
    assert pattern.sample_id == "TiO2_0p4009-ZnO_0p6010--2min"
    # Zincite's strongest reflection (101) lies at 36.25 degrees.
    strongest = pattern.two_theta_deg[np.argmax(pattern.counts)]
    assert strongest == pytest.approx(36.3, abs=0.3)


def test_written_xrdml_reads_back(tmp_path: Path) -> None:
    x = np.linspace(10.0, 90.0, 4001)
    counts = np.random.default_rng(0).poisson(300.0, x.size).astype(np.float64)
    pattern = Pattern(x, counts, Radiation("Co", 1.78896, 1.79285, 0.51), 12.5, "s-7")
    write_xrdml(tmp_path / "a.xrdml", pattern, INFO)
    back = read_pattern(tmp_path / "a.xrdml")
    assert np.array_equal(back.counts, counts)
    assert np.allclose(back.two_theta_deg, x, atol=1e-7)
    assert back.radiation == pattern.radiation
    assert (back.counting_time_s, back.sample_id) == (12.5, "s-7")


def test_written_xrdml_of_the_same_values_is_the_same_file(tmp_path: Path) -> None:
    pattern = read_pattern(MEASURED)
    write_xrdml(tmp_path / "a.xrdml", pattern, INFO)
    write_xrdml(tmp_path / "b.xrdml", pattern, INFO)
    assert (tmp_path / "a.xrdml").read_bytes() == (tmp_path / "b.xrdml").read_bytes()


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.99])
def test_truncated_xrdml_is_refused_in_a_sentence(tmp_path: Path, keep: float) -> None:
    whole = MEASURED.read_bytes()
    path = tmp_path / "cut.xrdml"
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(DataError, match=r"cut\.xrdml"):
        read_pattern(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("counts>", "nothing>", "not complete XML"),
        ('<counts unit="counts">', '<counts unit="counts">abc ', "other than numbers"),
        ("<dataPoints>", "<dataPoints><counts/>", "holds no <counts>"),
        (">10.02173288<", "><", "first or last angle"),
        (">99.99585608<", ">5.0<", "angles run from"),
        ("1.5405980", "154.0", "wavelengths"),
        ('axis="2Theta"', 'axis="Phi"', "2Theta"),
        ("xrdMeasurements", "somethingElse", "not <xrdMeasurements>"),
    ],
)
def test_xrdml_that_makes_no_sense_is_refused(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    text = MEASURED.read_text(encoding="utf-8-sig")
    assert old in text
    path = tmp_path / "odd.xrdml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError, match=words):
        read_pattern(path)


def test_entities_that_expand_without_end_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xrdml"
    path.write_text('<!DOCTYPE a [<!ENTITY b "cc">]><xrdMeasurements>&b;</xrdMeasurements>')
    with pytest.raises(DataError, match="entities"):
        read_pattern(path)


def test_columns_are_read_with_header_commas_and_uncertainty(tmp_path: Path) -> None:
    lines = ["# a comment", "2theta counts sigma"]
    lines += [f"{10 + 0.1 * i:.2f}, {100 + i}, {10 + i % 3}" for i in range(50)]
    (tmp_path / "a.xye").write_text("\n".join(lines))
    pattern = read_pattern(tmp_path / "a.xye")
    assert pattern.counts[3] == 103
    assert pattern.uncertainty()[2] == 12
    assert pattern.step_deg == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "0 lines of numbers"),
        ("\n".join(f"{i} {i} {i} {i}" for i in range(20)), "two .* or three"),
        ("\n".join(f"{20 - i} 5" for i in range(20)), "do not increase"),
        ("\n".join(f"{i} {-i - 1}" for i in range(20)), "negative"),
        ("\n".join(f"{i} 5" for i in range(20)) + "\nend of file", "line 21"),
        ("\n".join(f"{i * 100} 5" for i in range(20)), "angles run from"),
    ],
)
def test_columns_that_make_no_sense_are_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "a.xy").write_text(content)
    with pytest.raises(DataError, match=words):
        read_pattern(tmp_path / "a.xy")


def test_missing_file_and_unknown_ending_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_pattern(tmp_path / "absent.xrdml")
    with pytest.raises(DataError, match=r"\.docx"):
        read_pattern(tmp_path / "a.docx")
