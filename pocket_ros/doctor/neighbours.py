"""Who is there: routers and their versions, domains, types that differ, clocks that differ."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pocket_ros.doctor.environment import LOOPBACK
from pocket_ros.doctor.findings import Report
from pocket_ros.session import tcp_address

if TYPE_CHECKING:
    import zenoh

    from pocket_ros.rclpy._core.graph import Entity

_ANSWER_S = 2.0
_WORST_OFFSET_S = 0.1
"""Clocks that differ by more make tf2 and stamps of messages useless."""
_CLOCK_SERVICE = "/get_parameter_types"
# A request without names: CDR header, length 0.
_EMPTY_LIST = b"\x00\x01\x00\x00\x00\x00\x00\x00"
_OLDEST = (1, 0)


def check_routers(report: Report, session: zenoh.Session) -> None:
    """Say which routers and peers there are, in which versions, and where they listen."""
    routers = session.info.routers_zid()
    if not routers:
        report.problem(
            "zenoh",
            "What answers does not let this machine into a Zenoh session as a router.",
            "Look whether another program has the port, and whether one side has TLS and the "
            "other has not.",
        )
        return
    report.fine("zenoh", f"A Zenoh session with {len(routers)} router(s) is open.")
    told = _administration(session)
    if not told:
        report.note(
            "versions",
            "The router does not tell its version: its admin space is off, or a policy hides it.",
        )
    for kind, entry in told:
        version = re.match(r"v?(\d+)\.(\d+)[\w.]*", str(entry.get("version", "")))
        if version is None:
            continue
        locators = [str(locator) for locator in entry.get("locators", [])]
        place = f" listens at {', '.join(locators)}" if locators else ""
        if (int(version[1]), int(version[2])) < _OLDEST:
            report.problem(
                "versions",
                f"A {kind} runs Zenoh {version[0]}, which does not speak with Zenoh 1.",
                "Update it: ROS 2 Jazzy and later carry Zenoh 1.",
            )
        else:
            report.fine("versions", f"A {kind} of Zenoh {version[0].lstrip('v')}{place}.")
        if kind == "router" and locators and all(map(_is_loopback, locators)):
            report.note(
                "router",
                "The router listens on its own machine only: other machines cannot reach it.",
                "'pocket-ros security init' makes a configuration that lets them in safely; "
                "'pocket-ros router tcp/0.0.0.0:7447' lets everybody in.",
            )


def _administration(session: zenoh.Session) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for kind in ("router", "peer"):
        for reply in session.get(f"@/*/{kind}", timeout=_ANSWER_S):
            if reply.ok is not None:
                try:
                    entry = json.loads(reply.ok.payload.to_string())
                except ValueError:
                    continue
                if isinstance(entry, dict):
                    found.append((kind, entry))
    return found


def _is_loopback(locator: str) -> bool:
    address = tcp_address(locator)
    return address is not None and address[0] in LOOPBACK


def read_graph(session: zenoh.Session) -> list[tuple[int, Entity]]:
    """Everybody in every domain, with the domain."""
    from pocket_ros.rclpy._core.graph import parse_token
    from pocket_ros.rclpy._core.wire import LIVELINESS_SPACE

    found = []
    for reply in session.liveliness().get(f"{LIVELINESS_SPACE}/**", timeout=_ANSWER_S):
        token = str(reply.ok.key_expr) if reply.ok is not None else ""
        entity = parse_token(token)
        domain = token.split("/")[1] if token else ""
        if entity is not None and domain.isdecimal():
            found.append((int(domain), entity))
    return found


def check_nodes(report: Report, everybody: list[tuple[int, Entity]], domain: int) -> None:
    """Count the nodes of each domain."""
    nodes = Counter(number for number, entity in everybody if entity.kind == "NN")
    others = ", ".join(f"{n} in domain {d}" for d, n in sorted(nodes.items()) if d != domain)
    if nodes[domain]:
        names = sorted({e.node_fqn for d, e in everybody if d == domain and e.kind == "NN"})
        shown = ", ".join(names[:8]) + (" and more" if len(names) > 8 else "")
        report.fine("nodes", f"{nodes[domain]} node(s) in domain {domain}: {shown}.")
        if others:
            report.note("domain", f"The router also carries nodes of other domains: {others}.")
    elif others:
        report.problem(
            "domain",
            f"No node is in this machine's domain {domain}, but the router carries {others}.",
            "Set ROS_DOMAIN_ID to the same number on all machines.",
        )
    else:
        report.note(
            "nodes",
            "The router carries no ROS node at all: none runs, or they have another router, or "
            "their middleware is not rmw_zenoh_cpp.",
        )


def check_types(report: Report, entities: Iterable[Entity]) -> None:
    """Look for names whose ends have different types, and so do not hear each other."""
    pairs = {"MP": "topic", "MS": "topic", "SS": "service", "SC": "service"}
    types: dict[tuple[str, str], dict[tuple[str, str], set[str]]] = {}
    for entity in entities:
        if entity.kind in pairs:
            of = types.setdefault((pairs[entity.kind], entity.name), {})
            of.setdefault((entity.dds_type, entity.type_hash), set()).add(entity.node_fqn)
    for (what, name), found in sorted(types.items()):
        if len(found) < 2:
            continue
        who = "; ".join(", ".join(sorted(nodes)) for nodes in found.values())
        if len({dds_type for dds_type, _ in found}) > 1:
            reason = "different types"
        elif any(not hash_.startswith("RIHS01_") for _, hash_ in found):
            reason = "no type hash on one side, as ROS 2 Humble has none"
        else:
            reason = "the same type in different versions"
        report.problem(
            "types",
            f"Nodes on the {what} {name} do not hear each other, for they have {reason}: {who}.",
            "Build all sides from the same interface files.",
        )


def check_clocks(
    report: Report, session: zenoh.Session, everybody: list[tuple[int, Entity]]
) -> None:
    """Compare this machine's clock with that of each other process that answers."""
    services: dict[str, tuple[int, Entity]] = {}
    for domain, entity in everybody:
        if entity.kind == "SS" and entity.name.endswith(_CLOCK_SERVICE):
            # One node of each process is enough.
            services.setdefault(entity.token.split("/")[2], (domain, entity))
    compared = 0
    for domain, entity in services.values():
        measured = _offset_s(session, domain, entity)
        if measured is None:
            continue
        compared += 1
        offset, uncertainty = measured
        if abs(offset) - uncertainty > _WORST_OFFSET_S:
            direction = "ahead of" if offset > 0 else "behind"
            report.problem(
                "clocks",
                f"The clock of {entity.node_fqn}'s machine is {abs(offset):.3f} s {direction} "
                f"this one's (to within {uncertainty:.3f} s).",
                "Synchronise the clocks (chrony or NTP): stamps and transforms depend on them.",
            )
    if compared:
        report.fine("clocks", f"The clocks of {compared} process(es) were compared with this one.")
    else:
        report.note("clocks", "No node answered, so no clocks were compared.")


def _offset_s(session: zenoh.Session, domain: int, entity: Entity) -> tuple[float, float] | None:
    """How far another process's clock is ahead, and how exactly that is known; None: no answer."""
    import zenoh

    from pocket_ros.rclpy._core import wire

    key = wire.topic_key(domain, entity.name, entity.dds_type, entity.type_hash)
    asked = time.time_ns()
    replies = session.get(
        key,
        payload=_EMPTY_LIST,
        attachment=wire.pack_attachment(1, bytes(range(16))),
        target=zenoh.QueryTarget.ALL_COMPLETE,
        timeout=_ANSWER_S,
    )
    for reply in replies:
        heard = time.time_ns()
        if reply.ok is None or reply.ok.attachment is None:
            continue
        try:
            stamp = wire.unpack_attachment(reply.ok.attachment.to_bytes()).source_timestamp
        except ValueError:
            continue
        return (stamp - (asked + heard) / 2) * 1e-9, (heard - asked) / 2 * 1e-9
    return None
