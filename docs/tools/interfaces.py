"""Reference pages of the ROS interfaces and of their error codes, from their own text."""

from __future__ import annotations

import re
from pathlib import Path

from matlab_ros.model.faults import Fault, FaultCode

FOLDER = Path(__file__).parents[2] / "matlab_ros_interfaces"
PARTS = {
    "msg": ("Fields",),
    "srv": ("Request", "Response"),
    "action": ("Goal", "Result", "Feedback"),
}
TITLES = {"action": "Actions", "srv": "Services", "msg": "Messages"}
_CODE = re.compile(r"^uint16 (\w+)=(\d+)\s*(?:#\s*(.*))?$", re.MULTILINE)
_RANGES = (
    (1, "Shared by all actions"),
    (100, "Dispense"),
    (200, "TransferSample"),
    (300, "Heat"),
    (400, "MeasureXrd"),
    (500, "AnalysePattern"),
    (600, "Lab manager"),
    (700, "Planner"),
)


def interface_paths(kind: str) -> list[Path]:
    """All interfaces of a kind (msg, srv, action), by name."""
    return sorted((FOLDER / kind).glob(f"*.{kind}"))


def interfaces_page() -> str:
    """Every interface as it is written, with its comments and units."""
    lines = [
        "# Interfaces",
        "",
        "Package `matlab_ros_interfaces`, as its files have it. Units stand in the names (`_c` "
        "degrees "
        "Celsius, `_s` seconds, `_mg` milligrams) or in the comment. What error codes mean is on "
        "[a page of its own](error_codes.md). `pocket-ros interface show "
        "matlab_ros_interfaces/action/Heat` prints one in the terminal.",
    ]
    for kind, title in TITLES.items():
        lines += ["", f"## {title}"]
        for path in interface_paths(kind):
            lines += ["", f"### {path.stem}", "", *_interface(path, kind)]
    return "\n".join(lines) + "\n"


def _interface(path: Path, kind: str) -> list[str]:
    sections = re.split(r"^---\s*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = []
    about, first = _leading_comment(sections[0].strip())
    if about:
        lines += [about, ""]
    for title, text in zip(PARTS[kind], (first, *sections[1:]), strict=True):
        if kind != "msg":
            lines += [f"**{title}**", ""]
        body = text.strip()
        lines += (["```text", body, "```", ""]) if body else ["Nothing.", ""]
    return lines[:-1]


def _leading_comment(text: str) -> tuple[str, str]:
    """The comment that an interface begins with, as a sentence, and the rest."""
    lines = text.splitlines()
    count = 0
    while count < len(lines) and lines[count].startswith("#"):
        count += 1
    about = " ".join(line.lstrip("# ").strip() for line in lines[:count])
    return about.replace("<", "&lt;"), "\n".join(lines[count:])


def error_codes() -> dict[int, tuple[str, str]]:
    """Names and remarks of all error codes of the interfaces, by number."""
    found: dict[int, tuple[str, str]] = {}
    for kind in PARTS:
        for path in interface_paths(kind):
            for name, number, remark in _CODE.findall(path.read_text(encoding="utf-8")):
                known = found.get(int(number), ("", ""))
                found[int(number)] = (name, remark.strip() or known[1])
    return found


def error_codes_page() -> str:
    """All error codes, with what the software takes them for."""
    remarks = error_codes()
    lines = [
        "# Error codes",
        "",
        "`error_code` of results, faults and device states. 0 is success, and the action's status "
        "always agrees with it. *Concerns* and *reaches* are what the lab takes a code for "
        "where the "
        "device says nothing else; *retried* means that asking again may help.",
    ]
    for index, (first, title) in enumerate(_RANGES):
        end = _RANGES[index + 1][0] if index + 1 < len(_RANGES) else 1000
        lines += ["", f"## {title}", "", "| code | name | concerns | reaches | retried | remark |"]
        lines.append("|---|---|---|---|---|---|")
        for code in FaultCode:
            if not first <= code < end:
                continue
            fault = Fault.of(code, "")
            cells = (
                str(int(code)),
                f"`{code.name}`",
                fault.domain.value,
                fault.severity.name.lower(),
                "yes" if fault.retryable else "",
                remarks.get(int(code), ("", ""))[1],
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
