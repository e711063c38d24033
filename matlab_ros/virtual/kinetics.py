"""How far the reactions of a powder go under a temperature over time.

Rate of a reaction whose scarcest reactant would last for n formula units of it:

    d(extent)/dt = k(T) * drive(T) * contact * n / (1 + rho * layer(phi))

`contact` is the harmonic mean of the extents that each reactant would allow over n (1 for a single
reactant), times how well the powders are mixed; a molten reactant wets the others, so that mixing
no longer matters. `phi` is the share of the reactants in the volume of all solids, x = phi^(1/3)
the size of a shrunken grain over its first size. Diffusion through the product is slower by the
layer resistance rho times

    1 - x         on a flat layer (Jander, Z. anorg. allg. Chem. 163, 1, 1927)
    x * (1 - x)   around a sphere (Ginstling and Brounshtein, Zh. prikl. khim. 23, 1249, 1950)

so the start is limited by the interface, and the middle by diffusion with the parabolic law. A
spread of grain sizes makes the end first order in what is left. `drive` is 1 - exp(dG/RT) where the
reaction is downhill in its atmosphere, else 0.

Grinding breaks the layers: product that was ground off its grains lies loose between them and
counts no more in `phi`, so a ground sample reacts from fresh surfaces until new layers grow.

Integration is by symmetric operator splitting: each reaction alone, first in one order and then
in the other, each exact for a first-order decay of its scarcest reactant. So amounts never fall
below zero, mass is conserved to rounding, and fast decompositions need no small steps. Step
doubling controls the error.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from matlab_ros.virtual.gibbs import GAS_CONSTANT_J_MOL_K, ZERO_CELSIUS_K
from matlab_ros.virtual.network import Chemistry

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TOLERANCE = 2e-4
"""Error allowed in a step, as a share of all the material."""
LONGEST_STEP_S = 3600.0
SHORTEST_STEP_S = 0.05
LARGEST_TEMPERATURE_CHANGE_K = 30.0
ABSENT = 1e-30
"""Fewer mmol than this are none; far below one atom, and safe to divide by."""
NOTHING = 1e-10
"""A reaction that would turn over a smaller share of its reactants in a step waits."""
FROZEN_BELOW_C = 100.0
"""Nothing reacts below this temperature."""


class _Network(NamedTuple):
    """A chemistry's reactions with only what is not zero; R reactions, S species, N energies.

    `uses` and `makes` (solids that change) and `trades` (all energies that count) are indices with
    -1 after the last, shape (R, most); `used`, `made` and `traded` the amounts.
    """

    uses: IntArray
    used: FloatArray
    makes: IntArray
    made: FloatArray
    trades: IntArray
    traded: FloatArray
    volume: FloatArray
    log_rate: FloatArray
    reference_k: FloatArray
    activation_k: FloatArray
    layer: FloatArray
    curved: FloatArray
    terms: FloatArray
    melting_k: FloatArray
    fusion: FloatArray


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
        mmol of each species afterwards, shape (S,), and mmol of everything that left (below zero:
        was taken up), in the order of `Chemistry.leaving`, shape (L,).

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
            _network(chemistry),
        )
    return after, extents @ chemistry.rates.leaving


@lru_cache(maxsize=64)
def _network(chemistry: Chemistry) -> _Network:
    rates, energies = chemistry.rates, chemistry.energies
    uses, used = _packed(rates.reactants)
    makes, made = _packed(rates.change)
    trades, traded = _packed(chemistry.stoichiometry)
    return _Network(
        uses=uses,
        used=used,
        makes=makes,
        made=made,
        trades=trades,
        traded=traded,
        volume=chemistry.molar_volume,
        log_rate=rates.log_rate,
        reference_k=rates.temperature_k,
        activation_k=rates.activation_k,
        layer=rates.layer,
        curved=rates.curved,
        terms=np.ascontiguousarray(energies.terms),
        melting_k=energies.melting_k,
        fusion=energies.fusion_j_mol,
    )


def _packed(matrix: FloatArray) -> tuple[IntArray, FloatArray]:
    """Columns and values of what is not zero in each row, shape (R, most) each."""
    most = max(1, int((matrix != 0).sum(axis=1).max(initial=0)))
    columns = np.full((matrix.shape[0], most), -1, dtype=np.int64)
    values = np.zeros((matrix.shape[0], most))
    for r, row in enumerate(matrix):
        filled = np.flatnonzero(row)
        columns[r, : filled.size] = filled
        values[r, : filled.size] = row[filled]
    return columns, values


@njit(cache=True, nogil=True, error_model="numpy")
def _temperature(t, times, temperature, hint):  # type: ignore[no-untyped-def]
    """Temperature at t by linear interpolation; `hint` is an index at or before it."""
    i = hint
    while i < times.size - 2 and times[i + 1] < t:
        i += 1
    share = (t - times[i]) / (times[i + 1] - times[i])
    return temperature[i] + share * (temperature[i + 1] - temperature[i]), i


@njit(cache=True, nogil=True, error_model="numpy")
def _until_warmer(t, dt, times, temperature, hint):  # type: ignore[no-untyped-def]
    """At most dt, ended where the temperature has changed too much for one step.

    What is frozen counts as equally cold.
    """
    frozen = FROZEN_BELOW_C + ZERO_CELSIUS_K
    now, _ = _temperature(t, times, temperature, hint)
    before_t, before = t, max(now, frozen)
    level = before
    i = hint
    while before_t < t + dt and i < times.size - 1:
        i += 1
        if times[i] <= t:
            continue
        after_t, after = times[i], max(temperature[i], frozen)
        change = abs(after - level)
        if change > LARGEST_TEMPERATURE_CHANGE_K:
            bound = level + np.sign(after - level) * LARGEST_TEMPERATURE_CHANGE_K
            share = (bound - before) / (after - before)
            reached = before_t + share * (after_t - before_t)
            return min(dt, max(reached - t, SHORTEST_STEP_S))
        before_t, before = after_t, after
    return dt


@njit(cache=True, nogil=True, error_model="numpy")
def _rate_constants(k, molten, kelvin, net):  # type: ignore[no-untyped-def]
    """Rate constants in 1/s, and whether a reactant is molten, in place."""
    terms, melting_k, fusion = net.terms, net.melting_k, net.fusion
    uses, trades, traded = net.uses, net.trades, net.traded
    log_rate, activation_k, reference_k = net.log_rate, net.activation_k, net.reference_k
    log_t = kelvin * np.log(kelvin)
    square = kelvin * kelvin
    g = np.empty(melting_k.size)
    for s in range(g.size):
        g[s] = (
            terms[s, 0]
            + terms[s, 1] * kelvin
            + terms[s, 2] * log_t
            + terms[s, 3] * square
            + terms[s, 4] / kelvin
        )
        if kelvin > melting_k[s]:
            g[s] += fusion[s] * (1.0 - kelvin / melting_k[s])
    for r in range(k.size):
        energy = 0.0
        for j in range(trades.shape[1]):
            s = trades[r, j]
            if s < 0:
                break
            energy += traded[r, j] * g[s]
        molten[r] = False
        for j in range(uses.shape[1]):
            s = uses[r, j]
            if s >= 0 and kelvin > melting_k[s]:
                molten[r] = True
        if energy >= 0.0:
            k[r] = 0.0
            continue
        drive = -np.expm1(energy / (GAS_CONSTANT_J_MOL_K * kelvin))
        slope = activation_k[r] * (1.0 / kelvin - 1.0 / reference_k[r])
        k[r] = drive * np.exp(log_rate[r] - slope) / 3600.0


@njit(cache=True, nogil=True, error_model="numpy")
def _step(n, extents, k, molten, dt, mixedness, loose, net):  # type: ignore[no-untyped-def]
    """All reactions for dt, in place: each alone for half of it, there and back in their order."""
    # Taken out of the tuple once: counting references to arrays would cost more than the sums.
    uses, used, makes, made = net.uses, net.used, net.makes, net.made
    volume, layer, curved = net.volume, net.layer, net.curved
    count = k.size
    for turn in range(2 * count):
        r = turn if turn < count else 2 * count - 1 - turn
        if k[r] * dt <= NOTHING:
            continue
        scarcest = np.inf
        inverse = 0.0
        kinds = 0
        own = 0.0
        loose_own = 0.0
        for j in range(uses.shape[1]):
            s = uses[r, j]
            if s < 0:
                break
            if n[s] <= ABSENT:
                scarcest = 0.0
                break
            possible = n[s] / used[r, j]
            scarcest = min(scarcest, possible)
            inverse += 1.0 / possible
            kinds += 1
            own += n[s] * volume[s]
            loose_own += min(loose[s], n[s]) * volume[s]
        if scarcest == 0.0:
            continue
        speed = k[r]
        if kinds > 1:
            contact = kinds / (inverse * scarcest)
            speed *= contact if molten[r] else mixedness * contact
        if layer[r] > 0.0:
            whole = loose_own
            for s in range(n.size):
                whole += (n[s] - min(loose[s], n[s])) * volume[s]
            x = np.cbrt(own / whole)
            thickness = (1.0 - x) * (x if curved[r] > 0.0 else 1.0)
            speed /= 1.0 + layer[r] * max(0.0, thickness)
        extent = -scarcest * np.expm1(-speed * dt / 2)
        extents[r] += extent
        for j in range(makes.shape[1]):
            s = makes[r, j]
            if s < 0:
                break
            n[s] = max(0.0, n[s] + extent * made[r, j])


@njit(cache=True, nogil=True, error_model="numpy")
def _integrate(n, extents, times, temperature, mixedness, loose, net):  # type: ignore[no-untyped-def]
    total = n.sum()
    k = np.empty(extents.size)
    molten = np.zeros(extents.size, dtype=np.bool_)
    whole = np.empty(n.size)
    halves = np.empty(n.size)
    discarded = np.empty(extents.size)
    done = np.empty(extents.size)
    t = times[0]
    end = times[-1]
    dt = 1.0
    index = 0
    while t < end:
        dt = min(dt, LONGEST_STEP_S, end - t)
        _, index = _temperature(t, times, temperature, index)
        dt = _until_warmer(t, dt, times, temperature, index)
        first, _ = _temperature(t + dt / 4, times, temperature, index)
        middle, _ = _temperature(t + dt / 2, times, temperature, index)
        last, _ = _temperature(t + 3 * dt / 4, times, temperature, index)
        if max(first, last) < FROZEN_BELOW_C + ZERO_CELSIUS_K:
            t = end if dt >= end - t else t + dt
            dt *= 2.0
            continue

        whole[:] = n
        discarded[:] = 0.0
        _rate_constants(k, molten, middle, net)
        _step(whole, discarded, k, molten, dt, mixedness, loose, net)
        halves[:] = n
        done[:] = 0.0
        _rate_constants(k, molten, first, net)
        _step(halves, done, k, molten, dt / 2, mixedness, loose, net)
        _rate_constants(k, molten, last, net)
        _step(halves, done, k, molten, dt / 2, mixedness, loose, net)

        error = np.abs(whole - halves).max() / (total * TOLERANCE)
        if error <= 1.0 or dt <= SHORTEST_STEP_S:
            n[:] = halves
            extents += done
            t = end if dt >= end - t else t + dt
        # The splitting is of second order, so the error of a step goes with its cube.
        dt *= min(4.0, max(0.2, 0.85 * (error + 1e-12) ** (-1.0 / 3.0)))
        dt = max(dt, SHORTEST_STEP_S)
