"""The error tree: what can be told to somebody outside.

Each error has a stable code, an HTTP status, whether trying again can help, and a remedy that a person can act on.
What is not in this tree is a broken assumption: it is logged and answered as `internal`.
"""

from typing import ClassVar

import msgspec


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with what was sent. `field` is its path, e.g. `media.0`; empty means the whole body."""

    field: str
    code: str
    detail: str


class ChorusError(Exception):
    """Something went wrong. Look at the request id in the log."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong on our side"
    retryable: ClassVar[bool] = True
    remedy: ClassVar[str] = "Try again; if it stays, report the request id."

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: list[Fault] | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.detail = detail or self.title
        self.errors = errors or []
        self.retry_after = retry_after
        super().__init__(self.detail)


class Unparsable(ChorusError):
    """The request could not be read at all."""

    code, status, retryable = "unparsable", 400, False
    title = "The request could not be read"
    remedy = "Send well-formed JSON in UTF-8 with the right Content-Type."


class NotSignedIn(ChorusError):
    """Nobody is signed in, or the credentials have ended."""

    code, status, retryable = "not_signed_in", 401, False
    title = "Sign in first"
    remedy = "Send a bearer token from POST /v1/sessions, or sign in with a cookie."


class Forbidden(ChorusError):
    """Signed in, but this is not yours to do."""

    code, status, retryable = "forbidden", 403, False
    title = "That is not yours to do"
    remedy = "Use an account that may do this."


class BadOrigin(Forbidden):
    """A cookie came with a request from somewhere else."""

    code = "bad_origin"
    title = "The request came from another site"
    remedy = "Send it from the page itself, or use a bearer token."


class NotFound(ChorusError):
    """It does not exist, is gone, or is hidden from you: the answer is the same."""

    code, status, retryable = "not_found", 404, False
    title = "There is nothing here"
    remedy = "Check the id; it may have been deleted."


class MethodNotAllowed(ChorusError):
    """The path exists and does not do that."""

    code, status, retryable = "method_not_allowed", 405, False
    title = "This address does not do that"
    remedy = "Use one of the methods in the Allow header."


class Conflict(ChorusError):
    """It clashes with what is there."""

    code, status, retryable = "conflict", 409, False
    title = "That clashes with what is there"
    remedy = "Fetch what is there and decide again."


class Stale(Conflict):
    """Somebody changed it since you read it."""

    code = "stale_version"
    title = "It has changed since you read it"
    remedy = "Fetch it again, put your change on top, and send the version you fetched."


class TooLarge(ChorusError):
    """More bytes than this call takes."""

    code, status, retryable = "too_large", 413, False
    title = "That is too large"
    remedy = "Send less; the limits stand in the documentation."


class UnsupportedType(ChorusError):
    """A media type that this call does not take."""

    code, status, retryable = "unsupported_type", 415, False
    title = "That type is not taken here"
    remedy = "Send application/json, or for photos a JPEG, PNG, WebP or GIF."


class Invalid(ChorusError):
    """It could be read and is not valid; `errors` names every fault."""

    code, status, retryable = "invalid", 422, False
    title = "Some of it is not valid"
    remedy = "Mend every field that `errors` names."


class KeyReused(Invalid):
    """The Idempotency-Key has been used with another request."""

    code = "idempotency_key_reused"
    title = "This Idempotency-Key belongs to another request"
    remedy = "Use a new key for a new request."


class TooMany(ChorusError):
    """Too many attempts; wait `retry_after` seconds."""

    code, status, retryable = "too_many", 429, True
    title = "Too many attempts"
    remedy = "Wait as long as Retry-After says."


class Busy(ChorusError):
    """Able again in a moment; nothing was written."""

    code, status, retryable = "busy", 503, True
    title = "Not able right now"
    remedy = "Try again after Retry-After; nothing was written."


def all_errors(root: type[ChorusError] = ChorusError) -> list[type[ChorusError]]:
    """The whole tree in order of definition, for the table in the documentation."""
    return [root, *(error for child in root.__subclasses__() for error in all_errors(child))]
