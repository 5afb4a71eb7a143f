"""Structured logs: a static event name and fields, one line each.

Everything goes through structlog, what libraries log too. What members wrote, addresses and credentials are never
fields; ids are. Metrics stand beside the code that moves them, in prometheus_client's default registry.
"""

import logging
import sys
from collections.abc import MutableMapping
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
        # Not rich's tracebacks: they print every local variable, passwords among them.
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
    errors = [structlog.processors.format_exc_info] if style == "json" else []
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_in_a_word, *_SHARED],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _name(service),
                *errors,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "httpx", "alembic"):
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


def get_logger(name: str) -> Logger:
    """A logger bound to a module's name."""
    logger: Logger = structlog.stdlib.get_logger(name)
    return logger
