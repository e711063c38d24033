"""The settings of one experiment: a frozen mapping of parameter names to numbers or choices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Value = float | str


class Settings(Mapping[str, Value]):
    """Parameter names to values; equal, hashed and written independently of their order."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values: dict[str, Value] = {
            name: value if isinstance(value, str) else float(value)
            for name, value in sorted(values.items())
        }

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(tuple(self._values.items()))

    def __repr__(self) -> str:
        return f"Settings({self._values!r})"

    def number(self, name: str) -> float:
        """The value of a numeric parameter.

        Raises:
            TypeError: it is a choice.
        """
        value = self._values[name]
        if isinstance(value, str):
            raise TypeError(f"{name} is the choice {value!r}, not a number")
        return value

    def choice(self, name: str) -> str:
        """The value of a categorical parameter.

        Raises:
            TypeError: it is a number.
        """
        value = self._values[name]
        if not isinstance(value, str):
            raise TypeError(f"{name} is the number {value:g}, not a choice")
        return value
