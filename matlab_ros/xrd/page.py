"""An analysed pattern as a page: the verdict, a table of phases, and a picture to zoom in."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matlab_ros.xrd.plot import (
    VERDICT_COLOURS,
    cell_lengths,
    drawn_phases,
    lowest_count,
    name_of,
    quality_of,
    weighted_residual,
)

if TYPE_CHECKING:
    from matlab_ros.xrd.analyse import Analysis
    from matlab_ros.xrd.verdict import Assessment

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 1200px;
  padding: 0 1rem; color: #1d1d1f; background: #fff; }
h1 { font-size: 1.25rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
.verdict { display: inline-block; color: #fff; border-radius: 4px; padding: .1rem .6rem;
  font-weight: 600; margin-right: .6rem; }
table { border-collapse: collapse; margin: .8rem 0; width: 100%; }
th, td { text-align: right; padding: .3rem .7rem; white-space: nowrap;
  border-bottom: 1px solid #ddd; }
th { font-weight: 600; color: #555; }
td:first-child, th:first-child, .words { text-align: left; }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 2px;
  margin-right: .5em; }
.source { white-space: normal; display: block; color: #666; font-size: .85em; }
ul { margin: .3rem 0; padding-left: 1.2rem; }
"""


def write_page(analysis: Analysis, path: Path, judged: Assessment | None = None) -> None:
    """Writes the page; the library that draws goes into a file of its own beside it.

    Raises:
        OSError: it cannot be written.
    """
    from plotly.offline import get_plotlyjs

    library = path.parent / "plotly.min.js"
    if not library.is_file():
        # Several processes may be about to write it, all of them the same.
        library.write_text(get_plotlyjs(), encoding="utf-8")
    title = escape(name_of(analysis))
    path.write_text(
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<style>{_STYLE}</style><script src="{library.name}" charset="utf-8"></script></head>'
        f"<body><h1>{title}</h1>{_judgement(analysis, judged)}{_table(analysis)}"
        f"{_figure(analysis)}{_notes(analysis, judged)}</body></html>\n",
        encoding="utf-8",
    )


def _judgement(analysis: Analysis, judged: Assessment | None) -> str:
    badge = ""
    if judged is not None:
        badge = (
            f'<span class="verdict" style="background:{VERDICT_COLOURS.get(judged.kind, "#555")}">'
            f"{judged.kind.name.replace('_', ' ').lower()}</span>"
        )
    return f"<p>{badge}{quality_of(analysis.fit)}; {analysis.n_candidates} structures competed</p>"


def _table(analysis: Analysis) -> str:
    rows = []
    for phase, drawn in zip(analysis.phases, drawn_phases(analysis), strict=True):
        structure = phase.structure
        size = f"{phase.size_nm:.0f}" if phase.size_nm < 500 else "&gt; 500"
        rows.append(
            f'<tr><td><span class="swatch" style="background:{drawn.colour}"></span>'
            f"{escape(structure.formula)}</td>"
            f'<td class="words">{escape(structure.name)}'
            f'<span class="source">{escape(structure.citation)}</span></td>'
            f'<td class="words">{escape(structure.space_group)}</td>'
            f"<td>{100 * phase.weight_fraction:.1f} ± {100 * phase.sigma:.1f}</td>"
            f"<td>{cell_lengths(phase.cell)}</td><td>{100 * phase.cell_shift:+.2f} %</td>"
            f"<td>{size}</td></tr>"
        )
    if not rows:
        return "<p>No phase was found.</p>"
    return (
        '<table><tr><th>phase</th><th class="words">structure</th><th class="words">group</th>'
        "<th>wt%</th><th>a, b, c / Å</th><th>cell shift</th><th>size / nm</th></tr>"
        f"{''.join(rows)}</table>"
    )


def _notes(analysis: Analysis, judged: Assessment | None) -> str:
    told = [*judged.reasons, *judged.remarks] if judged is not None else []
    lines = list(dict.fromkeys([*told, *analysis.notes]))
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _figure(analysis: Analysis) -> str:
    from plotly import graph_objects
    from plotly.subplots import make_subplots

    fit = analysis.fit
    phases = drawn_phases(analysis)
    angles = fit.pattern.two_theta_deg.astype(np.float32)
    low = lowest_count(fit)
    top = low + 1.06 * (float(max(fit.pattern.counts.max(), fit.calculated.max())) - low)
    marks = 0.05 + 0.03 * len(phases)
    figure = make_subplots(
        rows=4,
        cols=1,
        shared_xaxes=True,
        row_heights=[0.62, marks, 0.17, 0.17],
        vertical_spacing=0.015,
    )

    def line(y: NDArray[np.float32], name: str, colour: str, row: int = 1, **options: Any) -> None:
        options = {"line": {"color": colour, "width": 1.2}, "mode": "lines", **options}
        trace = graph_objects.Scatter(x=angles, y=y, name=name, **options)
        figure.add_trace(trace, row=row, col=1)

    def counted(y: NDArray[np.float64]) -> NDArray[np.float32]:
        # Single precision is more than counts are worth, and half the size of the page.
        return np.asarray(y, dtype=np.float32)

    line(counted(fit.background), "background", "#bbbbbb")
    for phase in phases:
        line(
            counted(fit.background + phase.curve),
            phase.label,
            phase.colour,
            line={"color": phase.colour, "width": 1},
        )
    line(
        counted(fit.pattern.counts),
        "measured",
        "#555555",
        mode="markers",
        marker={"size": 2.5, "color": "#555555"},
    )
    line(counted(fit.calculated), "calculated", "black")
    for i, phase in enumerate(phases):
        ticks = graph_objects.Scatter(
            x=phase.ticks.round(4),
            y=[-i] * phase.ticks.size,
            mode="markers",
            marker={
                "symbol": "line-ns",
                "size": 10,
                "line": {"width": 1.3, "color": phase.colour},
            },
            name=phase.label,
            hovertemplate="%{x:.3f}°",
            showlegend=False,
        )
        figure.add_trace(ticks, row=2, col=1)
    line(counted(fit.pattern.counts - fit.calculated), "Δ", "#333333", 3, showlegend=False)
    line(counted(weighted_residual(fit)), "Δ / σ", "#333333", 4, showlegend=False)
    for peak in analysis.unexplained.peaks:
        figure.add_vline(
            peak.two_theta_deg,
            row=1,
            col=1,
            line={"color": "#b3261e", "width": 1, "dash": "dot"},
            opacity=0.4,
        )
    figure.update_layout(
        template="plotly_white",
        height=780,
        margin={"l": 70, "r": 10, "t": 32, "b": 50},
        legend={"x": 1, "y": 1, "xanchor": "right", "bgcolor": "rgba(255,255,255,0.8)"},
        hovermode="x",
    )
    figure.update_yaxes(title_text="counts", range=[low, top], row=1, col=1)
    figure.update_yaxes(
        tickvals=[-i for i in range(len(phases))],
        ticktext=[phase.structure.formula for phase in analysis.phases],
        range=[-len(phases) + 0.3, 0.7],
        showgrid=False,
        zeroline=False,
        row=2,
        col=1,
    )
    figure.update_yaxes(title_text="Δ = obs − calc", row=3, col=1)
    figure.update_yaxes(title_text="Δ / σ", row=4, col=1)
    figure.update_xaxes(title_text="2θ / °", row=4, col=1)
    text: str = figure.to_html(full_html=False, include_plotlyjs=False)
    return text
