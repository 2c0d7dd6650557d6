"""The log: lines for machines or for people, on stderr, and nothing in them that tells who was written to."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

import structlog
from pydantic import SecretStr
from structlog.typing import EventDict, Processor, WrappedLogger

from campana.channels.registry import channels
from campana.core.discretion import STRUCK, discreet
from campana.settings import Settings

AUTO, JSON, TEXT = "auto", "json", "text"
SHORTEST_SECRET = 6  # what is shorter strikes out half the words


def logs_to_stderr(role: str = "campana", log_format: str = AUTO, secrets: Iterable[str] = ()) -> bool:
    """Everything that is logged, by us or by a library, is a line on stderr: stdout is for results alone.

    `auto` writes JSON unless a person sits before it. `secrets` are struck out wherever they stand. Returns whether the lines
    are for machines.
    """
    as_json = log_format == JSON or (log_format == AUTO and not sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper("iso", utc=True, key="time"),
        *([_signed(role)] if as_json else []),
        structlog.processors.format_exc_info,  # the traceback's lines, never the values of variables
        discretion(secrets),
    ]
    last: Processor = structlog.processors.JSONRenderer(default=repr, ensure_ascii=False) if as_json else _plain()
    structlog.configure(processors=[*shared, last], logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter
    handler.setFormatter(
        formatter(foreign_pre_chain=shared, processors=[formatter.remove_processors_meta, last])  # libraries use `logging`
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    return as_json


def secrets_of(settings: Settings) -> Iterator[str]:
    """Every credential of the settings: what channels call a secret, and the passwords in URLs."""
    known = channels()
    for facts in settings.integrations.values():
        channel = known.get(str(facts.get("kind")))
        for name, field in channel.settings.model_fields.items() if channel else ():
            if name in facts and _is_secret(field.annotation):
                yield str(facts[name])
    yield from (key.strip() for key in (settings.secret_key or "").split(",") if key.strip())
    for secret in (settings.metrics_token, settings.oidc_client_secret):
        if secret:
            yield secret.get_secret_value()
    mail = settings.smtp_url.get_secret_value() if settings.smtp_url else ""
    for url in (settings.database, mail, *settings.bus.split(",")):
        if found := re.search(r"://[^:]*:(.+)@", url):
            yield found[1]


def _is_secret(kind: Any) -> bool:
    return kind is SecretStr or any(_is_secret(inner) for inner in get_args(kind))


def _signed(role: str) -> Processor:
    def sign(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
        begins = {"time": line.pop("time"), "level": line.pop("level"), "event": line.pop("event")}
        return {**begins, "role": role, "process": os.getpid(), **line}

    return sign


def _plain() -> Processor:
    return structlog.dev.ConsoleRenderer(timestamp_key="time", colors=sys.stderr.isatty())


def discretion(secrets: Iterable[str] = ()) -> Processor:
    """Strikes out, in every value, what looks like a phone number, an e-mail address or a credential."""
    known = sorted((secret for secret in set(secrets) if len(secret) >= SHORTEST_SECRET), key=len, reverse=True)

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {clean(key): clean(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [clean(inner) for inner in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        text = value if isinstance(value, str) else repr(value)
        for secret in known:
            text = text.replace(secret, STRUCK)
        return discreet(text)

    def strike(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
        return {key: value if key in ("time", "level") else clean(value) for key, value in line.items()}

    return strike
