"""A whole synthesis in one call: masses and a firing in, phases out. No lab, no clock, no ROS.

For planners and benchmarks that need thousands of experiments. What happens to the powders is the
same as in `matlab_ros.virtual.world`; what the instruments of a lab would add to it (weighing, a
furnace that is not as hot as it says, imperfect mixing) is drawn from the seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matlab_ros.virtual.kinetics import react
from matlab_ros.virtual.network import Chemistry
from matlab_ros.virtual.seeds import generator

FloatArray = NDArray[np.float64]

ROOM_C = 25.0
MIXED = 0.95
"""How intimate powders are that were shaken for some minutes; 1 is perfect."""
MIXED_SD = 0.02
WEIGHING_SD_MG = 0.3
FURNACE_SD_C = 3.0
"""Between crucibles of one furnace."""
FRACTION_SD = 0.015
"""Of a weight fraction from one diffraction pattern."""
SEEN_FROM = 0.015
"""Weight fraction below which a phase is not seen in a pattern."""


@dataclass(frozen=True)
class Firing:
    """What a powder feels: temperatures, linear between the times.

    Attributes:
        times_s: increasing, shape (n,).
        temperature_c: at these times, shape (n,).
    """

    times_s: FloatArray
    temperature_c: FloatArray

    @classmethod
    def hold(cls, temperature_c: float, dwell_h: float, ramp_c_per_min: float = 10.0) -> Firing:
        """From room temperature up, dwell, and down again."""
        ramp_s = 60.0 * abs(temperature_c - ROOM_C) / ramp_c_per_min
        times = np.cumsum([0.0, max(ramp_s, 1.0), 3600.0 * dwell_h, max(ramp_s, 1.0)])
        return cls(times, np.array([ROOM_C, temperature_c, temperature_c, ROOM_C]))

    @classmethod
    def trace(cls, times_s: ArrayLike, temperature_c: ArrayLike) -> Firing:
        """As it was measured."""
        return cls(np.asarray(times_s, dtype=float), np.asarray(temperature_c, dtype=float))


@dataclass(frozen=True)
class Product:
    """What a synthesis gave.

    Attributes:
        fractions: weight fraction of each phase in the product, by name of its structure, the
            largest first; they sum to 1. Empty where nothing is left.
        mass_mg: of the product.
        lost_mg: mass of everything that left, by formula; below zero where it was taken up.
    """

    fractions: Mapping[str, float]
    mass_mg: float
    lost_mg: Mapping[str, float]

    def fraction(self, phase: str) -> float:
        """Weight fraction of a phase, 0 where there is none."""
        return self.fractions.get(phase, 0.0)

    def seen(self, seed: int, *purpose: str | int) -> dict[str, float]:
        """Weight fractions as one diffraction pattern would give them, the largest first.

        Traces are not seen and the others have the scatter of analyses; the same seed and purpose
        give the same numbers.
        """
        found = {}
        for phase, true in self.fractions.items():
            noise = generator(seed, "seen", phase, *purpose).normal(0, FRACTION_SD)
            value = true + float(noise) * min(1.0, 4.0 * np.sqrt(true * (1.0 - true)) + 0.1)
            if true >= SEEN_FROM and value >= SEEN_FROM:
                found[phase] = value
        total = sum(found.values())
        return {
            phase: value / total
            for phase, value in sorted(found.items(), key=lambda item: (-item[1], item[0]))
        }


def synthesise(
    chemistry: Chemistry,
    masses_mg: Mapping[str, float],
    firings: Firing | Sequence[Firing],
    seed: int | None = None,
    *purpose: str | int,
    mixedness: float = MIXED,
) -> Product:
    """Weigh, mix and fire powders.

    Args:
        chemistry: what can happen; see `Chemistry.in_atmosphere` for another atmosphere than air
            and `Chemistry.of_powders` to be faster with few powders.
        masses_mg: of each powder, by its name in the chemistry; their order does not matter.
        firings: one after the other, with the powder ground in between.
        seed: of weighing, mixing and the furnace; None: all of them are perfect.
        purpose: words and numbers, such as an experiment's name, that make one seed's draws differ.
        mixedness: 0 (layers of powder) to 1 (intimate mixture).

    Raises:
        KeyError: the chemistry does not know a powder.
        ValueError: a mass is negative or no number, or a firing is no trace.
    """
    for name, mass in masses_mg.items():
        if name not in chemistry.powders:
            raise KeyError(f"{name!r} is no powder; known are {', '.join(chemistry.powders)}")
        if not (np.isfinite(mass) and mass >= 0):
            raise ValueError(f"{mass} mg of {name} cannot be weighed")
    true_mg = dict(masses_mg)
    offset_c = 0.0
    if seed is not None:
        for name, mass in masses_mg.items():
            error = generator(seed, "weighing", name, *purpose).normal(0, WEIGHING_SD_MG)
            true_mg[name] = max(0.0, mass + float(error)) if mass > 0 else 0.0
        offset_c = float(generator(seed, "furnace", *purpose).normal(0, FURNACE_SD_C))
        mixedness += float(generator(seed, "mixing", *purpose).normal(0, MIXED_SD))
    mixedness = float(np.clip(mixedness, 0.0, 1.0))
    amounts = np.zeros(len(chemistry.species))
    for name in sorted(true_mg):
        amounts = amounts + chemistry.powder_amounts(name, true_mg[name])
    left = np.zeros(len(chemistry.leaving))
    loose: FloatArray | None = None
    for firing in [firings] if isinstance(firings, Firing) else firings:
        heat = firing.temperature_c + offset_c
        amounts, gone = react(chemistry, amounts, mixedness, firing.times_s, heat, loose)
        left = left + gone
        loose = mixedness * amounts
    masses = chemistry.phase_masses(amounts)
    total = sum(masses.values())
    order = sorted(masses.items(), key=lambda item: (-item[1], item[0]))
    return Product(
        {phase: mass / total for phase, mass in order},
        total,
        dict(zip(chemistry.leaving, (left * chemistry.leaving_molar_mass).tolist(), strict=True)),
    )
