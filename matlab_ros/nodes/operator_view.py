"""What the operators' commands print: tables that can be read at three in the morning."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_words import PositionState, Resolution, SampleState
from matlab_ros.monitor.wording import DASH, duration, percent
from matlab_ros.nodes.ros_time import to_ns

_CALENDAR_S = 1e9
"""ROS time beyond this is the calendar's; below it is that of a virtual lab, since its start."""

_LEVELS = {
    1: ("notice", "cyan"),
    2: ("warning", "yellow"),
    3: ("error", "red"),
    4: ("CRITICAL", "bold red"),
}


def status(snapshot: Any) -> RenderableType:
    """The lab at a glance: what stands still first, then who does what."""
    parts: list[RenderableType] = [_headline(snapshot), *_banners(snapshot), _devices(snapshot)]
    if snapshot.lab.experiments:
        parts.append(_experiments(snapshot))
    if _open(snapshot):
        parts.append(faults(snapshot))
    odd = [item for item in snapshot.positions if item.state >= PositionState.BLOCKED]
    if odd:
        parts.append(_positions(odd))
    return Group(*parts)


def next_steps(snapshot: Any, options: str = "") -> list[str]:
    """What a person can do now: commands that a shell takes as they stand, the most urgent first.

    Args:
        snapshot: of the lab.
        options: that each command needs to reach this lab, such as ``--connect ADDRESS``.
    """
    lab = snapshot.lab
    lines = []
    if lab.estopped:
        lines.append("matlab-ros lab estop --release  # when it is safe; it starts nothing")
    for item in (*snapshot.positions, *_open(snapshot)):
        lines.extend(item.to_do)
    if not lab.estopped:
        lines.extend(f"matlab-ros lab resume {name}  # to go on" for name in lab.paused_names)
    return [line.replace("  #", f" {options}  #") if options else line for line in lines]


def faults(snapshot: Any, *, everything: bool = False) -> RenderableType:
    """Open faults, or all of them with what was decided."""
    shown = list(snapshot.faults) if everything else _open(snapshot)
    if not shown:
        return "No fault is open." if not everything else "There was no fault."
    now_ns = to_ns(snapshot.lab.header.stamp)
    table = _table("faults", "fault", "since", "where", "what", "what follows")
    for fault in shown:
        where = fault.experiment_id and f"{fault.experiment_id} / {fault.step}"
        table.add_row(
            fault.fault_id,
            duration((now_ns - to_ns(fault.raised)) * 1e-9),
            "\n".join(escape(word) for word in (where, fault.device) if word),
            f"[bold]{_code(fault.error_code)}[/]\n{escape(fault.message)}",
            _what_follows(fault, now_ns),
        )
    return table


def alert(message: Any) -> RenderableType:
    """One alert."""
    word, colour = _LEVELS.get(message.level, ("alert", "white"))
    seconds = to_ns(message.stamp) * 1e-9
    when = duration(seconds)
    if seconds > _CALENDAR_S:
        when = datetime.fromtimestamp(seconds).strftime("%d %b %H:%M")
    about = message.experiment_id or message.device
    lines = [f"[{colour}]{word:8}[/] [dim]{when:>12}[/] {escape(message.text)}"]
    if about and about not in message.text:
        lines[0] += f" [dim]({escape(about)})[/]"
    if message.to_do:
        lines.append(f"{'':22}[bold]{escape(message.to_do)}[/]")
    return "\n".join(lines)


def sample(found: Any) -> RenderableType:
    """Where a sample is and how it is."""
    table = Table(box=None, show_header=False, pad_edge=False)
    state = SampleState(found.state).name.lower().replace("_", " ")
    for name, value in (
        ("sample", found.sample_id),
        ("position", found.position or "[bold red]nobody knows[/]"),
        ("container", found.container_id),
        ("state", state),
        ("experiment", found.experiment_id),
        ("next step", found.step or DASH),
    ):
        table.add_row(f"[dim]{name}[/]", value)
    return table


def result(found: Any) -> RenderableType:
    """What an experiment gave."""
    observation = found.observation
    parts: list[RenderableType] = []
    if found.doses:
        table = _table("dispensed", "powder", "asked/mg", "weighed/mg")
        for dose in found.doses:
            weighed = f"{dose.measured_mg:.2f} ± {dose.uncertainty_mg:.2f}"
            table.add_row(
                escape(dose.substance),
                f"{dose.requested_mg:.2f}",
                "not weighed" if math.isnan(dose.measured_mg) else weighed,
            )
        parts.append(table)
    if found.phases:
        table = _table("found", "phase", "share")
        for phase in found.phases:
            table.add_row(escape(phase.phase), percent(phase.weight_fraction, phase.sigma))
        parts.append(table)
    if observation.experiment_id and not math.isnan(observation.objective):
        parts.append(
            f"{observation.experiment_id}: {percent(observation.objective, observation.sigma)} of "
            "the target."
        )
    return Group(*parts)


# --- parts ------------------------------------------------------------------------------------


def _table(title: str, *columns: str) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _headline(snapshot: Any) -> str:
    lab = snapshot.lab
    if not lab.campaign:
        return f"[bold]{escape(lab.lab)}[/]: no campaign is under way."
    best = f", best {percent(lab.best_objective)}" if not math.isnan(lab.best_objective) else ""
    return (
        f"[bold]{escape(lab.lab)}[/]: campaign [bold]{escape(lab.campaign)}[/], "
        f"{lab.experiments_succeeded} of {lab.experiments_budget} experiments done, "
        f"{lab.experiments_failed} without a result, {lab.experiments_in_flight} in flight{best}."
    )


def _banners(snapshot: Any) -> Iterator[str]:
    lab = snapshot.lab
    if lab.estopped:
        yield "[bold white on red] EMERGENCY STOP [/] latched"
    if lab.canceling:
        yield "[bold black on yellow] CANCELLING [/] done when every device says that it is safe"
    if lab.paused_names:
        what = "nothing new begins" if lab.paused else "of these nothing goes on"
        yield f"[bold black on yellow] PAUSED [/] {what}: {escape(', '.join(lab.paused_names))}"
    asked = [item for item in _open(snapshot) if item.asked]
    for word, faults_of in (
        ("DECIDE", [item for item in asked if item.experiment_id]),
        ("LOOK", [item for item in asked if not item.experiment_id]),
    ):
        if faults_of:
            count = f"{len(faults_of)} faults wait" if len(faults_of) > 1 else "1 fault waits"
            yield f"[bold white on red] {word} [/] {count} for you"


def _devices(snapshot: Any) -> Table:
    table = _table("devices", "device", "state", "doing", "progress")
    for device in snapshot.lab.devices:
        state = "[green]ready[/]" if device.ready else "[yellow]not ready[/]"
        if not device.present:
            state = "[bold red]silent[/]"
        doing = f"{device.attempt_id}  [dim]{escape(device.step)}[/]" if device.attempt_id else ""
        share = "" if math.isnan(device.progress) else f"{100 * device.progress:.0f} %"
        table.add_row(device.device, state, doing, share if doing else "")
    return table


def _experiments(snapshot: Any) -> Table:
    where = {item.experiment_id: item for item in snapshot.samples}
    table = _table("in flight", "experiment", "step", "stands at", "")
    for item in snapshot.lab.experiments:
        found = where.get(item.experiment_id)
        flags = [
            word
            for word, is_set in (
                ("[bold red]asks[/]", item.asking),
                ("[yellow]paused[/]", item.paused),
                ("[yellow]cancelling[/]", item.canceling),
                ("[cyan]guest[/]", item.campaign != snapshot.lab.campaign),
            )
            if is_set
        ]
        position = "[bold red]nobody knows[/]" if found is not None else DASH
        if found is not None and found.position:
            position = found.position
        table.add_row(item.experiment_id, item.step or DASH, position, " ".join(flags))
    return table


def _positions(odd: Sequence[Any]) -> Table:
    table = _table("look there", "position", "state", "holds")
    for item in odd:
        word = PositionState(item.state).name.lower()
        table.add_row(item.position, f"[red]{word}[/]", item.container_id or DASH)
    return table


def _open(snapshot: Any) -> list[Any]:
    return [item for item in snapshot.faults if item.resolution == Resolution.OPEN]


def _code(number: int) -> str:
    known = [item for item in FaultCode if item == number]
    return known[0].name if known else f"code {number}"


def _what_follows(fault: Any, now_ns: int) -> str:
    decided = Resolution(fault.resolution)
    if decided is not Resolution.OPEN:
        remark = f"\n[dim]{escape(fault.remark)}[/]" if fault.remark else ""
        word = decided.name.lower().replace("_", " ")
        return f"{word} [dim]by {escape(fault.resolved_by)}[/]{remark}"
    if not fault.asked:
        return "ends when the device is back or done"
    word = fault.without_answer.replace("_", " ")
    until_ns = to_ns(fault.ask_until)
    left = f"in {duration((until_ns - now_ns) * 1e-9)}" if until_ns else "some time after the pause"
    return f"[bold red]you decide[/]\n[dim]else {word} {left}[/]"
