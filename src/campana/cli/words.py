"""What the command line says to people: sentences and progress go to stderr, results to stdout."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from campana.cli.logs import logs_to_stderr, secrets_of
from campana.core.audience import BadAudience
from campana.core.schedule import BadStart
from campana.engine.launch import Refused
from campana.engine.vendors import VendorRefuses
from campana.mail import BadMailSettings
from campana.settings import BadSettings, Settings
from campana.standin.config import BadConfig
from campana.store.database import StoreAway, StoreTrouble
from campana.vault import BadKey, WrongKey
from campana.web.app import PortTaken

# Each of these carries a sentence that says what to do next.
SENTENCES = (
    Refused,
    BadAudience,
    BadStart,
    BadSettings,
    BadMailSettings,
    BadConfig,
    StoreTrouble,
    StoreAway,
    PortTaken,
    VendorRefuses,
    BadKey,
    WrongKey,
)

ASKS_TO_STOP = (signal.SIGINT, signal.SIGTERM)

err = Console(stderr=True, highlight=False)
log = structlog.get_logger("campana")


class Voice:
    """How this process speaks: to people, or as a service whose every line is read by machines."""

    in_lines = False


def speak_as_service(role: str, settings: Settings) -> None:
    """From now on sentences are lines of the log too, where the log is for machines."""
    Voice.in_lines = logs_to_stderr(role, settings.log_format, secrets_of(settings))


def say(sentence: str) -> None:
    """One sentence for people."""
    if Voice.in_lines:
        log.info(sentence)
    else:
        err.print(sentence, markup=False, soft_wrap=True)


def complain(sentence: str) -> None:
    """The sentence that says why the process ends."""
    if Voice.in_lines:
        log.error(sentence)
    else:
        say(sentence)


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
    """Ctrl-C and a service manager's wish end the process cleanly: what was handed over is settled first. The second one ends it
    on the spot, as a kill would."""
    loop = asyncio.get_running_loop()

    def asked() -> None:
        for number in ASKS_TO_STOP:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in ASKS_TO_STOP:
        loop.add_signal_handler(number, asked)
