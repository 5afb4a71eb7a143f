"""The OpenAPI document (3.1), made from the routes, their `Doc`, their docstrings and the Structs they name.

Litestar's generator reads handlers' signatures; ours take the request as it is, because a body must be refused with
every fault and not only the first, so what a signature would say stands in `Doc`.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec
from litestar.routes import HTTPRoute

from services.feed import images, paging, text
from services.feed.api.doc import Doc
from services.feed.api.examples import Example, example_of, problem_example
from shared.errors import ChorusError, MethodNotAllowed
from shared.web import Problem

_REF = "#/components/schemas/{name}"
_ID = {"type": "string", "pattern": "^[1-9][0-9]{0,18}$"}
_PATH: dict[str, tuple[str, dict[str, Any]]] = {
    "post_id": ("A post's id.", _ID),
    "story_id": ("A story's id, or that of the post that it became.", _ID),
    "comment_id": ("A comment's id.", _ID),
    "media_id": ("A photo's id.", _ID),
    "session_id": ("A session's id.", _ID),
    "handle": ("A member's handle.", {"type": "string", "pattern": "^[a-z0-9_]{3,30}$"}),
    "slug": ("A topic's slug, in any spelling.", {"type": "string", "minLength": 1, "maxLength": 100}),
    "size": ("Which size.", {"type": "string", "enum": list(images.SIZES)}),
}
_QUERY: dict[str, tuple[str, dict[str, Any]]] = {
    "limit": (
        "Items of a page.",
        {"type": "integer", "minimum": 1, "maximum": paging.MOST, "default": paging.LIMIT},
    ),
    "before": ("`next` of the page before, as it was given.", {"type": "string"}),
    "sort": ("The order.", {"type": "string", "enum": ["new", "hot"], "default": "new"}),
    "kind": ("Posts of this kind alone.", {"type": "string", "enum": ["post", "story"]}),
}
_QUERY["list"] = (
    "Your own stories, or (for moderators) those that wait for a review.",
    {"type": "string", "enum": ["mine", "review"], "default": "mine"},
)
_AS_OF = {
    "description": 'The log\'s positions that this answer holds for, as JSON: {"epoch": 7, "seq": [60]}.',
    "schema": {"type": "string"},
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same request under the same key is done once, and answered the same.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[ -~]+$"},
}
_PHOTO = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {
            "type": "string",
            "format": "binary",
            "description": f"JPEG, PNG, WebP or GIF, at most {images.MAX_BYTES // 1_048_576} MB.",
        },
        "alt": {"type": "string", "maxLength": text.ALT_LENGTH[1], "description": "The photo in words."},
    },
    "additionalProperties": False,
}


class NotDocumented(Exception):
    """A call below /v1 says nothing of itself: its handler lacks opt={"doc": Doc(…)}."""


def document(routes: Iterable[Any], reaction_kinds: tuple[str, ...]) -> dict[str, Any]:
    """The whole document. Raises NotDocumented, so that no call goes without."""
    paths: dict[str, dict[str, Any]] = {}
    found = [(route, method, *handler) for route in routes for method, *handler in _handlers(route)]
    structs = {Problem, *(each for *_, doc in found for each in (doc.body, doc.answer) if _is_struct(each))}
    # In order of their names, so that the document is the same after every start.
    _, schemas = msgspec.json.schema_components(sorted(structs, key=lambda each: each.__name__), ref_template=_REF)
    for route, method, handler, doc in found:
        paths.setdefault(route.path_format, {})[method.lower()] = _operation(route, handler, doc)
    schemas["ReactionBody"]["properties"]["kind"]["enum"] = list(reaction_kinds)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Chorus, the feed",
            "version": "1",
            "description": "Rooms, posts and comments. Reads need no sign-in; writes do. Errors are problem details "
            "(RFC 9457) with a stable `code`; see /docs/errors.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _handlers(route: Any) -> Iterable[tuple[str, Any, Doc]]:
    if not isinstance(route, HTTPRoute):
        return
    for method, (handler, _) in route.route_handler_map.items():
        doc = handler.opt.get("doc")
        if isinstance(doc, Doc):
            yield method, handler, doc
        elif route.path_format.startswith("/v1") and method != "OPTIONS":
            raise NotDocumented(f"{method} {route.path_format}")


def _operation(route: HTTPRoute, handler: Any, doc: Doc) -> dict[str, Any]:
    summary = (handler.fn.__doc__ or "").strip().partition(". ")[0]
    name = handler.name or handler.handler_name
    example = example_of(name)
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": summary.rstrip("."),
        "description": " ".join((handler.fn.__doc__ or "").split()),
        "parameters": [*_parameters(route, doc), *([_KEY] if doc.key else [])],
        "responses": _responses(doc, example),
        "security": [{"bearer": []}] if doc.member else [{}, {"bearer": []}],
    }
    if doc.form:
        operation["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": _PHOTO}}}
    elif doc.body is not None:
        content = {"application/json": {"schema": _schema(doc.body), **_given("example", example.body)}}
        operation["requestBody"] = {"required": not doc.body_optional, "content": content}
    return operation


def _parameters(route: HTTPRoute, doc: Doc) -> Iterable[dict[str, Any]]:
    for name in route.path_parameters:
        description, schema = _PATH[name]
        yield {"name": name, "in": "path", "required": True, "description": description, "schema": schema}
    for name in doc.query:
        description, schema = _QUERY[name]
        yield {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _responses(doc: Doc, example: Example) -> dict[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(doc.status).phrase}
    if doc.answer is not None:
        schema = {"type": "string", "format": "binary"} if doc.answer is bytes else _schema(doc.answer)
        good["content"] = {doc.media_type: {"schema": schema, **_given("example", example.answer)}}
    if doc.conditional:
        good["headers"] = {"Chorus-As-Of": _AS_OF, "ETag": {"schema": {"type": "string"}}}
    responses = {str(doc.status): good}
    if doc.conditional:
        responses["304"] = {"description": "You have it already.", "headers": {"Chorus-As-Of": _AS_OF}}
    by_status: dict[int, list[type[ChorusError]]] = {}
    possible: list[type[ChorusError]] = [*doc.errors, MethodNotAllowed]
    for error in possible:
        by_status.setdefault(error.status, []).append(error)
    for status, errors in sorted(by_status.items()):
        told = "; ".join(f"`{error.code}`: {error.title}" for error in dict.fromkeys(errors))
        examples = {e.code: {"summary": e.title, "value": problem_example(e)} for e in dict.fromkeys(errors)}
        content = {"application/problem+json": {"schema": _schema(Problem), "examples": examples}}
        responses[str(status)] = {"description": f"{told}.", "content": content}
    return responses


def _given(name: str, value: Any) -> dict[str, Any]:
    return {} if value is None else {name: value}


def _schema(struct: Any) -> dict[str, Any]:
    return {"$ref": _REF.format(name=struct.__name__)}


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
