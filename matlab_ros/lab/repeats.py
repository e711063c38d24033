"""How often loops go round again: learned from the rounds that were decided, one half before."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Repeats:
    """Of each loop's round, how often another followed and how often none did."""

    _seen: dict[tuple[str, str, int], tuple[int, int]] = field(default_factory=dict)

    def note(self, recipe: str, loop: str, round_: int, is_again: bool) -> None:
        """Take note of a decision at a round's end."""
        again, over = self._seen.get((recipe, loop, round_), (0, 0))
        self._seen[recipe, loop, round_] = (again + is_again, over + (not is_again))

    def chance(self, recipe: str, loop: str, round_: int) -> float:
        """Of another round after this one: Laplace's rule of succession.

        With a successes of n the next succeeds with (a + 1) / (n + 2).
        """
        again, over = self._seen.get((recipe, loop, round_), (0, 0))
        return (again + 1) / (again + over + 2)
