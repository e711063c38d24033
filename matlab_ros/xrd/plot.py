"""A picture of an analysed pattern: data, fit, phases, tick marks, difference and residual."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from matlab_ros.model.errors import ConfigError, DataError
from matlab_ros.model.lab_words import Verdict
from matlab_ros.xrd.fit import FitResult, FittedPhase
from matlab_ros.xrd.pattern import FloatArray
from matlab_ros.xrd.structure import reciprocal_metric, reflections

if TYPE_CHECKING:
    from matlab_ros.xrd.analyse import Analysis
    from matlab_ros.xrd.verdict import Assessment

IMAGES = (".png", ".svg", ".pdf")
# Told apart by people who see red and green alike (Okabe and Ito, 2008), repeated where needed.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#525252")
VERDICT_COLOURS = {
    Verdict.CONFIRMED: "#1b7f4d",
    Verdict.PROVISIONAL: "#9a6700",
    Verdict.NEEDS_HUMAN: "#b3261e",
}
MOST_MARKED = 8
"""Unexplained peaks that are marked at most."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """A phase as it is drawn.

    Attributes:
        label: formula, name and fraction.
        colour: of its curve and ticks.
        curve: calculated counts over the background, shape (n,).
        ticks: angles of its reflections in degrees, shape (m,).
    """

    label: str
    colour: str
    curve: FloatArray
    ticks: FloatArray


def check_plot_path(path: Path) -> None:
    """Raises ConfigError unless a picture can be written under this name."""
    if path.suffix.lower() not in (*IMAGES, ".html"):
        raise ConfigError(
            "command line",
            "--plot",
            f"pictures ending in {path.suffix!r} are not known",
            "a file ending in .html, .png, .svg or .pdf",
        )
    if not path.resolve().parent.is_dir():
        raise ConfigError(
            "command line", "--plot", f"there is no folder {path.parent}", "an existing folder"
        )


def write_plot(analysis: Analysis, path: Path, judged: Assessment | None = None) -> None:
    """Writes the picture; the ending of the name decides its kind.

    Args:
        analysis: what is drawn.
        path: .html, .png, .svg or .pdf.
        judged: the verdict that stands above it.

    Raises:
        ConfigError: the ending is unknown or the folder does not exist.
        DataError: the file cannot be written.
    """
    check_plot_path(path)
    try:
        if path.suffix.lower() == ".html":
            # The libraries that draw are slow to load; only what is asked for is.
            from matlab_ros.xrd.page import write_page

            write_page(analysis, path, judged)
        else:
            _write_image(analysis, path, judged)
    except OSError as error:
        raise DataError(
            path, f"cannot be written ({error.strerror})", "choose another name"
        ) from error


def drawn_phases(analysis: Analysis) -> list[Drawn]:
    """All phases with their colours, most abundant first."""
    return [
        Drawn(
            f"{phase.structure.formula} ({phase.structure.name}), "
            f"{100 * phase.weight_fraction:.1f} ± {100 * phase.sigma:.1f} wt%",
            COLOURS[i % len(COLOURS)],
            phase.curve,
            tick_angles(phase, analysis.fit),
        )
        for i, phase in enumerate(analysis.phases)
    ]


def tick_angles(phase: FittedPhase, fit: FitResult) -> FloatArray:
    """Angles in degrees at which a phase's K-alpha 1 reflections are seen, shape (m,)."""
    wavelength = fit.pattern.radiation.kalpha1_angstrom
    last = np.radians(float(fit.pattern.two_theta_deg[-1]) / 2)
    found = reflections(phase.structure, wavelength / (2 * np.sin(last)), wavelength, 2e-3)
    inverse_d2 = np.einsum("ij,jk,ik->i", found.hkl, reciprocal_metric(phase.cell), found.hkl)
    sine = np.clip(wavelength * np.sqrt(inverse_d2) / 2, 0.0, 1.0)
    theta = np.arcsin(sine)
    shift = fit.instrument.zero_deg + fit.instrument.displacement_deg * np.cos(theta)
    angles = np.asarray(2 * np.degrees(theta) + shift, dtype=np.float64)
    inside = (angles >= fit.pattern.two_theta_deg[0]) & (angles <= fit.pattern.two_theta_deg[-1])
    seen: FloatArray = angles[inside]
    return seen


def name_of(analysis: Analysis) -> str:
    """What the pattern is called: its file's name, else its sample's."""
    pattern = analysis.fit.pattern
    return Path(pattern.source).name or pattern.sample_id or "pattern"


def cell_lengths(cell: Iterable[float]) -> str:
    """a, b and c in angstrom; equal ones once."""
    return ", ".join(dict.fromkeys(f"{value:.4f}" for value in list(cell)[:3]))


def lowest_count(fit: FitResult) -> float:
    """Where the axis of counts begins: near the background, which may be most of all counts."""
    return 0.9 * float(min(fit.background.min(), fit.pattern.counts.min()))


def quality_of(fit: FitResult) -> str:
    """Agreement of fit and data in a line."""
    return (
        f"Rwp {100 * fit.rwp:.1f} %, Rexp {100 * fit.rexp:.1f} %, GoF {fit.gof:.2f}"
        f"{'' if fit.converged else ', not converged'}"
    )


def weighted_residual(fit: FitResult) -> FloatArray:
    """Measured minus calculated in standard uncertainties, shape (n,)."""
    weighted: FloatArray = (fit.pattern.counts - fit.calculated) / fit.pattern.uncertainty()
    return weighted


def _write_image(analysis: Analysis, path: Path, judged: Assessment | None) -> None:
    from matplotlib.figure import Figure

    fit = analysis.fit
    x = fit.pattern.two_theta_deg
    phases = drawn_phases(analysis)
    # Not pyplot: it keeps every figure, and is not made for processes without a screen.
    figure = Figure(figsize=(12, 8), layout="constrained")
    rows = max(len(phases), 1)
    main, marks, difference, residual = figure.subplots(
        4, 1, sharex=True, height_ratios=(8, 0.35 * rows + 0.15, 1.7, 1.7)
    )
    main.fill_between(x, fit.background, color="#e9e9e9", linewidth=0, label="background")
    for phase in phases:
        main.fill_between(
            x,
            fit.background,
            fit.background + phase.curve,
            color=phase.colour,
            alpha=0.35,
            linewidth=0,
            label=phase.label,
        )
    main.plot(x, fit.pattern.counts, ".", markersize=2, color="#444444", label="measured")
    main.plot(x, fit.calculated, linewidth=0.9, color="black", label="calculated")
    low = lowest_count(fit)
    top = low + 1.06 * (float(max(fit.pattern.counts.max(), fit.calculated.max(), 1.0)) - low)
    main.set_ylim(low, top)
    for peak in analysis.unexplained.peaks[:MOST_MARKED]:
        near = np.abs(x - peak.two_theta_deg) < 0.3
        here = float(fit.pattern.counts[near].max(initial=low))
        main.annotate(
            "?",
            (peak.two_theta_deg, min(here, low + 0.95 * (top - low))),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            color=VERDICT_COLOURS[Verdict.NEEDS_HUMAN],
            weight="bold",
        )
    main.set_ylabel("counts")
    main.legend(fontsize=9, frameon=False, loc="upper right")
    main.set_title(f"{name_of(analysis)}    {quality_of(fit)}", fontsize=11, loc="left")
    if judged is not None:
        main.set_title(
            judged.kind.name.replace("_", " ").lower(),
            fontsize=11,
            loc="right",
            weight="bold",
            color=VERDICT_COLOURS.get(judged.kind, "black"),
        )
    for i, phase in enumerate(phases):
        marks.vlines(phase.ticks, -i - 0.38, -i + 0.38, color=phase.colour, linewidth=0.9)
    marks.set_ylim(-rows + 0.4, 0.6)
    marks.set_yticks(
        [-i for i in range(len(phases))], [phase.structure.formula for phase in analysis.phases]
    )
    marks.tick_params(axis="y", length=0, labelsize=8)
    marks.tick_params(axis="x", length=0)
    for side in ("top", "bottom"):
        marks.spines[side].set_visible(False)
    difference.axhline(0.0, color="#999999", linewidth=0.6)
    difference.plot(x, fit.pattern.counts - fit.calculated, linewidth=0.7, color="#333333")
    difference.set_ylabel("obs − calc")
    weighted = weighted_residual(fit)
    residual.axhspan(-3, 3, color="#e9e9e9", linewidth=0)
    residual.plot(x, weighted, linewidth=0.7, color="#333333")
    reach = max(6.0, 1.1 * float(np.abs(weighted).max()))
    residual.set_ylim(-reach, reach)
    residual.set_ylabel("Δ / σ")
    residual.set_xlabel("2θ / °")
    residual.set_xlim(float(x[0]), float(x[-1]))
    figure.align_ylabels([main, difference, residual])
    figure.savefig(path, dpi=130)
