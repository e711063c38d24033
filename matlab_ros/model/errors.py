"""Errors with a sentence for a person and fields for a program."""

from __future__ import annotations

from pathlib import Path


class LabError(Exception):
    """Base of every error of ours; its text is one sentence: what, where, and what to do."""


class ConfigError(LabError):
    """A file or a value given by a person cannot be used; nothing was started.

    Attributes:
        file: the file that was read, or a word such as ``"command line"``.
        key: dotted path of the offending key, empty when the whole file is meant.
        problem: what is wrong with it.
        expected: what would have been accepted.
    """

    def __init__(self, file: str | Path, key: str, problem: str, expected: str) -> None:
        self.file = str(file)
        self.key = key
        self.problem = problem
        self.expected = expected
        where = f"{self.file}: {key}" if key else self.file
        super().__init__(f"{where}: {problem}; expected {expected}.")


class RecipeError(ConfigError):
    """A recipe's file makes no sense.

    Attributes:
        step: id of the step that is meant, empty when it is the recipe as a whole.
        line: of the file, from 1; 0 where it is not known.
    """

    def __init__(
        self,
        file: str | Path,
        key: str,
        problem: str,
        expected: str,
        step: str = "",
        line: int = 0,
    ) -> None:
        super().__init__(f"{file}, line {line}" if line else file, key, problem, expected)
        self.file = str(file)
        self.step = step
        self.line = line


class DataError(LabError):
    """A measured or shipped file cannot be read as what it claims to be.

    Attributes:
        file: the file.
        problem: what is wrong.
        remedy: what the reader can do about it.
    """

    def __init__(self, file: str | Path, problem: str, remedy: str) -> None:
        self.file = str(file)
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{self.file}: {problem}; {remedy}.")


class UnreachableComposition(LabError):
    """No non-negative mixture of the given precursors makes the target composition."""


class PlanningError(LabError):
    """The planner cannot suggest: the space is empty, contradictory or exhausted."""
