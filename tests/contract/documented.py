"""The AsyncAPI document, and what is wrong with something by it."""

from typing import Any

import jsonschema_rs

from services.notify import asyncapi

DOCUMENT = asyncapi.document("wss://community.example/v1/live")


def problems(schema: dict[str, Any], instance: object) -> list[str]:
    """What is wrong with `instance`, in words."""
    whole = {**schema, "components": DOCUMENT["components"]}
    return [error.message for error in jsonschema_rs.validator_for(whole).iter_errors(instance)]


def frame_problems(frame: dict[str, Any]) -> list[str]:
    """What is wrong with a frame, by its type. Raises KeyError for a type that is not documented."""
    return problems(DOCUMENT["components"]["messages"][frame["type"]]["payload"], frame)
