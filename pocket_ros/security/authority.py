"""The folder of an authority: its key, its policies and the files for every machine.

    authority/ca.key        stays here, on a machine that instruments cannot reach
    authority/ca.crt
    authority/router.yaml   hosts, port and domain of the router
    policies/NAME.yaml      what each enclave may do
    router/router.json5     for the router's machine: ZENOH_ROUTER_CONFIG_URI
    enclaves/NAME/session.json5   for that enclave's machines: ZENOH_SESSION_CONFIG_URI

The .json5 files hold certificates and keys themselves, so one file is all that a machine needs.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from pocket_ros.security import certificates
from pocket_ros.security.access import access_control
from pocket_ros.security.certificates import Identity
from pocket_ros.security.errors import SecurityError
from pocket_ros.security.policy import Policy, read_policy
from pocket_ros.session import DEFAULT_PORT, router_defaults, session_defaults

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 825
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_ROUTER_NAME = "router"
_THIS_MACHINE = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class RouterPlace:
    """Where the router is reached. `hosts`: names and addresses; machines try them in order."""

    hosts: tuple[str, ...]
    port: int = DEFAULT_PORT
    domain_id: int = 0

    def endpoint(self, host: str) -> str:
        """Zenoh's locator of the router at one of its hosts."""
        return f"tls/[{host}]:{self.port}" if ":" in host else f"tls/{host}:{self.port}"

    @property
    def listen(self) -> str:
        """Where the router listens: on this machine only if all its hosts are this machine."""
        if all(host in _THIS_MACHINE for host in self.hosts):
            return f"tls/127.0.0.1:{self.port}"
        anywhere = "[::]" if any(":" in host for host in self.hosts) else "0.0.0.0"
        return f"tls/{anywhere}:{self.port}"


class Authority:
    """A folder that :func:`create` has made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = folder / "authority" / "ca.key"
        self._certificate = folder / "authority" / "ca.crt"
        self._place = folder / "authority" / "router.yaml"
        self.router_config = folder / "router" / "router.json5"

    @classmethod
    def create(cls, folder: Path, place: RouterPlace) -> Authority:
        """Make an authority and the router's configuration; SecurityError where there is one."""
        self = cls(folder)
        if self._key.exists():
            raise SecurityError(
                f"{folder} has an authority already: 'pocket-ros security add' gives it another "
                "enclave, 'renew' makes new certificates"
            )
        identity = certificates.new_authority("ROS authority", AUTHORITY_DAYS)
        _write_private(self._key, identity.key)
        _write(self._certificate, identity.certificate)
        _write(self._place, yaml.safe_dump({**asdict(place), "hosts": list(place.hosts)}).encode())
        return self

    @classmethod
    def open(cls, folder: Path) -> Authority:
        """Open one that exists; SecurityError where there is none."""
        self = cls(folder)
        if not self._key.exists():
            raise SecurityError(
                f"{folder} has no authority: make it with 'pocket-ros security init'"
            )
        return self

    @property
    def place(self) -> RouterPlace:
        """Where the router is."""
        try:
            values = yaml.safe_load(self._place.read_text(encoding="utf-8"))
            return RouterPlace(**{**values, "hosts": tuple(values["hosts"])})
        except (OSError, TypeError, KeyError, yaml.YAMLError) as error:
            raise SecurityError(f"{self._place} cannot be read: {error}") from None

    def session_config(self, enclave: str) -> Path:
        """The file of an enclave's machines."""
        return self.folder / "enclaves" / enclave / "session.json5"

    def policies(self) -> dict[str, Policy]:
        """All enclaves with what they may do."""
        return {p.stem: read_policy(p) for p in sorted((self.folder / "policies").glob("*.yaml"))}

    def add(self, enclave: str, policy_text: str) -> None:
        """Add an enclave or give it another policy, with a new certificate for its machines."""
        if not _NAME.fullmatch(enclave) or enclave == _ROUTER_NAME:
            raise SecurityError(
                f"{enclave!r} cannot be an enclave's name: expected letters, digits, '-' and '_', "
                f"and not {_ROUTER_NAME!r}"
            )
        _write(self.folder / "policies" / f"{enclave}.yaml", policy_text.encode())
        self.renew(enclave)

    def renew(self, enclave: str) -> None:
        """Make a new certificate and session file for an enclave."""
        if enclave not in self.policies():
            raise SecurityError(f"{self.folder} has no enclave {enclave!r}")
        authority = self._identity()
        identity = certificates.new_enclave(authority, enclave, CERTIFICATE_DAYS)
        config = session_document(self.place, authority.certificate, identity)
        title = f"Zenoh session of the enclave {enclave}: ZENOH_SESSION_CONFIG_URI. Holds a key."
        _write_private(self.session_config(enclave), _json5(title, config))

    def renew_router(self) -> None:
        """Make a new certificate and configuration for the router, from all policies."""
        authority, place = self._identity(), self.place
        hosts = list(dict.fromkeys([*place.hosts, *_THIS_MACHINE]))
        identity = certificates.new_router(authority, hosts, CERTIFICATE_DAYS)
        config = router_document(place, authority.certificate, identity, self.policies())
        title = "Zenoh router: ZENOH_ROUTER_CONFIG_URI. Holds a key."
        _write_private(self.router_config, _json5(title, config))

    def _identity(self) -> Identity:
        return Identity(self._key.read_bytes(), self._certificate.read_bytes())


def session_document(place: RouterPlace, ca: bytes, identity: Identity) -> dict[str, Any]:
    """Configuration of an enclave's sessions.

    They are clients, so that everything they say passes the router, which alone enforces the
    policies; they listen nowhere.
    """
    return _document(
        session_defaults(),
        {
            "mode": "client",
            "connect/endpoints": [place.endpoint(host) for host in place.hosts],
            "listen/endpoints": [],
            "transport/link/protocols": ["tls"],
            "transport/link/tls": {
                "root_ca_certificate_base64": _base64(ca),
                "connect_private_key_base64": _base64(identity.key),
                "connect_certificate_base64": _base64(identity.certificate),
                "enable_mtls": True,
                "verify_name_on_connect": True,
                "close_link_on_expiration": True,
            },
        },
    )


def router_document(
    place: RouterPlace, ca: bytes, identity: Identity, policies: Mapping[str, Policy]
) -> dict[str, Any]:
    """Configuration of the router: TLS with client certificates, and access by policies."""
    return _document(
        router_defaults(),
        {
            "listen/endpoints": [place.listen],
            "connect/endpoints": [],
            "transport/link/protocols": ["tls"],
            "transport/link/tls": {
                "root_ca_certificate_base64": _base64(ca),
                "listen_private_key_base64": _base64(identity.key),
                "listen_certificate_base64": _base64(identity.certificate),
                "enable_mtls": True,
                "close_link_on_expiration": True,
            },
            "access_control": access_control(policies, place.domain_id),
        },
    )


def _document(defaults: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A nested document from keys as `a/b/c`."""
    document: dict[str, Any] = {}
    for key, value in {**defaults, **changes}.items():
        *groups, last = key.split("/")
        below = document
        for group in groups:
            below = below.setdefault(group, {})
        below[last] = value
    return document


def _json5(title: str, document: dict[str, Any]) -> bytes:
    return f"// {title}\n{json.dumps(document, indent=2)}\n".encode()


def _base64(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_bytes(content)


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that nobody else may read, not even for a moment."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    os.replace(new, path)
