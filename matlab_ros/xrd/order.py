"""Whether the data tell an ordered structure from its disordered parent.

Calculated structures are ordered, since a calculation needs whole atoms; the real compound may
have several metals at random on sites that the ordered model tells apart. Each ordered structure
therefore competes with models in which metals of like surroundings share their sites at random,
and with disordered structures of the same elements that the library has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import gemmi
import numpy as np

from matlab_ros.model.lab_words import Order
from matlab_ros.xrd.composition import same_composition
from matlab_ros.xrd.evidence import STRONG_EVIDENCE
from matlab_ros.xrd.fit import FitResult
from matlab_ros.xrd.pattern import FloatArray
from matlab_ros.xrd.refit import Refit, delta_bic, refitted
from matlab_ros.xrd.structure import SAME_PLACE_ANGSTROM, Structure

ANIONS = frozenset({"N", "O", "F", "S", "Cl", "Se", "Br", "Te", "I"})
# Anions up to this many times as far as the nearest belong to a metal's first shell.
_SHELL = 1.25
# Metals whose shells differ by no more than this in mean distance can take each other's place:
# yttrium and tantalum in double perovskites (2.2 and 1.97 angstrom), not yttrium and barium.
_ALIKE = 1.20
_WHOLE = 0.98
SMALLEST_FRACTION = 0.05
"""Weight fraction below which the order of a phase is not asked for."""
_SAME_VOLUME = 0.10
_SAME_COMPOSITION = 0.05
_MOST_RIVALS = 3


@dataclass(frozen=True, eq=False)
class OrderTest:
    """An ordered phase against one disordered model.

    Attributes:
        phase: name of the ordered structure.
        rival: name of the disordered one.
        mixed: the metals that share sites in it; empty for one of the library.
        delta_bic: by how much Schwarz's criterion prefers the ordered one, in units of the misfit
            that is left and with neighbouring points counted once; both have as many parameters.
        refit: the rival's fit.
    """

    phase: str
    rival: str
    mixed: tuple[str, ...]
    delta_bic: float
    refit: Refit

    @property
    def result(self) -> Order:
        """Strong evidence for one of them, or none."""
        if self.delta_bic > STRONG_EVIDENCE:
            return Order.ORDERED
        if self.delta_bic < -STRONG_EVIDENCE:
            return Order.DISORDERED
        return Order.UNDECIDED

    @property
    def sentence(self) -> str:
        """For people."""
        what = f"{' and '.join(self.mixed)} at random" if self.mixed else self.rival
        if self.result is Order.ORDERED:
            return f"{self.phase} fits better than {what} (dBIC {self.delta_bic:.0f})."
        if self.result is Order.DISORDERED:
            return (
                f"{self.phase} is not ordered as its model says: {what} fits better "
                f"(dBIC {-self.delta_bic:.0f})."
            )
        return (
            f"The order of {self.phase} is not proven: the data do not tell it from {what} "
            f"(dBIC {self.delta_bic:.1f})."
        )


def order_of(fit: FitResult, library: Sequence[Structure] = ()) -> tuple[OrderTest, ...]:
    """Lets the disordered rivals of every ordered phase of a fit compete with it.

    Args:
        fit: the final fit.
        library: structures that may be there; disordered ones among them compete too.
    """
    tests: list[OrderTest] = []
    own: Refit | None = None
    for index, phase in enumerate(fit.phases):
        if phase.weight_fraction < SMALLEST_FRACTION or is_disordered(phase.structure):
            continue
        rivals: list[tuple[Structure, tuple[str, ...]]] = list(disordered(phase.structure))
        known = [s for s in library if _may_be_parent(s, phase.structure)]
        rivals = [*((s, ()) for s in known[:_MOST_RIVALS]), *rivals[:_MOST_RIVALS]]
        for structure, mixed in rivals:
            own = own or refitted(fit)
            other = refitted(fit, {index: structure})
            tests.append(
                OrderTest(phase.structure.name, structure.name, mixed, delta_bic(own, other), other)
            )
    return tuple(tests)


def is_disordered(structure: Structure) -> bool:
    """Whether metals share a site, or are on it only in part of the cells."""
    metals = [i for i, s in enumerate(structure.symbols) if gemmi.Element(s).is_metal]
    return any(structure.occupancies[i] < _WHOLE for i in metals)


def disordered(structure: Structure) -> tuple[tuple[Structure, tuple[str, ...]], ...]:
    """An ordered structure with metals of like surroundings at random on their sites.

    One model for each pair of metals, the most alike first, and where a kind of site has more
    than two, one with all of them at random. Positions stay as they are.

    Returns:
        Each model with its metals; none where no two metals have like surroundings.
    """
    shells = _shells(structure)
    metals = sorted({structure.symbols[i] for i in shells})
    found: list[tuple[float, Structure, tuple[str, ...]]] = []
    together: dict[int, set[str]] = {}
    for a, b in combinations(metals, 2):
        for number in sorted({n for n, _ in shells.values()}):
            sites = [i for i, (n, _) in shells.items() if n == number]
            first = [i for i in sites if structure.symbols[i] == a]
            second = [i for i in sites if structure.symbols[i] == b]
            if not first or not second:
                continue
            distances = [np.mean([shells[i][1] for i in part]) for part in (first, second)]
            ratio = float(max(distances) / min(distances))
            if ratio > _ALIKE:
                continue
            together.setdefault(number, set()).update((a, b))
            found.append((ratio, _mixed(structure, [*first, *second]), (a, b)))
    found.sort(key=lambda item: item[0])
    models = [(model, pair) for _, model, pair in found]
    for number, several in together.items():
        if len(several) > 2:
            sites = [
                i for i, (n, _) in shells.items() if n == number and structure.symbols[i] in several
            ]
            models.insert(0, (_mixed(structure, sites), tuple(sorted(several))))
    return tuple(models)


def _mixed(structure: Structure, sites: Sequence[int]) -> Structure:
    """The same with the metals of some sites at random on all of them."""
    symbols = [structure.symbols[i] for i in sites]
    kinds = sorted(set(symbols))
    shares = [symbols.count(kind) / len(symbols) for kind in kinds]
    rest = [i for i in range(len(structure.symbols)) if i not in set(sites)]
    u = float(np.mean(structure.u_iso[list(sites)]))
    k, n = len(kinds), len(sites)
    return replace(
        structure,
        name=f"{structure.name} with {'/'.join(kinds)} disorder",
        symbols=(*(structure.symbols[i] for i in rest), *(kind for kind in kinds for _ in sites)),
        positions=np.vstack([structure.positions[rest], *([structure.positions[list(sites)]] * k)]),
        occupancies=np.concatenate(
            [structure.occupancies[rest], *(np.full(n, share) for share in shares)]
        ),
        u_iso=np.concatenate([structure.u_iso[rest], np.full(k * n, u)]),
        anisotropy=(
            None
            if structure.anisotropy is None
            else np.vstack([structure.anisotropy[rest], np.zeros((k * n, 6))])
        ),
    )


def _shells(structure: Structure) -> dict[int, tuple[int, float]]:
    """Number and mean distance of the anions around each fully occupied metal, by its index.

    Metals of a structure without anions all count as alike.
    """
    metals = [
        i
        for i, symbol in enumerate(structure.symbols)
        if gemmi.Element(symbol).is_metal and structure.occupancies[i] >= _WHOLE
    ]
    anions = [i for i, symbol in enumerate(structure.symbols) if symbol in ANIONS]
    if not anions:
        return dict.fromkeys(metals, (0, 1.0))
    axes = np.array(gemmi.UnitCell(*structure.cell).orth.mat.tolist())
    images = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    shells = {}
    for i in metals:
        between = structure.positions[anions] - structure.positions[i]
        between -= np.rint(between)
        vectors = (between[:, None, :] + images[None, :, :]).reshape(-1, 3) @ axes.T
        distances: FloatArray = np.sort(np.linalg.norm(vectors, axis=1))
        distances = distances[distances > SAME_PLACE_ANGSTROM]
        shell = distances[distances <= _SHELL * distances[0]]
        shells[i] = (int(shell.size), float(shell.mean()))
    return shells


def _may_be_parent(candidate: Structure, ordered: Structure) -> bool:
    """Whether a structure of the library is a disordered one of nearly the same composition."""
    return (
        candidate is not ordered
        and candidate.elements == ordered.elements
        and is_disordered(candidate)
        and same_composition(candidate.composition, ordered.composition, _SAME_COMPOSITION)
        and abs(candidate.volume_per_atom / ordered.volume_per_atom - 1.0) < _SAME_VOLUME
    )
