"""Gibbs energies over temperature as a handful of coefficients.

    G(T) = g0 + g1 T + g2 T ln T + g3 T^2 + g4 / T  [J/mol, T in K]

which is what enthalpy, entropy and Cp = a + b T + c / T^2 at 298.15 K come to (elements in their
reference state at 298.15 K have enthalpy 0, as in tables of apparent Gibbs energies). A melt is
lower than its solid by dH_fusion (T / T_melting - 1) above the melting point.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

GAS_CONSTANT_J_MOL_K = 8.314462618
ZERO_CELSIUS_K = 273.15
REFERENCE_K = 298.15
TERMS = 5


def coefficients(
    enthalpy_kj_mol: float,
    entropy_j_mol_k: float,
    heat_capacity_j_mol_k: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> FloatArray:
    """The coefficients of G(T).

    Args:
        enthalpy_kj_mol: of formation at 298.15 K.
        entropy_j_mol_k: at 298.15 K.
        heat_capacity_j_mol_k: a, b, c of Cp = a + b T/1000 + c 1e5/T^2.

    Returns:
        Shape (5,).
    """
    t0 = REFERENCE_K
    a, b, c = (
        heat_capacity_j_mol_k[0],
        heat_capacity_j_mol_k[1] * 1e-3,
        heat_capacity_j_mol_k[2] * 1e5,
    )
    return np.array(
        [
            1000.0 * enthalpy_kj_mol - a * t0 - b * t0**2 / 2 + c / t0,
            a - entropy_j_mol_k + a * math.log(t0) + b * t0 - c / (2 * t0**2),
            -a,
            -b / 2,
            -c / 2,
        ]
    )


def relative(enthalpy_kj_mol: float, entropy_j_mol_k: float) -> FloatArray:
    """The coefficients of dH - T dS, shape (5,)."""
    return np.array([1000.0 * enthalpy_kj_mol, -entropy_j_mol_k, 0.0, 0.0, 0.0])


def gibbs_j_mol(
    terms: FloatArray, melting_k: FloatArray, fusion_j_mol: FloatArray, kelvin: float
) -> FloatArray:
    """Gibbs energies at a temperature.

    Args:
        terms: shape (N, 5).
        melting_k: melting points, infinite where a substance does not melt, shape (N,).
        fusion_j_mol: enthalpies of fusion, shape (N,).
        kelvin: the temperature.

    Returns:
        Shape (N,).
    """
    powers = np.array([1.0, kelvin, kelvin * math.log(kelvin), kelvin**2, 1.0 / kelvin])
    melt = fusion_j_mol * np.minimum(0.0, 1.0 - kelvin / melting_k)
    return np.asarray(terms @ powers + melt)
