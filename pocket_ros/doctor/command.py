"""`pocket-ros doctor` on the command line."""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING, Any

from pocket_ros.doctor import environment, neighbours, reach
from pocket_ros.doctor.findings import Level, Report
from pocket_ros.session import config_endpoints, open_observer

if TYPE_CHECKING:
    import zenoh

_MARKS = {Level.FINE: "ok     ", Level.NOTE: "note   ", Level.PROBLEM: "PROBLEM"}

_OPEN_S = 3.0


def add_command(commands: Any) -> None:
    """Add `doctor`."""
    summary = "say why machines and nodes do not see each other"
    parser = commands.add_parser("doctor", help=summary, description=summary)
    parser.add_argument("--json", action="store_true", help="findings for programs")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    report = examine()
    if options.json:
        findings = [finding.as_json() for finding in report.findings]
        print(json.dumps({"problems": report.problems, "findings": findings}, indent=2))
    else:
        for finding in report.findings:
            print(f"{_MARKS[finding.level]} {finding.subject}: {finding.sentence}")
            if finding.advice:
                print(f"        -> {finding.advice}")
        print(f"{report.problems} problem(s) found" if report.problems else "no problems found")
    return 1 if report.problems else 0


def examine() -> Report:
    """Look at everything, from this machine's settings outwards."""
    report = Report()
    environment.check_versions(report)
    domain = environment.check_domain(report)
    environment.check_middleware(report, os.environ)
    config = environment.check_configuration(report, os.environ)
    if config is None:
        return report
    if _check_way(report, config):
        _check_neighbours(report, domain)
    return report


def _check_way(report: Report, config: zenoh.Config) -> bool:
    """Whether at least one of the configured endpoints lets this machine in, as far as TLS says."""
    credentials = reach.read_credentials(report, config)
    if credentials is None:
        return False
    if credentials.authority or credentials.certificate:
        reach.check_certificates(report, credentials)
    open_ways = False
    for endpoint in config_endpoints(config, "connect"):
        reached = reach.check_endpoint(report, endpoint)
        if reached and endpoint.startswith("tls/"):
            reached = reach.check_tls(report, endpoint, credentials)
        open_ways = open_ways or reached
    return open_ways


def _check_neighbours(report: Report, domain: int | None) -> None:
    import zenoh

    try:
        session = open_observer(open_timeout_s=_OPEN_S)
    except zenoh.ZError as error:
        report.problem(
            "zenoh",
            f"The port is open, but no Zenoh session comes about: {str(error).splitlines()[0]}.",
            "Look whether another program has the port, and whether one side has TLS and the "
            "other has not.",
        )
        return
    with session:
        neighbours.check_routers(report, session)
        everybody = neighbours.read_graph(session)
        if domain is not None:
            neighbours.check_nodes(report, everybody, domain)
            neighbours.check_types(report, [entity for d, entity in everybody if d == domain])
        neighbours.check_clocks(report, session, everybody)
