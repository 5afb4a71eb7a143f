"""Decoding at the door: a request's body becomes a Struct, or an error that names every fault.

msgspec stops at the first fault; a person mending a form wants them all. So the quick path is msgspec's own, and only
what it refuses is looked at again, field by field.
"""

import re
from typing import Any, TypeVar

import msgspec

from shared.errors import Fault, Invalid, Unparsable

T = TypeVar("T", bound=msgspec.Struct)

_AT = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")
_CODES = (
    ("length >=", "too_short"),
    ("length <=", "too_long"),
    ("matching regex", "malformed"),
    (">=", "too_small"),
    ("<=", "too_large"),
    ("out of range", "too_large"),
    ("Invalid enum value", "unknown_value"),
)


def decode_body(raw: bytes, struct: type[T]) -> T:
    """The `struct` that the JSON `raw` is.

    Raises Unparsable when it is no JSON in UTF-8 (lone surrogates are none), Invalid with every fault otherwise.
    """
    try:
        return msgspec.json.decode(raw, type=struct)
    except msgspec.ValidationError:
        pass
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unparsable(f"The body is not JSON: {error}.") from None
    except RecursionError:
        raise Unparsable("The body is nested too deeply.") from None
    raise Invalid(errors=faults(_parse(raw), struct))


def _parse(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unparsable(f"The body is not JSON: {error}.") from None
    except RecursionError:
        raise Unparsable("The body is nested too deeply.") from None


def faults(value: Any, struct: type[msgspec.Struct]) -> list[Fault]:
    """Everything that keeps `value` (of plain dicts, lists and scalars) from being a `struct`."""
    if not isinstance(value, dict):
        return [Fault(field="", code="type", detail="Expected a JSON object.")]
    found: list[Fault] = []
    known = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    for name, field in known.items():
        if name not in value:
            if field.required:
                found.append(Fault(field=name, code="required", detail="This field is required."))
            continue
        try:
            msgspec.convert(value[name], field.type)
        except msgspec.ValidationError as error:
            found.append(_fault(name, str(error)))
    if struct.__struct_config__.forbid_unknown_fields:
        unknown = [name for name in value if name not in known]
        found += [Fault(field=name[:64], code="unknown", detail="There is no such field.") for name in unknown[:20]]
    return found or [Fault(field="", code="invalid", detail="It is not valid.")]


def _fault(name: str, message: str) -> Fault:
    path = _AT.search(message)
    steps = [a or b for a, b in _STEP.findall(path["path"])] if path else []
    detail = _AT.sub("", message)
    code = next((code for words, code in _CODES if words in detail), "type")
    return Fault(field=".".join([name, *steps]), code=code, detail=f"{detail}.")
