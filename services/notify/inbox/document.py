"""The inbox's OpenAPI document: Litestar's, completed by what a handler's signature does not tell.

That is its body (read by hand, so that every fault is named), an example of each answer, and the codes of each status.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec

from services.notify.inbox.inbox import Page, ReadUpTo
from shared import errors
from shared.errors import ChorusError, Fault
from shared.web import problem_of
from shared.wire import AsOf, Author, Notification

_LINE = Notification(
    id="3765338586085318656",
    kind="comment",
    actor=Author(id="3765338580272981659", handle="robin", display_name="Robin"),
    post_id="3765338586082676744",
    comment_id="3765338586083201033",
    created_at=datetime(2026, 11, 23, 17, 2, 40, 123000, UTC),
    read=False,
)
ANSWERS: dict[str, Any] = {
    "listNotifications": Page(items=[_LINE], next=None, unread=1, as_of=AsOf(epoch=7, seq=[60])),
    "readNotifications": ReadUpTo(unread=0, up_to=_LINE.id),
}
"""By operation id; `tests/notify/inbox/test_examples.py` holds these and the problems to what is answered."""
_LINKS: dict[str, Any] = {
    "NextPage": {
        "operationId": "listNotifications",
        "parameters": {"before": "$response.body#/next"},
        "description": "The page after this one, unless `next` is null.",
    },
    "ReadThese": {
        "operationId": "readNotifications",
        "requestBody": {"up_to": "$response.body#/items/0/id"},
        "description": "All lines up to the newest of this page are read.",
    },
}
"""What the answer of a list leads on to."""
_NO_LINE = "There is no such line in your inbox."
_REQUEST = "9f2c4e1ab07d5533"
PROBLEMS: tuple[ChorusError, ...] = (
    errors.Unparsable("The body is not JSON: Input data was truncated."),
    errors.NotSignedIn(),
    errors.NotFound(_NO_LINE, errors=[Fault(field="up_to", code="unknown", detail=_NO_LINE)]),
    errors.TooLarge(),
    errors.UnsupportedType(),
    errors.Invalid(errors=[Fault(field="up_to", code="malformed", detail="Expected the id of a line.")]),
    errors.Busy("A lock was not had in time."),
)


def completed(document: dict[str, Any], *, read: type[msgspec.Struct]) -> dict[str, Any]:
    """The document, completed in place; `read` is the body that marks lines as read."""
    for operations in document["paths"].values():
        for operation in operations.values():
            name = operation["operationId"]
            if name == "readNotifications":
                operation["requestBody"] = {"required": True, "content": {"application/json": _body(read)}}
            # Litestar adds a refusal of its own, in a shape that ours never have.
            ours = {s: answer for s, answer in operation["responses"].items() if s < "400" or _is_problem(answer)}
            operation["responses"] = ours
            if name == "listNotifications":
                ours["200"]["links"] = _LINKS
            for status, answer in ours.items():
                for kind, content in answer.get("content", {}).items():
                    if kind == "application/problem+json":
                        content["examples"] = _problems(int(status))
                        answer["description"] = "; ".join(each["summary"] for each in content["examples"].values())
                    else:
                        content["example"] = msgspec.to_builtins(ANSWERS[name], str_keys=True)
    return document


def _is_problem(answer: dict[str, Any]) -> bool:
    return "application/problem+json" in answer.get("content", {})


def _body(read: type[msgspec.Struct]) -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components([read])
    return {"schema": schemas[read.__name__], "example": {"up_to": _LINE.id}}


def _problems(status: int) -> dict[str, Any]:
    return {
        error.code: {"summary": error.title, "value": msgspec.to_builtins(problem_of(error, _REQUEST))}
        for error in PROBLEMS
        if error.status == status
    }
