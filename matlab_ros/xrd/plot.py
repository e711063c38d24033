"""A picture of an analysed pattern: data, fit, difference, background and tick marks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from matlab_ros.model.errors import ConfigError, DataError
from matlab_ros.xrd.analyse import Analysis
from matlab_ros.xrd.fit import FitResult, FittedPhase
from matlab_ros.xrd.pattern import FloatArray
from matlab_ros.xrd.structure import reciprocal_metric, reflections

IMAGES = (".png", ".svg", ".pdf")
COLOURS = ("#d1495b", "#00798c", "#edae49", "#6a4c93", "#66a182", "#8d6b94", "#2e4057", "#b56576")


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


def write_plot(analysis: Analysis, path: Path) -> None:
    """Writes the picture; the ending of the name decides its kind.

    Raises:
        ConfigError: the ending is unknown or the folder does not exist.
        DataError: the file cannot be written.
    """
    check_plot_path(path)
    try:
        if path.suffix.lower() == ".html":
            _write_html(analysis, path)
        else:
            _write_image(analysis, path)
    except OSError as error:
        raise DataError(
            path, f"cannot be written ({error.strerror})", "choose another name"
        ) from error


def tick_angles(phase: FittedPhase, fit: FitResult) -> FloatArray:
    """Angles in degrees at which a phase's K-alpha 1 reflections are seen, shape (m,)."""
    wavelength = fit.pattern.radiation.kalpha1_angstrom
    last = np.radians(float(fit.pattern.two_theta_deg[-1]) / 2)
    found = reflections(phase.structure, wavelength / (2 * np.sin(last)), wavelength, 2e-3)
    inverse_d2 = np.einsum("ij,jk,ik->i", found.hkl, reciprocal_metric(phase.cell), found.hkl)
    sine = np.clip(wavelength * np.sqrt(inverse_d2) / 2, 0.0, 1.0)
    theta = np.arcsin(sine)
    shift = fit.instrument.zero_deg + fit.instrument.displacement_deg * np.cos(theta)
    return np.asarray(2 * np.degrees(theta) + shift, dtype=np.float64)


def _label(phase: FittedPhase) -> str:
    return (
        f"{phase.structure.formula} ({phase.structure.name}): "
        f"{100 * phase.weight_fraction:.1f} ± {100 * phase.sigma:.1f} wt%"
    )


def _title(analysis: Analysis) -> str:
    fit = analysis.fit
    name = fit.pattern.sample_id or Path(fit.pattern.source).name
    return f"{name}   Rwp {100 * fit.rwp:.1f} %, GoF {fit.gof:.2f}"


def _write_image(analysis: Analysis, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    fit = analysis.fit
    x = fit.pattern.two_theta_deg
    figure, (above, below) = pyplot.subplots(
        2, 1, sharex=True, figsize=(11, 6.5), height_ratios=(4, 1.3), layout="constrained"
    )
    above.plot(x, fit.pattern.counts, ".", markersize=1.5, color="#555555", label="measured")
    above.plot(x, fit.calculated, linewidth=0.9, color="black", label="calculated")
    above.plot(x, fit.background, linewidth=0.8, linestyle="--", color="#999999")
    for phase, colour in zip(analysis.phases, COLOURS * 8, strict=False):
        curve = fit.background + phase.curve
        above.fill_between(
            x, fit.background, curve, color=colour, alpha=0.35, linewidth=0, label=_label(phase)
        )
    for peak in analysis.unexplained.peaks[:8]:
        above.annotate("?", (peak.two_theta_deg, peak.height), ha="center", color="red")
    above.set_ylabel("counts")
    above.set_title(_title(analysis), fontsize=10)
    above.legend(fontsize=8, frameon=False)
    difference = fit.pattern.counts - fit.calculated
    below.plot(x, difference, linewidth=0.6, color="#555555")
    low = float(difference.min())
    span = float(np.ptp(difference)) or 1.0
    for i, (phase, colour) in enumerate(zip(analysis.phases, COLOURS * 8, strict=False)):
        ticks = tick_angles(phase, fit)
        below.plot(ticks, np.full(ticks.size, low - (i + 1) * 0.15 * span), "|", color=colour)
    below.set_ylabel("difference")
    below.set_xlabel("2θ / °")
    below.set_xlim(float(x[0]), float(x[-1]))
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _write_html(analysis: Analysis, path: Path) -> None:
    from plotly import graph_objects
    from plotly.subplots import make_subplots

    fit = analysis.fit
    x = fit.pattern.two_theta_deg
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.75, 0.25], vertical_spacing=0.03
    )

    def line(y: FloatArray, name: str, colour: str, row: int = 1, **options: object) -> None:
        figure.add_trace(
            graph_objects.Scattergl(x=x, y=y, name=name, line={"color": colour}, **options),
            row=row,
            col=1,
        )

    line(fit.pattern.counts, "measured", "#888888", mode="markers", marker={"size": 2})
    line(fit.calculated, "calculated", "black")
    line(fit.background, "background", "#bbbbbb")
    for phase, colour in zip(analysis.phases, COLOURS * 8, strict=False):
        line(fit.background + phase.curve, _label(phase), colour)
    difference = fit.pattern.counts - fit.calculated
    line(difference, "difference", "#555555", row=2)
    low, span = float(difference.min()), float(np.ptp(difference)) or 1.0
    for i, (phase, colour) in enumerate(zip(analysis.phases, COLOURS * 8, strict=False)):
        ticks = tick_angles(phase, fit)
        figure.add_trace(
            graph_objects.Scattergl(
                x=ticks,
                y=np.full(ticks.size, low - (i + 1) * 0.15 * span),
                mode="markers",
                marker={"symbol": "line-ns-open", "color": colour, "size": 9},
                name=f"{phase.structure.formula} reflections",
                showlegend=False,
            ),
            row=2,
            col=1,
        )
    figure.update_layout(title=_title(analysis), template="plotly_white", height=750)
    figure.update_xaxes(title_text="2θ / °", row=2, col=1)
    figure.update_yaxes(title_text="counts", row=1, col=1)
    figure.update_yaxes(title_text="difference", row=2, col=1)
    figure.write_html(path, include_plotlyjs=True)
