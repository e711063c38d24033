"""Whether the router can be reached: names, ports, TLS certificates."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import os
import socket
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pocket_ros.doctor.findings import Report
from pocket_ros.session import tcp_address

if TYPE_CHECKING:
    import zenoh

_CONNECT_S = 2.0
_SOON = datetime.timedelta(days=30)
_TLS = "transport/link/tls"
_FIREWALL = (
    "From here, a firewall that drops packets cannot be told apart from a machine that is off "
    "or an address that is wrong."
)


def check_endpoint(report: Report, endpoint: str) -> bool:
    """Try to connect to a router's endpoint; whether something accepts."""
    address = tcp_address(endpoint)
    if address is None:
        report.note("router", f"{endpoint} is not TCP or TLS: it cannot be tried by itself.")
        return True
    host, port = address
    try:
        socket.create_connection(address, timeout=_CONNECT_S).close()
    except socket.gaierror as error:
        report.problem(
            "router",
            f"The name {host} is not known here ({error.strerror}).",
            "Check the spelling, or use the router's address.",
        )
    except ConnectionRefusedError:
        report.problem(
            "router",
            f"{host} answers, but nothing listens at its port {port}: no router runs there, or it "
            "listens at another port or on loopback only; a firewall that rejects looks the same.",
            "Start it there ('pocket-ros router' or rmw_zenohd); it names its address.",
        )
    except TimeoutError:
        report.problem(
            "router",
            f"{host} port {port} does not answer within {_CONNECT_S:g} s. {_FIREWALL}",
            f"Try it from the router's own machine, then open TCP port {port} in its firewall.",
        )
    except OSError as error:
        report.problem("router", f"{host} cannot be reached: {error.strerror or error}.", _FIREWALL)
    else:
        report.fine("router", f"Something accepts connections at {endpoint}.")
        return True
    return False


@dataclass(frozen=True)
class Credentials:
    """Certificates of a session's configuration, as PEM; empty where there are none."""

    authority: bytes
    certificate: bytes
    key: bytes


def read_credentials(report: Report, config: zenoh.Config) -> Credentials | None:
    """What the configuration holds, in itself or as paths; None where a file cannot be read."""
    parts = []
    for name in ("root_ca_certificate", "connect_certificate", "connect_private_key"):
        encoded = _setting(config, f"{name}_base64")
        path = _setting(config, name)
        try:
            if encoded:
                parts.append(base64.b64decode(encoded, validate=True))
            else:
                parts.append(Path(path).read_bytes() if path else b"")
        except (OSError, ValueError) as error:
            report.problem("certificates", f"{name} cannot be read: {error}.")
            return None
    return Credentials(*parts)


def _setting(config: zenoh.Config, name: str) -> str:
    with contextlib.suppress(Exception):
        return str(json.loads(config.get_json(f"{_TLS}/{name}")) or "")
    return ""


def check_certificates(report: Report, credentials: Credentials) -> None:
    """Look at our own certificates' dates and issuer."""
    try:
        from cryptography import x509
    except ImportError:
        report.note(
            "certificates",
            "The dates of certificates were not looked at: the package cryptography is missing.",
            "pip install cryptography",
        )
        return
    now = datetime.datetime.now(datetime.timezone.utc)
    authority = None
    for what, pem in (
        ("authority's", credentials.authority),
        ("this machine's", credentials.certificate),
    ):
        if not pem:
            continue
        try:
            certificate = x509.load_pem_x509_certificate(pem)
        except ValueError:
            report.problem("certificates", f"The {what} certificate is not one in PEM.")
            continue
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        name = certificate.subject.rfc4514_string()
        renew = "'pocket-ros security renew DIR' makes new ones."
        if ends < now:
            report.problem(
                "certificates",
                f"The {what} certificate ({name}) expired on {ends:%Y-%m-%d}.",
                renew,
            )
        elif begins > now:
            report.problem(
                "certificates",
                f"The {what} certificate ({name}) is valid only from {begins:%Y-%m-%d %H:%M} UTC; "
                f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC.",
                "Set the clock.",
            )
        elif ends - now < _SOON:
            report.note(
                "certificates",
                f"The {what} certificate ({name}) ends on {ends:%Y-%m-%d}.",
                renew,
            )
        else:
            report.fine(
                "certificates", f"The {what} certificate ({name}) is valid until {ends:%Y-%m-%d}."
            )
        if authority is None:
            authority = certificate
            continue
        try:
            certificate.verify_directly_issued_by(authority)
        except Exception:
            report.problem(
                "certificates",
                "This machine's certificate was not made by the authority that it trusts itself: "
                "files of two authorities are mixed up.",
            )


def check_tls(report: Report, endpoint: str, credentials: Credentials) -> bool:
    """Shake hands with the router as a TLS client; whether both sides trusted each other."""
    address = tcp_address(endpoint)
    assert address is not None
    try:
        with (
            _tls_context(credentials) as context,
            socket.create_connection(address, timeout=_CONNECT_S) as plain,
            context.wrap_socket(plain, server_hostname=address[0]) as secure,
        ):
            # A server refuses a client's certificate only after the client's side is through.
            secure.settimeout(0.5)
            with contextlib.suppress(TimeoutError, socket.timeout):
                secure.recv(1)
    except ssl.SSLCertVerificationError as error:
        report.problem(
            "tls",
            f"The router's certificate is not accepted here: {error.verify_message}.",
            "Use files that 'pocket-ros security' made in the same folder, and name the router as "
            "in its --host.",
        )
        return False
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        # An alert comes from a TLS server; whatever else fails is no TLS at all.
        if "alert" in reason:
            report.problem(
                "tls",
                f"The router does not accept this machine's certificate: {reason}.",
                "Use the session.json5 that was made for this machine by the router's authority.",
            )
        else:
            report.problem("tls", f"What answers at {endpoint} does not speak TLS: {reason}.")
        return False
    except OSError as error:
        report.problem("tls", f"The connection to {endpoint} broke off: {error}.")
        return False
    report.fine("tls", f"The router at {endpoint} and this machine trust each other.")
    return True


@contextlib.contextmanager
def _tls_context(credentials: Credentials) -> Iterator[ssl.SSLContext]:
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    if credentials.authority:
        context = ssl.create_default_context(
            ssl.Purpose.SERVER_AUTH, cadata=credentials.authority.decode()
        )
    if credentials.certificate and credentials.key:
        # The ssl module reads certificates from files only.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "identity.pem")
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(credentials.key + b"\n" + credentials.certificate)
            context.load_cert_chain(path)
    yield context
