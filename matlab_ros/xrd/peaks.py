"""Draws the reflections of a phase over a scan, with derivatives: compiled loops.

A reflection is a pseudo-Voigt of Thompson, Cox and Hastings (J. Appl. Cryst. 20, 79, 1987) of
unit area with a wider half on the side of lower angles. Its derivatives are written out, so that
those by all parameters of a fit cost about as much as one more drawing.

Axial divergence moves the centroid of a reflection by -axial / tan(2 theta), whatever else broadens
it; how much of that shows as a wider half is fitted. Where little does, because other broadening
covers it, the maximum itself must lie lower. So it is the centroid that is put in its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

_GAUSS_FULL_WIDTHS = math.sqrt(12.0)
"""Full widths from its centre beyond which a Gaussian is left out: it is 1e-14 of its height."""
_SLOPE_FULL_WIDTHS = 12.0
"""Full widths beyond which derivatives are left out.

What they miss lies smooth under everything, where the background takes its place in a step; the
curves themselves are drawn much further.
"""
_FOUR_LN2 = 4.0 * math.log(2.0)
_GAUSS = 2.0 * math.sqrt(math.log(2.0) / math.pi)
_CENTROID = 0.5 / math.sqrt(math.log(2.0) * math.pi)
"""How far the maximum of two half Gaussians lies above their centroid, over the difference of their
full widths."""
_LORENTZ = 2.0 / math.pi
_SMALLEST_GAUSS2 = 1e-5
_SMALLEST_LORENTZ = 1e-4


def compiled(*signature: str, inline: str = "never") -> Callable[[Callable[..., Any]], Any]:
    """numba's compiler, with its cache where one can be kept.

    Divisions follow IEEE rules (error_model): a check for zero in every one would keep the loops
    from being vectorised.
    """
    options: dict[str, Any] = {
        "fastmath": True,
        "nogil": True,
        "error_model": "numpy",
        "inline": inline,
    }
    compiler: Any = njit

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return compiler(*signature, cache=True, **options)(function)
        except RuntimeError:
            # Neither the installation nor the user's home can be written to.
            return compiler(*signature, **options)(function)

    return decorate


@compiled(inline="always")
def _add_tail(out, angles, centre, height, steepness):  # type: ignore[no-untyped-def]
    """Adds height / (1 + steepness delta^2)."""
    for i in range(out.size):
        delta = angles[i] - centre
        out[i] += height / (1.0 + steepness * delta * delta)


@compiled(inline="always")
def _exponential(y):  # type: ignore[no-untyped-def]
    """exp(y) for y from -34 to 0.

    The 256th power of its Taylor polynomial at a 256th of the exponent, good to 1e-14 and, other
    than a call of the library's, vectorised.
    """
    y *= 1.0 / 256.0
    e = 1.0 + y / 7.0 * (1.0 + y / 8.0)
    e = 1.0 + y / 4.0 * (1.0 + y / 5.0 * (1.0 + y / 6.0 * e))
    e = 1.0 + y * (1.0 + y / 2.0 * (1.0 + y / 3.0 * e))
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    return e


@compiled(inline="always")
def _add_core(  # type: ignore[no-untyped-def]
    out, angles, centre, height, steepness, gauss_height, gauss_steepness
):
    """Adds the same and gauss_height exp(-gauss_steepness delta^2), whose exponent is above -34."""
    for i in range(out.size):
        delta = angles[i] - centre
        delta *= delta
        e = _exponential(-gauss_steepness * delta)
        out[i] += height / (1.0 + steepness * delta) + gauss_height * e


@compiled(inline="always")
def _width(g, lz):  # type: ignore[no-untyped-def]
    """Full width and Lorentzian share of a pseudo-Voigt, of the widths of its parts."""
    fwhm = (
        g**5
        + 2.69269 * g**4 * lz
        + 2.42843 * g**3 * lz**2
        + 4.47163 * g**2 * lz**3
        + 0.07842 * g * lz**4
        + lz**5
    ) ** 0.2
    q = lz / fwhm
    eta = 1.36603 * q - 0.47719 * q * q + 0.11116 * q * q * q
    return fwhm, min(max(eta, 0.0), 1.0)


@compiled(inline="always")
def _inverse_spacing(h, metric):  # type: ignore[no-untyped-def]
    """1/d of Miller indices."""
    return np.sqrt(
        h[0] * h[0] * metric[0, 0]
        + h[1] * h[1] * metric[1, 1]
        + h[2] * h[2] * metric[2, 2]
        + 2.0
        * (h[0] * h[1] * metric[0, 1] + h[0] * h[2] * metric[0, 2] + h[1] * h[2] * metric[1, 2])
    )


@compiled(inline="always")
def _lorentz_polarisation(sine, cosine, polarisation, roughness):  # type: ignore[no-untyped-def]
    """Lorentz-polarisation factor, and what a rough surface leaves of it."""
    cos2 = 1.0 - 2.0 * sine * sine
    factor = (1.0 + polarisation * cos2 * cos2) / ((1.0 + polarisation) * sine * sine * cosine)
    return factor * np.exp(-roughness / sine)


@compiled(inline="always")
def _skewness(asymmetry, centre):  # type: ignore[no-untyped-def]
    return max(1.0 + asymmetry / np.tan(max(centre, 5.0) * np.pi / 180.0), 0.5)


@compiled(inline="always")
def _maximum(centre, fwhm, skew, axial):  # type: ignore[no-untyped-def]
    """Where the maximum of a reflection lies whose centre would be there without divergence."""
    shift = axial / np.tan(max(centre, 5.0) * np.pi / 180.0)
    return centre - shift + _CENTROID * fwhm * (skew - 1.0 / skew)


@compiled(
    "void(f8[::1], f8[::1], f8[:, ::1], f8[::1], f8[:, :], f8[:, ::1], f8[::1], f8, f8, f8, f8)"
)
def add_reflections(  # type: ignore[no-untyped-def]
    out, angles, indices, strength, metric, lines, shape, size_deg, strain_deg, polarisation, axial
):  # pragma: no cover - compiled
    """Adds all reflections to `out`.

    Tails are drawn to 6 (Gaussian) to 66 (Lorentzian) full widths, at most 5 degrees.

    Args:
        out: shape (n,).
        angles: 2theta in degrees, increasing, shape (n,).
        indices: Miller indices, shape (m, 3).
        strength: of each reflection, above zero, shape (m,).
        metric: reciprocal, shape (3, 3).
        lines: wavelengths and relative intensities, shape (l, 2).
        shape: `matlab_ros.xrd.profile.Instrument.vector`, shape (8,).
        size_deg: Lorentzian width of small crystallites, FWHM * cos(theta).
        strain_deg: Lorentzian width of unequal spacings, FWHM / tan(theta).
        polarisation: cos^2 of the monochromator's angle.
        axial: degrees by which axial divergence lowers centroids where 2theta is 45 degrees.
    """
    zero, displacement, u, v, w, x, asymmetry, roughness = shape
    n = angles.shape[0]
    for k in range(indices.shape[0]):
        inverse_d = _inverse_spacing(indices[k], metric)
        for line in range(lines.shape[0]):
            sine = 0.5 * lines[line, 0] * inverse_d
            if sine >= 0.9999:
                continue
            cosine = np.sqrt(1.0 - sine * sine)
            tangent = sine / cosine
            centre = 2.0 * np.arcsin(sine) * 180.0 / np.pi + zero + displacement * cosine
            if centre < angles[0] - 5.0 or centre > angles[n - 1] + 5.0:
                continue
            g2 = u * tangent * tangent + v * tangent + w
            g = np.sqrt(max(g2, _SMALLEST_GAUSS2))
            lz = x + size_deg / cosine + strain_deg * tangent
            fwhm, eta = _width(g, max(lz, _SMALLEST_LORENTZ))
            reach = min(max(fwhm * (6.0 + 60.0 * eta), 0.3), 5.0)
            skew = _skewness(asymmetry, centre)
            centre = _maximum(centre, fwhm, skew, axial)
            left, right = fwhm * skew, fwhm / skew
            # Both halves together keep unit area whatever the skew.
            height = strength[k] * lines[line, 1] / fwhm * 2.0 / (skew + 1.0 / skew)
            height *= _lorentz_polarisation(sine, cosine, polarisation, roughness)
            tail = height * eta * _LORENTZ
            core = height * (1.0 - eta) * _GAUSS
            steep_left, steep_right = 1.0 / (left * left), 1.0 / (right * right)
            first = np.searchsorted(angles, centre - reach)
            last = first + np.searchsorted(angles[first:], centre + reach)
            inner = angles[first:last]
            low = first + np.searchsorted(inner, centre - min(left * _GAUSS_FULL_WIDTHS, reach))
            middle = first + np.searchsorted(inner, centre)
            high = first + np.searchsorted(inner, centre + min(right * _GAUSS_FULL_WIDTHS, reach))
            _add_tail(out[first:low], angles[first:low], centre, tail, 4.0 * steep_left)
            _add_core(
                out[low:middle],
                angles[low:middle],
                centre,
                tail,
                4.0 * steep_left,
                core,
                _FOUR_LN2 * steep_left,
            )
            _add_core(
                out[middle:high],
                angles[middle:high],
                centre,
                tail,
                4.0 * steep_right,
                core,
                _FOUR_LN2 * steep_right,
            )
            _add_tail(out[high:last], angles[high:last], centre, tail, 4.0 * steep_right)


@compiled()
def _half_slopes(  # type: ignore[no-untyped-def]
    value, position, by_g, by_l, by_s, angles, centre, width, side, heights, widths, by_skew
):
    """Writes one half of a reflection and its derivatives.

    With D the derivative by the logarithm of the half's width at constant heights, those by a
    width (whose logarithmic one of the full width and that of eta are given) are
    (D - f) dlnH + f_eta deta, and by the logarithm of the skewness side D + f dlnN.

    Args:
        value, position, by_g, by_l, by_s: the value and its derivatives by position, Gaussian
            width, Lorentzian width and logarithm of the skewness, shape (n,) each.
        angles: shape (n,).
        centre: in degrees.
        width: full width of this half.
        side: 1 for the half of lower angles, -1 for the other.
        heights: of the Lorentzian and the Gaussian part, and what these change by eta.
        widths: dlnH and deta by the Gaussian width and by the Lorentzian one.
        by_skew: dlnN by the logarithm of the skewness.
    """
    inverse2 = 1.0 / (width * width)
    lorentz, gauss, lorentz_eta, gauss_eta = heights
    h_g, eta_g, h_l, eta_l = widths
    for i in range(value.size):
        delta = angles[i] - centre
        t = delta * delta * inverse2
        shape_l = 1.0 / (1.0 + 4.0 * t)
        shape_g = _exponential(-_FOUR_LN2 * t)
        f = lorentz * shape_l + gauss * shape_g
        common = 8.0 * lorentz * shape_l * shape_l + 2.0 * _FOUR_LN2 * gauss * shape_g
        by_width = common * t
        by_eta = lorentz_eta * shape_l + gauss_eta * shape_g
        value[i] = f
        position[i] = common * delta * inverse2
        by_g[i] = (by_width - f) * h_g + by_eta * eta_g
        by_l[i] = (by_width - f) * h_l + by_eta * eta_l
        by_s[i] = side * by_width + by_skew * f


@compiled()
def _tail_slopes(  # type: ignore[no-untyped-def]
    value, position, by_g, by_l, by_s, angles, centre, width, side, heights, widths, by_skew
):
    """The same where the Gaussian part is nothing."""
    inverse2 = 1.0 / (width * width)
    lorentz, _, lorentz_eta, _ = heights
    h_g, eta_g, h_l, eta_l = widths
    for i in range(value.size):
        delta = angles[i] - centre
        t = delta * delta * inverse2
        shape = 1.0 / (1.0 + 4.0 * t)
        f = lorentz * shape
        common = 8.0 * f * shape
        by_width = common * t
        value[i] = f
        position[i] = common * delta * inverse2
        by_g[i] = (by_width - f) * h_g + lorentz_eta * shape * eta_g
        by_l[i] = (by_width - f) * h_l + lorentz_eta * shape * eta_l
        by_s[i] = side * by_width + by_skew * f


@compiled()
def _add_times(out, factor, values):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        out[i] += factor * values[i]


@compiled(
    "void(f8[:, ::1], i8[::1], f8[::1], f8[:, ::1], f8[::1], f8[:, ::1], f8[:, :], f8[:, :, ::1],"
    " f8[:, ::1], f8[::1], f8, f8, f8)"
)
def add_slopes(  # type: ignore[no-untyped-def]
    out,
    rows,
    angles,
    indices,
    strength,
    strength_slopes,
    metric,
    metric_slopes,
    lines,
    shape,
    size_deg,
    polarisation,
    axial,
):  # pragma: no cover - compiled
    """Adds the derivatives of what `add_reflections` draws to `out`.

    Args:
        out: shape (p, n).
        rows: which row of `out` takes the derivative by each value of `shape`, -1 for none, then
            by `size_deg`, by each of the f cell constants, and by each of the t parameters on which
            the strengths depend; shape (9 + f + t,).
        angles: as for `add_reflections`, as are all others not named here.
        strength_slopes: derivatives of `strength` by its parameters, shape (t, m).
        metric_slopes: derivatives of `metric` by the cell constants, shape (f, 3, 3).
    """
    zero, displacement, u, v, w, x, asymmetry, roughness = shape
    n = angles.shape[0]
    n_cell = metric_slopes.shape[0]
    degree = 180.0 / np.pi
    # Values and derivatives by position, both widths and skewness, of one reflection at a time.
    fs, cs, gs, ls, ss = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for k in range(indices.shape[0]):
        inverse_d = _inverse_spacing(indices[k], metric)
        for line in range(lines.shape[0]):
            sine = 0.5 * lines[line, 0] * inverse_d
            if sine >= 0.9999:
                continue
            cosine = np.sqrt(1.0 - sine * sine)
            tangent = sine / cosine
            theta = np.arcsin(sine)
            cos2 = 1.0 - 2.0 * sine * sine
            centre = 2.0 * theta * degree + zero + displacement * cosine
            g2 = u * tangent * tangent + v * tangent + w
            g = np.sqrt(max(g2, _SMALLEST_GAUSS2))
            lz = max(x + size_deg / cosine, _SMALLEST_LORENTZ)
            fwhm, eta = _width(g, lz)
            skew = _skewness(asymmetry, centre)
            centre = _maximum(centre, fwhm, skew, axial)
            reach = min(max(fwhm * _SLOPE_FULL_WIDTHS, 0.3), 5.0)
            first = np.searchsorted(angles, centre - reach)
            last = first + np.searchsorted(angles[first:], centre + reach)
            if first == last:
                continue
            unit = lines[line, 1] / fwhm * 2.0 / (skew + 1.0 / skew)
            unit *= _lorentz_polarisation(sine, cosine, polarisation, roughness)
            height = strength[k] * unit
            lorentz, gauss = height * _LORENTZ, height * _GAUSS
            heights = (lorentz * eta, gauss * (1.0 - eta), lorentz, -gauss)
            fifth = 0.2 / fwhm**5
            by_g = fifth * (
                5.0 * g**4
                + 4.0 * 2.69269 * g**3 * lz
                + 3.0 * 2.42843 * g**2 * lz**2
                + 2.0 * 4.47163 * g * lz**3
                + 0.07842 * lz**4
            )
            by_l = fifth * (
                2.69269 * g**4
                + 2.0 * 2.42843 * g**3 * lz
                + 3.0 * 4.47163 * g**2 * lz**2
                + 4.0 * 0.07842 * g * lz**3
                + 5.0 * lz**4
            )
            q = lz / fwhm
            by_q = 1.36603 - 2.0 * 0.47719 * q + 3.0 * 0.11116 * q * q
            widths = (by_g, -by_q * q * by_g, by_l, by_q * (1.0 / fwhm - q * by_l))
            by_skew = -(skew - 1.0 / skew) / (skew + 1.0 / skew)
            inner = angles[first:last]
            end = last - first
            low = np.searchsorted(inner, centre - fwhm * skew * _GAUSS_FULL_WIDTHS)
            middle = np.searchsorted(inner, centre)
            high = np.searchsorted(inner, centre + fwhm / skew * _GAUSS_FULL_WIDTHS)
            _tail_slopes(
                fs[0:low], cs[0:low], gs[0:low], ls[0:low], ss[0:low],
                inner[0:low], centre, fwhm * skew, 1.0, heights, widths, by_skew,
            )  # fmt: skip
            _half_slopes(
                fs[low:middle], cs[low:middle], gs[low:middle], ls[low:middle], ss[low:middle],
                inner[low:middle], centre, fwhm * skew, 1.0, heights, widths, by_skew,
            )  # fmt: skip
            _half_slopes(
                fs[middle:high], cs[middle:high], gs[middle:high], ls[middle:high], ss[middle:high],
                inner[middle:high], centre, fwhm / skew, -1.0, heights, widths, by_skew,
            )  # fmt: skip
            _tail_slopes(
                fs[high:end], cs[high:end], gs[high:end], ls[high:end], ss[high:end],
                inner[high:end], centre, fwhm / skew, -1.0, heights, widths, by_skew,
            )  # fmt: skip
            value, position, by_skewness = fs[:end], cs[:end], ss[:end]
            by_gauss, by_lorentz = gs[:end], ls[:end]
            # Widths and skewness move the maximum too; see `_maximum`.
            offset = _CENTROID * fwhm * (skew - 1.0 / skew)
            _add_times(by_gauss, offset * by_g, position)
            _add_times(by_lorentz, offset * by_l, position)
            _add_times(by_skewness, _CENTROID * fwhm * (skew + 1.0 / skew), position)
            if rows[0] >= 0:
                _add_times(out[rows[0], first:last], 1.0, position)
            if rows[1] >= 0:
                _add_times(out[rows[1], first:last], cosine, position)
            if g2 > _SMALLEST_GAUSS2:
                if rows[2] >= 0:
                    _add_times(out[rows[2], first:last], 0.5 * tangent * tangent / g, by_gauss)
                if rows[3] >= 0:
                    _add_times(out[rows[3], first:last], 0.5 * tangent / g, by_gauss)
                if rows[4] >= 0:
                    _add_times(out[rows[4], first:last], 0.5 / g, by_gauss)
            if rows[5] >= 0:
                _add_times(out[rows[5], first:last], 1.0, by_lorentz)
            if rows[6] >= 0:
                factor = 1.0 / (skew * np.tan(max(centre, 5.0) * np.pi / 180.0))
                _add_times(out[rows[6], first:last], factor, by_skewness)
            if rows[7] >= 0:
                _add_times(out[rows[7], first:last], -1.0 / sine, value)
            if rows[8] >= 0:
                _add_times(out[rows[8], first:last], 1.0 / cosine, by_lorentz)
            if n_cell > 0:
                # By theta (in radians) everything changes with the position.
                shift = 2.0 * degree - displacement * sine
                by_intensity = roughness * cosine / (sine * sine) + tangent - 2.0 / np.tan(theta)
                double = 2.0 * sine * cosine
                by_intensity -= (
                    4.0 * polarisation * cos2 * double / (1.0 + polarisation * cos2 * cos2)
                )
                by_width = 0.0
                if g2 > _SMALLEST_GAUSS2:
                    by_width = (u * tangent + 0.5 * v) / (g * cosine * cosine)
                by_size = size_deg * tangent / cosine
                turned = 0.0
                if centre > 5.0 and skew > 0.5:
                    turned = -asymmetry / (np.sin(centre / degree) ** 2 * skew * degree) * shift
                for i in range(end):
                    position[i] = (
                        shift * position[i]
                        + by_intensity * value[i]
                        + by_width * by_gauss[i]
                        + by_size * by_lorentz[i]
                        + turned * by_skewness[i]
                    )
                # Theta by 1/d^2, which is sin^2(theta) times (2 / wavelength)^2.
                turn = 0.5 * tangent / (inverse_d * inverse_d)
                for c in range(n_cell):
                    change = 0.0
                    for a in range(3):
                        for b in range(3):
                            change += indices[k, a] * metric_slopes[c, a, b] * indices[k, b]
                    _add_times(out[rows[9 + c], first:last], turn * change, position)
            for t in range(strength_slopes.shape[0]):
                factor = strength_slopes[t, k] / strength[k]
                _add_times(out[rows[9 + n_cell + t], first:last], factor, value)
