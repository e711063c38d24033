"""`pocket-ros interface`: which interfaces there are, and what is in them."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any

from pocket_ros import idl, packages
from pocket_ros.idl import catalog
from pocket_ros.idl.definitions import PRIMITIVES, STRINGS
from pocket_ros.tools.command import ToolError, add_subject, add_verb
from pocket_ros.tools.values import to_yaml

_TITLES = {"msg": "Messages", "srv": "Services", "action": "Actions"}
_FIELD_TYPE = re.compile(
    r"\s*([A-Za-z]\w*(?:/[A-Za-z]\w*)?)(?:<=\d+)?(?:\[[^\]]*\])?\s+[A-Za-z]\w*"
)
_COMMENT = re.compile(r"""(?:[^#"']|"[^"]*"|'[^']*')*""")


def add_commands(commands: Any) -> None:
    """Add `interface` and its verbs."""
    verbs = add_subject(commands, "interface", "list and show messages, services and actions")
    _kinds(add_verb(verbs, "list", list_interfaces, joins=False))
    _kinds(add_verb(verbs, "packages", list_packages, joins=False))
    parser = add_verb(verbs, "package", list_package, joins=False)
    parser.add_argument("package_name")
    _kinds(parser)
    parser = add_verb(verbs, "show", show, joins=False)
    parser.add_argument("type", help="as std_msgs/msg/String; '-' reads it from standard input")
    comments = parser.add_mutually_exclusive_group()
    comments.add_argument("--all-comments", action="store_true", help="of nested messages too")
    comments.add_argument("--no-comments", action="store_true", help="no comments, no empty lines")
    parser = add_verb(verbs, "proto", prototype, joins=False)
    parser.add_argument("type")
    parser.add_argument("--no-quotes", action="store_true", help="without quotes around it")


def _kinds(parser: Any) -> None:
    parser.add_argument("-m", "--only-msgs", action="store_true", help="only messages")
    parser.add_argument("-s", "--only-srvs", action="store_true", help="only services")
    parser.add_argument("-a", "--only-actions", action="store_true", help="only actions")


def _wanted(options: argparse.Namespace) -> list[str]:
    chosen = {
        "msg": options.only_msgs, "srv": options.only_srvs, "action": options.only_actions,
    }  # fmt: skip
    return [kind for kind in chosen if chosen[kind] or not any(chosen.values())]


def _packages() -> list[str]:
    bundled = {folder.name for folder in catalog.BUNDLED.iterdir() if folder.is_dir()}
    return sorted(bundled | packages.interface_packages())


def list_interfaces(_node: None, options: argparse.Namespace) -> None:
    """print the names of all interfaces"""
    for kind in _wanted(options):
        print(f"{_TITLES[kind]}:")
        for package in _packages():
            for name in idl.interface_names(package, kind):
                print(f"    {package}/{kind}/{name}")


def list_packages(_node: None, options: argparse.Namespace) -> None:
    """print the names of the packages that have interfaces"""
    for package in _packages():
        if any(idl.interface_names(package, kind) for kind in _wanted(options)):
            print(package)


def list_package(_node: None, options: argparse.Namespace) -> None:
    """print the interfaces of a package"""
    names = [
        f"{options.package_name}/{kind}/{name}"
        for kind in _wanted(options)
        for name in idl.interface_names(options.package_name, kind)
    ]
    if not names and options.package_name not in _packages():
        raise ToolError(f"Unknown package '{options.package_name}'")
    for name in names:
        print(name)


def show(_node: None, options: argparse.Namespace) -> None:
    """print an interface's text, with the messages in it"""
    name = sys.stdin.readline().strip() if options.type == "-" else options.type
    if name.count("/") != 2:
        raise ToolError(f"Invalid name '{name}'. Expected three parts separated by '/'")
    _show(name, not options.no_comments, options.all_comments, 0)


def _show(name: str, comments: bool, nested_comments: bool, depth: int) -> None:
    for line in _text_of(name).splitlines():
        text = line.rstrip()
        code = (_COMMENT.match(text) or [""])[0]
        if not comments:
            text = code.strip()
            if not text:
                continue
        print("\t" * depth + text if text else "")
        nested = _nested_type(name, code)
        if nested:
            _show(nested, nested_comments, nested_comments, depth + 1)


def _text_of(name: str) -> str:
    package, kind, short = name.split("/")
    for folder in catalog.package_folders(package):
        path = folder / kind / f"{short}.{kind}"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise ToolError(f"Could not find the interface '{name}'")


def _nested_type(name: str, code: str) -> str | None:
    """The message that a line's field holds; None for plain values, constants and the rest."""
    match = _FIELD_TYPE.match(code)
    if match is None:
        return None
    base = match[1]
    if base in PRIMITIVES or base in STRINGS:
        return None
    if base == "Header":
        return "std_msgs/msg/Header"
    package, _, short = base.rpartition("/")
    return f"{package or name.split('/')[0]}/msg/{short}"


def prototype(_node: None, options: argparse.Namespace) -> None:
    """print an interface's fields as YAML, to fill in"""
    cls = idl.load(options.type)
    message = cls.Goal() if hasattr(cls, "Goal") else getattr(cls, "Request", cls)()
    text = to_yaml(message)
    print(text if options.no_quotes else f'"{text}"')
