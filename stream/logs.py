"""The log: structlog for gatewatch, and the same form for what Faust, mode and librdkafka write."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from stream.masking import masked
from stream.sections.operation import LogSettings

NOISY = {"faust": logging.WARNING, "mode": logging.WARNING, "aiohttp.access": logging.WARNING}
"""Libraries whose info lines say nothing to a user of gatewatch, shown from this level unless debugging."""


def configure_logs(settings: LogSettings) -> None:
    """Send every log of the process to standard error, as text for people or one JSON object a line.

    Replaces earlier handlers of the root logger.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_secrets,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(settings)],
        )
    )
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    if level > logging.DEBUG:
        handler.addFilter(_not_a_service_s_life)
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name, least in NOISY.items():
        logging.getLogger(name).setLevel(logging.NOTSET if settings.level == "debug" else max(least, level))


def _not_a_service_s_life(record: logging.LogRecord) -> bool:
    """Return whether a record is more than mode's account of a service starting or stopping (``[^--Intake]: …``)."""
    return record.levelno > logging.INFO or not str(record.msg).startswith("[^")


def mask_secrets(
    logger: Any,  # noqa: ARG001 -- structlog's signature
    method: str,  # noqa: ARG001 -- structlog's signature
    event: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    """Replace the values of secrets in an event."""
    return {name: value if name == "exc_info" else masked(value, name) for name, value in event.items()}


def _rendering(settings: LogSettings) -> list[Any]:
    """Return the last processors; tracebacks come without local variables, which hold clients and calls."""
    if settings.format == "json":
        return [
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    return [
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    ]
