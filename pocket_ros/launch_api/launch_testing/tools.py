"""Matching texts: what a test expects, against what a process has written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["build_text_match", "remove_ansi_escape_sequences"]

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

Match = Callable[..., "tuple[int, int] | None"]


def remove_ansi_escape_sequences(text: str) -> str:
    """The text without colours."""
    return _ESCAPES.sub("", text)


def build_text_match(expected_text: Any) -> Match:
    """A function that finds `expected_text` from a position on, as (start, end) or None.

    Expected are a text, a compiled pattern, or several of them in this order.
    """
    if isinstance(expected_text, str):

        def find(actual: str, start: int = 0) -> tuple[int, int] | None:
            at = actual.find(expected_text, start)
            return None if at < 0 else (at, at + len(expected_text))

        return find
    if isinstance(expected_text, re.Pattern):

        def search(actual: str, start: int = 0) -> tuple[int, int] | None:
            match = expected_text.search(actual, start)
            return None if match is None else match.span()

        return search
    if isinstance(expected_text, Iterable):
        matches = [build_text_match(one) for one in expected_text]

        def find_all(actual: str, start: int = 0) -> tuple[int, int] | None:
            spans = []
            for match in matches:
                span = match(actual, spans[-1][1] if spans else start)
                if span is None:
                    return None
                spans.append(span)
            return (spans[0][0], spans[-1][1]) if spans else (start, start)

        return find_all
    raise ValueError(f"expected a text, a pattern or several of them, not {expected_text!r}")
