"""Writing XML: elements, numbers, whole files."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from matlab_ros.robot.poses import Point


def add(over: ElementTree.Element, tag: str, /, **attributes: str) -> ElementTree.Element:
    """A new element in another."""
    return ElementTree.SubElement(over, tag, attributes)


def say(over: ElementTree.Element, tag: str, value: float | str, /) -> None:
    """A new element with a text."""
    add(over, tag).text = value if isinstance(value, str) else number(value)


def number(value: float) -> str:
    """To a micrometre."""
    return f"{round(value, 6) + 0.0:g}"


def words(values: Point) -> str:
    """Three numbers."""
    return " ".join(number(value) for value in values)


def document(root: ElementTree.Element) -> str:
    """The whole file."""
    ElementTree.indent(root)
    return '<?xml version="1.0"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
