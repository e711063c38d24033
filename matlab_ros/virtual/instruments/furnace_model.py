"""A box furnace as a lump of heat with losses, and the controller loop that drives its heater.

    C dT/dt = P u - G (T - Ta) - S (T^4 - Ta^4)

with temperatures in kelvin where they are raised to the fourth power. The controller samples on a
fixed grid of virtual time, so the result does not depend on how often anybody looks.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

STEP_S = 5.0
"""The controller's sample time, and the grid of the integration. The heat's time constants are
above 10 minutes, the control loop's is about 30 s."""

_REST_K = 0.05
"""Closer than this to the room, an unheated furnace counts as cold and time costs nothing."""

_KELVIN = 273.15


@dataclass(frozen=True)
class FurnaceBuild:
    """How the furnace is built. The defaults follow 30 C/min when cold, 10 C/min up to 1400 C, and
    fall from 900 C to 100 C in about three hours.

    Attributes:
        heat_capacity_j_per_k: of chamber, insulation and load.
        power_w: of the heater at full output.
        conduction_w_per_k: losses through the walls.
        radiation_w_per_k4: losses through gaps and door: Stefan-Boltzmann constant times emissivity
            times area.
        ambient_c: of the room.
    """

    heat_capacity_j_per_k: float = 8000.0
    power_w: float = 5500.0
    conduction_w_per_k: float = 1.5
    radiation_w_per_k4: float = 2.27e-10
    ambient_c: float = 25.0


@dataclass(frozen=True)
class Tuning:
    """The controller's PI parameters.

    Attributes:
        proportional_band_c: error that gives full output.
        integral_s: integral time.
    """

    proportional_band_c: float = 20.0
    integral_s: float = 600.0


class HeatedChamber:
    """Temperature over virtual time, on the grid, with its history.

    Args:
        build: of the furnace.
        tuning: of its controller.
        setpoint_at: the controller's working set point at a moment; None where the heater is off
            until somebody commands otherwise.
        cut_off: whether its contactor is open at a chamber's temperature; asked at every sample.
    """

    def __init__(
        self,
        build: FurnaceBuild,
        tuning: Tuning,
        setpoint_at: Callable[[float], float | None],
        cut_off: Callable[[float], bool],
    ) -> None:
        self.build = build
        self.heater_stuck = False
        """Whether the switch is welded: full power until the contactor opens."""
        self.heater_share = 1.0
        """Share of the heater that still works; below 1 an element is broken."""
        self._tuning = tuning
        self._setpoint_at = setpoint_at
        self._cut_off = cut_off
        self._index = 0
        self._temperature = build.ambient_c
        self._integral = 0.0
        self._output = 0.0
        self.demand = 0.0
        """Share of the heater's power that the controller wants, 0 to 1."""
        self._slope = 0.0
        self._times = array("d", [0.0])
        self._history = array("d", [self._temperature])
        self._decide()

    @property
    def output(self) -> float:
        """Share of the heater's power that is on, 0 to 1."""
        return self._output

    def advance_to(self, t: float) -> None:
        """Integrate all grid points up to `t`."""
        last = math.floor(t / STEP_S)
        while self._index < last:
            if self._output == 0.0 and self._setpoint_at((self._index + 1) * STEP_S) is None:
                self._cool_to(last)
                return
            self._temperature += self._slope * STEP_S
            self._index += 1
            self._times.append(self._index * STEP_S)
            self._history.append(self._temperature)
            self._decide()

    def _cool_to(self, last: int) -> None:
        """Let the unheated furnace cool up to a grid point: nobody commands anything meanwhile."""
        while self._index < last:
            if self._is_cold():
                self._skip_to(last)
                return
            self._temperature += self._slope * STEP_S
            self._index += 1
            self._times.append(self._index * STEP_S)
            self._history.append(self._temperature)
            self._slope = self._loss_rate(self._temperature)
        self._decide()

    def temperature_at(self, t: float) -> float:
        """Temperature at `t`, at most one step beyond what was integrated; degrees Celsius."""
        if t >= self._times[-1]:
            return self._temperature + self._slope * (t - self._times[-1])
        return float(np.interp(t, self._times, self._history))

    def trace(self, t0: float, t1: float) -> tuple[FloatArray, FloatArray]:
        """Times and temperatures between `t0` and `t1`, both included.

        Returns:
            Two arrays of the same length (at least 2 where t0 < t1): virtual seconds, and degrees
            Celsius.
        """
        first, last = bisect_left(self._times, t0), bisect_left(self._times, t1)
        inner = [t for t in self._times[first:last] if t > t0]
        times = np.array([t0, *inner, *([t1] if t1 > t0 else [])])
        values = np.interp(times, self._times, self._history)
        if t1 > self._times[-1]:
            beyond = times > self._times[-1]
            values[beyond] = [self.temperature_at(float(t)) for t in times[beyond]]
        return times, values

    def cools_below_at(self, threshold_c: float) -> float | None:
        """When the unheated furnace will have fallen below a temperature; None if it is there, is
        heated, or the room is not colder."""
        build = self.build
        if self._temperature < threshold_c or self._output > 0 or threshold_c <= build.ambient_c:
            return None
        temperature, steps = self._temperature, 0
        while temperature >= threshold_c:
            temperature += STEP_S * self._loss_rate(temperature)
            steps += 1
        return (self._index + steps) * STEP_S

    def _decide(self) -> None:
        """The controller's sample at the present grid point: output and slope of the next step."""
        setpoint = self._setpoint_at(self._index * STEP_S)
        if setpoint is None:
            self._output = self._integral = 0.0
        else:
            error = setpoint - self._temperature
            proportional = error / self._tuning.proportional_band_c
            change = proportional * STEP_S / self._tuning.integral_s
            wanted = proportional + self._integral + change
            # The integral rests while the output is at its end in the same direction.
            if not ((wanted > 1 and error > 0) or (wanted < 0 and error < 0)):
                self._integral += change
            self._integral = min(max(self._integral, 0.0), 1.0)
            self._output = min(max(proportional + self._integral, 0.0), 1.0)
        self.demand = self._output
        if self.heater_stuck:
            self._output = 1.0
        if self._cut_off(self._temperature):
            self._output = self._integral = 0.0
        heat = self.build.power_w * self.heater_share * self._output
        self._slope = heat / self.build.heat_capacity_j_per_k + self._loss_rate(self._temperature)

    def _loss_rate(self, temperature_c: float) -> float:
        build = self.build
        hot, cold = temperature_c + _KELVIN, build.ambient_c + _KELVIN
        loss_w = build.conduction_w_per_k * (hot - cold) + build.radiation_w_per_k4 * (
            hot**4 - cold**4
        )
        return -loss_w / build.heat_capacity_j_per_k

    def _is_cold(self) -> bool:
        return self._output == 0.0 and abs(self._temperature - self.build.ambient_c) < _REST_K

    def _skip_to(self, index: int) -> None:
        self._index = index
        self._temperature = self.build.ambient_c
        self._times.append(index * STEP_S)
        self._history.append(self._temperature)
        self._decide()
