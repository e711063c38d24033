"""What this machine's own settings say: versions, domain, middleware, configuration."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING

from pocket_ros.doctor.findings import Report
from pocket_ros.session import (
    ConfigurationError,
    config_endpoints,
    domain_id,
    router_config,
    session_config,
    tcp_address,
)

if TYPE_CHECKING:
    import zenoh

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def check_versions(report: Report) -> None:
    """Say what runs here."""
    report.fine(
        "versions",
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, "
        f"Zenoh {metadata.version('eclipse-zenoh')}.",
    )


def check_domain(report: Report) -> int | None:
    """The domain; None where ROS_DOMAIN_ID is wrong."""
    try:
        domain = domain_id()
    except ConfigurationError as error:
        report.problem(
            "domain", f"{error}.", "Set ROS_DOMAIN_ID to the number that all machines share."
        )
        return None
    report.fine("domain", f"This machine is in the ROS domain {domain} (ROS_DOMAIN_ID).")
    return domain


def check_middleware(report: Report, environ: Mapping[str, str]) -> None:
    """Look for a ROS 2 on this machine that speaks another protocol."""
    chosen = environ.get("RMW_IMPLEMENTATION", "")
    if chosen and chosen != "rmw_zenoh_cpp":
        report.problem(
            "middleware",
            f"RMW_IMPLEMENTATION is {chosen} here: programs of this machine's ROS 2 speak DDS, "
            "and pocket_ros and they cannot see each other.",
            "export RMW_IMPLEMENTATION=rmw_zenoh_cpp for them, and start them again.",
        )
    elif not chosen and environ.get("ROS_DISTRO"):
        report.note(
            "middleware",
            f"A ROS 2 ({environ['ROS_DISTRO']}) is set up here and RMW_IMPLEMENTATION is not set: "
            "its programs then speak DDS and cannot be seen from here.",
            "export RMW_IMPLEMENTATION=rmw_zenoh_cpp for them, and start them again.",
        )
    else:
        report.note(
            "middleware",
            "Nodes on other machines are seen only if they speak Zenoh: a ROS 2 with another "
            "middleware than rmw_zenoh_cpp cannot be seen, and does not show that it is there.",
        )


def check_configuration(report: Report, environ: Mapping[str, str]) -> zenoh.Config | None:
    """This machine's session configuration; None where it is wrong."""
    try:
        config = session_config(environ)
        listens = config_endpoints(router_config(environ), "listen")
    except ConfigurationError as error:
        report.problem("configuration", f"{error}.", "Correct the variable that is named.")
        return None
    for variable in ("ZENOH_SESSION_CONFIG_URI", "ZENOH_ROUTER_CONFIG_URI"):
        if environ.get(variable):
            report.fine("configuration", f"{variable} is {environ[variable]}.")
    endpoints = config_endpoints(config, "connect")
    if not endpoints:
        report.problem(
            "configuration",
            "The session's configuration names no router (connect/endpoints).",
            "ZENOH_CONFIG_OVERRIDE='connect/endpoints=[\"tcp/ROUTER:7447\"]'",
        )
    elif all(_is_loopback(endpoint) for endpoint in endpoints):
        report.note(
            "configuration",
            f"Nodes started here look for a router on this machine only ({', '.join(endpoints)}). "
            f"A router started here would listen at {', '.join(listens)}.",
            "To join another machine's graph, name its router: "
            "ZENOH_CONFIG_OVERRIDE='connect/endpoints=[\"tcp/ROUTER:7447\"]'. To let others join, "
            "the router must listen beyond this machine: 'pocket-ros security init' makes it do "
            "so safely.",
        )
    else:
        report.fine("configuration", f"Nodes started here go to {', '.join(endpoints)}.")
    return config


def _is_loopback(endpoint: str) -> bool:
    address = tcp_address(endpoint)
    return address is not None and address[0] in LOOPBACK
