"""Reference page of the states of steps, experiments, samples, positions and devices, drawn."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from matlab_ros.model.lab_words import ExperimentState, PositionState, SampleState, TaskState

DEVICE_FILE = Path(__file__).parents[2] / "matlab_ros_interfaces" / "msg" / "DeviceState.msg"
_WIDTH, _HEIGHT = 132.0, 34.0
_COLUMN, _ROW = 250.0, 88.0
_MARGIN = 18.0


@dataclass(frozen=True)
class Arrow:
    """From one state to another, and when.

    Attributes:
        start, end: names of states.
        when: words beside the arrow.
        bend: how far its middle is off the straight line, in pixels; to the left positive.
    """

    start: str
    end: str
    when: str
    bend: float = 0.0


@dataclass(frozen=True)
class Machine:
    """The states of one kind of thing.

    Attributes:
        title: of its section.
        about: a paragraph.
        places: column and row of each state.
        arrows: the ways between them.
        meanings: of each state.
        final: after which nothing follows.
    """

    title: str
    about: str
    places: Mapping[str, tuple[float, float]]
    arrows: tuple[Arrow, ...]
    meanings: Mapping[str, str]
    final: frozenset[str] = frozenset()

    @property
    def ways(self) -> frozenset[tuple[str, str]]:
        """All pairs of states with an arrow."""
        return frozenset((arrow.start, arrow.end) for arrow in self.arrows)


STEPS = Machine(
    "A step of an experiment",
    "`TaskState`, in the journal and on the page. A fault is decided by the step's "
    "`on_failure`, or by a "
    "person; *skip* passes through `FAILED`. When a loop goes round, what was done or skipped "
    "in it is pending again. Of what "
    "runs only waits are cancelled here: an attempt ends by itself.",
    {
        "PENDING": (0, 0),
        "READY": (1, 0),
        "RUNNING": (2, 0),
        "SUCCEEDED": (3, 0),
        "AWAITING_RESOLUTION": (2, 1.3),
        "CANCELED": (0, 2.6),
        "SKIPPED": (1, 2.6),
        "FAILED": (2, 2.6),
    },
    (
        Arrow("PENDING", "READY", "its needs ended"),
        Arrow("READY", "RUNNING", "attempt begins"),
        Arrow("RUNNING", "SUCCEEDED", "done"),
        Arrow("READY", "SUCCEEDED", "nothing to do", 45),
        Arrow("RUNNING", "AWAITING_RESOLUTION", "attempt failed"),
        Arrow("AWAITING_RESOLUTION", "READY", "retry"),
        Arrow("AWAITING_RESOLUTION", "SUCCEEDED", "assume-done"),
        Arrow("AWAITING_RESOLUTION", "FAILED", "given up"),
        Arrow("FAILED", "SKIPPED", "skip"),
        Arrow("PENDING", "SKIPPED", "its condition does not hold"),
        Arrow("READY", "SKIPPED", "senseless by now"),
        Arrow("PENDING", "CANCELED", "experiment ends"),
        Arrow("READY", "CANCELED", ""),
        Arrow("RUNNING", "CANCELED", ""),
        Arrow("SUCCEEDED", "PENDING", "its loop goes round", -85),
        Arrow("SKIPPED", "PENDING", "", 22),
    ),
    {
        "PENDING": "Steps it needs are not done.",
        "READY": "Waits for its station and device.",
        "RUNNING": "An attempt of it is under way.",
        "AWAITING_RESOLUTION": "An attempt failed, and nobody decided yet what follows.",
        "SUCCEEDED": "Done, or assumed to be.",
        "FAILED": "Given up; its experiment ends.",
        "CANCELED": "Not done, as its experiment ended before.",
        "SKIPPED": "Passed over; what needs it goes on.",
    },
    frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}),
)

EXPERIMENTS = Machine(
    "An experiment",
    "`matlab_ros_interfaces/msg/ExperimentState`. `paused`, `canceling` and `asking` are flags "
    "beside it. "
    "A failed experiment's crucible is put away like any other.",
    {
        "PLANNED": (0, 0.5),
        "RUNNING": (1, 0.5),
        "SUCCEEDED": (2, 0),
        "FAILED": (2, 1),
        "CANCELED": (1, 1.5),
    },
    (
        Arrow("PLANNED", "RUNNING", "it has a crucible"),
        Arrow("RUNNING", "SUCCEEDED", "all steps ended"),
        Arrow("RUNNING", "FAILED", "a fault ends it"),
        Arrow("RUNNING", "CANCELED", "cancelled, put away"),
        Arrow("PLANNED", "CANCELED", ""),
        Arrow("PLANNED", "FAILED", "stopped", -110),
    ),
    {
        "PLANNED": "Suggested, and waits for a clean crucible.",
        "RUNNING": "Has a crucible.",
        "SUCCEEDED": "All steps ended.",
        "FAILED": "Ended early by a fault.",
        "CANCELED": "Ended early by a person, or never begun.",
    },
    frozenset({"SUCCEEDED", "FAILED", "CANCELED"}),
)

SAMPLES = Machine(
    "A sample",
    "`matlab_ros_interfaces/msg/SampleState`. A person who has looked may set any state: "
    "`matlab-ros lab correct`.",
    {
        "PLANNED": (0, 0.8),
        "ACTIVE": (1, 0.8),
        "DONE": (2, 0),
        "AT_REST": (2, 0.8),
        "COMPROMISED": (2, 1.6),
        "LOST": (1, 1.9),
        "DISPOSED": (3, 0.8),
    },
    (
        Arrow("PLANNED", "ACTIVE", "gets a crucible"),
        Arrow("ACTIVE", "DONE", "all steps ended"),
        Arrow("ACTIVE", "AT_REST", "ended early"),
        Arrow("ACTIVE", "COMPROMISED", "not to be trusted"),
        Arrow("ACTIVE", "LOST", "gone"),
        Arrow("COMPROMISED", "LOST", "gone"),
        Arrow("ACTIVE", "DISPOSED", "discard", 104),
        Arrow("DONE", "DISPOSED", "crucible replaced"),
        Arrow("AT_REST", "DISPOSED", ""),
        Arrow("COMPROMISED", "DISPOSED", ""),
        Arrow("LOST", "DISPOSED", "", -70),
    ),
    {
        "PLANNED": "Has no material yet.",
        "ACTIVE": "Its experiment is under way.",
        "AT_REST": "Its experiment ended early; it is what it was.",
        "COMPROMISED": "A device cannot say what was done to it; it is not to be trusted.",
        "LOST": "Nobody knows where it is.",
        "DONE": "All steps of its experiment ended.",
        "DISPOSED": "Thrown away, or its crucible was replaced.",
    },
    frozenset({"DISPOSED"}),
)

POSITIONS = Machine(
    "A position",
    "`matlab_ros_interfaces/msg/PositionState`. Reservations are no records of their own: they "
    "last as long "
    "as the attempt that needs the place, so none can be forgotten. A lease that runs out frees "
    "nothing.",
    {
        "EMPTY": (0, 1),
        "RESERVED": (1, 0),
        "OCCUPIED": (2, 1),
        "UNKNOWN": (1, 2),
        "BLOCKED": (2, 2.4),
    },
    (
        Arrow("EMPTY", "RESERVED", "a crucible is coming"),
        Arrow("RESERVED", "OCCUPIED", "it stands there"),
        Arrow("RESERVED", "EMPTY", "", 20),
        Arrow("OCCUPIED", "EMPTY", "taken away"),
        Arrow("RESERVED", "UNKNOWN", ""),
        Arrow("OCCUPIED", "UNKNOWN", "nobody is sure"),
        Arrow("UNKNOWN", "OCCUPIED", "", 22),
        Arrow("UNKNOWN", "EMPTY", "look: nothing"),
        Arrow("OCCUPIED", "BLOCKED", "given up there", 22),
        Arrow("BLOCKED", "EMPTY", "clear", 70),
        Arrow("BLOCKED", "OCCUPIED", "look", 22),
    ),
    {
        "EMPTY": "Nothing stands there.",
        "RESERVED": "Promised to an attempt under way.",
        "OCCUPIED": "A crucible stands there.",
        "BLOCKED": "What stands there was given up and could not be carried home: a person "
        "empties it, and "
        "says `matlab-ros lab clear`.",
        "UNKNOWN": "A crucible may stand there: the arm or a person looks, `matlab-ros lab look`.",
    },
)

DEVICES = Machine(
    "A device",
    "ROS 2's lifecycle, `lifecycle_state` of `matlab_ros_interfaces/msg/DeviceState`. The lab "
    "manager leads "
    "every device of the lab's file to `ACTIVE`. `busy`, `paused`, `faulted` and `estopped` are "
    "independent "
    "flags beside it.",
    {
        "UNCONFIGURED": (0, 0),
        "INACTIVE": (1, 0),
        "ACTIVE": (2, 0),
        "FINALIZED": (1, 1.1),
    },
    (
        Arrow("UNCONFIGURED", "INACTIVE", "configure", 16),
        Arrow("INACTIVE", "UNCONFIGURED", "cleanup", 16),
        Arrow("INACTIVE", "ACTIVE", "activate", 16),
        Arrow("ACTIVE", "INACTIVE", "deactivate", 16),
        Arrow("UNCONFIGURED", "FINALIZED", "shutdown"),
        Arrow("INACTIVE", "FINALIZED", ""),
        Arrow("ACTIVE", "FINALIZED", ""),
    ),
    {
        "UNCONFIGURED": "The instrument's wire is closed.",
        "INACTIVE": "The instrument answers; goals are refused.",
        "ACTIVE": "Goals are taken.",
        "FINALIZED": "The process is about to end.",
    },
    frozenset({"FINALIZED"}),
)

MACHINES = (STEPS, EXPERIMENTS, SAMPLES, POSITIONS, DEVICES)


def states_in_code() -> dict[str, tuple[str, ...]]:
    """Names of the states that the software knows, by the machine's title."""
    device = re.findall(r"^uint8 (\w+)=\d+", DEVICE_FILE.read_text("utf-8"), re.MULTILINE)
    return {
        STEPS.title: tuple(item.name for item in TaskState),
        EXPERIMENTS.title: tuple(item.name for item in ExperimentState),
        SAMPLES.title: tuple(item.name for item in SampleState),
        POSITIONS.title: tuple(item.name for item in PositionState),
        DEVICES.title: tuple(device),
    }


def states_page() -> str:
    """All machines, drawn and told."""
    lines = [
        "---",
        "hide: [toc]",
        "---",
        "",
        "# States",
        "",
        "Thick frames are ends. All states follow from the [journal](../journal.md) by "
        "replaying it.",
    ]
    for machine in MACHINES:
        lines += ["", f"## {machine.title}", "", machine.about, "", drawing(machine), ""]
        lines += ["| state | meaning |", "|---|---|"]
        lines += [f"| `{name}` | {about} |" for name, about in machine.meanings.items()]
    return "\n".join(lines) + "\n"


def drawing(machine: Machine) -> str:
    """A machine as SVG, in the colours of the page around it."""
    centres = {
        name: (_WIDTH / 2 + x * _COLUMN, _HEIGHT / 2 + y * _ROW)
        for name, (x, y) in machine.places.items()
    }
    middles = [_middle(arrow, centres) for arrow in machine.arrows]
    xs = [x for x, _ in (*centres.values(), *middles)]
    ys = [y for _, y in (*centres.values(), *middles)]
    left, top = min(xs) - _WIDTH / 2 - _MARGIN, min(ys) - _HEIGHT / 2 - _MARGIN
    width, height = max(xs) + _WIDTH / 2 + _MARGIN - left, max(ys) + _HEIGHT / 2 + _MARGIN - top
    told = "; ".join(f"{a.start} to {a.end}" for a in machine.arrows)
    name = machine.title.lower().replace(" ", "-")
    parts = [
        f'<svg class="states" viewBox="{left:.0f} {top:.0f} {width:.0f} {height:.0f}" '
        f'style="max-width: {width:.0f}px" role="img" '
        f'aria-label="{escape(machine.title)}: {escape(told)}">',
        f'<defs><marker id="{name}-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z"/></marker></defs>',
    ]
    parts += _lines(machine.arrows, centres, name)
    for state, (x, y) in centres.items():
        kind = "state end" if state in machine.final else "state"
        parts.append(
            f'<rect class="{kind}" x="{x - _WIDTH / 2:.0f}" y="{y - _HEIGHT / 2:.0f}" '
            f'width="{_WIDTH:.0f}" height="{_HEIGHT:.0f}" rx="7"/>'
            f'<text class="state" x="{x:.0f}" y="{y + 4:.0f}">{state}</text>'
        )
    return "\n".join([*parts, "</svg>"])


def _lines(
    arrows: Iterable[Arrow], centres: Mapping[str, tuple[float, float]], name: str
) -> list[str]:
    lines, words = [], []
    for arrow in arrows:
        cx, cy = _middle(arrow, centres, 2.0)
        ax, ay = _edge(centres[arrow.start], (cx, cy))
        bx, by = _edge(centres[arrow.end], (cx, cy))
        lines.append(
            f'<path class="way" d="M{ax:.0f},{ay:.0f} Q{cx:.0f},{cy:.0f} {bx:.0f},{by:.0f}" '
            f'marker-end="url(#{name}-tip)"/>'
        )
        if arrow.when:
            mx, my = (ax + 2 * cx + bx) / 4, (ay + 2 * cy + by) / 4
            words.append(
                f'<text class="way" x="{mx:.0f}" y="{my - 4:.0f}">{escape(arrow.when)}</text>'
            )
    return lines + words


def _middle(
    arrow: Arrow, centres: Mapping[str, tuple[float, float]], share: float = 1.0
) -> tuple[float, float]:
    """The middle between two states, moved aside by a share of the arrow's bend."""
    (x0, y0), (x1, y1) = centres[arrow.start], centres[arrow.end]
    length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
    aside = share * arrow.bend / length
    return (x0 + x1) / 2 + aside * (y1 - y0), (y0 + y1) / 2 - aside * (x1 - x0)


def _edge(centre: tuple[float, float], towards: tuple[float, float]) -> tuple[float, float]:
    """Where the line from a box's centre leaves it."""
    dx, dy = towards[0] - centre[0], towards[1] - centre[1]
    share = min(
        (_WIDTH / 2 + 2) / abs(dx) if dx else float("inf"),
        (_HEIGHT / 2 + 2) / abs(dy) if dy else float("inf"),
    )
    return centre[0] + share * dx, centre[1] + share * dy
