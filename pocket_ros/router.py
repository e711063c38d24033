"""The router through which processes find each other, as rmw_zenohd is for rmw_zenoh."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from types import FrameType

from pocket_ros.session import (
    ConfigurationError,
    config_endpoints,
    is_reachable,
    router_config,
    session_config,
    tcp_address,
)

EXIT_BAD_INPUT = 2
READY = "router listens at"
_LOOK_S = 0.5


class RouterError(RuntimeError):
    """The router cannot run; the message says why."""


def run(listen: list[str] | None = None, announce: Callable[[str], None] = print) -> None:
    """Route until SIGINT or SIGTERM. Call it from the main thread.

    `listen`: endpoints that replace the configured ones. `announce` gets one line when the
    router is ready. Raises ConfigurationError or RouterError.
    """
    import zenoh

    config = router_config()
    if listen:
        config.insert_json5("listen/endpoints", json.dumps(listen))
        # ZENOH_CONFIG_OVERRIDE of the nodes may say where they find this router.
        elsewhere = [e for e in config_endpoints(config, "connect") if e not in listen]
        config.insert_json5("connect/endpoints", json.dumps(elsewhere))
    endpoints = config_endpoints(config, "listen")
    if not endpoints:
        raise ConfigurationError("the router has no endpoint to listen at (listen/endpoints)")
    for endpoint in endpoints:
        _refuse_taken(endpoint)
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    try:
        session = zenoh.open(config)
    except zenoh.ZError as error:
        raise RouterError(
            f"the router cannot listen at {', '.join(endpoints)}: {str(error).splitlines()[0]}"
        ) from None
    try:
        announce(f"{READY} {', '.join(endpoints)}")
        # A signal that another thread takes does not wake this one: so it looks by itself.
        while not stop.wait(_LOOK_S):
            continue
    finally:
        session.close()


def main(listen: list[str] | None = None) -> int:
    """Run the router as a program; returns its exit code."""
    try:
        run(listen, lambda line: print(line, flush=True))
    except (ConfigurationError, RouterError) as error:
        print(f"pocket-ros router: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    return 0


def router_command(endpoints: list[str]) -> list[str]:
    """Command line of a router that listens at `endpoints`."""
    return [sys.executable, "-m", "pocket_ros.router", *endpoints]


def missing_router(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Endpoints at which a router has to be started for sessions to find one; else empty.

    That is the case if nothing answers at any endpoint that a session of this environment
    connects to, and the first of them is on this machine.
    """
    endpoints = config_endpoints(session_config(environ), "connect")
    if not endpoints or any(map(is_reachable, endpoints)):
        return []
    first = endpoints[0]
    address = tcp_address(first)
    if address is None or address[0] not in ("localhost", "127.0.0.1", "::1"):
        return []
    host = "[::1]" if address[0] == "::1" else "127.0.0.1"
    return [f"{first.split('/')[0]}/{host}:{address[1]}"]


def private_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """A copy of an environment whose processes meet at a router port of their own.

    For tests and demonstrations beside a running graph. Nothing listens there yet: `ensure_router`
    or a launch with this environment starts the router.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"tcp/127.0.0.1:{probe.getsockname()[1]}"
    override = f'connect/endpoints=["{endpoint}"]'
    return {**environ, "ZENOH_CONFIG_OVERRIDE": override}


class RouterProcess:
    """A router started by `ensure_router`; a context manager that stops it."""

    def __init__(self, process: subprocess.Popen[str], endpoints: list[str]) -> None:
        self.process = process
        self.endpoints = endpoints

    def stop(self, timeout: float = 5.0) -> None:
        """End the router, by force if need be."""
        self.process.terminate()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> RouterProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def ensure_router(environ: Mapping[str, str] = os.environ) -> RouterProcess | None:
    """Start a router if sessions of this environment would find none; None if they do.

    Returns when the router is ready. Raises RouterError if it does not start.
    """
    endpoints = missing_router(environ)
    if not endpoints:
        return None
    process = subprocess.Popen(
        router_command(endpoints),
        stdout=subprocess.PIPE,
        text=True,
        env=dict(environ),
        start_new_session=True,
    )
    assert process.stdout is not None
    # The line comes, or the pipe closes because the router has ended.
    line = process.stdout.readline()
    if READY not in line:
        process.stdout.close()
        raise RouterError(
            f"the router at {', '.join(endpoints)} ended with code {process.wait()} at its start"
        )
    return RouterProcess(process, endpoints)


def _refuse_taken(endpoint: str) -> None:
    """Raise RouterError if the port of a TCP endpoint is in use."""
    address = tcp_address(endpoint)
    if address is None or address[1] == 0:
        return
    host, port = address
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        raise RouterError(
            f"port {port} of {host} cannot be used ({error.strerror}): is another router running "
            "there? Another port: pocket-ros router tcp/127.0.0.1:PORT"
        ) from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
