"""How numbers, times and settings are written for people, in the report and on the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping

DASH = "–"
_UNITS = {"c": "°C", "h": "h", "min": "min", "mg": "mg", "g": "g", "s": "s", "percent": "%"}


def label(name: str) -> str:
    """A parameter's name with its unit: ``dwell_h`` is "dwell (h)"."""
    stem, _, unit = name.rpartition("_")
    if stem and unit in _UNITS:
        return f"{stem.replace('_', ' ')} ({_UNITS[unit]})"
    return name.replace("_", " ")


def number(value: float | None, digits: int = 3) -> str:
    """A number to so many significant digits, without an exponent where that can be read."""
    if value is None or not math.isfinite(value):
        return DASH
    if value != 0 and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.{digits}g}"
    decimals = digits - 1 - math.floor(math.log10(abs(value))) if value else 0
    text = f"{value:.{max(decimals, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def fixed(value: float | None, decimals: int) -> str:
    """A number with so many decimals, so that columns of it line up."""
    return DASH if value is None or not math.isfinite(value) else f"{value:.{decimals}f}"


def percent(fraction: float | None, sigma: float | None = None) -> str:
    """A fraction in per cent, with its standard uncertainty where that is known."""
    if fraction is None or not math.isfinite(fraction):
        return DASH
    text = f"{100 * fraction:.1f}"
    if sigma is not None and math.isfinite(sigma):
        text += f" ± {100 * sigma:.1f}"
    return f"{text} %"


def duration(seconds: float | None) -> str:
    """A time span in its two largest units: "2 d 4 h", "3 h 05 min", "12 s"."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    whole = max(round(seconds), 0)
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds_left = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    if minutes:
        return f"{minutes} min {seconds_left:02d} s"
    return f"{seconds_left} s"


def setting(value: float | str | None) -> str:
    """A setting's value as it is written in a table."""
    if value is None:
        return DASH
    return value if isinstance(value, str) else number(value, 4)


def settings_line(settings: Mapping[str, float | str]) -> str:
    """Settings on one line, choices first."""
    ordered = sorted(settings.items(), key=lambda item: not isinstance(item[1], str))
    parts = [
        value if isinstance(value, str) else f"{label(name)} {setting(value)}"
        for name, value in ordered
    ]
    return ", ".join(parts)
