"""Settings of a config changed by assignments such as `search.max_simulations=64`."""

import dataclasses
import math
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from exit.catalog.names import did_you_mean, load_game
from exit.errors import UsageError
from exit.game import Game

Config = TypeVar("Config")


def with_overrides(config: Config, assignments: Sequence[str]) -> Config:
    """A copy of a tree of frozen dataclasses with some fields set, such as `search.max_simulations=64`.

    Texts are read as the field's declared type says: numbers, `true`/`false`, text, `none` where it is
    allowed, tuples as `3,4,5`. A field that holds a game takes a game's name, and the game's own sizes are
    its fields (`game.rows=5`). All assignments take effect at once; of two to one field the later one wins.

    Raises:
      UsageError: no such field, a value of another type, or one that the config refuses.
    """
    changes = []
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path.strip():
            raise UsageError(f"{assignment!r} is no assignment; write a.b=value")
        changes.append((path.strip().split("."), text.strip()))
    return _changed(config, changes, ()) if changes else config


def _changed(config: Any, changes: list[tuple[list[str], str]], prefix: tuple[str, ...]) -> Any:
    """`config` with the changes whose paths are relative to it; `prefix` is its own path."""
    names = [field.name for field in dataclasses.fields(config) if field.init]
    kinds = get_type_hints(type(config))
    values = {}
    for name in dict.fromkeys(path[0] for path, _ in changes):
        full = ".".join((*prefix, name))
        if name not in names:
            known = f"{'.'.join(prefix) or 'it'} has {', '.join(names) or 'no settings'}"
            inside = [repr(".".join((*prefix, *path))) for path in _paths(config) if path[-1] == name]
            meant = f"; did you mean {' or '.join(inside)}?" if inside else did_you_mean(name, names, known)
            raise UsageError(f"unknown setting {full!r}{meant}")
        value = getattr(config, name)
        for path, text in changes:
            if path == [name]:
                value = _value(text, kinds.get(name, Any), value, full)
        inner = [(path[1:], text) for path, text in changes if path[0] == name and len(path) > 1]
        if inner and not _is_group(value):
            raise UsageError(f"setting {full!r} has no fields of its own; write {full}=value")
        values[name] = _changed(value, inner, (*prefix, name)) if inner else value
    try:
        return dataclasses.replace(config, **values)
    except ValueError as error:
        # Of the whole configuration, the error names what does not go together.
        settings = ", ".join(".".join((*prefix, name)) for name in values)
        settings = settings if prefix or len(values) == 1 else "this together"
        raise UsageError(f"cannot set {settings}: {error}") from error


def _paths(config: Any) -> Iterator[tuple[str, ...]]:
    """Where all the settings are, those of groups in groups too."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if _is_group(value):
            yield from ((field.name, *path) for path in _paths(value))
        elif field.init:
            yield (field.name,)


def _is_group(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _is_group_class(kind: Any) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _value(text: str, kind: Any, current: Any, full: str) -> Any:
    """The value that the text of one assignment stands for; `full` names the setting."""
    if isinstance(current, Game):
        return load_game(text)
    members = get_args(kind) or (kind,)
    groups = {member.__name__: member for member in members if _is_group_class(member)}
    if text in groups:
        return _default_group(groups[text], full)
    if _is_group(current) and not (types.NoneType in members and text.lower() == "none"):
        fields = ", ".join(f"{full}.{field.name}" for field in dataclasses.fields(current))
        choice = f", or {full} itself to one of {', '.join(groups)}" if groups else ""
        raise UsageError(f"setting {full!r} is a group; set one of {fields}{choice}")
    kind = type(current) if kind is Any else kind
    try:
        return _parsed(text, kind)
    except ValueError:
        raise UsageError(f"bad value {text!r} for setting {full!r}; expected {_described(kind)}") from None


def _default_group(group: Callable[[], Any], full: str) -> Any:
    try:
        return group()
    except TypeError as error:
        raise UsageError(f"setting {full!r} needs values that have no default: {error}") from error


def _parsed(text: str, kind: Any) -> Any:
    """A text read as a type; raises ValueError where it is no such value."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        # Any text is a str, so a str member must not hide the others.
        return _first_parsed(text, sorted(get_args(kind), key=lambda member: member is str))
    if origin is Literal:
        return _only([choice for choice in get_args(kind) if str(choice) == text])
    if kind is tuple or origin is tuple:
        return _parsed_tuple(text, get_args(kind) or (int | float | str, ...))
    if kind not in _READERS:
        raise ValueError(text)
    return _READERS[kind](text)


def _only(choices: list[Any]) -> Any:
    (choice,) = choices
    return choice


def _first_parsed(text: str, kinds: Sequence[Any]) -> Any:
    for kind in kinds:
        try:
            return _parsed(text, kind)
        except ValueError:
            continue
    raise ValueError(text)


def _parsed_tuple(text: str, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    parts = [part.strip() for part in text.strip("()[] ").split(",") if part.strip()]
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(parts)
    return tuple(_parsed(part, kind) for part, kind in zip(parts, kinds, strict=True))


def _whole(text: str) -> int:
    """A whole number, also as `1e6`."""
    number = float(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(text) if text.lstrip("+-").isdigit() else int(number)


def _number(text: str) -> float:
    if math.isnan(number := float(text)):
        raise ValueError(text)
    return number


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTHS:
        raise ValueError(text)
    return _TRUTHS[text.lower()]


def _nothing(text: str) -> None:
    if text.lower() != "none":
        raise ValueError(text)


_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_READERS: dict[Any, Callable[[str], Any]] = {
    bool: _truth,
    int: _whole,
    float: _number,
    str: str,
    Path: Path,
    types.NoneType: _nothing,
}
_DESCRIPTIONS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    types.NoneType: "none",
}


def _described(kind: Any) -> str:
    """What a value of a type is to be, in words."""
    origin, members = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_described, members))
    if origin is Literal:
        return f"one of {', '.join(map(str, members))}"
    if kind is tuple or origin is tuple:
        if len(members) > 1 and members[-1] is not Ellipsis:
            return f"{len(members)} values with commas between ({', '.join(map(_described, members))})"
        each = f", each {_described(members[0])}" if members else ""
        return f"values with commas between{each}"
    return _DESCRIPTIONS.get(kind, "nothing from the command line; set it in the config file")
