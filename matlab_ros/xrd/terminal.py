"""What a person sees of analyses in a terminal: a table of phases, or one line for each of many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from matlab_ros.console import console
from matlab_ros.xrd.plot import cell_lengths

if TYPE_CHECKING:
    from matlab_ros.xrd.analysis_job import Done

_COLOURS = {"confirmed": "green", "provisional": "yellow", "needs_human": "red"}
_MOST_EXCUSES = 3

Advance = Callable[[str, int], None]


@contextmanager
def progress(what: str, total: int) -> Iterator[Advance]:
    """A bar on stderr; nothing where that is no terminal, or for a single piece of work.

    Yields:
        What to call with a name, and how many are done with it, whenever some are.
    """
    shown = console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[last]}"),
        console=shown,
        transient=True,
        disable=not shown.is_terminal or total < 2,
    ) as bar:
        task = bar.add_task(what, total=total, last="")
        yield lambda name, n: bar.update(task, advance=n, last=name)


def one(document: dict[str, Any]) -> Group:
    """An analysis in full."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("phase", "structure", "group"):
        table.add_column(name)
    for name in ("wt%", "±", "a, b, c / Å", "shift", "size / nm"):
        table.add_column(name, justify="right", no_wrap=True)
    for phase in document["phases"]:
        sigma = (phase["sigma_statistical"] ** 2 + phase["sigma_systematic"] ** 2) ** 0.5
        size = phase["size_nm"]
        table.add_row(
            Text(phase["formula"], style="bold"),
            phase["name"],
            phase["space_group"],
            f"{100 * phase['weight_fraction']:.1f}",
            f"{100 * sigma:.1f}",
            cell_lengths(phase["cell"]),
            f"{100 * phase['cell_shift']:+.2f} %",
            f"{size:.0f}" if size is not None and size < 500 else "> 500",
        )
    parts: list[Text | Table] = [
        Text(document["file"] or "pattern", style="bold"),
        _verdict(document),
    ]
    parts += [Text(), table if document["phases"] else Text("no phase found"), Text()]
    parts.append(Text(_quality(document), style="dim"))
    told = [*document["verdict"]["reasons"], *document["verdict"]["remarks"], *_further(document)]
    told += document["notes"]
    parts += [Text(f"• {line}") for line in dict.fromkeys(told)]
    return Group(*parts)


def many(results: Sequence[Done]) -> Table:
    """One line for each of several analyses."""
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("pattern", overflow="fold", max_width=52)
    table.add_column("phases / wt%", overflow="fold", ratio=1)
    table.add_column("GoF", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("first of what is open", overflow="fold", ratio=1)
    for done in results:
        name = done.job.file.name
        if done.error:
            words = done.error.removeprefix(f"{done.job.file}: ")
            table.add_row(name, "", "", Text("not analysed", style="red"), words)
            continue
        document = done.document
        phases = ", ".join(
            f"{phase['formula']} {100 * phase['weight_fraction']:.1f}"
            for phase in document["phases"]
        )
        reasons = document["verdict"]["reasons"]
        table.add_row(
            name,
            phases or "none found",
            f"{document['fit']['gof']:.2f}",
            _kind(document),
            f"{reasons[0].split('. ')[0].rstrip('.')}." if reasons else "",
        )
    return table


def counts(results: Sequence[Done], total: int, folder: Path | None) -> str:
    """How many came to which verdict, and where the results are."""
    kinds: dict[str, int] = {}
    for done in results:
        kind = "not analysed" if done.error else done.document["verdict"]["kind"].replace("_", " ")
        kinds[kind] = kinds.get(kind, 0) + 1
    said = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
    where = f"; results are in {folder}" if folder is not None else ""
    return f"{len(results)} of {total} patterns: {said or 'none'}{where}"


def _kind(document: dict[str, Any]) -> Text:
    kind = document["verdict"]["kind"]
    return Text(kind.replace("_", " "), style=_COLOURS.get(kind, ""))


def _verdict(document: dict[str, Any]) -> Text:
    return Text.assemble("verdict: ", _kind(document))


def _quality(document: dict[str, Any]) -> str:
    fit = document["fit"]
    return (
        f"Rwp {100 * fit['rwp']:.1f} %, Rexp {100 * fit['rexp']:.1f} %, GoF {fit['gof']:.2f}"
        f"{'' if fit['converged'] else ', not converged'}; "
        f"{document['candidates']} structures competed"
    )


def _further(document: dict[str, Any]) -> list[str]:
    """What stands in the document and in no reason."""
    lines = []
    if document["possible"]:
        names = ", ".join(
            f"{each['name']} ({100 * each['explains']:.0f} %)" for each in document["possible"]
        )
        lines.append(f"Possible, but not needed: {names}.")
    broken = [e["name"] for e in document["excluded"] if not e["formula"]]
    if broken:
        more = f" and {len(broken) - _MOST_EXCUSES} more" if len(broken) > _MOST_EXCUSES else ""
        lines.append(
            f"Structures that cannot be read did not compete: "
            f"{', '.join(broken[:_MOST_EXCUSES])}{more}."
        )
    return lines
