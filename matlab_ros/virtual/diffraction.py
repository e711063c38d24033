"""What a bench diffractometer counts on a powder of known composition, with its usual flaws.

Of the instrument: a zero slightly off, axial divergence, what the filter leaves of K-beta, air
scatter and the holder's halo. Of the sample: it stands too high, its surface is rough, the beam
goes into it, its grains lie flat, hide part of a heavy absorber and are too few, its crystallites
are small and strained, its cells and atoms are not quite those of the literature. All of it
depends on the world's seed, the sample and what it went through; a repeated scan differs by the
counting statistics only.

How large the flaws are was chosen so that fits look like those of the A-Lab's patterns of weighed
mixtures: goodness of fit, displacement, roughness and texture as `benchmarks/virtual_patterns.py`
prints them for both.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matlab_ros.virtual.network import Species
from matlab_ros.virtual.scan_programs import AerisProgram
from matlab_ros.virtual.seeds import generator
from matlab_ros.xrd.aberrations import Geometry, Surface
from matlab_ros.xrd.anodes import with_k_beta
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.pattern import Pattern, Radiation
from matlab_ros.xrd.profile import Instrument, free_cell_constants
from matlab_ros.xrd.simulate import (
    Background,
    Hump,
    PhaseInMixture,
    Scan,
    Specimen,
    expected,
)
from matlab_ros.xrd.structure import Structure
from matlab_ros.xrd.texture import Axis, candidate_axes
from matlab_ros.xrd.xrdml import ScanInfo, write_xrdml

FloatArray = NDArray[np.float64]

# The strongest line of a pure oxide has some ten thousand counts in eight minutes.
FLUX = 5.0
# Air scatter and constant background in counts per second, read off a measured pattern of TiO2 and
# ZnO; the holder's halo is what an empty one shows.
AIR_PER_S, AIR_DECAY_DEG, FLAT_PER_S = 88.0, 12.0, 21.0
HUMP_PER_S, HUMP_AT_DEG, HUMP_WIDTH_DEG = 6.0, 26.0, 7.0
BARE_HOLDER = 5.0
"""How many times more of its halo a holder shows without powder."""
FULL_SIGNAL_MG = 150.0
"""With less powder than this the beam sees the holder through it."""
OPTICS = Instrument(u=0.03, v=-0.02, w=0.018, x=0.005, asymmetry=0.0)
GEOMETRY = Geometry(radius_mm=145.0, sample_to_radius=0.042, detector_to_radius=0.042)
K_BETA = 0.004
ZERO_SD_DEG = 0.008
HEIGHT_UM, HEIGHT_SD_UM = 150.0, 80.0
"""Heights of the powder over the edge of its holder; 127 um are 0.1 degrees."""
ROUGHNESS, ROUGHNESS_LOG_SD = 0.055, 0.45
PACKING, PACKING_SD = 0.5, 0.06
GRAIN_UM, GRAIN_LOG_SD = 2.5, 0.3
CELL_STRAIN_SD = 2e-4
CELL_SPREAD_SD = 8e-4
"""Of the coarse crystals' cells, and between those and the fine ones'."""
SIZE_LOG_SD = 0.2
FINE, COARSE, FINE_SHARE = 0.35, 1.6, (0.2, 0.4)
"""Sizes of fine and coarse crystals over the typical one, and the mass share of the fine ones."""
B_SD_ANGSTROM2 = 0.2
GRAININESS, GRAININESS_LOG_SD = 0.08, 0.3
HABIT_SD, HABIT_LOG_SD = 0.12, 0.03
"""March's parameter of a phase differs from 1 by this much, and of its samples among each other."""
FRESH_STRAIN, LEAST_STRAIN = 8e-4, 1e-4
ANNEALED_C = 1100.0
"""Where the strain of grinding is gone; above it crystallites grow."""
GROWTH_C = 500.0
ROOM_C = 25.0
INSTRUMENT_ID = "virtual-aeris"
EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)


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
        self._radiation = with_k_beta(Radiation(), K_BETA)
        zero = float(generator(seed, "diffractometer zero").normal(0, ZERO_SD_DEG))
        self._instrument = replace(OPTICS, zero_deg=zero)
        self._habits: dict[str, tuple[Axis | None, float]] = {}

    def measure(
        self,
        contents: Sequence[tuple[Species, float]],
        program: AerisProgram,
        specimen: str,
        repeat: int = 0,
        hottest_c: float = ROOM_C,
    ) -> Pattern:
        """Counts on a powder.

        Args:
            contents: species and their masses in mg; nothing for an empty holder.
            program: how it is scanned.
            specimen: names the sample; alignment and crystallites depend on it.
            repeat: how often it was measured before; only the counting statistics differ.
            hottest_c: the highest temperature that it felt.
        """
        counts = self.expected_counts(contents, program, specimen, hottest_c)
        noise = generator(
            self._seed, "counts", specimen, program.points, str(program.counting_time_s), repeat
        )
        return Pattern(
            two_theta_deg=program.two_theta_deg,
            counts=noise.poisson(counts).astype(np.float64),
            # Nobody tells the file of the filter's leak.
            radiation=Radiation(),
            counting_time_s=program.counting_time_s,
            sample_id=specimen,
        )

    def expected_counts(
        self,
        contents: Sequence[tuple[Species, float]],
        program: AerisProgram,
        specimen: str,
        hottest_c: float = ROOM_C,
    ) -> FloatArray:
        """Mean counts at each angle, shape (points,). Arguments are those of `measure`."""
        mount = generator(self._seed, "mount", specimen)
        total_mg = sum(mass for _, mass in contents)
        signal = float(-np.expm1(-3.0 * total_mg / FULL_SIGNAL_MG))
        height_um = float(mount.normal(HEIGHT_UM, HEIGHT_SD_UM))
        powder = Specimen(
            grain_um=GRAIN_UM * float(np.exp(mount.normal(0, GRAIN_LOG_SD))),
            surface=Surface(ROUGHNESS * float(np.exp(mount.normal(0, ROUGHNESS_LOG_SD))), 0.1),
            packing=float(np.clip(mount.normal(PACKING, PACKING_SD), 0.3, 0.7)),
            signal=signal,
        )
        halo = HUMP_PER_S * float(mount.uniform(0.5, 1.5)) * (1.0 + BARE_HOLDER * (1.0 - signal))
        scan = Scan(
            start_deg=program.first_deg,
            end_deg=program.last_deg,
            step_deg=program.step_deg,
            counting_time_s=program.counting_time_s,
            flux=FLUX,
            background=Background(
                AIR_PER_S / FLUX,
                AIR_DECAY_DEG,
                FLAT_PER_S / FLUX,
                humps=(Hump(halo / FLUX, HUMP_AT_DEG, HUMP_WIDTH_DEG),),
            ),
            geometry=GEOMETRY,
        )
        phases = [
            part
            for species, mass in contents
            if mass > 0
            for part in self._crystals(species, mass / total_mg, specimen, hottest_c)
        ]
        instrument = replace(
            self._instrument, displacement_deg=GEOMETRY.displacement_deg(height_um)
        )
        return expected(phases, instrument, scan, self._radiation, powder).pattern.counts

    def _crystals(
        self, species: Species, share: float, specimen: str, hottest_c: float
    ) -> tuple[PhaseInMixture, PhaseInMixture]:
        """The fine and the coarse crystals of a species in a specimen.

        The two stand for a distribution of sizes and cells, whose peaks no pseudo-Voigt fits.
        """
        structure = self._structures[species.phase]
        crystal = generator(self._seed, "crystallites", specimen, species.name)
        axis, habit = self._habit(species.phase)
        # Heat takes the strain out, then makes crystallites grow; a species has its typical ones
        # at the temperature where both meet.
        cold = float(np.clip((ANNEALED_C - hottest_c) / (ANNEALED_C - ROOM_C), 0.0, 1.0))
        growth = float(np.clip(np.exp((hottest_c - ANNEALED_C) / GROWTH_C), 1.0, 2.0))
        size_nm = species.crystallite_nm * growth * float(np.exp(crystal.normal(0, SIZE_LOG_SD)))
        free = len(free_cell_constants(structure.cell))
        strain = crystal.normal(0, CELL_STRAIN_SD, free)
        coarse = PhaseInMixture(
            structure=structure,
            weight_fraction=share,
            size_nm=COARSE * size_nm,
            strain=strain,
            axis=axis,
            march=habit * float(np.exp(crystal.normal(0, HABIT_LOG_SD))),
            microstrain=LEAST_STRAIN + FRESH_STRAIN * cold * float(crystal.uniform(0.5, 1.5)),
            b_change_angstrom2=float(crystal.normal(0, B_SD_ANGSTROM2)),
            graininess=GRAININESS * float(np.exp(crystal.normal(0, GRAININESS_LOG_SD))),
            grain_seed=int(crystal.integers(2**32)),
        )
        share_fine = share * float(crystal.uniform(*FINE_SHARE))
        fine = replace(
            coarse,
            weight_fraction=share_fine,
            size_nm=FINE * size_nm,
            strain=strain + crystal.normal(0, CELL_SPREAD_SD, free),
        )
        return fine, replace(coarse, weight_fraction=share - share_fine)

    def _habit(self, phase: str) -> tuple[Axis | None, float]:
        """The face that a phase's grains lie on, and March's parameter of an average sample."""
        if phase not in self._habits:
            axes = candidate_axes(self._structures[phase])
            grown = generator(self._seed, "habit", phase)
            axis = axes[int(grown.integers(min(len(axes), 3)))] if axes else None
            # Plates that lie flat are more common than needles.
            march = float(np.clip(1.0 - abs(grown.normal(0, HABIT_SD)), 0.6, 1.0))
            self._habits[phase] = (axis, march)
        return self._habits[phase]


def xrdml_bytes(pattern: Pattern, program: AerisProgram, at_s: float) -> bytes:
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
