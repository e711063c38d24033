"""The report's section on what self-driving labs are judged by."""

from __future__ import annotations

import html

from matlab_ros.lab.metrics_values import LabMetrics
from matlab_ros.monitor.metrics_text import Figure, Table, figures_of, tables_of


def metrics_section(found: LabMetrics | None) -> str:
    """The section as HTML; empty where nothing was counted."""
    if found is None:
        return ""
    groups: dict[str, list[Figure]] = {}
    for figure in figures_of(found):
        groups.setdefault(figure.group, []).append(figure)
    tables = "".join(_table(item) for item in tables_of(found) if item.title != "Faults")
    return (
        "<section><h2>How the lab did</h2>"
        '<p class="soft small">The metrics of Volk and Abolhasani (Nat. Commun. 15, 1378, 2024). '
        "Demonstrated: seen in this campaign; theoretical: what follows from it for a lab that is "
        "short of nothing else. Bars of the stations that limit are brown.</p>"
        f'<div class="figures">{"".join(_group(*item) for item in groups.items())}</div>'
        f'<div class="plot" id="metrics"></div>{tables}</section>\n'
    )


def _group(name: str, figures: list[Figure]) -> str:
    rows = "".join(
        f"<dt>{_text(item.name)}</dt><dd><b>{_text(item.value)}</b>"
        + (f' <span class="measured">{_text(item.remark)}</span>' if item.remark else "")
        + "</dd>"
        for item in figures
    )
    return f"<div><h3>{_text(name)}</h3><dl>{rows}</dl></div>"


def _table(table: Table) -> str:
    head = "".join(
        f"<th{_kind(column)}>{_text(name)}</th>" for column, name in enumerate(table.heads)
    )
    rows = "".join(
        "<tr>"
        + "".join(f"<td{_kind(column)}>{_text(cell)}</td>" for column, cell in enumerate(row))
        + "</tr>"
        for row in table.rows
    )
    return (
        f'<h3>{_text(table.title)}</h3><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _kind(column: int) -> str:
    return ' class="n"' if column else ""


def _text(value: str) -> str:
    return html.escape(value, quote=True)
