"""The report of a campaign: one self-contained HTML page with everything that was done."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

from plotly.offline import get_plotlyjs

from matlab_ros.model.lab_words import ExperimentState, Resolution, Verdict
from matlab_ros.monitor import wording
from matlab_ros.monitor.page_data import page_data
from matlab_ros.monitor.record import (
    AnalysisRecord,
    BeliefRecord,
    CampaignRecord,
    DoseRecord,
    ExperimentRecord,
    FaultRecord,
    HeatingRecord,
    RoundRecord,
)
from matlab_ros.monitor.report_metrics import metrics_section

FILE_NAME = "report.html"

_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:"
)
"""Forbids the reader's browser to fetch anything; the plotting library knows addresses of maps."""

_NOWRAP = 28
"""Choices up to this length stay on one line of the table."""

_VERDICTS = {
    Verdict.CONFIRMED: ("confirmed", "verdict-confirmed"),
    Verdict.PROVISIONAL: ("provisional", "verdict-provisional"),
    Verdict.NEEDS_HUMAN: ("needs a human", "verdict-human"),
    Verdict.UNKNOWN: ("not judged", "soft"),
}
_STATES = {
    ExperimentState.PLANNED: "planned",
    ExperimentState.RUNNING: "under way",
    ExperimentState.FAILED: "failed",
    ExperimentState.CANCELED: "cancelled",
    ExperimentState.SUCCEEDED: "done",
}
_RESOLUTIONS = {
    Resolution.OPEN: "open",
    Resolution.RETRY: "tried again",
    Resolution.SKIP: "step skipped",
    Resolution.ASSUME_DONE: "taken as done",
    Resolution.ABORT_SAMPLE: "sample given up",
    Resolution.ABORT_EXPERIMENT: "experiment given up",
}


def write_report(data: CampaignRecord, folder: Path) -> Path:
    """Write the report of a campaign.

    The page needs nothing but itself: style, script, plotting library and data are in it. It is
    written beside an existing one and then takes its place, so that a reader never sees half.

    Args:
        data: of the campaign, finished or not.
        folder: made where it does not exist.

    Returns:
        The page, ``folder/report.html``.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    unfinished = folder / f".{FILE_NAME}.{os.getpid()}"
    unfinished.write_text(render_report(data), encoding="utf-8")
    unfinished.replace(path)
    return path


def render_report(data: CampaignRecord) -> str:
    """The text of the page."""
    page = resources.files("matlab_ros.monitor") / "page"
    style = (page / "report.css").read_text(encoding="utf-8")
    script = (page / "report.js").read_text(encoding="utf-8")
    # In a script element only "</" could end the element before its time.
    embedded = json.dumps(page_data(data), separators=(",", ":"), allow_nan=False)
    embedded = embedded.replace("</", "<\\/")
    sections = (
        _header(data),
        _tiles(data),
        _best_section(data),
        _plot_section("convergence", "Convergence", _convergence_text(data), bool(data.measured())),
        _plot_section(
            "parameters",
            "Parameters",
            _parameters_text(data.beliefs),
            bool(data.measured()),
        ),
        _experiments_section(data),
        _plot_section(
            "stations",
            "Stations",
            "What each station did and when; bars framed in red failed.",
            bool(data.attempts),
        ),
        metrics_section(data.metrics),
        _faults_section(data.faults),
        _provenance_section(data),
    )
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(data.name)}: report</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<main>\n{''.join(sections)}</main>\n"
        f"{''.join(_detail(item, data) for item in data.experiments)}"
        f'<script type="application/json" id="campaign-data">{embedded}</script>\n'
        f"<script>{get_plotlyjs()}</script>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _parameters_text(beliefs: BeliefRecord | None) -> str:
    text = "Yield against each parameter as carried out; the star is the best."
    if beliefs is None:
        return text
    shares = ", ".join(
        f"{wording.label(name)} {100 * share:.0f} %" for name, share in beliefs.importance
    )
    text += (
        f" Lines and bands: what the model expects along it, {100 * beliefs.level:.0f} %, with the "
        f"other parameters as in the best recipe ({beliefs.model}). Share of the "
        f"differences that each makes, together with the others: {shares}."
    )
    if beliefs.forecasts:
        text += (
            f" Of {beliefs.forecasts} results that had been forecast, {beliefs.inside} came inside "
            "their interval."
        )
    return text


def _header(data: CampaignRecord) -> str:
    kind = "simulated instruments" if data.simulated else "real instruments"
    recipe = f" with the recipe {_text(data.recipe)}" if data.recipe else ""
    verb = "Largest" if data.maximize else "Smallest"
    return (
        f'<header><h1>{_text(data.name)}<span class="badge">{kind}</span></h1>'
        f'<p class="soft">{verb} measured weight fraction of <b>{_text(data.target_phase)}</b> '
        f"({_formula(data.target_formula)}){recipe}.</p></header>\n"
    )


def _tiles(data: CampaignRecord) -> str:
    best = data.best()
    done = sum(item.state is ExperimentState.SUCCEEDED for item in data.experiments)
    failed = sum(item.state is ExperimentState.FAILED for item in data.experiments)
    pace = ""
    if data.duration_s > 0 and done:
        pace = f"{done / (data.duration_s / 86400):.1f} experiments per day"
    opened = sum(item.resolution is Resolution.OPEN for item in data.faults)
    tiles = [
        (
            "lead",
            wording.percent(best.objective, best.sigma) if best else wording.DASH,
            f"best yield, {best.experiment_id}" if best else "best yield",
        ),
        (
            "",
            f"{done} / {data.budget}",
            "experiments done" + (f", {failed} failed" if failed else ""),
        ),
        ("", wording.duration(data.duration_s), f"in the lab; {pace}" if pace else "in the lab"),
        (
            "",
            str(len(data.faults)),
            "faults" + (f", {opened} open" if opened else ", none open" if data.faults else ""),
        ),
    ]
    if data.wall_s is not None:
        tiles.append(("", wording.duration(data.wall_s), "on the wall's clock"))
    cells = "".join(
        f'<div class="tile {kind}"><div class="value">{_text(value)}</div>'
        f'<div class="name">{_text(name)}</div></div>'
        for kind, value, name in tiles
    )
    return f'<div class="tiles">{cells}</div>\n'


def _best_section(data: CampaignRecord) -> str:
    best = data.best()
    if best is None:
        return "<section><h2>Best recipe</h2><p>Nothing was measured yet.</p></section>\n"
    return (
        "<section><h2>Best recipe</h2>"
        f'<p class="soft small">Experiment {_text(best.experiment_id)}, '
        f"{wording.percent(best.objective, best.sigma)} {_text(data.target_phase)}</p>"
        f'<div class="pair"><div>{_settings_list(best)}</div>'
        f"<div>{_doses_table(best.doses)}</div></div></section>\n"
    )


def _settings_list(experiment: ExperimentRecord) -> str:
    rows = []
    for name, value in experiment.settings.items():
        text = _text(wording.setting(value))
        measured = experiment.carried_out.get(name)
        if isinstance(measured, float) and measured != value:
            text += f' <span class="measured">measured {_text(wording.setting(measured))}</span>'
        rows.append(f"<dt>{_text(wording.label(name))}</dt><dd>{text}</dd>")
    return f"<dl>{''.join(rows)}</dl>"


def _convergence_text(data: CampaignRecord) -> str:
    counted: dict[str, int] = {}
    for item in data.experiments:
        if item.suggestion is not None:
            counted[item.suggestion.method] = counted.get(item.suggestion.method, 0) + 1
    methods = ", ".join(f"{number} by {name}" for name, number in counted.items())
    return (
        f"Suggested: {methods}. Filled points were chosen by the model; bars are standard "
        "uncertainties."
        if methods
        else "Bars are standard uncertainties."
    )


def _plot_section(identifier: str, title: str, text: str, shown: bool) -> str:
    if not shown:
        return ""
    return (
        f'<section><h2>{title}</h2><p class="soft small">{_text(text)}</p>'
        f'<div class="plot" id="{identifier}"></div></section>\n'
    )


def _experiments_section(data: CampaignRecord) -> str:
    if not data.experiments:
        return "<section><h2>Experiments</h2><p>None was begun.</p></section>\n"
    best = data.best()
    names = [item.name for item in data.parameters]
    heated = any(item.heating for item in data.experiments)
    heads = ["experiment", "yield (wt%)", "verdict"]
    heads += [wording.label(name) for name in names]
    if heated:
        heads += ["max (°C)", "dwell (min)"]
    heads.append("doses (mg)")
    head = "".join(
        f'<th scope="col"><button type="button">{_text(name)}</button></th>' for name in heads
    )
    rows = "".join(
        _row(item, names, heated, best is not None and item.experiment_id == best.experiment_id)
        for item in data.experiments
    )
    return (
        "<section><h2>Experiments</h2>"
        '<p class="soft small">Temperatures, dwells and doses: as measured, with the requested '
        "value behind the slash. A row unfolds to its pattern, phases and temperatures.</p>"
        '<div class="tools"><input type="search" id="filter" '
        'placeholder="Filter: a powder, an id…"'
        ' aria-label="Filter experiments"><span class="soft small" id="shown"></span></div>'
        f'<div class="scroll"><table id="experiments"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>\n"
    )


def _row(item: ExperimentRecord, names: Iterable[str], heated: bool, best: bool) -> str:
    identifier = _text(item.experiment_id)
    cells = [
        f'<td class="id" data-value="{identifier}"><button type="button" class="fold" '
        f'aria-expanded="false" data-experiment="{identifier}">{identifier}</button></td>',
        _yield_cell(item),
        _verdict_cell(item),
    ]
    for name in names:
        value = item.settings.get(name)
        short = isinstance(value, str) and len(value) <= _NOWRAP
        cells.append(_cell(_text(wording.setting(value)), value, "id" if short else ""))
    if heated:
        heating = item.heating or HeatingRecord()
        cells.append(_pair_cell(heating.measured_max_c, heating.requested_max_c, 0, 10.0))
        dwell = heating.requested_dwell_min
        allowed = max(5.0, 0.05 * dwell) if dwell is not None else 5.0
        cells.append(_pair_cell(heating.measured_dwell_min, dwell, 0, allowed))
    cells.append(f'<td class="small">{_doses_line(item.doses)}</td>')
    kind = "row best" if best else "row"
    return f'<tr class="{kind}" id="{identifier}">{"".join(cells)}</tr>'


def _cell(content: str, value: float | str | None, kind: str = "") -> str:
    sort = "" if value is None else _text(str(value))
    return f'<td class="{kind}" data-value="{sort}">{content}</td>'


def _yield_cell(item: ExperimentRecord) -> str:
    if item.objective is None:
        return f'<td data-value="">{wording.DASH}</td>'
    value = f"{100 * item.objective:.1f}"
    if item.sigma is not None:
        value += f' <span class="measured">± {100 * item.sigma:.1f}</span>'
    filled = min(max(item.objective, 0.0), 1.0) * 100
    meter = f'<span class="meter"><i style="width:{filled:.0f}%"></i></span>'
    return _cell(f'<span style="white-space:nowrap">{value}{meter}</span>', item.objective)


def _verdict_cell(item: ExperimentRecord) -> str:
    if item.analysis is not None:
        words, kind = _VERDICTS[item.analysis.verdict]
        return _cell(words, words, kind)
    words = _STATES[item.state]
    kind = "verdict-failed" if item.state is ExperimentState.FAILED else "soft"
    return _cell(words, words, kind)


def _pair_cell(
    measured: float | None, requested: float | None, decimals: int, tolerance: float
) -> str:
    """Measured and requested side by side; marked where they differ by more than `tolerance`."""
    off = measured is not None and requested is not None and abs(measured - requested) > tolerance
    shown = wording.fixed(measured, decimals)
    if off:
        shown = f'<span class="off">{shown}</span>'
    wanted = wording.fixed(requested, decimals)
    return _cell(
        f'<span style="white-space:nowrap">{shown} <span class="measured">/ {wanted}</span></span>',
        measured,
    )


def _doses_line(doses: Iterable[DoseRecord]) -> str:
    parts = []
    for dose in doses:
        shown = wording.fixed(dose.measured_mg, 1)
        if not dose.within_tolerance:
            shown = f'<span class="off">{shown}</span>'
        parts.append(
            f'<span style="white-space:nowrap">{_text(dose.substance)} {shown} '
            f'<span class="measured">/ {wording.fixed(dose.requested_mg, 1)}</span></span>'
        )
    return ", ".join(parts) or wording.DASH


def _detail(item: ExperimentRecord, data: CampaignRecord) -> str:
    """What a row unfolds to; its plots are drawn by the page's script."""
    left = []
    if item.message:
        left.append(f'<p class="verdict-failed">{_text(item.message)}</p>')
    if item.analysis is not None:
        left.append(_phases_table(item.analysis, data.target_phase))
    if len(item.rounds) > 1:
        left.append(f"<h3>Rounds</h3>{_rounds_table(item.rounds)}")
    if item.doses:
        left.append(f"<h3>Doses</h3>{_doses_table(item.doses)}")
    if item.suggestion is not None:
        left.append(_expectation(item))
    right = []
    if item.pattern is not None:
        right.append('<h3>Diffraction pattern</h3><div class="plot pattern-plot"></div>')
    if item.heating is not None and item.heating.elapsed_s:
        mark = _uncalibrated(item.heating.calibrated)
        right.append(f'<h3>Temperature{mark}</h3><div class="plot trace-plot"></div>')
    if not right:
        right.append('<p class="soft">No pattern and no temperatures were recorded.</p>')
    return (
        f'<template id="detail-{_text(item.experiment_id)}"><div class="columns">'
        f"<div>{''.join(left)}</div><div>{''.join(right)}</div></div></template>\n"
    )


def _phases_table(analysis: AnalysisRecord, target: str) -> str:
    rows = "".join(
        f"<tr><td>{_bold(_text(phase.phase), phase.phase == target)}"
        f'<br><span class="measured small">{_formula(phase.formula)}</span></td>'
        f'<td class="n">{wording.percent(phase.weight_fraction, phase.sigma)}'
        f"{_cell_shift(phase.cell_shift)}</td></tr>"
        for phase in analysis.phases
    )
    quality = [
        ("R<sub>wp</sub>", analysis.rwp_percent, 1.0),
        ("R<sub>exp</sub>", analysis.rexp_percent, 1.0),
        ("unexplained", analysis.unexplained_fraction, 100.0),
    ]
    known = ", ".join(
        f"{name} {value * factor:.1f} %" for name, value, factor in quality if value is not None
    )
    if analysis.goodness_of_fit is not None:
        known += f", goodness of fit {analysis.goodness_of_fit:.2f}"
    if analysis.possible:
        known += f"; possible, but not needed: {_text(', '.join(analysis.possible))}"
    if analysis.balance:
        shares = ", ".join(
            f"{_text(item.element)} {100 * item.found:.0f} / {100 * item.dispensed:.0f}"
            for item in analysis.balance
        )
        known += f"<br>atoms found / weighed in (%): {shares}"
    words, kind = _VERDICTS[analysis.verdict]
    remarks = "".join(f"<p class='small'>{_text(remark)}</p>" for remark in analysis.remarks)
    return (
        f'<h3>Phases <span class="{kind}">({words})</span></h3>'
        f"<table><tbody>{rows or '<tr><td>none found</td></tr>'}</tbody></table>"
        f"<p class='soft small'>{known}</p>{remarks}"
    )


def _cell_shift(shift: float | None) -> str:
    """A phase's cell against the library's, below its fraction."""
    if shift is None:
        return ""
    return f'<br><span class="measured small">cell {100 * shift:+.2f} %</span>'


def _rounds_table(rounds: Iterable[RoundRecord]) -> str:
    rows = []
    for number, item in enumerate(rounds, start=1):
        hours = None if item.measured_dwell_min is None else item.measured_dwell_min / 60.0
        fraction = wording.DASH
        if item.target_fraction is not None:
            fraction = wording.percent(item.target_fraction, None)
        rows.append(
            f'<tr><td class="n">{number}</td>'
            f'<td class="n">{wording.fixed(item.requested_max_c, 0)}</td>'
            f'<td class="n">{wording.fixed(item.measured_max_c, 0)}</td>'
            f'<td class="n">{wording.fixed(hours, 1)}</td><td class="n">{fraction}</td></tr>'
        )
    return (
        '<table><thead><tr><th class="n">round</th><th class="n">requested (°C)</th>'
        '<th class="n">measured (°C)</th><th class="n">dwell (h)</th><th class="n">target</th></tr>'
        f"</thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _uncalibrated(calibrated: bool | None) -> str:
    """The mark of a reading of an instrument without a valid calibration."""
    return ' <span class="off">no valid calibration</span>' if calibrated is False else ""


def _doses_table(doses: Iterable[DoseRecord]) -> str:
    rows = []
    for dose in doses:
        uncertainty = (
            f' <span class="measured">± {dose.uncertainty_mg:.2f}</span>'
            if dose.uncertainty_mg is not None
            else ""
        )
        measured = wording.fixed(dose.measured_mg, 2)
        if not dose.within_tolerance:
            measured = f'<span class="off">{measured}</span>'
        uncertainty += _uncalibrated(dose.calibrated)
        rows.append(
            f'<tr><td>{_formula(dose.substance)}</td><td class="n">{dose.requested_mg:.2f}</td>'
            f'<td class="n">{measured}{uncertainty}</td></tr>'
        )
    if not rows:
        return ""
    return (
        '<table><thead><tr><th>powder</th><th class="n">requested (mg)</th>'
        f'<th class="n">measured (mg)</th></tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def _expectation(item: ExperimentRecord) -> str:
    suggestion = item.suggestion
    if suggestion is None:
        return ""
    if suggestion.predicted_mean is None:
        text = f"Suggested by {_text(suggestion.method)}, without a model."
    else:
        text = (
            f"Suggested by {_text(suggestion.method)}, which expected "
            f"{wording.percent(suggestion.predicted_mean, suggestion.predicted_sigma)}; "
            f"measured {wording.percent(item.objective, item.sigma)}."
        )
    return f'<h3>Planner</h3><p class="small">{text}</p>'


def _faults_section(faults: tuple[FaultRecord, ...]) -> str:
    if not faults:
        return '<section><h2>Faults</h2><p class="soft">None.</p></section>\n'
    rows = "".join(
        f"<tr><td>{wording.duration(fault.raised_s)}</td><td>{_text(fault.device)}</td>"
        f"<td>{_text(', '.join(fault.experiments) or wording.DASH)}</td>"
        f"<td><b>{_text(_words(fault.code))}</b><br>{_text(fault.message)}</td>"
        f"<td>{_resolution(fault)}</td></tr>"
        for fault in faults
    )
    return (
        '<section><h2>Faults</h2><div class="scroll"><table><thead><tr><th>after</th>'
        "<th>device</th><th>experiment</th><th>what</th><th>decided</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div></section>\n"
    )


def _resolution(fault: FaultRecord) -> str:
    words = _RESOLUTIONS[fault.resolution]
    if fault.resolution is Resolution.OPEN:
        return f'<span class="verdict-failed">{words}</span>'
    return f"{words}, {_text(fault.resolved_by)}" if fault.resolved_by else words


def _provenance_section(data: CampaignRecord) -> str:
    facts: dict[str, str] = {"seed": str(data.seed)}
    if data.recipe:
        facts["recipe"] = data.recipe
    if data.recipe_sha256:
        facts["recipe, SHA-256"] = data.recipe_sha256
    facts.update(data.facts)
    return (
        '<section><h2>Provenance</h2><div class="pair">'
        f"<div><h3>Campaign</h3>{_facts(facts)}</div>"
        f"<div><h3>Software</h3>{_facts(data.versions)}</div></div></section>\n"
    )


def _facts(facts: Mapping[str, str]) -> str:
    rows = []
    for name, value in facts.items():
        is_hash = len(value) >= 40 and all(letter in "0123456789abcdef" for letter in value)
        kind = ' class="hash"' if is_hash else ""
        rows.append(f"<dt>{_text(name)}</dt><dd{kind}>{_text(value)}</dd>")
    return f"<dl>{''.join(rows)}</dl>"


def _formula(formula: str) -> str:
    """A formula with its numbers as subscripts, if it is one."""
    escaped = _text(formula)
    if not re.fullmatch(r"[A-Za-z0-9()\[\].]+", formula):
        return escaped
    return re.sub(r"(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)", r"<sub>\1</sub>", escaped)


def _words(code: str) -> str:
    """A fault's name for reading: ``HEAT_SENSOR_BREAK`` is "heat sensor break"."""
    return code.replace("_", " ").lower()


def _bold(text: str, bold: bool) -> str:
    return f"<b>{text}</b>" if bold else text


def _text(value: str) -> str:
    return html.escape(value, quote=True)
