"""What is wrong with the form of a request, as a sentence."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

_NO_OBJECT = "the request is no JSON object; send one as application/json"
_LONGEST = 40


def sentence(faults: Sequence[Mapping[str, Any]]) -> str:
    """The first fault that a validation found: what was given, and what is allowed.

    Args:
      faults: as pydantic lists them; those of one field are the alternatives that it did not fit.
    """
    first = faults[0]
    name, given = _name(first["loc"]), _shortened(first.get("input"))
    limits = first.get("ctx", {})
    match first["type"]:
        case "json_invalid" | "model_attributes_type":
            return _NO_OBJECT
        case "missing":
            return f"{name} is missing" if name else _NO_OBJECT
        case "extra_forbidden":
            return f"{name} is not known here"
        case "too_long":
            return (
                f"{name} has {limits['actual_length']:,} entries; at most {limits['max_length']:,} are taken"
            )
        case "string_too_long":
            return f"{name} is too long; at most {limits['max_length']} characters are taken"
    same = [fault for fault in faults if _name(fault["loc"]) == name]
    allowed = ", or ".join(dict.fromkeys(_allowed(fault) for fault in same))
    return f"{name} is {given}; it must be {allowed}"


def _name(loc: Sequence[str | int]) -> str:
    """The field, without the alternatives of its type: `moves[1]`."""
    if len(loc) < 2:
        return ""
    return f"{loc[1]}" + "".join(f"[{part}]" for part in loc[2:] if isinstance(part, int))


def _allowed(fault: Mapping[str, Any]) -> str:
    limits = fault.get("ctx", {})
    match fault["type"]:
        case "greater_than_equal":
            return f"at least {limits['ge']:g}"
        case "less_than_equal":
            return f"at most {limits['le']:,g}"
        case "int_type" | "int_from_float" | "int_parsing":
            return "a whole number"
        case "float_type" | "float_parsing":
            return "a number"
        case "list_type":
            return "a list"
        case "string_type":
            return "a text"
        case "bool_type" | "bool_parsing":
            return "true or false"
        case _:
            return fault["msg"].removeprefix("Input should be ")


def _shortened(given: Any) -> str:
    text = json.dumps(given, default=repr, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
