"""``matlab-ros simulate``: a test pattern of a mixture of structures, as a file and a picture."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from matlab_ros.model.errors import ConfigError, DataError, LabError
from matlab_ros.xrd.aberrations import Geometry, Surface
from matlab_ros.xrd.anodes import ANODES, radiation_of, with_k_beta
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.pattern import Pattern, Radiation
from matlab_ros.xrd.profile import Instrument
from matlab_ros.xrd.simulate import (
    Background,
    Expected,
    Hump,
    PhaseInMixture,
    Scan,
    Specimen,
    expected,
)
from matlab_ros.xrd.structure import Structure, read_structure
from matlab_ros.xrd.xrdml import ScanInfo, write_xrdml

BAD_INPUT = 2
_WHERE = "command line"
_INSTRUMENT_ID = "simulated"
_COLOURS = ("#d1495b", "#00798c", "#edae49", "#6a4c93", "#66a182", "#8d6b94", "#2e4057", "#b56576")
_IMAGES = (".png", ".svg", ".pdf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``simulate`` to a parser."""
    parser.add_argument(
        "phases",
        nargs="*",
        metavar="STRUCTURE=WEIGHT",
        help="structures and their weights in any unit: the name of one in a --cif folder "
        "(TiO2-Rutile=0.4) or a CIF (anatase.cif=0.6); none gives the background alone",
    )
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help=".xy or .xrdml")
    parser.add_argument("--plot", metavar="FILE", type=Path, help=".html, .png, .svg or .pdf")
    parser.add_argument(
        "--cif", metavar="DIR", type=Path, action="append", default=[], help="folder of CIFs"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the counting noise (default: 0)")
    parser.add_argument("--no-noise", action="store_true", help="mean counts, in an .xy only")

    def number(name: str, default: float, text: str) -> None:
        parser.add_argument(
            name, type=float, default=default, metavar="X", help=f"{text} (default: {default:g})"
        )

    number("--from", 10.0, "first 2theta in degrees")
    number("--to", 100.0, "last 2theta in degrees")
    number("--step", 0.02, "degrees")
    number("--seconds", 10.0, "counting time at each point")
    number("--flux", 1.0, "factor on all rates; 1: 500 counts/s in corundum's strongest peak")
    parser.add_argument("--anode", choices=ANODES, default="Cu", help="of the tube (default: Cu)")
    parser.add_argument("--no-kalpha2", action="store_true", help="a monochromator takes it out")
    number("--kbeta", 0.0, "what the filter leaves of K-beta, relative to K-alpha 1")
    number("--monochromator", 0.0, "its 2theta in degrees, for the polarisation; 0: a filter")
    number("--size", 150.0, "crystallite size in nm")
    number("--microstrain", 0.0, "spread of the spacings, dimensionless, such as 0.001")
    number("--displacement", 0.0, "height of the sample over the axis in um, goniometer of 145 mm")
    number("--zero", 0.0, "what the goniometer reads too much, in degrees")
    number("--axial", 0.0, "axial divergence: half height over radius of sample and slit")
    number("--grain", 3.0, "diameter of the grains in um, for absorption inside them")
    number("--roughness", 0.0, "of the surface, as in exp(-roughness / sin theta)")
    number("--graininess", 0.0, "relative scatter of intensities by too few crystallites")
    parser.add_argument(
        "--texture",
        metavar="STRUCTURE=H,K,L,R",
        action="append",
        default=[],
        help="axis and March's r of a phase, below 1 for plates",
    )
    number("--air", 88.0, "air scatter at 10 degrees in counts/s")
    number("--flat", 21.0, "constant background in counts/s")
    number("--amorphous", 0.0, "height of a halo at 22 degrees in counts/s")
    number("--dead-time", 0.0, "of the counter in s")


def run(arguments: argparse.Namespace) -> int:
    """Carries the command out; bad input is one sentence on stderr and exit code 2."""
    try:
        _simulate(arguments)
    except LabError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    return 0


def _simulate(options: argparse.Namespace) -> None:
    if options.out.suffix.lower() not in (".xy", ".xrdml"):
        raise ConfigError(_WHERE, "--out", f"it ends in {options.out.suffix!r}", ".xy or .xrdml")
    if options.no_noise and options.out.suffix.lower() != ".xy":
        raise ConfigError(_WHERE, "--no-noise", "an .xrdml holds whole counts only", "an .xy")
    if options.plot is not None and options.plot.suffix.lower() not in (*_IMAGES, ".html"):
        raise ConfigError(
            _WHERE, "--plot", f"it ends in {options.plot.suffix!r}", ".html, .png, .svg or .pdf"
        )
    for name in ("from", "to", "step", "seconds", "flux", "size"):
        if not 0 < getattr(options, name) < math.inf:
            raise ConfigError(_WHERE, f"--{name}", "it is not above 0", "a number above 0")
    scan = Scan(
        start_deg=getattr(options, "from"),
        end_deg=options.to,
        step_deg=options.step,
        counting_time_s=options.seconds,
        flux=options.flux,
        background=Background(
            options.air,
            flat_per_s=options.flat,
            humps=(Hump(options.amorphous),) if options.amorphous > 0 else (),
        ),
        geometry=Geometry(sample_to_radius=options.axial, detector_to_radius=options.axial),
        dead_time_s=options.dead_time,
    )
    if not 1 <= (scan.end_deg - scan.start_deg) / scan.step_deg <= 1e6 or scan.end_deg >= 175:
        raise ConfigError(
            _WHERE, "--to", f"no scan from {scan.start_deg:g} to {scan.end_deg:g}", "below 175"
        )
    instrument = Instrument(
        zero_deg=options.zero,
        displacement_deg=scan.geometry.displacement_deg(options.displacement),
        monochromator_two_theta_deg=options.monochromator,
        asymmetry=0.0 if options.axial > 0 else Instrument().asymmetry,
    )
    specimen = Specimen(grain_um=options.grain, surface=Surface(options.roughness))
    made = expected(_phases(options), instrument, scan, _radiation(options), specimen)
    pattern = made.pattern
    if not options.no_noise:
        pattern = made.counted(np.random.default_rng(options.seed))
    try:
        _write(options.out, pattern, scan)
        if options.plot is not None:
            _write_plot(options.plot, pattern, made, options.phases)
    except OSError as error:
        where = error.filename or options.out
        raise DataError(
            where, f"cannot be written ({error.strerror})", "choose another name"
        ) from error


def _radiation(options: argparse.Namespace) -> Radiation:
    radiation = radiation_of(options.anode) or Radiation()
    if options.no_kalpha2:
        radiation = replace(radiation, kalpha2_ratio=0.0)
    return with_k_beta(radiation, options.kbeta)


def _phases(options: argparse.Namespace) -> list[PhaseInMixture]:
    library = Library(options.cif) if options.cif else None
    textures = dict(_texture(text) for text in options.texture)
    phases = []
    for i, text in enumerate(options.phases):
        name, weight = _split(text, "STRUCTURE=WEIGHT")
        axis, march = textures.pop(name, (None, 1.0))
        phases.append(
            PhaseInMixture(
                structure=_structure(name, library),
                weight_fraction=_positive(text, weight),
                size_nm=options.size,
                axis=axis,
                march=march,
                microstrain=options.microstrain,
                graininess=options.graininess,
                grain_seed=options.seed + i,
            )
        )
    if textures:
        name = next(iter(textures))
        raise ConfigError(_WHERE, "--texture", f"{name!r} is none of the phases", "a phase given")
    return phases


def _structure(name: str, library: Library | None) -> Structure:
    if Path(name).is_file():
        return read_structure(name)
    if library is None:
        raise ConfigError(_WHERE, name, "there is no such file", "a CIF, or --cif DIR and a name")
    found = library.named(name)
    if len(found) > 1:
        names = ", ".join(phase.name for phase in found)
        raise ConfigError(_WHERE, name, "several structures have this formula", f"one of {names}")
    return found[0].structure


def _split(text: str, form: str) -> tuple[str, str]:
    name, separator, value = text.rpartition("=")
    if not separator or not name:
        raise ConfigError(_WHERE, text, "it has no '='", form)
    return name, value


def _positive(text: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ConfigError(_WHERE, text, f"{value!r} is no weight", "a number above 0")
    return number


def _texture(text: str) -> tuple[str, tuple[tuple[int, int, int], float]]:
    name, value = _split(text, "STRUCTURE=H,K,L,R")
    try:
        *indices, last = value.split(",")
        first, second, third = (int(index) for index in indices)
        axis, march = (first, second, third), float(last)
    except ValueError:
        axis, march = (0, 0, 0), math.nan
    if axis == (0, 0, 0) or not 0.05 < march < 20:
        raise ConfigError(_WHERE, "--texture", f"{value!r}", "an axis and r such as 0,0,1,0.8")
    return name, (axis, march)


def _write(path: Path, pattern: Pattern, scan: Scan) -> None:
    if path.suffix.lower() == ".xy":
        rows = np.column_stack([pattern.two_theta_deg, pattern.counts])
        np.savetxt(path, rows, fmt=("%.5f", "%.6g"))
        return
    info = ScanInfo(
        instrument_id=_INSTRUMENT_ID,
        author=_INSTRUMENT_ID,
        # A fixed date, so that the same arguments give the same file.
        start=datetime(2000, 1, 1, tzinfo=timezone.utc),
        duration_s=scan.counting_time_s * pattern.counts.size,
    )
    write_xrdml(path, pattern, info)


def _write_plot(path: Path, pattern: Pattern, made: Expected, names: list[str]) -> None:
    """Counts, and of each phase the mean."""
    x, colours = pattern.two_theta_deg, _COLOURS * (1 + len(names) // len(_COLOURS))
    if path.suffix.lower() == ".html":
        from plotly import graph_objects

        page = graph_objects.Figure()
        page.add_scattergl(x=x, y=pattern.counts, name="counts", line={"color": "#888888"})
        page.add_scattergl(x=x, y=made.background, name="background", line={"color": "black"})
        for name, colour, curve in zip(names, colours, made.curves.T, strict=False):
            page.add_scattergl(x=x, y=made.background + curve, name=name, line={"color": colour})
        page.update_layout(template="plotly_white", xaxis_title="2θ / °", yaxis_title="counts")
        page.write_html(path, include_plotlyjs=True)
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(11, 5), layout="constrained")
    axes.plot(x, pattern.counts, linewidth=0.6, color="#555555", label="counts")
    axes.plot(x, made.background, linewidth=0.8, linestyle="--", color="black", label="background")
    for name, colour, curve in zip(names, colours, made.curves.T, strict=False):
        above = made.background + curve
        axes.fill_between(
            x, made.background, above, color=colour, alpha=0.4, linewidth=0, label=name
        )
    axes.set_xlabel("2θ / °")
    axes.set_ylabel("counts")
    axes.set_xlim(float(x[0]), float(x[-1]))
    axes.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
