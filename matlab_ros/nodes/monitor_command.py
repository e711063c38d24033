"""`matlab-ros monitor`: the lab live, on a page in the browser."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import os
import signal
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matlab_ros.model.errors import ConfigError
from matlab_ros.monitor.access import Access, Person, Role, load_access, make_token

if TYPE_CHECKING:
    from matlab_ros.monitor.web import MonitorServer

PORT = 8088
PATIENCE_S = 15.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: this machine alone)"
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"TCP port (default: {PORT})")
    parser.add_argument(
        "--tokens", type=Path, help="file of people and tokens; needed for any other --host"
    )
    parser.add_argument(
        "--make-token", metavar="NAME", help="give somebody a token in --tokens, and end"
    )
    parser.add_argument(
        "--role",
        choices=[role.value for role in Role],
        default=Role.VIEWER.value,
        help="what that token's owner may do (default: viewer, who looks)",
    )
    parser.add_argument("--tls-certificate", type=Path, help="PEM file; the page is https then")
    parser.add_argument("--tls-key", type=Path, help="PEM file of its private key")
    parser.add_argument(
        "--connect", metavar="ADDRESS", help="router of the lab's graph, such as tcp/host:7447"
    )
    parser.add_argument(
        "--lab-file", default="", help="the lab's YAML file, where it is not one of the package's"
    )
    parser.add_argument(
        "--journal",
        default="",
        help="the lab's journal, where the lab manager's word for it does "
        "not hold on this machine: a file, or a URL",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve the page until interrupted.

    Returns:
        0.

    Raises:
        ConfigError: an option makes no sense.
        LabError: the port cannot be had.
    """
    if options.make_token is not None:
        if options.tokens is None:
            raise ConfigError("command line", "--tokens", "is missing", "a file for the token")
        print(make_token(options.tokens, options.make_token, Role(options.role)))
        return 0
    return _serve(options, ())


def main() -> int:
    """Run as a node of a launch file: options before ``--ros-args``."""
    words = sys.argv[1:]
    start = words.index("--ros-args") if "--ros-args" in words else len(words)
    parser = argparse.ArgumentParser(prog="monitor_node")
    add_arguments(parser)
    return _serve(parser.parse_args(words[:start]), words[start:])


def _serve(options: argparse.Namespace, ros_arguments: Sequence[str]) -> int:
    access = _access(options)
    tls = _tls(options)
    if options.connect:
        os.environ["ZENOH_CONFIG_OVERRIDE"] = f'connect/endpoints=["{options.connect}"]'
    from matlab_ros.monitor.web import MonitorServer
    from matlab_ros.nodes.monitor import LabMonitor
    from matlab_ros.nodes.operator_client import OperatorClient

    with OperatorClient(PATIENCE_S, "monitor", ros_arguments) as client:
        monitor = LabMonitor(client, options.lab_file, _journal_url(options.journal))
        server = MonitorServer(
            monitor.values,
            monitor.details,
            monitor.temperatures,
            monitor.follow,
            access,
            options.host,
            options.port,
            tls,
        )
        try:
            asyncio.run(_until_told(server))
        finally:
            monitor.close()
    return 0


async def _until_told(server: MonitorServer) -> None:
    task = asyncio.create_task(server.run(lambda address: print(address, flush=True)))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _access(options: argparse.Namespace) -> Access:
    from matlab_ros.monitor.web import is_loopback

    if options.tokens is not None:
        return load_access(options.tokens)
    if not is_loopback(options.host):
        raise ConfigError(
            "command line",
            "--host",
            f"{options.host} is reached by others, and nobody would be asked who they are",
            "--tokens FILE too (matlab-ros monitor --tokens FILE --make-token NAME makes one)",
        )
    return Access(everybody=Person(_user(), Role.OPERATOR))


def _tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    if (options.tls_certificate is None) != (options.tls_key is None):
        raise ConfigError(
            "command line", "--tls-key", "stands alone", "--tls-certificate and --tls-key together"
        )
    if options.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(options.tls_certificate, options.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            options.tls_certificate,
            "",
            f"cannot be used ({error})",
            "a PEM certificate and its key",
        ) from error
    return context


def _journal_url(given: str) -> str:
    return given if not given or "://" in given else f"sqlite:///{Path(given).resolve()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"
