"""One tree for both front ends: elements of XML or YAML launch files, with their lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import yaml

from pocket_ros.launch.errors import LaunchError


@dataclass(frozen=True, slots=True)
class Element:
    """A tag with its attributes and children."""

    tag: str
    attributes: dict[str, str]
    file: Path
    line: int
    children: list[Element] = field(default_factory=list)

    def error(self, reason: str) -> LaunchError:
        """An error that says where this element stands."""
        return LaunchError(f"{self.file}, line {self.line}: <{self.tag}>: {reason}")


def read(path: Path) -> Element:
    """Read a launch file; its root is the element `launch`. Raises LaunchError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LaunchError(f"the launch file {path} cannot be read: {reason}") from None
    if path.suffix in (".yaml", ".yml"):
        return _read_yaml(path, text)
    if path.suffix in (".xml", ".launch"):
        return _read_xml(path, text)
    raise LaunchError(f"{path}: expected a launch file that ends in .xml, .yaml or .yml")


def _read_xml(path: Path, text: str) -> Element:
    parser = expat.ParserCreate()
    stack = [Element("", {}, path, 0)]

    def start(tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes, path, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def end(_tag: str) -> None:
        stack.pop()

    def characters(data: str) -> None:
        if data.strip():
            raise stack[-1].error(f"unexpected text {data.strip()!r}")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise LaunchError(f"{path}, line {error.lineno}: {error}") from None
    [root] = stack[0].children
    if root.tag != "launch":
        raise root.error("the root of a launch file must be <launch>")
    return root


def _read_yaml(path: Path, text: str) -> Element:
    try:
        document = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        reason = getattr(error, "problem", None) or str(error)
        raise LaunchError(f"{path}, line {line}: {reason}") from None
    root = Element("launch", {}, path, 1)
    if not (
        isinstance(document, yaml.MappingNode)
        and len(document.value) == 1
        and document.value[0][0].value == "launch"
        and isinstance(document.value[0][1], yaml.SequenceNode)
    ):
        raise root.error("expected a list below the only key 'launch'")
    _add_actions(root, document.value[0][1])
    return root


def _add_actions(parent: Element, actions: yaml.SequenceNode) -> None:
    for item in actions.value:
        if not isinstance(item, yaml.MappingNode) or len(item.value) != 1:
            raise parent.error("expected a list of actions with one key each")
        [(key, value)] = item.value
        _add_element(parent, key.value, value)


def _add_element(parent: Element, tag: str, node: yaml.Node) -> None:
    element = Element(tag, {}, parent.file, node.start_mark.line + 1)
    parent.children.append(element)
    if not isinstance(node, yaml.MappingNode):
        raise element.error("expected attributes (key: value)")
    for key, value in node.value:
        if isinstance(value, yaml.ScalarNode):
            element.attributes[key.value] = value.value
        elif key.value == "children" and isinstance(value, yaml.SequenceNode):
            _add_actions(element, value)
        elif isinstance(value, yaml.SequenceNode):
            if all(isinstance(item, yaml.ScalarNode) for item in value.value):
                # A list of plain values, as a parameter may have.
                element.attributes[key.value] = yaml.serialize(value).strip()
            else:
                for item in value.value:
                    _add_element(element, key.value, item)
        else:
            raise element.error(f"the value of {key.value!r} is neither a text nor a list")
