"""The Zenoh session of a process: configured by the variables that rmw_zenoh_cpp reads.

ZENOH_SESSION_CONFIG_URI, ZENOH_ROUTER_CONFIG_URI: path of a whole configuration file.
ZENOH_CONFIG_OVERRIDE: `key=value;key=value`, values in JSON5, on top of either.
ZENOH_ROUTER_CHECK_ATTEMPTS: how often, at intervals of a second, to look for a router before
`open_session` fails; 0: forever; negative: never. Not set: one look, and a warning.
ROS_DOMAIN_ID: the domain.

Nothing listens beyond this machine unless a configuration says so.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import zenoh

DEFAULT_PORT = 7447
# Not "localhost", which may resolve to ::1 first, where our router does not listen.
DEFAULT_ENDPOINT = f"tcp/127.0.0.1:{DEFAULT_PORT}"

_log = logging.getLogger("pocket_ros.session")

# The deviations of rmw_zenoh_cpp's default files from Zenoh's own defaults.
_COMMON: dict[str, Any] = {
    "connect/timeout_ms": {"router": -1, "peer": -1, "client": 0},
    "connect/exit_on_failure": {"router": False, "peer": False, "client": True},
    "scouting/multicast/enabled": False,
    # How long opening waits where no router answers.
    "scouting/delay": 100,
    "scouting/gossip/target": {"router": ["router", "peer"], "peer": ["router"]},
    "scouting/gossip/autoconnect_strategy": {
        "peer": {"to_router": "always", "to_peer": "greater-zid"}
    },
    "timestamping/enabled": True,
    "queries_default_timeout": 600000,
    "transport/unicast/open_timeout": 60000,
    "transport/unicast/accept_timeout": 60000,
    "transport/unicast/accept_pending": 10000,
    "transport/unicast/max_sessions": 10000,
    "transport/unicast/qos/enabled": False,
    "transport/link/tx/lease": 60000,
    "transport/link/tx/keep_alive": 2,
    # Zenoh's own 2 batches are full as soon as a receiver gets no processor for a moment, and what
    # may be dropped is dropped then.
    "transport/link/tx/queue/size/data": 16,
    "transport/link/tx/queue/congestion_control/block/wait_before_close": 60000000,
    # By which 'pocket-ros doctor' learns of versions and addresses.
    "adminspace/enabled": True,
}
_SESSION: dict[str, Any] = {
    "mode": "peer",
    "connect/endpoints": [DEFAULT_ENDPOINT],
    "listen/endpoints": ["tcp/127.0.0.1:0"],
}
_ROUTER: dict[str, Any] = {
    "mode": "router",
    "connect/endpoints": [],
    "listen/endpoints": [DEFAULT_ENDPOINT],
}


class ConfigurationError(ValueError):
    """An environment variable holds something else than it should; the message says which."""


def domain_id() -> int:
    """The ROS domain of this process, from ROS_DOMAIN_ID; 0 if that is not set."""
    text = os.environ.get("ROS_DOMAIN_ID", "").strip() or "0"
    if not text.isdecimal() or not int(text) <= 232:
        raise ConfigurationError(f"ROS_DOMAIN_ID must be a number from 0 to 232, got {text!r}")
    return int(text)


def session_defaults() -> dict[str, Any]:
    """Configuration of a session where no file is given: Zenoh's keys as `a/b/c`, with values."""
    return {**_COMMON, **_SESSION}


def router_defaults() -> dict[str, Any]:
    """Configuration of a router where no file is given."""
    return {**_COMMON, **_ROUTER}


def session_config(environ: Mapping[str, str] = os.environ) -> zenoh.Config:
    """Configuration of a node's process, as the variables of `environ` want it."""
    return _config("ZENOH_SESSION_CONFIG_URI", session_defaults(), environ)


def router_config(environ: Mapping[str, str] = os.environ) -> zenoh.Config:
    """Configuration of a router, as the variables of `environ` want it."""
    return _config("ZENOH_ROUTER_CONFIG_URI", router_defaults(), environ)


def open_session() -> zenoh.Session:
    """Open this process's session; it connects to a router as soon as there is one.

    Raises ConfigurationError, or RuntimeError where ZENOH_ROUTER_CHECK_ATTEMPTS asks for a
    router and there is none. A session in client mode always asks for one.
    """

    attempts = _router_check_attempts()
    config = session_config()
    endpoints = config_endpoints(config, "connect")
    session = _open(config, endpoints, attempts)
    try:
        _check_router(session, endpoints, attempts)
    except BaseException:
        session.close()
        raise
    return session


def open_observer(
    environ: Mapping[str, str] = os.environ, open_timeout_s: float = 10.0
) -> zenoh.Session:
    """Open a session that only asks: a client, which the router answers in full.

    A peer that has just connected is told of the graph bit by bit, and answers itself from what
    it knows so far. Raises ConfigurationError, or zenoh.ZError where nobody lets it in.
    """
    import zenoh

    config = session_config(environ)
    config.insert_json5("mode", '"client"')
    config.insert_json5("listen/endpoints", "[]")
    # A file may be written for peers, which try for ever.
    config.insert_json5("connect/timeout_ms", "0")
    config.insert_json5("connect/exit_on_failure", "true")
    config.insert_json5("transport/unicast/open_timeout", str(round(open_timeout_s * 1000)))
    return zenoh.open(config)


def _open(config: zenoh.Config, endpoints: list[str], attempts: int | None) -> zenoh.Session:
    import zenoh

    for attempt in itertools.count(1):
        try:
            return zenoh.open(config)
        except zenoh.ZError as error:
            if attempts == attempt or attempts is None or attempts < 0:
                where = ", ".join(endpoints) or "no endpoint"
                raise RuntimeError(
                    f"no session with a router at {where}: {_first_line(error)} "
                    "('pocket-ros doctor' looks for the reason)"
                ) from None
        time.sleep(1.0)
    raise AssertionError("counting has no end")


def config_endpoints(config: zenoh.Config, kind: str) -> list[str]:
    """Endpoints ("connect" or "listen") of a configuration, whatever its mode."""
    value = json.loads(config.get_json(f"{kind}/endpoints"))
    if isinstance(value, dict):
        mode = json.loads(config.get_json("mode")) or "peer"
        value = value.get(mode, [])
    return list(value or [])


def tcp_address(endpoint: str) -> tuple[str, int] | None:
    """Host and port of a TCP or TLS endpoint; None for any other."""
    match = re.match(r"(?:tcp|tls|quic)/(?:\[([^\]]+)\]|([^:]+)):(\d+)", endpoint)
    if match is None or endpoint.startswith("quic"):
        return None
    return match[1] or match[2], int(match[3])


def is_reachable(endpoint: str, timeout: float = 1.0) -> bool:
    """Whether something accepts connections at a TCP endpoint; true for other protocols."""
    address = tcp_address(endpoint)
    if address is None:
        return True
    try:
        with socket.create_connection(address, timeout=timeout):
            return True
    except OSError:
        return False


def _config(variable: str, defaults: dict[str, Any], environ: Mapping[str, str]) -> zenoh.Config:
    import zenoh

    path = environ.get(variable, "")
    try:
        if path:
            config = zenoh.Config.from_file(path)
        else:
            config = zenoh.Config()
            for key, default in defaults.items():
                config.insert_json5(key, json.dumps(default))
    except zenoh.ZError as error:
        raise ConfigurationError(f"{variable}={path}: {_first_line(error)}") from None
    for key, value in _overrides(environ):
        try:
            config.insert_json5(key, value)
        except zenoh.ZError as error:
            raise ConfigurationError(
                f"ZENOH_CONFIG_OVERRIDE: {key}={value}: {_first_line(error)}"
            ) from None
    return config


def _overrides(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    result = []
    for part in environ.get("ZENOH_CONFIG_OVERRIDE", "").split(";"):
        key, separator, value = (piece.strip() for piece in part.partition("="))
        if separator and key and value:
            result.append((key, value))
        elif part.strip():
            raise ConfigurationError(
                f"ZENOH_CONFIG_OVERRIDE: expected key=value;key=value, got {part.strip()!r}"
            )
    return result


def _first_line(error: Exception) -> str:
    # Zenoh appends the place in its source.
    return re.sub(r" at /.*", "", str(error).splitlines()[0])


def _router_check_attempts() -> int | None:
    text = os.environ.get("ZENOH_ROUTER_CHECK_ATTEMPTS", "").strip()
    try:
        return int(text) if text else None
    except ValueError:
        raise ConfigurationError(
            f"ZENOH_ROUTER_CHECK_ATTEMPTS must be a whole number, got {text!r}"
        ) from None


def _check_router(session: zenoh.Session, endpoints: list[str], attempts: int | None) -> None:
    where = ", ".join(endpoints) or "no endpoint"
    if attempts is None:
        if not session.info.routers_zid() and not any(map(is_reachable, endpoints)):
            _log.warning(
                "no router answers at %s: nodes do not see each other until one does "
                "(start it with 'pocket-ros router')",
                where,
            )
        return
    if attempts < 0:
        return
    for attempt in itertools.count(1):
        if session.info.routers_zid():
            return
        if attempt == attempts:
            break
        time.sleep(1.0)
    raise RuntimeError(f"no router answers at {where} after {attempts} attempt(s)")
