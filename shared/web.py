"""What both Litestar apps share: problem details, request ids, health, metrics.

Authorisation and the contracts themselves are not here: they belong to each service's door.
"""

import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
from litestar import Request, Response, get
from litestar.exceptions import HTTPException, MethodNotAllowedException, ValidationException
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

from shared import clock
from shared.errors import (
    ChorusError,
    Fault,
    Invalid,
    MethodNotAllowed,
    NotFound,
    NotSignedIn,
    TooLarge,
    Unparsable,
    UnsupportedType,
)
from shared.telemetry import bind_request, get_logger

log = get_logger(__name__)

REQUESTS = Counter("chorus_http_requests_total", "HTTP requests answered.", ["service", "method", "status"])
DURATION = Histogram(
    "chorus_http_request_seconds",
    "Seconds from a request's arrival to its answer's start.",
    ["service", "method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_PROBLEM = "application/problem+json"
_METRICS = CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8")  # which Litestar adds
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

Check = Callable[[], Awaitable[dict[str, str]]]
"""What is broken, by name, with a word on it; names that start with `!` make the service unable to serve."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Problem details, RFC 9457, with a stable `code` and, for bad input, every fault."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: list[Fault]


def request_id(scope: Any) -> str:
    """The id under which this request stands in the logs."""
    found: str = scope.get("state", {}).get("request_id", "")
    return found


def problem_of(error: ChorusError, request: str) -> Problem:
    """`error` as problem details, of the request with this id."""
    return Problem(
        type=f"/docs/errors#{error.code}",
        title=error.title,
        status=error.status,
        code=error.code,
        detail=error.detail,
        request_id=request,
        errors=error.errors,
    )


def problem_response(request: Request[Any, Any, Any], error: ChorusError) -> Response[bytes]:
    """`error` as an answer."""
    problem = problem_of(error, request_id(request.scope))
    headers = {"Cache-Control": "no-store"}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(msgspec.json.encode(problem), status_code=error.status, headers=headers, media_type=_PROBLEM)


def on_chorus_error(request: Request[Any, Any, Any], error: ChorusError) -> Response[bytes]:
    """Answers what the rooms refuse."""
    if error.status >= 500:
        # A queue of ours that is full is refused on purpose; something behind us that failed is ours to mend.
        full = error.status == 503 and error.__cause__ is None
        (log.warning if full else log.error)(
            "request_failed", code=error.code, detail=error.detail, cause=repr(error.__cause__)
        )
    return problem_response(request, error)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answers what Litestar refuses, in our words."""
    response = problem_response(request, _translated(error))
    for name, value in (error.headers or {}).items():
        if name.lower() == "allow":
            response.headers["Allow"] = value
    return response


def _translated(error: HTTPException) -> ChorusError:
    if isinstance(error, ValidationException):
        extra = error.extra if isinstance(error.extra, list) else []
        faults = [
            Fault(field=str(item.get("key", "")), code="invalid", detail=str(item.get("message", "Not valid.")))
            for item in extra
            if isinstance(item, dict)
        ]
        return Invalid(errors=faults or [Fault(field="", code="invalid", detail=str(error.detail))])
    if isinstance(error, MethodNotAllowedException):
        return MethodNotAllowed()
    by_status: dict[int, type[ChorusError]] = {
        400: Unparsable,
        401: NotSignedIn,
        404: NotFound,
        413: TooLarge,
        415: UnsupportedType,
    }
    kind = by_status.get(error.status_code)
    if kind is not None:
        return kind()
    return Unparsable(str(error.detail)) if error.status_code < 500 else ChorusError()


def on_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answers a broken assumption: logged with its traceback, told without it."""
    log.error("request_broke", exc_info=error, route=request.scope.get("path_template", ""))  # a path may name somebody
    return problem_response(request, ChorusError())


EXCEPTION_HANDLERS: dict[Any, Any] = {
    ChorusError: on_chorus_error,
    HTTPException: on_http_exception,
    Exception: on_exception,
}


class RequestContext:
    """ASGI middleware around a whole app: a request id in, on the answer and in each log line; counts and times."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Runs one request; sockets and the lifespan pass untouched. HEAD is GET whose body is left out (RFC 9110)."""
        if cast("str", scope["type"]) != "http":
            await self.app(scope, receive, send)
            return
        scope = cast("HTTPScope", scope)
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"").decode("latin-1")
        rid = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = rid
        bind_request(rid)
        # A method that nobody defined is not a label: labels are bounded.
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        began = clock.monotonic()
        head = method == "HEAD"

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                headers += [(b"x-request-id", rid.encode()), (b"x-content-type-options", b"nosniff")]
                message["headers"] = headers
                REQUESTS.labels(self.service, method, message["status"]).inc()
                DURATION.labels(self.service, method).observe(clock.monotonic() - began)
            elif head and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        # A copy: the server has to go on knowing that it was HEAD.
        await self.app(cast("Scope", {**scope, "method": "GET"}) if head else scope, receive, answer)


def health_routes(check: Check) -> list[Any]:
    """`/healthz`, `/readyz` and `/metrics`. `check` says what is broken; see Check."""

    @get("/healthz", include_in_schema=False, sync_to_thread=False)
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @get("/readyz", include_in_schema=False)
    async def readyz() -> Response[dict[str, Any]]:
        broken = await check()
        fatal = any(name.startswith("!") for name in broken)
        body = {
            "status": "down" if fatal else "degraded" if broken else "ok",
            "broken": [{"name": name.lstrip("!"), "detail": detail} for name, detail in broken.items()],
        }
        return Response(body, status_code=503 if fatal else 200, headers={"Cache-Control": "no-store"})

    @get("/metrics", include_in_schema=False, sync_to_thread=False)
    def metrics() -> Response[bytes]:
        return Response(generate_latest(), media_type=_METRICS)

    return [healthz, readyz, metrics]
