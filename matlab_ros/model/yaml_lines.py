"""On which lines of a YAML text its keys stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import yaml

Path = tuple[str | int, ...]
"""Keys and indices from the top."""


class KeyTwice(ValueError):
    """A mapping has a key twice, so that one of the two values would be lost.

    Attributes:
        path: of the key.
        line: of the second one, from 1.
    """

    def __init__(self, path: Path, line: int) -> None:
        self.path = path
        self.line = line
        super().__init__(f"{path[-1]!r} stands twice")


def lines_of(text: str) -> dict[Path, int]:
    """Line, from 1, of every key and list item of a YAML text.

    Raises:
        KeyTwice: a mapping has a key twice.
        yaml.YAMLError: it is no YAML.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return {} if root is None else dict(_walk(root, (), ()))


def _walk(node: yaml.Node, path: Path, inside: tuple[int, ...]) -> Iterator[tuple[Path, int]]:
    if id(node) in inside:
        return
    inside = (*inside, id(node))
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            name = str(key.value)
            here: Path = (*path, name)
            line = key.start_mark.line + 1
            if name in seen and name != "<<":
                raise KeyTwice(here, line)
            seen.add(name)
            yield here, line
            yield from _walk(value, here, inside)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*path, index), value.start_mark.line + 1
            yield from _walk(value, (*path, index), inside)


def line_at(lines: Mapping[Path, int], path: Path) -> int:
    """Line of a path, or of the nearest above it that is in the text; 0: there is none."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 0
