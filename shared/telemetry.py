"""Structured logs: a static event name and fields, one line each.

Everything goes through structlog, what libraries log too. What members wrote, addresses and credentials are never
fields; ids are. Metrics stand beside the code that moves them, in prometheus_client's default registry.
"""

import contextlib
import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from typing import Any

import structlog

Logger = structlog.stdlib.BoundLogger

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure(service: str, *, level: str, style: str) -> None:
    """Sets this process's logging up: `style` json or console, to standard error, from `level` up."""
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if style == "json"
        # Not rich's tracebacks: they print every local variable, passwords among them. Ours come formatted.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_in_a_word, *_SHARED],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _name(service),
                structlog.processors.ExceptionRenderer(_traceback),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Pillow tells, at debug, what a camera wrote into a photo: whose it is, and where it was.
    for noisy in ("PIL", "uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "httpx", "alembic"):
        logger = logging.getLogger(noisy)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(max(logging.WARNING, getattr(logging, level.upper())))


def _name(service: str) -> Any:
    def add(_logger: Any, _method: str, line: dict[str, Any]) -> dict[str, Any]:
        line["service"] = service
        return line

    return add


def _in_a_word(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The driver's pool logs each failed try to reconnect with its whole traceback; the error's name says as much."""
    record: logging.LogRecord = line["_record"]
    if record.name.startswith("asyncpg") and record.exc_info:
        line["error"] = repr(record.exc_info[1])
        record.exc_info = line["exc_info"] = None
    return line


def _traceback(exc_info: Any) -> str:
    """A traceback without what Postgres says of a row that it refused: "Failing row contains", and then its words."""
    with _without_details(exc_info[1], set()):
        return "".join(traceback.format_exception(*exc_info)).rstrip("\n")


@contextlib.contextmanager
def _without_details(error: BaseException | None, seen: set[int]) -> Iterator[None]:
    """Within the block no error of the driver in this chain has a DETAIL."""
    if error is None or id(error) in seen:
        yield
        return
    seen.add(id(error))
    ours: Any = error if type(error).__module__.startswith("asyncpg") and hasattr(error, "detail") else None
    kept = None if ours is None else ours.detail
    if ours is not None:
        ours.detail = None
    try:
        with contextlib.ExitStack() as stack:
            for inner in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
                stack.enter_context(_without_details(inner, seen))
            yield
    finally:
        if ours is not None:
            ours.detail = kept


def get_logger(name: str) -> Logger:
    """A logger bound to a module's name."""
    logger: Logger = structlog.stdlib.get_logger(name)
    return logger


def bind_request(request_id: str) -> None:
    """From now on this task works for that request alone: its id is in each line, and in each event it appends."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)


def current_request() -> str | None:
    """The id of the request that this task works for; None where none asked for it."""
    found: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return found
