"""The catalogue of interfaces: finds texts and keeps the structures they define.

Texts that come with pocket_ros are asked first, then the packages of `pocket_ros.packages`
in its order.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from pocket_ros.idl.definitions import Container, Field, Structure
from pocket_ros.idl.parser import InterfaceSyntaxError, parse_sections, parse_structure

BUNDLED = Path(__file__).resolve().parent.parent / "interfaces"
KINDS = ("msg", "srv", "action")

_UUID = "unique_identifier_msgs/msg/UUID"
_NAME = re.compile(r"[A-Za-z]\w*/(msg|srv|action)/[A-Za-z]\w*")
# Structures that a service or an action is made of; the text belongs to the name before them.
_PART = re.compile(
    r"_(?:Request|Response|Event|Goal|Result|Feedback|FeedbackMessage"
    r"|(?:SendGoal|GetResult)(?:_Request|_Response|_Event)?)$"
)

_structures: dict[str, Structure] = {}
_texts: dict[str, str] = {}


class InterfaceNotFoundError(LookupError):
    """No known package holds this interface; the message says where it was looked for."""

    def __str__(self) -> str:
        return str(self.args[0])


def structure(name: str) -> Structure:
    """The structure `name` (pkg/kind/Name); for a service or action the one its hash describes.

    Raises InterfaceNotFoundError or InterfaceSyntaxError.
    """
    if name not in _structures:
        if not _NAME.fullmatch(name):
            raise InterfaceNotFoundError(
                f"{name!r} is not the name of an interface: expected package/msg/Name, "
                "package/srv/Name or package/action/Name"
            )
        package, kind, short = name.split("/")
        _read(package, kind, _PART.sub("", short) if kind != "msg" else short)
        if name not in _structures:
            raise InterfaceNotFoundError(f"the interface {name} does not exist")
    return _structures[name]


def source(name: str) -> str | None:
    """The text that defines `name`; None where it is but a part of a service or an action."""
    structure(name)
    return _texts.get(name)


def closure(name: str) -> list[str]:
    """Names of all structures that `name` refers to, sorted, without itself."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        for field in structure(todo.pop()).fields:
            if field.is_nested and field.base not in seen:
                seen.add(field.base)
                todo.append(field.base)
    if name in seen:
        raise InterfaceSyntaxError(f"{name} contains itself")
    return sorted(seen)


def interface_names(package: str, kind: str) -> list[str]:
    """Short names of the package's interfaces of a kind (msg, srv or action), sorted."""
    return sorted(
        {path.stem for root in package_folders(package) for path in (root / kind).glob(f"*.{kind}")}
    )


@cache
def package_folders(package: str) -> tuple[Path, ...]:
    """Folders that hold the package's msg/, srv/ and action/ folders; empty if unknown."""
    if not package.isidentifier():
        return ()
    found = [BUNDLED / package] if (BUNDLED / package).is_dir() else []
    from pocket_ros import packages

    found += packages.interface_folders(package)
    return tuple(p for p in found if any((p / kind).is_dir() for kind in KINDS))


def _read(package: str, kind: str, short: str) -> None:
    bundled = BUNDLED / package / kind / f"{short}.{kind}"
    candidates = [bundled] if bundled.is_file() else []
    if not candidates:
        folders = package_folders(package)
        candidates = [path for f in folders if (path := f / kind / f"{short}.{kind}").is_file()]
        if not candidates:
            where = ", ".join(map(str, folders)) or "no package of that name is known"
            raise InterfaceNotFoundError(
                f"the interface {package}/{kind}/{short} was not found (looked in: {where})"
            )
    path = candidates[0]
    add_text(package, kind, short, path.read_text(encoding="utf-8"), str(path))


def add_text(package: str, kind: str, short: str, text: str, origin: str) -> None:
    """Add the structures that an interface text defines."""
    name = f"{package}/{kind}/{short}"
    _texts[name] = text
    if kind == "msg":
        [lines] = parse_sections(text, origin, 1)
        _add(parse_structure(name, lines, origin))
        return
    parts = ("Request", "Response") if kind == "srv" else ("Goal", "Result", "Feedback")
    for part, lines in zip(parts, parse_sections(text, origin, len(parts)), strict=True):
        _add(parse_structure(f"{name}_{part}", lines, origin))
    if kind == "srv":
        _add_service(name)
    else:
        _add_action(name)


def _add(item: Structure) -> None:
    _structures[item.name] = item


def _add_service(name: str) -> None:
    request, response, event = (f"{name}_{part}" for part in ("Request", "Response", "Event"))
    _add(
        Structure(
            event,
            (
                Field("info", "service_msgs/msg/ServiceEventInfo"),
                Field("request", request, Container.BOUNDED, 1),
                Field("response", response, Container.BOUNDED, 1),
            ),
        )
    )
    _add(
        Structure(
            name,
            (
                Field("request_message", request),
                Field("response_message", response),
                Field("event_message", event),
            ),
        )
    )


def _add_action(name: str) -> None:
    goal_id = Field("goal_id", _UUID)
    send, get = f"{name}_SendGoal", f"{name}_GetResult"
    _add(Structure(f"{send}_Request", (goal_id, Field("goal", f"{name}_Goal"))))
    _add(
        Structure(
            f"{send}_Response",
            (Field("accepted", "bool"), Field("stamp", "builtin_interfaces/msg/Time")),
        )
    )
    _add(Structure(f"{get}_Request", (goal_id,)))
    _add(Structure(f"{get}_Response", (Field("status", "int8"), Field("result", f"{name}_Result"))))
    _add_service(send)
    _add_service(get)
    _add(Structure(f"{name}_FeedbackMessage", (goal_id, Field("feedback", f"{name}_Feedback"))))
    _add(
        Structure(
            name,
            (
                Field("goal", f"{name}_Goal"),
                Field("result", f"{name}_Result"),
                Field("feedback", f"{name}_Feedback"),
                Field("send_goal_service", send),
                Field("get_result_service", get),
                Field("feedback_message", f"{name}_FeedbackMessage"),
            ),
        )
    )
