"""The AsyncAPI document (3.0) of the live contract, made from the frames' and the events' Structs.

https://www.asyncapi.com/docs/reference/specification/v3.0.0. Seen from the gateway: it receives what clients say, and
sends what they hear. PROTOCOL.md says what no schema can: order, the proof, and when a socket closes.
"""

from typing import Any, get_args

import msgspec

from services.notify.live import frames
from services.notify.live.codes import Close
from shared.events import KINDS

_REF = "#/components/schemas/{name}"
_CHANNEL = {"$ref": "#/channels/live"}
_ID = {"type": "string", "description": "The event's id, a decimal number."}
_AT = {"type": "string", "format": "date-time", "description": "When it was committed, UTC."}
_POSITION = {"type": "integer", "minimum": 0}


def document(live_url: str) -> dict[str, Any]:
    """The whole document; `live_url` is where clients find the socket, e.g. ws://127.0.0.1:8001/v1/live."""
    said = {tag(struct): struct for struct in get_args(frames.Request)}
    heard = {tag(struct): struct for struct in frames.ServerFrame.__subclasses__()}
    structs = [*said.values(), *heard.values(), *KINDS.values()]
    schemas_of, schemas = msgspec.json.schema_components(structs, ref_template=_REF)
    for struct in KINDS.values():
        _as_in_a_frame(schemas[struct.__name__])
    schemas["EventFrame"] = _event_frame()
    messages = {
        name: _message(name, struct.__doc__, ref)
        for (name, struct), ref in zip(
            [*said.items(), *heard.items()], schemas_of[: len(said) + len(heard)], strict=True
        )
    }
    messages["event"] = _message("event", _EVENT, {"$ref": _REF.format(name="EventFrame")})
    scheme, _, rest = live_url.partition("://")
    host, slash, path = rest.partition("/")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Chorus, live",
            "version": "1",
            "description": "Changes as they happen, with the positions by which a client proves that it missed none. "
            f"WebSocket subprotocol chorus.v1, text frames, one JSON object each. Closes: {_closes()}.",
        },
        "defaultContentType": "application/json",
        "servers": {"live": {"host": host, "protocol": scheme}},
        "channels": {
            "live": {
                "address": f"{slash}{path}",
                "servers": [{"$ref": "#/servers/live"}],
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            }
        },
        "operations": {
            "hear": _operation("receive", "What a client may say.", said),
            "tell": _operation("send", "What a client hears.", {**heard, "event": None}),
        },
        "components": {"messages": messages, "schemas": schemas},
    }


def tag(struct: type[Any]) -> str:
    """A frame's `type`."""
    return str(struct.__struct_config__.tag)


def _operation(action: str, summary: str, names: dict[str, Any]) -> dict[str, Any]:
    messages = [{"$ref": f"#/channels/live/messages/{name}"} for name in names]
    return {"action": action, "channel": _CHANNEL, "summary": summary, "messages": messages}


def _message(name: str, about: str | None, payload: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "summary": " ".join((about or "").split()), "payload": payload}


def _as_in_a_frame(schema: dict[str, Any]) -> None:
    """An event in a frame has its id and time in front of what it says."""
    schema["properties"] = {"type": schema["properties"].pop("type"), "id": _ID, "at": _AT, **schema["properties"]}
    schema["required"] = ["type", "id", "at", *(name for name in schema["required"] if name != "type")]


_EVENT = "Something happened. Nothing else visible to you on this channel and log lies between `prev` and `seq`."


def _event_frame() -> dict[str, Any]:
    return {
        "title": "EventFrame",
        "description": f"{_EVENT} Types that you don't know may come: keep the position, ignore the rest.",
        "type": "object",
        "properties": {
            "type": {"const": "event"},
            "channel": {"type": "string"},
            "log": _POSITION,
            "prev": _POSITION,
            "seq": _POSITION,
            "event": {"anyOf": [{"$ref": _REF.format(name=kind.__name__)} for kind in KINDS.values()]},
        },
        "required": ["type", "channel", "log", "prev", "seq", "event"],
    }


def _closes() -> str:
    return ", ".join(f"{int(code)} {code.reason}" for code in Close)
