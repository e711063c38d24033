"""How far the reactions of a powder go under a temperature over time.

Rate of a reaction whose scarcest reactant would last for n formula units of it:

    d(extent)/dt = k(T) * drive(T) * contact / (1 + rho * (1 - phi^(1/3)))

`contact` is the harmonic mean of the extents that each reactant would allow (n itself for a single
reactant), times how well the powders are mixed. `phi` is the share of the reactants in the volume
of all solids, so 1 - phi^(1/3) is the thickness of product around a shrinking grain as in Jander's
law (Z. anorg. allg. Chem. 163, 1, 1927), and rho the layer resistance: the start is limited by the
interface, the end by diffusion through the product. `drive` is 1 - exp(dG/RT) where the reaction
is downhill, else 0; 1 where no driving force is given.

Grinding breaks the layers: product that was ground off its grains lies loose between them and
counts no more in `phi`, so a ground sample reacts from fresh surfaces until new layers grow.

Integration is by symmetric operator splitting: each reaction alone, first in one order and then
in the other, each exact for a first-order decay of its scarcest reactant. So amounts never fall
below zero, mass is conserved to rounding, and fast decompositions need no small steps. Step
doubling controls the error.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from matlab_ros.virtual.reactions import ZERO_CELSIUS_K, Chemistry

FloatArray = NDArray[np.float64]

TOLERANCE = 2e-4
"""Error allowed in a step, as a share of all the material."""
LONGEST_STEP_S = 900.0
LARGEST_TEMPERATURE_CHANGE_K = 15.0
ABSENT = 1e-30
"""Fewer mmol than this are none; far below one atom, and safe to divide by."""
FROZEN_BELOW_C = 100.0
"""Nothing reacts below this temperature."""


def react(
    chemistry: Chemistry,
    amounts: FloatArray,
    mixedness: float,
    times_s: FloatArray,
    temperature_c: FloatArray,
    loose: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Let a powder react under a temperature over time.

    Args:
        chemistry: what can happen.
        amounts: mmol of each species, shape (S,); unchanged.
        mixedness: 0 (layers of powder) to 1 (intimate mixture).
        times_s: increasing, shape (n,), n >= 2.
        temperature_c: of the powder at these times, linear in between, shape (n,).
        loose: mmol of each species that grinding has taken off the grains it had grown on, shape
            (S,); None: none.

    Returns:
        mmol of each species afterwards, shape (S,), and mmol of everything that left, in the order
        of `Chemistry.leaving`, shape (L,).

    Raises:
        ValueError: the trace is no trace.
    """
    times = np.ascontiguousarray(times_s, dtype=np.float64)
    temperature = np.ascontiguousarray(temperature_c, dtype=np.float64)
    if times.ndim != 1 or times.shape != temperature.shape or times.size < 2:
        raise ValueError("a trace needs as many temperatures as times, and at least two")
    if not (np.all(np.isfinite(times)) and np.all(np.isfinite(temperature))):
        raise ValueError("a trace of what the powder felt has a value at every time")
    if not np.all(np.diff(times) > 0):
        raise ValueError("the times of a trace must increase")
    rates = chemistry.rates
    after = np.array(amounts, dtype=np.float64)
    extents = np.zeros(len(chemistry.reaction_names))
    if after.sum() > 0 and extents.size:
        _integrate(
            after,
            extents,
            times,
            temperature + ZERO_CELSIUS_K,
            float(mixedness),
            np.zeros_like(after) if loose is None else np.ascontiguousarray(loose),
            rates.reactants,
            rates.change,
            chemistry.molar_volume,
            rates.log_rate,
            rates.temperature_k,
            rates.activation_k,
            rates.layer,
            rates.enthalpy_k,
            rates.entropy,
        )
    return after, extents @ rates.leaving


@njit(cache=True, nogil=True)
def _temperature(t, times, temperature, hint):  # type: ignore[no-untyped-def]
    """Temperature at t by linear interpolation; `hint` is an index at or before it."""
    i = hint
    while i < times.size - 2 and times[i + 1] < t:
        i += 1
    share = (t - times[i]) / (times[i + 1] - times[i])
    return temperature[i] + share * (temperature[i + 1] - temperature[i]), i


@njit(cache=True, nogil=True)
def _rate_constants(out, kelvin, log_rate, reference, activation, enthalpy, entropy):  # type: ignore[no-untyped-def]
    for r in range(out.size):
        drive = 1.0 - np.exp(min(0.0, enthalpy[r] / kelvin - entropy[r]))
        slope = activation[r] * (1.0 / kelvin - 1.0 / reference[r])
        out[r] = drive * np.exp(log_rate[r] - slope) / 3600.0


@njit(cache=True, nogil=True)
def _advance(n, extents, r, k, dt, mixedness, loose, reactants, change, volume, layer):  # type: ignore[no-untyped-def]
    """One reaction alone for dt, in place."""
    if k <= 0.0:
        return
    scarcest = np.inf
    inverse = 0.0
    kinds = 0
    own = 0.0
    whole = 0.0
    for s in range(n.size):
        whole += n[s] * volume[s]
        needed = reactants[r, s]
        if needed <= 0.0:
            whole -= min(loose[s], n[s]) * volume[s]
        else:
            if n[s] <= ABSENT:
                return
            possible = n[s] / needed
            scarcest = min(scarcest, possible)
            inverse += 1.0 / possible
            kinds += 1
            own += n[s] * volume[s]
    speed = k
    if kinds > 1:
        contact = kinds / (inverse * scarcest)
        speed *= mixedness * contact
    if layer[r] > 0.0:
        speed /= 1.0 + layer[r] * (1.0 - (own / whole) ** (1.0 / 3.0))
    extent = -scarcest * np.expm1(-speed * dt)
    extents[r] += extent
    for s in range(n.size):
        if change[r, s] != 0.0:
            n[s] = max(0.0, n[s] + extent * change[r, s])


@njit(cache=True, nogil=True)
def _step(n, extents, k, dt, mixedness, loose, reactants, change, volume, layer):  # type: ignore[no-untyped-def]
    count = k.size
    for r in range(count):
        _advance(n, extents, r, k[r], dt / 2, mixedness, loose, reactants, change, volume, layer)
    for r in range(count - 1, -1, -1):
        _advance(n, extents, r, k[r], dt / 2, mixedness, loose, reactants, change, volume, layer)


@njit(cache=True, nogil=True)
def _integrate(  # type: ignore[no-untyped-def]
    n,
    extents,
    times,
    temperature,
    mixedness,
    loose,
    reactants,
    change,
    volume,
    log_rate,
    reference,
    activation,
    layer,
    enthalpy,
    entropy,
):
    total = n.sum()
    k = np.empty(extents.size)
    t = times[0]
    end = times[-1]
    dt = 1.0
    index = 0
    while t < end:
        dt = min(dt, LONGEST_STEP_S, end - t)
        now, index = _temperature(t, times, temperature, index)
        at_end, _ = _temperature(t + dt, times, temperature, index)
        if abs(at_end - now) > LARGEST_TEMPERATURE_CHANGE_K and dt > 1.0:
            dt = max(1.0, 0.9 * dt * LARGEST_TEMPERATURE_CHANGE_K / abs(at_end - now))
            continue
        if max(now, at_end) < FROZEN_BELOW_C + ZERO_CELSIUS_K:
            t += dt
            dt *= 2.0
            continue
        first, _ = _temperature(t + dt / 4, times, temperature, index)
        middle, _ = _temperature(t + dt / 2, times, temperature, index)
        last, _ = _temperature(t + 3 * dt / 4, times, temperature, index)

        whole = n.copy()
        discarded = np.zeros(extents.size)
        _rate_constants(k, middle, log_rate, reference, activation, enthalpy, entropy)
        _step(whole, discarded, k, dt, mixedness, loose, reactants, change, volume, layer)
        halves = n.copy()
        done = np.zeros(extents.size)
        _rate_constants(k, first, log_rate, reference, activation, enthalpy, entropy)
        _step(halves, done, k, dt / 2, mixedness, loose, reactants, change, volume, layer)
        _rate_constants(k, last, log_rate, reference, activation, enthalpy, entropy)
        _step(halves, done, k, dt / 2, mixedness, loose, reactants, change, volume, layer)

        error = np.abs(whole - halves).max() / (total * TOLERANCE)
        if error <= 1.0 or dt < 0.05:
            n[:] = halves
            extents += done
            t = end if dt >= end - t else t + dt
        # The splitting is of second order, so the error of a step goes with its cube.
        dt *= min(4.0, max(0.2, 0.85 * (error + 1e-12) ** (-1.0 / 3.0)))
