"""The emulated balance itself: what a load looks like through a weighing cell, in MT-SICS."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from matlab_ros.virtual.instruments.device import MOMENT_TOLERANCE_S

CAPACITY_MG = 220_000.0


class WeighingCell:
    """A pan with a load that others put there, and a display that needs time to settle.

    Args:
        load: mass of what stands on the pan, in mg; None where nothing does.
        rng: source of the weighings' scatter.
        readability_mg: last digit.
        repeatability_mg: standard deviation of a weighing.
        settle_s: from a change of the load to a stable weight.
    """

    def __init__(
        self,
        load: Callable[[], float | None],
        rng: np.random.Generator,
        *,
        readability_mg: float,
        repeatability_mg: float,
        settle_s: float,
    ) -> None:
        self.unstable = False
        self.pan_missing = False
        self._load = load
        self._rng = rng
        self._readability_mg = readability_mg
        self._repeatability_mg = repeatability_mg
        self._settle_s = settle_s
        self._stable_from = 0.0
        self._seen_mg = 0.0
        self._noise_mg = 0.0
        self._tare_mg = 0.0

    @property
    def loaded(self) -> bool:
        """Whether something stands on the pan."""
        return self._load() is not None

    def look(self, now: float, *, settled: bool = False) -> None:
        """Notice what was put on the pan or taken away; `settled` skips the time to settle."""
        load = self._load()
        mass_mg = 0.0 if load is None else load
        if abs(mass_mg - self._seen_mg) > 1e-6:
            self._seen_mg = mass_mg
            self._stable_from = now + self._settle_s
            # One draw for each change of the load: asking twice gives the same weight.
            self._noise_mg = float(self._rng.normal()) * self._repeatability_mg
        if settled:
            self._stable_from = min(self._stable_from, now)

    def settles_at(self, now: float) -> float | None:
        """When the weight becomes stable; None where it is already."""
        return None if self._settled(now) else self._stable_from

    def _settled(self, now: float) -> bool:
        return now >= self._stable_from - MOMENT_TOLERANCE_S

    def answer(self, command: str, now: float, falling_mg: float | None) -> str:
        """The answer to S, SI, T, TI, Z or ZI.

        Args:
            command: one of these.
            now: virtual second.
            falling_mg: what a dose under way has let fall; None where none is.
        """
        self.look(now)
        gross_mg = self._seen_mg + (falling_mg or 0.0) + self._noise_mg
        gross_mg = round(gross_mg / self._readability_mg) * self._readability_mg
        stable = not self.unstable and falling_mg is None and self._settled(now)
        if self.pan_missing:
            return f"{command} -"
        if gross_mg > CAPACITY_MG:
            return f"{command} +"
        if command in ("S", "T", "Z") and not stable:
            return f"{command} I"
        if command[0] in "TZ" and falling_mg is not None:
            return f"{command} I"
        state = "S" if stable else "D"
        if command in ("S", "SI"):
            return f"{command} {state} {(gross_mg - self._tare_mg) / 1000:14.5f} g"
        self._tare_mg = gross_mg
        if command == "Z":
            return "Z A"
        if command == "ZI":
            return f"ZI {state}"
        return f"{command} {state} {gross_mg / 1000:14.5f} g"
