"""What a bench diffractometer counts on a powder of known composition, with its usual flaws.

The flaws: counting statistics, a sample that stands too high or low, a goniometer whose zero is
slightly off, small crystallites, cells strained a little, absorption inside the grains, air
scatter that falls with the angle and a broad hump of the holder. All of them depend on the seed
and the sample only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matlab_ros.model.errors import LabError
from matlab_ros.virtual.reactions import Species
from matlab_ros.virtual.seeds import generator
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.pattern import Pattern, Radiation
from matlab_ros.xrd.profile import Instrument, PhaseProfile, phase_profile, size_broadening_deg
from matlab_ros.xrd.structure import Structure
from matlab_ros.xrd.uncertainty import brindley_factor
from matlab_ros.xrd.xrdml import ScanInfo, write_xrdml

FloatArray = NDArray[np.float64]

# Counts per second for unit (w/rho) / (mu/rho) and unit curve: the strongest line of a pure oxide
# then has some ten thousand counts in eight minutes, as on the A-Lab's Aeris.
INTENSITY_PER_S = 2000.0
# Air scatter, constant background and holder hump in counts per second, read off a measured
# pattern of TiO2 and ZnO on that instrument.
AIR_PER_S, AIR_DECAY_DEG = 88.0, 12.0
FLAT_PER_S = 21.0
HUMP_PER_S, HUMP_AT_DEG, HUMP_WIDTH_DEG = 6.0, 26.0, 7.0
FULL_SIGNAL_MG = 150.0
"""With less powder than this the beam sees the holder through it."""
ZERO_SD_DEG = 0.008
DISPLACEMENT_SD_DEG = 0.025
CELL_STRAIN_SD = 2e-4
SIZE_LOG_SD = 0.2
GRAIN_UM, GRAIN_LOG_SD = 2.5, 0.3
"""Diameter of the grains, which hide part of a heavy absorber."""
INSTRUMENT_ID = "virtual-aeris"
EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)


class UnknownProgram(LabError):
    """The diffractometer has no measurement program of that name."""


@dataclass(frozen=True)
class ScanProgram:
    """A measurement program of the diffractometer.

    Attributes:
        first_deg, last_deg: of the scan, 2 theta.
        points: how many angles it has, equally spaced.
        counting_time_s: for which the strip detector sees each angle.
        duration_s: how long the scan takes.
    """

    first_deg: float
    last_deg: float
    points: int
    counting_time_s: float
    duration_s: float

    @property
    def two_theta_deg(self) -> FloatArray:
        """The angles, shape (points,)."""
        return np.linspace(self.first_deg, self.last_deg, self.points)


PROGRAMS: Mapping[str, ScanProgram] = {
    "10-100_2-minutes": ScanProgram(10.02173288, 99.99585608, 2071, 10.965, 127.0),
    "10-100_8-minutes": ScanProgram(10.00943322, 99.99442286, 8282, 12.495, 487.0),
}
"""As on the A-Lab's Aeris, by name; angles and times are those of its files."""


def scan_program(name: str) -> ScanProgram:
    """The measurement program of that name.

    Raises:
        UnknownProgram: there is none.
    """
    try:
        return PROGRAMS[name]
    except KeyError:
        raise UnknownProgram(
            f"the diffractometer has no program {name!r}; expected one of {', '.join(PROGRAMS)}."
        ) from None


class VirtualDiffractometer:
    """Optics and detector; not thread-safe, its owner serialises access."""

    def __init__(self, folders: Sequence[Path], phases: Sequence[str], seed: int) -> None:
        """Read the true structures of all phases that can occur.

        Args:
            folders: where their CIFs are; the name of a phase is its file's name without ending.
            phases: names of all phases that samples may hold.
            seed: of the world.

        Raises:
            DataError: a structure is missing or cannot be used.
        """
        library = Library([str(folder) for folder in folders])
        self._structures: dict[str, Structure] = {
            phase: library.named(phase)[0].structure for phase in sorted(set(phases))
        }
        self._seed = seed
        self._radiation = Radiation()
        zero = float(generator(seed, "diffractometer zero").normal(0, ZERO_SD_DEG))
        self._instrument = replace(Instrument(), zero_deg=zero)
        self._profiles: dict[tuple[str, float], PhaseProfile] = {}

    def measure(
        self,
        contents: Sequence[tuple[Species, float]],
        program: ScanProgram,
        specimen: str,
        repeat: int = 0,
    ) -> Pattern:
        """Counts on a powder.

        Args:
            contents: species and their masses in mg; nothing for an empty holder.
            program: how it is scanned.
            specimen: names the sample; alignment and crystallites depend on it.
            repeat: how often it was measured before; only the counting statistics differ.
        """
        angles = program.two_theta_deg
        expected = self.expected_counts(contents, program, specimen)
        noise = generator(
            self._seed, "counts", specimen, program.points, str(program.counting_time_s), repeat
        )
        return Pattern(
            two_theta_deg=angles,
            counts=noise.poisson(expected).astype(np.float64),
            radiation=self._radiation,
            counting_time_s=program.counting_time_s,
            sample_id=specimen,
        )

    def expected_counts(
        self, contents: Sequence[tuple[Species, float]], program: ScanProgram, specimen: str
    ) -> FloatArray:
        """Mean counts at each angle, shape (points,).

        The intensity of a phase in an infinitely thick mixture is proportional to its volume and
        inversely to the mixture's absorption (Klug & Alexander, X-Ray Diffraction Procedures,
        1974, 7-2), apart from the absorption inside its own grains.
        """
        angles = program.two_theta_deg
        mount = generator(self._seed, "mount", specimen)
        shape = replace(
            self._instrument, displacement_deg=float(mount.normal(0, DISPLACEMENT_SD_DEG))
        ).vector()
        per_s = (
            AIR_PER_S * np.exp(-(angles - 10.0) / AIR_DECAY_DEG)
            + FLAT_PER_S
            + HUMP_PER_S
            * float(mount.uniform(0.5, 1.5))
            * np.exp(-0.5 * ((angles - HUMP_AT_DEG) / HUMP_WIDTH_DEG) ** 2)
        )
        total = sum(mass for _, mass in contents)
        if total > 0:
            phases = [self._structures[species.phase] for species, _ in contents]
            wavelength = self._radiation.kalpha1_angstrom
            shares = np.array([mass for _, mass in contents]) / total
            density = np.array([structure.density for structure in phases])
            linear = np.array([phase.linear_absorption_per_cm(wavelength) for phase in phases])
            volumes = shares / density
            grain_um = GRAIN_UM * float(np.exp(mount.normal(0, GRAIN_LOG_SD)))
            seen = volumes * brindley_factor(volumes / volumes.sum(), linear, grain_um)
            diffracted = sum(
                share * self._curve(species, angles, shape, specimen)
                for share, (species, _) in zip(seen, contents, strict=True)
            )
            thick = -np.expm1(-3.0 * total / FULL_SIGNAL_MG)
            per_s = per_s + INTENSITY_PER_S * thick * diffracted / (volumes @ linear)
        return per_s * program.counting_time_s

    def _curve(
        self, species: Species, angles: FloatArray, shape: FloatArray, specimen: str
    ) -> FloatArray:
        key = (species.phase, float(angles[-1]))
        if key not in self._profiles:
            self._profiles[key] = phase_profile(
                self._structures[species.phase], self._radiation, key[1], self._instrument
            )
        profile = self._profiles[key]
        crystal = generator(self._seed, "crystallites", specimen, species.name)
        size_nm = species.crystallite_nm * float(np.exp(crystal.normal(0, SIZE_LOG_SD)))
        strain = crystal.normal(0, CELL_STRAIN_SD, len(profile.free))
        broadening = size_broadening_deg(size_nm, self._radiation.kalpha1_angstrom)
        return profile.curve(angles, strain, broadening, shape)


def xrdml_bytes(pattern: Pattern, program: ScanProgram, at_s: float) -> bytes:
    """The file that the diffractometer writes.

    Args:
        pattern: what was counted.
        program: how it was scanned.
        at_s: virtual time of the start in seconds.
    """
    info = ScanInfo(
        instrument_id=INSTRUMENT_ID,
        author="AutomatedUser",
        start=EPOCH + timedelta(seconds=at_s),
        duration_s=program.duration_s,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.xrdml"
        write_xrdml(path, pattern, info)
        return path.read_bytes()
