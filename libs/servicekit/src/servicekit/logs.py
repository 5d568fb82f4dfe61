"""Structured logs: one JSON object per line, secrets redacted by their type and by their key's name."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from pydantic import BaseModel, SecretBytes, SecretStr
from structlog.types import EventDict, Processor, WrappedLogger

from servicekit.settings import ServiceSettings

REDACTED = "[redacted]"
_SECRET_NAME = re.compile(
    r"(password|passwd|secret|credential|authorization|cookie|token|api_?key|private_?key|sealing|sealed"
    r"|otp|qr|login_?code|^answer$|^code$)",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/@]+@", re.IGNORECASE)


def clean(value: Any, key: str = "") -> Any:
    """Return *value* without secrets: by type (SecretStr), by key name, and passwords inside URLs."""
    if isinstance(value, SecretStr | SecretBytes) or (key and value not in (None, "") and _SECRET_NAME.search(key)):
        return REDACTED
    if isinstance(value, BaseModel):
        return clean(value.model_dump())
    if isinstance(value, Mapping):
        return {str(k): clean(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [clean(item) for item in value]
    if isinstance(value, str):
        return _URL_PASSWORD.sub(rf"\1{REDACTED}@", value)
    return value


def _redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {k: v if k == "exc_info" or k.startswith("_") else clean(v, k) for k, v in event.items()}


def _clean_traceback(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if isinstance(event.get("exception"), str):
        event["exception"] = clean(event["exception"])
    return event


def _dump(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _processors(settings: ServiceSettings) -> list[Processor]:
    def name_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {"service": settings.service, "instance": settings.instance_id, **event}

    return [
        structlog.contextvars.merge_contextvars,
        name_service,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact,
        structlog.processors.format_exc_info,
        _clean_traceback,
    ]


class _Stdout(logging.Handler):
    """Writes to what sys.stdout is at that moment: whoever redirects it later is not left with a closed stream."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stdout.write(f"{self.format(record)}\n")
            sys.stdout.flush()
        except Exception:
            self.handleError(record)


def configure(settings: ServiceSettings) -> None:
    """Send structlog and the standard library's logging through one redacting handler on stdout. Safe to repeat."""
    shared = _processors(settings)
    renderer: Processor = (
        structlog.processors.JSONRenderer(serializer=_dump)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    handler = _Stdout()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(settings.log_level.upper())
    for noisy in ("httpx", "httpcore", "uvicorn.access", "pymongo", "nats", "faststream"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for own in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(own).handlers, logging.getLogger(own).propagate = [], True
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str = "kurir") -> structlog.stdlib.BoundLogger:
    """Return a logger: `log.info("event in a few words", key=value)`."""
    return structlog.stdlib.get_logger(name)
