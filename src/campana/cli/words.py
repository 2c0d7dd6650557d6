"""What the command line says to people: sentences and progress go to stderr, results to stdout."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from campana.core.audience import BadAudience
from campana.core.schedule import BadStart
from campana.engine.launch import Refused
from campana.engine.vendors import VendorRefuses
from campana.settings import BadSettings
from campana.standin.config import BadConfig
from campana.store.database import StoreTrouble
from campana.web.app import PortTaken
from campana.web.hosts import NotLoopback

# Each of these carries a sentence that says what to do next.
SENTENCES = (
    Refused,
    BadAudience,
    BadStart,
    BadSettings,
    BadConfig,
    StoreTrouble,
    PortTaken,
    NotLoopback,
    VendorRefuses,
)

err = Console(stderr=True, highlight=False)


def say(sentence: str) -> None:
    """One sentence for people."""
    err.print(sentence, markup=False, soft_wrap=True)


def logs_to_stderr() -> None:
    """What the parts log is for people too: stdout is for results alone."""
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)  # never the values of variables
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper("iso"), plain],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def bar() -> Progress:
    """A live progress bar; on a terminal only, so that logs stay short."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[said]}", markup=False),
        TimeElapsedColumn(),
        console=err,
        transient=False,
        disable=not err.is_terminal,
    )


def outcome_words(outcomes: Mapping[str, int]) -> str:
    """Outcomes as one line, those of nobody left away."""
    return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in outcomes.items() if n)


def on_signals(stop: asyncio.Event) -> None:
    """Ctrl-C and a service manager's wish end the process cleanly: what was handed over is settled first."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
