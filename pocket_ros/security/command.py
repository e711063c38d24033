"""`pocket-ros security`: make and renew the certificates and policies."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocket_ros.security.errors import SecurityError
from pocket_ros.security.policy import read_policy
from pocket_ros.session import DEFAULT_PORT, ConfigurationError, domain_id

if TYPE_CHECKING:
    from pocket_ros.security.authority import Authority

_EVERYTHING = "everything: true\n"


def add_command(commands: Any) -> None:
    """Add `security` and its verbs."""
    parser = commands.add_parser("security", help="certificates and access control")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    init = verbs.add_parser("init", help="make an authority, a router's and enclaves' files")
    init.add_argument("folder", type=Path, metavar="DIR")
    _enclaves(init)
    init.add_argument(
        "--host", action="append", metavar="NAME|ADDRESS",
        help="of the router's machine, as others reach it; may be repeated (default: 127.0.0.1)",
    )  # fmt: skip
    init.add_argument("--port", type=int, default=DEFAULT_PORT, help="of the router")
    init.add_argument("--domain-id", type=int, help="default: ROS_DOMAIN_ID, or 0")
    init.set_defaults(run=_run(_init))

    add = verbs.add_parser("add", help="add enclaves, or give them another policy")
    add.add_argument("folder", type=Path, metavar="DIR")
    _enclaves(add)
    add.set_defaults(run=_run(_add))

    renew = verbs.add_parser("renew", help="make new certificates, and read all policies again")
    renew.add_argument("folder", type=Path, metavar="DIR")
    renew.add_argument("enclaves", nargs="*", metavar="NAME", help="default: all, and the router")
    renew.set_defaults(run=_run(_renew))


def _enclaves(parser: Any) -> None:
    parser.add_argument(
        "--enclave", action="append", required=True, metavar="NAME[=POLICY.yaml]",
        help="machines that share a certificate; without a policy they may do everything",
    )  # fmt: skip


def _run(function: Any) -> Any:
    def run(options: argparse.Namespace) -> int:
        try:
            function(options)
        except ModuleNotFoundError as error:
            print(
                f"pocket-ros security: the package {error.name!r} is missing: "
                "pip install cryptography",
                file=sys.stderr,
            )
            return 1
        except (SecurityError, ConfigurationError, OSError) as error:
            print(f"pocket-ros security: {error}", file=sys.stderr)
            return 1
        return 0

    return run


def _parse_enclaves(words: list[str]) -> dict[str, str]:
    """Text of each enclave's policy, checked."""
    found = {}
    for word in words:
        name, separator, file = word.partition("=")
        if separator:
            read_policy(Path(file))
            found[name] = Path(file).read_text(encoding="utf-8")
        else:
            found[name] = _EVERYTHING
    return found


def _init(options: argparse.Namespace) -> None:
    from pocket_ros.security.authority import Authority, RouterPlace

    enclaves = _parse_enclaves(options.enclave)
    domain = domain_id() if options.domain_id is None else options.domain_id
    place = RouterPlace(tuple(options.host or ["127.0.0.1"]), options.port, domain)
    _apply(Authority.create(options.folder, place), enclaves)


def _add(options: argparse.Namespace) -> None:
    from pocket_ros.security.authority import Authority

    enclaves = _parse_enclaves(options.enclave)
    _apply(Authority.open(options.folder), enclaves)


def _apply(authority: Authority, enclaves: dict[str, str]) -> None:
    for name, text in enclaves.items():
        authority.add(name, text)
    authority.renew_router()
    policies = authority.policies()
    print("On the router's machine:")
    print(f"    export ZENOH_ROUTER_CONFIG_URI={authority.router_config.resolve()}")
    print("    pocket-ros router")
    for name in enclaves:
        allowed = "everything" if policies[name].everything else f"policies/{name}.yaml"
        print(f"On machines of the enclave {name} (may do: {allowed}):")
        print(f"    export ZENOH_SESSION_CONFIG_URI={authority.session_config(name).resolve()}")
    print(
        f"Keep {authority.folder / 'authority' / 'ca.key'} off machines that are not trusted; "
        "copy each .json5 only to the machines it is for."
    )


def _renew(options: argparse.Namespace) -> None:
    from pocket_ros.security.authority import Authority

    authority = Authority.open(options.folder)
    names = options.enclaves or sorted(authority.policies())
    for name in names:
        authority.renew(name)
        print(authority.session_config(name))
    if not options.enclaves:
        authority.renew_router()
        print(authority.router_config)
