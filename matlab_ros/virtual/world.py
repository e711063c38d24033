"""The physical truth of the virtual lab: where each container stands and what is in it.

Robots, instruments and powders of the virtual lab act on it and sense it; nothing of the lab
itself may. Every container is in exactly one place at any time, powder only leaves a magazine into
a container (or past it), and a sample remembers every temperature that it felt.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matlab_ros.model.lab_config import LabConfig, position_names
from matlab_ros.virtual.diffraction import ROOM_C, VirtualDiffractometer, xrdml_bytes
from matlab_ros.virtual.kinetics import FROZEN_BELOW_C, react
from matlab_ros.virtual.network import Chemistry
from matlab_ros.virtual.scan_programs import programs_of, scan_program
from matlab_ros.virtual.seeds import generator

FloatArray = NDArray[np.float64]

GRIPPER = "gripper"
"""The position of a container that the arm holds."""
FLOOR = "floor"
"""Where containers lie that fell; nobody picks them up from there."""
CRUCIBLE_MASS_MG, CRUCIBLE_MASS_SD_MG = 12_000.0, 150.0
MIXED_AS_POURED = 0.15
"""How intimate powders are that were only poured one onto the other; 1 is perfect."""
MIXING_TIME_MIN = 2.5
"""Of a shaker, to reduce what is not mixed to 1/e."""
MG_PER_G = 1000.0


@dataclass
class _Container:
    """A crucible and what is in it.

    Attributes:
        tare_mg: mass of the empty crucible.
        amounts: mmol of each species, shape (S,).
        left: mmol of everything that left on heating, shape (L,).
        mixedness: how intimate the powders are, 0 to 1.
        is_fired: whether it was hot enough for layers of product to have grown.
        hottest_c: the highest temperature that it felt.
        loose: mmol of each species that grinding took off the grains it had grown on, shape (S,).
        times_s, temperature_c: what it felt and the chemistry has not been asked about yet.
        scans: how often it was measured, by program.
    """

    tare_mg: float
    amounts: FloatArray
    left: FloatArray
    loose: FloatArray
    mixedness: float = MIXED_AS_POURED
    is_fired: bool = False
    hottest_c: float = ROOM_C
    times_s: list[FloatArray] = field(default_factory=list)
    temperature_c: list[FloatArray] = field(default_factory=list)
    scans: dict[str, int] = field(default_factory=dict)


class World:
    """Containers, powders and their histories; every method may be called from any thread."""

    def __init__(
        self, lab: LabConfig, chemistry: Chemistry, seed: int, structures: Sequence[Path] = ()
    ) -> None:
        """The lab in the morning: all containers empty in their rack, all heads full.

        Args:
            lab: stations, containers and stock. Stock that the chemistry does not know is inert.
            chemistry: what powders do; only what the stock can make of it is used.
            seed: of everything random.
            structures: folders with the CIFs of all phases that can occur; `scan` needs them.

        Raises:
            DataError: the structure of a phase is missing.
        """
        chemistry = chemistry.of_powders([item.name for item in lab.stock])
        for item in lab.stock:
            if item.name not in chemistry.powders:
                phase = item.structure or item.name
                chemistry = chemistry.with_inert(item.name, item.formula, phase)
        self._chemistry = chemistry
        self._seed = seed
        self._lock = threading.RLock()
        self._capacity_mg = lab.containers.capacity_mg
        self._stock_mg = {item.name: item.mass_g * MG_PER_G for item in lab.stock}
        self._spilled_mg = 0.0
        self._at: dict[str, str | None] = {
            position: None for station in lab.stations for position in position_names(station)
        }
        self._at[GRIPPER] = None
        self._fallen: set[str] = set()
        self._containers: dict[str, _Container] = {}
        for name, position in lab.container_homes().items():
            tare = generator(seed, "tare", name).normal(CRUCIBLE_MASS_MG, CRUCIBLE_MASS_SD_MG)
            self._containers[name] = _Container(
                tare_mg=float(tare),
                amounts=np.zeros(len(chemistry.species)),
                left=np.zeros(len(chemistry.leaving)),
                loose=np.zeros(len(chemistry.species)),
            )
            self._at[position] = name
        self._programs = programs_of(lab.scan_programs)
        self._optics = self._make_optics(structures) if structures else None

    @property
    def scans_s(self) -> Mapping[str, float]:
        """How long each of the diffractometer's programs takes."""
        return {name: program.duration_s for name, program in self._programs.items()}

    @property
    def positions(self) -> tuple[str, ...]:
        """All places where a container can be, the gripper last."""
        return tuple(self._at)

    @property
    def containers(self) -> tuple[str, ...]:
        """All containers, by name."""
        return tuple(self._containers)

    def container_at(self, position: str) -> str | None:
        """The container that stands there (or that the gripper holds), if one does.

        Raises:
            KeyError: there is no such position.
        """
        with self._lock:
            return self._at[position]

    def position_of(self, container: str) -> str:
        """Where a container is; `FLOOR` for one that fell.

        Raises:
            KeyError: there is no such container.
        """
        with self._lock:
            for position, name in self._at.items():
                if name == container:
                    return position
            if container in self._fallen:
                return FLOOR
        raise KeyError(container)

    def pick(self, position: str) -> bool:
        """Close the gripper at a position; whether it then holds the container from there."""
        return self._move(position, GRIPPER)

    def place(self, position: str) -> bool:
        """Open the gripper at a position; whether its container then stands there."""
        return self._move(GRIPPER, position)

    def held(self) -> str | None:
        """The container in the gripper, if one is."""
        return self.container_at(GRIPPER)

    def drop(self) -> str | None:
        """Let the gripper lose its container: it lies on the floor then, and stays there.

        Returns:
            Its name, None where nothing was held.
        """
        with self._lock:
            name, self._at[GRIPPER] = self._at[GRIPPER], None
            if name is not None:
                self._fallen.add(name)
            return name

    def stock_mg(self, substance: str) -> float:
        """Powder left in the magazine's head of that substance.

        Raises:
            KeyError: there is no such head.
        """
        with self._lock:
            return self._stock_mg[substance]

    def dose(self, position: str, substance: str, mass_mg: float) -> float:
        """Let powder fall from the head of a substance at a position.

        What the head no longer holds does not fall; what the container has no room for, and
        everything where there is no container, is spilled.

        Returns:
            Mass in mg that fell into the container.

        Raises:
            KeyError: there is no such position or head.
            ValueError: the mass is negative or no number.
        """
        if not (np.isfinite(mass_mg) and mass_mg >= 0):
            raise ValueError(f"a dose of {mass_mg} mg cannot fall")
        with self._lock:
            name = self._at[position]
            falls = min(mass_mg, self._stock_mg[substance])
            self._stock_mg[substance] -= falls
            room = 0.0
            if name is not None:
                room = max(0.0, self._capacity_mg - self._contents_mg(name))
            lands = min(falls, room)
            self._spilled_mg += falls - lands
            if name is not None and lands > 0:
                container = self._settled(name)
                before = self._contents_mg(name)
                # Fresh powder lies on top, whatever was mixed below it.
                container.mixedness = (container.mixedness * before + MIXED_AS_POURED * lands) / (
                    before + lands
                )
                container.amounts = container.amounts + self._chemistry.powder_amounts(
                    substance, lands
                )
            return float(lands)

    def mix(self, position: str, minutes: float = 10.0) -> bool:
        """Shake the container at a position; whether there is one.

        What was fired before is ground by it: product comes off the grains that it covered.

        Raises:
            KeyError: there is no such position.
        """
        with self._lock:
            name = self._at[position]
            if name is None:
                return False
            container = self._settled(name)
            left = float(np.exp(-minutes / MIXING_TIME_MIN))
            container.mixedness = 1.0 - (1.0 - container.mixedness) * left
            if container.is_fired:
                fast = container.amounts - np.minimum(container.loose, container.amounts)
                container.loose = container.amounts - fast * left
            return True

    def tare_mass_mg(self, position: str) -> float | None:
        """Mass of the empty container that stands there, None where none does."""
        with self._lock:
            name = self._at[position]
            return None if name is None else self._containers[name].tare_mg

    def gross_mass_mg(self, position: str) -> float | None:
        """What a balance there feels of container and contents, None where none stands."""
        with self._lock:
            name = self._at[position]
            if name is None:
                return None
            self._settled(name)
            return self._containers[name].tare_mg + self._contents_mg(name)

    def expose(
        self, positions: Sequence[str], times_s: ArrayLike, temperature_c: ArrayLike
    ) -> None:
        """Let everything that stands at the positions feel a temperature over time.

        May be called piece by piece: a piece that begins when the last one ended goes on from it,
        and the result does not depend on where a trace was cut.

        Args:
            positions: where; empty ones are left out.
            times_s: virtual time, increasing, shape (n,).
            temperature_c: of the crucibles at these times, shape (n,).

        Raises:
            KeyError: there is no such position.
            ValueError: the times do not increase, or a value is no number.
        """
        times = np.array(times_s, dtype=np.float64)
        temperature = np.array(temperature_c, dtype=np.float64)
        if times.ndim != 1 or times.shape != temperature.shape or times.size == 0:
            raise ValueError("a trace needs as many temperatures as times")
        if not (np.all(np.isfinite(times)) and np.all(np.isfinite(temperature))):
            raise ValueError("a trace of what a crucible felt has a value at every time")
        if np.any(np.diff(times) <= 0):
            raise ValueError("the times of a trace must increase")
        with self._lock:
            for name in [self._at[position] for position in positions]:
                if name is None:
                    continue
                container = self._containers[name]
                felt_until = container.times_s[-1][-1] if container.times_s else -np.inf
                if times[0] > felt_until:
                    container = self._settled(name)
                news = times > felt_until
                if news.any():
                    container.times_s.append(times[news])
                    container.temperature_c.append(temperature[news])

    def composition(self, container: str) -> dict[str, float]:
        """The true mass in mg of each phase; only diffractometers and tests may ask.

        Raises:
            KeyError: there is no such container.
        """
        with self._lock:
            return self._chemistry.phase_masses(self._settled(container).amounts)

    def losses(self, container: str) -> dict[str, float]:
        """Mass in mg of everything that left a sample on heating, by formula; below zero where it
        was taken up.

        Raises:
            KeyError: there is no such container.
        """
        with self._lock:
            masses = self._settled(container).left * self._chemistry.leaving_molar_mass
            return dict(zip(self._chemistry.leaving, masses.tolist(), strict=True))

    def spilled_mg(self) -> float:
        """Powder that fell past containers."""
        with self._lock:
            return self._spilled_mg

    def scan(self, position: str, program: str, sample_id: str = "", at_s: float = 0.0) -> bytes:
        """Measure what stands at a position.

        Args:
            position: of the diffractometer; an empty one shows the background.
            program: name of a measurement program.
            sample_id: what the file says; the container's name where empty.
            at_s: virtual time of the scan's start.

        Returns:
            The .xrdml file.

        Raises:
            KeyError: there is no such position.
            UnknownProgram: there is no such program.
            ValueError: the world was made without structures.
        """
        if self._optics is None:
            raise ValueError("this world was made without structures, so nothing diffracts")
        how = scan_program(program, self._programs)
        with self._lock:
            name = self._at[position]
            specimen = sample_id or name or "empty"
            contents = []
            repeat, hottest_c = 0, ROOM_C
            if name is not None:
                container = self._settled(name)
                masses = container.amounts * self._chemistry.molar_mass
                contents = [
                    (species, float(mass))
                    for species, mass in zip(self._chemistry.species, masses, strict=True)
                    if mass > 0
                ]
                hottest_c = container.hottest_c
                repeat = container.scans.get(program, 0)
                container.scans[program] = repeat + 1
            pattern = self._optics.measure(contents, how, specimen, repeat, hottest_c)
        return xrdml_bytes(pattern, how, at_s)

    def _make_optics(self, structures: Sequence[Path]) -> VirtualDiffractometer:
        phases = [species.phase for species in self._chemistry.species]
        return VirtualDiffractometer(structures, phases, self._seed)

    def _move(self, source: str, target: str) -> bool:
        with self._lock:
            name = self._at[source]
            if name is None or self._at[target] is not None:
                return False
            self._at[source] = None
            self._at[target] = name
            return True

    def _contents_mg(self, name: str) -> float:
        return float(self._containers[name].amounts @ self._chemistry.molar_mass)

    def _settled(self, name: str) -> _Container:
        """The container after its powder has reacted to everything that it felt."""
        container = self._containers[name]
        if container.times_s:
            times = np.concatenate(container.times_s)
            temperature = np.concatenate(container.temperature_c)
            container.times_s.clear()
            container.temperature_c.clear()
            if times.size > 1:
                container.amounts, left = react(
                    self._chemistry,
                    container.amounts,
                    container.mixedness,
                    times,
                    temperature,
                    container.loose,
                )
                container.hottest_c = max(container.hottest_c, float(temperature.max()))
                container.is_fired |= bool(temperature.max() >= FROZEN_BELOW_C)
                container.left = container.left + left
        return container
