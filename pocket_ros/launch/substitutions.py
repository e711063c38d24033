"""Substitutions: `$(var name)`, `$(find-pkg-share package)` and their like."""

from __future__ import annotations

import ast
import math
import operator
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from pocket_ros.packages import PackageNotFoundError, share_directory


class SubstitutionError(ValueError):
    """A substitution is wrong; whoever knows the file and line adds them."""


class Context(Protocol):
    """What substitutions may ask for."""

    variables: dict[str, str]
    environment: dict[str, str]
    file: Path
    log_dir: Path | None


def expand(text: str, context: Context) -> str:
    """Replace every `$(...)` in a text. Raises SubstitutionError."""
    result = []
    position = 0
    while position < len(text):
        if text.startswith("\\$", position):
            result.append("$")
            position += 2
        elif text.startswith("$(", position):
            end = _closing(text, position + 2)
            result.append(_substitute(text[position + 2 : end], context))
            position = end + 1
        else:
            result.append(text[position])
            position += 1
    return "".join(result)


def expand_command(text: str, context: Context) -> list[str]:
    """Split a command line into words and expand them; a substitution stays one word."""
    return [expand(word, context) for word in _split(text)]


def is_true(text: str) -> bool:
    """The truth of a condition's text, as launch reads it."""
    value = text.strip().lower()
    if value in ("true", "1"):
        return True
    if value in ("false", "0"):
        return False
    raise SubstitutionError(f"expected true, false, 1 or 0, got {text!r}")


def _closing(text: str, start: int) -> int:
    """Index of the parenthesis that closes the substitution whose inside begins at `start`."""
    quote = ""
    position = start
    while position < len(text):
        char = text[position]
        if char == "\\":
            position += 1
        elif text.startswith("$(", position):
            position = _closing(text, position + 2)
        elif quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == ")":
            return position
        position += 1
    raise SubstitutionError(f"a substitution is not closed in {text!r}")


def _substitute(text: str, context: Context) -> str:
    name, _, rest = text.strip().partition(" ")
    return substitute(name, [expand(part, context) for part in _split(rest)], context)


def substitute(name: str, arguments: list[str], context: Context) -> str:
    """The text that `$(name argument ...)` stands for. Raises SubstitutionError."""
    if name not in _SUBSTITUTIONS:
        raise SubstitutionError(f"unknown substitution $({name})")
    function, fewest, most = _SUBSTITUTIONS[name]
    if not fewest <= len(arguments) <= most:
        raise SubstitutionError(f"$({name}) takes {_count(fewest, most)}, got {len(arguments)}")
    return function(context, *arguments)


def _count(fewest: int, most: int) -> str:
    if most > 9:
        return f"at least {fewest} argument(s)"
    return f"{fewest} argument(s)" if fewest == most else f"{fewest} to {most} arguments"


def _split(text: str) -> list[str]:
    """Split at blanks that are neither in quotes nor in a nested substitution."""
    parts: list[str] = []
    current: list[str] | None = None
    position = 0
    quote = ""
    while position < len(text):
        char = text[position]
        if text.startswith("$(", position):
            end = _closing(text, position + 2)
            current = [*(current or []), text[position : end + 1]]
            position = end
        elif char == "\\" and text[position + 1 : position + 2] in ("'", '"', "\\"):
            position += 1
            current = [*(current or []), text[position]]
        elif quote and char == quote:
            quote = ""
        elif not quote and char in "\"'":
            quote = char
            current = current or []
        elif not quote and char.isspace():
            if current is not None:
                parts.append("".join(current))
            current = None
        else:
            current = [*(current or []), char]
        position += 1
    if quote:
        raise SubstitutionError(f"the quote {quote} is not closed in {text!r}")
    if current is not None:
        parts.append("".join(current))
    return parts


def _var(context: Context, name: str, default: str | None = None) -> str:
    value = context.variables.get(name, default)
    if value is None:
        raise SubstitutionError(f"the launch configuration {name!r} does not exist")
    return value


def _env(context: Context, name: str, default: str | None = None) -> str:
    value = context.environment.get(name, default)
    if value is None:
        raise SubstitutionError(f"the environment variable {name!r} is not set")
    return value


def _find_share(_context: Context, package: str) -> str:
    try:
        return str(share_directory(package))
    except PackageNotFoundError as error:
        raise SubstitutionError(str(error)) from None


def _find_executable(_context: Context, name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise SubstitutionError(f"the program {name!r} was not found in PATH")
    return found


def _file_content(_context: Context, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SubstitutionError(f"{path} cannot be read: {error.strerror}") from None


def _command(context: Context, command: str, on_stderr: str = "fail") -> str:
    if on_stderr not in ("fail", "ignore", "warn", "capture"):
        raise SubstitutionError(f"$(command): {on_stderr!r} is not fail, ignore, warn or capture")
    try:
        done = subprocess.run(
            shlex.split(command), capture_output=True, text=True, env=context.environment
        )
    except OSError as error:
        raise SubstitutionError(f"the command {command!r} did not start: {error}") from None
    if done.returncode:
        raise SubstitutionError(
            f"the command {command!r} ended with code {done.returncode}: {done.stderr.strip()}"
        )
    if done.stderr and on_stderr == "fail":
        raise SubstitutionError(f"the command {command!r} wrote: {done.stderr.strip()}")
    return done.stdout + (done.stderr if on_stderr == "capture" else "")


def _anon(context: Context, name: str) -> str:
    return context.variables.setdefault(f"anon {name}", f"{name}_{os.getpid()}_{id(context):x}")


def _log_dir(context: Context) -> str:
    return str(context.log_dir or Path.cwd())


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _equal(left: str, right: str) -> bool:
    """Equality as launch sees it: booleans and numbers by value, anything else as text."""
    try:
        return is_true(left) == is_true(right)
    except SubstitutionError:
        pass
    try:
        return math.isclose(float(left), float(right))
    except ValueError:
        return left == right


def _choose(_context: Context, condition: str, yes: str, no: str = "") -> str:
    return yes if is_true(condition) else no


_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
# `true` and `false` are not Python, but real launch expands $(var flag) to whatever was given.
_NAMES: dict[str, Any] = {
    **{name: value for name, value in vars(math).items() if not name.startswith("_")},
    **{f.__name__: f for f in (abs, bool, float, int, len, max, min, round, str)},
    "true": True,
    "false": False,
}


def _eval(_context: Context, *parts: str) -> str:
    text = " ".join(parts)
    try:
        return str(_value(ast.parse(text.strip(), mode="eval").body))
    except SubstitutionError:
        raise
    except (SyntaxError, TypeError, ValueError, ArithmeticError) as error:
        raise SubstitutionError(f"$(eval {text}): {error}") from None


def _value(node: ast.expr) -> Any:
    """Value of an expression; only arithmetic, comparisons and a few functions are allowed."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left), _value(right))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(operand))
        case ast.BoolOp(op=op, values=values):
            results = (_value(value) for value in values)
            return all(results) if isinstance(op, ast.And) else any(results)
        case ast.Compare(left=left, ops=ops, comparators=others) if all(
            type(op) in _OPERATORS for op in ops
        ):
            operands = [_value(left), *map(_value, others)]
            pairs = zip(ops, operands, operands[1:], strict=False)
            return all(_OPERATORS[type(op)](a, b) for op, a, b in pairs)
        case ast.IfExp(test=test, body=body, orelse=other):
            return _value(body) if _value(test) else _value(other)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item) for item in items]
        case ast.Name(id=name) if name in _NAMES:
            return _NAMES[name]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if callable(_NAMES.get(name)):
            return _NAMES[name](*map(_value, args))
    raise SubstitutionError(f"$(eval) does not know {ast.unparse(node)!r}")


_MANY = 99
_SUBSTITUTIONS: dict[str, tuple[Callable[..., str], int, int]] = {
    "var": (_var, 1, 2),
    "env": (_env, 1, 2),
    "dirname": (lambda c: str(c.file.parent), 0, 0),
    "filename": (lambda c: str(c.file), 0, 0),
    "find-pkg-share": (_find_share, 1, 1),
    "find-exec": (_find_executable, 1, 1),
    "file-content": (_file_content, 1, 1),
    "command": (_command, 1, 2),
    "eval": (_eval, 1, _MANY),
    "anon": (_anon, 1, 1),
    "launch_log_dir": (_log_dir, 0, 0),
    "log_dir": (_log_dir, 0, 0),
    "not": (lambda c, a: _truth(not is_true(a)), 1, 1),
    "and": (lambda c, a, b: _truth(is_true(a) and is_true(b)), 2, 2),
    "or": (lambda c, a, b: _truth(is_true(a) or is_true(b)), 2, 2),
    "all": (lambda c, *a: _truth(all(map(is_true, a))), 1, _MANY),
    "any": (lambda c, *a: _truth(any(map(is_true, a))), 1, _MANY),
    "equals": (lambda c, a, b: _truth(_equal(a, b)), 2, 2),
    "not-equals": (lambda c, a, b: _truth(not _equal(a, b)), 2, 2),
    "if": (_choose, 2, 3),
}
