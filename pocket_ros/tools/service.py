"""`pocket-ros service`: which services there are, and calls of them."""

from __future__ import annotations

import argparse
import time
from typing import Any

from pocket_ros.tools.command import (
    absolute,
    add_subject,
    add_verb,
    interface,
    one_or_all,
    print_names,
    types_of,
    visible,
    wait_for,
)
from pocket_ros.tools.values import fill, parse_yaml


def add_commands(commands: Any) -> None:
    """Add `service` and its verbs."""
    verbs = add_subject(commands, "service", "list and call services")
    parser = add_verb(verbs, "list", list_services)
    parser.add_argument("-t", "--show-types", action="store_true", help="with types")
    parser.add_argument("-c", "--count-services", action="store_true", help="only how many")
    parser.add_argument("--include-hidden-services", action="store_true", help="also hidden ones")
    add_verb(verbs, "info", info).add_argument("service_name")
    add_verb(verbs, "type", show_type).add_argument("service_name")
    parser = add_verb(verbs, "find", find)
    parser.add_argument("service_type")
    parser.add_argument("-c", "--count-services", action="store_true", help="only how many")
    parser.add_argument("--include-hidden-services", action="store_true", help="also hidden ones")
    parser = add_verb(verbs, "call", call_service)
    parser.add_argument("service_name")
    parser.add_argument("service_type")
    parser.add_argument("values", nargs="?", default="{}", help="YAML, as '{a: 1, b: 2}'")
    parser.add_argument("-r", "--rate", type=float, metavar="HZ", help="repeat at this rate")


def list_services(node: Any, options: argparse.Namespace) -> None:
    """print the names of the services"""
    known = visible(node.get_service_names_and_types(), options.include_hidden_services)
    print_names(known, count=options.count_services, types=options.show_types)


def info(node: Any, options: argparse.Namespace) -> None:
    """print a service's type, and how many clients and servers it has"""
    name = absolute(options.service_name)
    types = types_of(node.get_service_names_and_types(), name, "service")
    print(f"Type: {one_or_all(types)}")
    print(f"Clients count: {node.count_clients(name)}")
    print(f"Services count: {node.count_services(name)}")


def show_type(node: Any, options: argparse.Namespace) -> None:
    """print a service's type"""
    name = absolute(options.service_name)
    print(*types_of(node.get_service_names_and_types(), name, "service"), sep="\n")


def find(node: Any, options: argparse.Namespace) -> None:
    """print the services of a type"""
    known = visible(node.get_service_names_and_types(), options.include_hidden_services)
    found = [item for item in known if options.service_type in item[1]]
    print_names(found, count=options.count_services, types=False)


def call_service(node: Any, options: argparse.Namespace) -> None:
    """call a service"""
    name = absolute(options.service_name)
    cls = interface(options.service_type, "srv")
    if options.rate is not None and options.rate <= 0:
        raise ValueError("rate must be greater than zero")
    request = cls.Request()
    stamps = fill(request, parse_yaml(options.values))
    client = node.create_client(cls, name)
    if not client.service_is_ready():
        print("waiting for service to become available...", flush=True)
        client.wait_for_service()
    while True:
        for stamp in stamps:
            stamp(node.get_clock().now().to_msg())
        print(f"requester: making request: {request!r}\n", flush=True)
        begun = time.monotonic()
        # As with ros2, a service may take as long as it needs.
        response = wait_for(node, client.call_async(request), name, longest_s=None)
        print(f"response:\n{response!r}\n", flush=True)
        if options.rate is None:
            return
        time.sleep(max(0.0, begun + 1.0 / options.rate - time.monotonic()))
