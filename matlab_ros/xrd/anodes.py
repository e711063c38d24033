"""Characteristic wavelengths of X-ray tubes, for files that name no more than the anode."""

from __future__ import annotations

from dataclasses import replace

from matlab_ros.xrd.pattern import Radiation

# K-alpha 1 and K-alpha 2 in angstrom: International Tables for Crystallography C (2004), table
# 4.2.2.1; chromium to copper after Hoelzer et al., Phys. Rev. A 56, 4554 (1997).
_K_ALPHA = {
    "Cr": (2.2897260, 2.2936510),
    "Fe": (1.9360410, 1.9399730),
    "Co": (1.7889960, 1.7928350),
    "Cu": (1.5405929, 1.5444274),
    "Mo": (0.70931715, 0.7136070),
    "Ag": (0.55942178, 0.5638131),
}
ANODES = tuple(_K_ALPHA)
# K-beta 1,3 from the same table.
_K_BETA = {
    "Cr": 2.0848810,
    "Fe": 1.7566040,
    "Co": 1.6208260,
    "Cu": 1.3922340,
    "Mo": 0.6323030,
    "Ag": 0.4970820,
}


def radiation_of(anode: str) -> Radiation | None:
    """The lines of a tube's anode, K-alpha 2 at half of K-alpha 1; None if it is not known."""
    symbol = anode.strip().capitalize()
    if symbol not in _K_ALPHA:
        return None
    return Radiation(symbol, *_K_ALPHA[symbol])


def with_k_beta(radiation: Radiation, ratio: float) -> Radiation:
    """The same with what a filter leaves of K-beta.

    Args:
        radiation: of an anode in `ANODES`; others come back as they are.
        ratio: intensity of K-beta relative to K-alpha 1; a filter leaves about 0.005, and without
            one it is about 0.2.
    """
    wavelength = _K_BETA.get(radiation.anode)
    if wavelength is None or ratio <= 0:
        return radiation
    return replace(radiation, others=((wavelength, ratio),))


def radiation_stated(
    anode: str | None,
    kalpha1_angstrom: float | None = None,
    kalpha2_angstrom: float | None = None,
    kalpha2_ratio: float | None = None,
) -> Radiation | None:
    """What a file says of its radiation, completed from the anode it names.

    Args:
        anode: element symbol, or None where the file names none.
        kalpha1_angstrom: wavelength of K-alpha 1 where it is stated.
        kalpha2_angstrom: that of K-alpha 2; one of 0 or equal to K-alpha 1 means that a
            monochromator took it out.
        kalpha2_ratio: its intensity over that of K-alpha 1 where it is stated.

    Returns:
        None if nothing is stated, or if it cannot be made sense of: wavelengths out of range, or
        an anode that is not known without both wavelengths.
    """
    table = radiation_of(anode) if anode else None
    if table is None and kalpha1_angstrom:
        # A wavelength alone tells the anode where it is that of one.
        near = [s for s, (first, _) in _K_ALPHA.items() if abs(first / kalpha1_angstrom - 1) < 1e-3]
        table = radiation_of(near[0]) if near and not anode else None
    first = kalpha1_angstrom or (table.kalpha1_angstrom if table else None)
    second = kalpha2_angstrom
    if second is None:
        second = table.kalpha2_angstrom if table else None
    if first is None or second is None:
        return None
    ratio = 0.5 if kalpha2_ratio is None else kalpha2_ratio
    if second == 0 or abs(second / first - 1) < 1e-6:
        second, ratio = first, 0.0
    # K-alpha 2 is the softer line; in no tube is it more than 2 % longer.
    sensible = 0.1 < first < 5 and first <= second < 1.02 * first and 0 <= ratio <= 1
    if not sensible:
        return None
    return Radiation(table.anode if table else (anode or "?"), first, second, ratio)
