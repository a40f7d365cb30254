"""Settings: from TOML and the command line to a frozen dataclass, strictly.

Order of strength: the dataclass' own defaults (the paper's) < TOML < `key=value` given on the command line.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from siamtrack.errors import SettingsError, nearest

T = TypeVar("T")

_SHORT_NUMBER = re.compile(r"[+-]?(\d+\.|\.\d+)([eE][+-]?\d+)?")  # .95 and 5., which TOML does not know


class _OutsideLimitsError(SettingsError):
    """A number that is too small or too large."""

    def __init__(self, name: str, value: float, low: float, high: float) -> None:
        super().__init__(f"The setting {name} is {value}; expected {low:g} to {high:g}.")
        self.parts = name, value, low, high

    def __reduce__(self) -> tuple[Any, ...]:  # worker processes send it
        return type(self), self.parts


@contextmanager
def in_table(table: str) -> Iterator[None]:
    """Names a setting that `check_limits` refuses inside by its table, too."""
    try:
        yield
    except _OutsideLimitsError as error:
        name, *numbers = error.parts
        raise _OutsideLimitsError(f"{table}.{name}", *numbers) from None


def from_mapping(cls: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """An instance of the frozen dataclass `cls` with these values, the others at their defaults.

    Args:
        cls: a dataclass whose fields are bool, int, float, str, tuples or dicts of them, optional ones, or such dataclasses.
        values: field name to value, as TOML gives them; int is taken for float, a list for a tuple.
        where: what the values came from, for error messages ("recipes/siamfc.toml", "--set").

    Raises:
        SettingsError: an unknown key (with the nearest known one), a value of another type, a missing key without
            default, or a value that the dataclass itself refuses; one outside its limits is named with its table.
    """
    types = get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise SettingsError(f"Unknown setting '{key}' in {where}. {nearest(key, fields)}")
    required = {n for n, f in fields.items() if f.default is f.default_factory is dataclasses.MISSING}
    if missing := sorted(required - set(values)):
        raise SettingsError(f"Missing setting in {where}: {', '.join(missing)}.")
    found = {}
    for key, value in values.items():
        with in_table(key):
            found[key] = _typed(value, types[key], f"'{key}' in {where}")
    return cls(**found)


def with_overrides(settings: T, overrides: Sequence[str]) -> T:
    """A copy of `settings` with "key=value" texts applied, values written as in TOML (quotes may be left out).

    A setting of a settings class inside this one is "outer.inner=value".

    Raises:
        SettingsError: as for `from_mapping`, or a text without "=".
    """
    values = dataclasses.asdict(settings)  # type: ignore[call-overload]
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals:
            example = next((f"{name}={now}" for name, now in values.items() if type(now) in (int, float)), "name=1")
            raise SettingsError(f"'{text}' is no setting; expected KEY=VALUE, as in {example}.")
        *outer, name = _parts(key.strip())
        inside = values
        for part in outer:
            if not isinstance(inside.get(part), dict):
                raise SettingsError(f"Unknown setting '{key}' in --set. {nearest(part, inside)}")
            inside = inside[part]
        if name not in inside and (there := [f"{t}.{name}" for t, v in inside.items() if isinstance(v, dict) and name in v]):
            raise SettingsError(f"Unknown setting '{key}' in --set. Did you mean {' or '.join(there)}?")
        inside[name] = _toml_value(value.strip())
    return from_mapping(type(settings), values, where="--set")


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        SettingsError: the file is missing or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"The settings file '{path}' cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file '{path}' is no valid TOML: {error}.") from None


def check_limits(settings: Any, limits: Mapping[str, tuple[float, float]]) -> None:
    """Whether each of these settings lies between its limits, which are allowed themselves.

    Raises:
        SettingsError: one does not, or is NaN.
    """
    for name, (low, high) in limits.items():
        if not low <= (value := getattr(settings, name)) <= high:
            raise _OutsideLimitsError(name, value, low, high)


def _parts(key: str) -> list[str]:
    """The names in a dotted key, with quotes around those that hold dots, as TOML writes it."""
    try:
        table = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        raise SettingsError(f"'{key}' is no name of a setting; expected one such as scales or network.width.") from None
    parts = []
    while isinstance(table, dict):
        ((name, table),) = table.items()
        parts.append(name)
    return parts


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return float(text) if _SHORT_NUMBER.fullmatch(text) else text


_KINDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    type(None): "none",
    dict: "a table, such as {name = 0.5}",
    tuple: "a list",
}


def _typed(value: Any, expected: Any, name: str) -> Any:
    """`value` as the annotation `expected` wants it, without guessing."""
    options = get_args(expected) if get_origin(expected) in (Union, UnionType) else (expected,)
    for option in options:
        if dataclasses.is_dataclass(option) and isinstance(option, type) and isinstance(value, Mapping):
            return from_mapping(option, value, where=name)
        if option is type(None) and value is None:
            return None
        if get_origin(option) is dict and isinstance(value, dict):
            return {key: _typed(item, get_args(option)[1], f"{name}.{key}") for key, item in value.items()}
        if option is Any:
            return value
        if get_origin(option) is tuple and isinstance(value, list | tuple):
            return tuple(_typed(item, get_args(option)[0], name) for item in value)
        if option is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if type(value) is option:
            return value
    raise SettingsError(f"The setting {name} is {value!r}; expected {' or '.join(map(_in_words, options))}.")


def _in_words(option: Any) -> str:
    if dataclasses.is_dataclass(option):
        return f"a table with {', '.join(field.name for field in dataclasses.fields(option))}"
    return _KINDS.get(get_origin(option) or option, str(option))
