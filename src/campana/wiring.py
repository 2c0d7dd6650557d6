"""Puts the house together from its settings: the only place that knows all parts."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection

from campana.bus.contract import Bus
from campana.bus.local import LocalBus
from campana.bus.nats import NatsBus
from campana.bus.tasks import end_all
from campana.channels.contract import Channel
from campana.channels.registry import channels
from campana.clock import Clock, SystemClock, boottime
from campana.core.durations import Durations
from campana.core.flaws import flaws
from campana.core.ids import Id
from campana.core.proxies import networks
from campana.engine import launch, recover, tidy
from campana.engine.accounts import Configured, follow, hear, prove_key, put_configured, refresh
from campana.engine.estimate import Estimates
from campana.engine.exporting import Exports
from campana.engine.house import Exchange, House
from campana.engine.ingest import keeper
from campana.engine.journal import Journal
from campana.engine.readings import Readings
from campana.engine.report_mail import keep_mailing
from campana.engine.upkeep import upkeep
from campana.engine.vendors import keep_templates
from campana.engine.worker import EVERYTHING, Role, Worker, role_name
from campana.mail import Mailer, mailer
from campana.metrics import Metrics
from campana.settings import BadSettings, Settings
from campana.sources.forms import Limits
from campana.store import campaigns, inbox, partitions
from campana.store.clock import DatabaseClock
from campana.store.database import Database, Priority, StoreTrouble, is_sqlite, sqlite_path
from campana.store.migrate import migrate
from campana.vault import Vault, open_vault
from campana.web import app as web_app
from campana.web.app import Actions, Application, Console, Face, Refused
from campana.web.console.page import Noting
from campana.web.console.report_letter import Letters
from campana.web.doors import Doors
from campana.web.gateway import Gateway, HookRow
from campana.web.health import Health, serve_health
from campana.web.hosts import named, names_of
from campana.web.oidc import Provider
from campana.wire import Wire

Change = Callable[[Connection, Id, int], bool]  # of a run
EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - compared with
LOCAL = "local"  # the bus of a single process; several on PostgreSQL then find their work by looking
COLLECT = (20_000, 50, 100)  # a chunk makes thousands of values that are gone after it
SWITCH_INTERVAL = 0.0005  # a CPU-bound thread lets the event loop in this often


@dataclass
class Installation:
    """One process of Campana, its store open and its accounts known."""

    settings: Settings
    house: House
    workspace_id: Id
    bus: Bus
    worker: Worker
    app: Application
    gateway: Gateway
    health: Health
    readings: Readings
    estimates: Estimates
    roles: Collection[Role] = EVERYTHING
    public_url: str = ""
    port: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def console_url(self) -> str:
        """Where the console is, for who sits at this machine."""
        host = "127.0.0.1" if self.settings.host in EVERYWHERE else self.settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def people_url(self) -> str:
        """Where people find the console: under the public name, when there is one."""
        return (self.settings.public_url or self.console_url).rstrip("/")

    async def serve(self, bound: asyncio.Event | None = None) -> None:
        """Does what the roles say until `stop` is set: turns wheels, serves console and gateway. What was handed over is settled
        then."""

        bound = bound or asyncio.Event()
        closing = asyncio.Event()  # whoever asks is answered until everything that was handed over is settled

        def listening(port: int) -> None:
            self.port = port
            self.public_url = (self.settings.public_url or self.console_url).rstrip("/")
            bound.set()

        if Role.WEB in self.roles:
            serving = web_app.serve(self.app, self.settings.host, self.settings.port, closing, listening)
        else:
            listening(self.settings.port)  # vendors are told where another process listens
            serving = _until(closing)
        web = asyncio.create_task(serving)
        probes = asyncio.create_task(self._answer_probes(closing))
        wheels = asyncio.create_task(self._turn_once_bound(bound))
        ending = asyncio.create_task(self.stop.wait())
        try:
            await asyncio.wait({web, probes, wheels, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.stop.set()
            self.worker.stop()
            if not bound.is_set():
                wheels.cancel()  # they never began
            results = [*await asyncio.gather(wheels, return_exceptions=True)]
            closing.set()
            results += await asyncio.gather(web, probes, return_exceptions=True)
            await self.gateway.close()
            ending.cancel()
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result

    async def _answer_probes(self, closing: asyncio.Event) -> None:
        """On a port of its own, when there is one."""
        if self.settings.health_port is None:
            await closing.wait()
        else:
            await serve_health(self.health, self.settings.host, self.settings.health_port, closing)

    async def _turn_once_bound(self, bound: asyncio.Event) -> None:
        """Nothing is sent before vendors have an address to tell receipts to."""
        await bound.wait()
        await self.worker.run()


async def _until(event: asyncio.Event) -> None:
    await event.wait()


@contextlib.contextmanager
def only_process(url: str) -> Iterator[None]:
    """Holds the lock of a SQLite store: exactly one process turns its wheels."""
    path = sqlite_path(url)
    if path is None:
        yield
        return
    lock = path.with_name(path.name + ".lock")
    try:
        file = lock.open("w")
    except OSError as error:
        raise StoreTrouble(f"{path} cannot be opened: {error.strerror}. Make its folder, or name another file.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreTrouble(
                f"Another campana is already working on {path}. End it first, or name another file in CAMPANA_DATABASE."
            ) from error
        yield


def read_accounts(settings: Settings, known: Mapping[str, Channel]) -> list[Configured]:
    """The vendor accounts of the settings: name, channel, credentials. Raises BadSettings with one sentence for each flaw."""
    found: list[Configured] = []
    wrong: list[str] = []
    for name, facts in settings.integrations.items():
        kind = facts.get("kind")
        channel = known.get(str(kind))
        if channel is None:
            wrong.append(f"integrations.{name}.kind is {kind!r}; known kinds are {', '.join(sorted(known))}")
            continue
        try:
            found.append((name, channel, channel.settings.model_validate({k: v for k, v in facts.items() if k != "kind"})))
        except ValidationError as error:
            wrong += flaws(error, f"integrations.{name}")
    for name, sender in settings.senders.items():
        if sender.integration not in settings.integrations:
            wrong.append(f"senders.{name}.integration names {sender.integration!r}, which is no integration of the settings")
    wrong += _weights(settings, {name: channel for name, channel, _ in found})
    if wrong:
        raise BadSettings("The settings cannot be used. " + "; ".join(wrong) + ".")
    return found


def _weights(settings: Settings, known: Mapping[str, Channel]) -> list[str]:
    """What is wrong with how senders of the settings are counted."""
    counted = ((name, one, known[one.integration]) for name, one in settings.senders.items() if one.integration in known)
    return [
        f"senders.{name}.weight is 'segments', and a message over {channel.label} has none; leave it away"
        for name, sender, channel in counted
        if sender.weight == "segments" and channel.weight != "segments"
    ]


@contextlib.asynccontextmanager
async def open_installation(
    settings: Settings,
    clock: Clock | None = None,
    exchange: Exchange | None = None,
    roles: Collection[Role] = EVERYTHING,
) -> AsyncIterator[Installation]:
    """Opens the store, takes over from a process that died, and puts all parts together. Closes everything at the end."""
    _require_room(settings, roles)
    known = channels()
    configured = read_accounts(settings, known)
    sys.setswitchinterval(SWITCH_INTERVAL)
    with only_process(settings.database):
        metrics = Metrics()
        db = Database(settings.database, settings.max_pages, metrics.store_ran)
        wire = Wire() if exchange is None else None
        installation = journal = None
        beside: list[asyncio.Task[None]] = []
        try:
            migrate(db.engine)
            time, set_clock = await _clock(settings, db, clock)
            await db.run(partitions.ensure, time.now())
            journal = Journal(settings.data / "journal")
            vault = open_vault(settings.secret_key, settings.data)
            await db.run(prove_key, vault, time.now())
            workspace_id = await db.run(put_configured, vault, settings.workspace, configured, settings.senders, time.now())
            sends = exchange or wire.exchange  # type: ignore[union-attr]
            installation = _assemble(settings, db, sends, time, known, vault, journal, workspace_id, roles, metrics)
            await refresh(installation.house, vault)
            if is_sqlite(settings.database):
                await _take_over(installation.house, journal)
            installation.readings.forget_others(everything=is_sqlite(settings.database))
            await installation.bus.start()
            beside.append(asyncio.create_task(upkeep(installation.house, journal, set_clock)))
            beside.append(asyncio.create_task(follow(installation.house, vault, installation.bus.woken)))
            if Role.PUMP in roles:
                beside.append(asyncio.create_task(keep_templates(installation.house)))
                if post := _mailer(settings):
                    letters = Letters(db.read, faces(known), lambda: (settings.public_url or "").rstrip("/"))
                    beside.append(asyncio.create_task(keep_mailing(installation.house, post, letters.write)))
            _settle_memory()
            yield installation
        finally:
            await end_all(beside)
            if installation:
                await installation.readings.close()
                await installation.estimates.close()
                await installation.bus.close()
            if journal:
                journal.close(forget=installation is None or not installation.worker.unfinished)
            if wire:
                await wire.close()
            db.close()


def _settle_memory() -> None:
    """What has been made so far stays: the collector of garbage need not look through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT)


def _require_room(settings: Settings, roles: Collection[Role]) -> None:
    """Refuses what is for several processes where there can be only one."""
    if settings.bus != LOCAL and is_sqlite(settings.database):
        raise StoreTrouble(
            "A bus joins several processes, and a SQLite database works for one only. Leave CAMPANA_BUS away, or name a "
            "PostgreSQL database in CAMPANA_DATABASE."
        )
    if set(roles) == EVERYTHING:
        return
    if is_sqlite(settings.database):
        names = ", ".join(sorted(roles))
        instead = (
            f"there is no process for {names} alone. Run `campana serve`"
            if names
            else "nobody else would send. Run `campana run`"
        )
        raise StoreTrouble(
            f"A SQLite database works for one process only, so {instead}, or name a PostgreSQL database in CAMPANA_DATABASE."
        )
    if Role.WEB not in roles and not settings.public_url and not settings.port:
        raise BadSettings(
            "This process does not listen for webhooks itself, and so must be told where they go. Set CAMPANA_PUBLIC_URL, or "
            "CAMPANA_PORT to the port of `campana web`."
        )


async def _clock(settings: Settings, db: Database, clock: Clock | None) -> tuple[Clock, Callable[[], Awaitable[object]]]:
    """The clock of this process, and what sets it: on PostgreSQL all processes go by the database's."""

    async def needs_no_setting() -> None: ...

    if clock is not None or is_sqlite(settings.database):
        return clock or SystemClock(), needs_no_setting
    shared = DatabaseClock()
    await shared.set(db)
    return shared, lambda: shared.set(db)


async def _take_over(house: House, journal: Journal) -> None:
    """Takes over at once from the process before us: we are the only one there is."""
    while await house.db.run(recover.recover, house, house.clock.now(), True):
        pass
    journal.forget_others(everything=True)
    await tidy.discard_unfinished(house, house.clock.now() + 1)


def _assemble(
    settings: Settings,
    db: Database,
    exchange: Exchange,
    clock: Clock,
    known: Mapping[str, Channel],
    vault: Vault,
    journal: Journal,
    workspace_id: Id,
    roles: Collection[Role],
    metrics: Metrics,
) -> Installation:
    async def keep(rows: list[HookRow]) -> None:
        await db.at(Priority.GATEWAY, inbox.put, rows)

    installation: Installation
    bus: Bus = LocalBus() if settings.bus == LOCAL else NatsBus(settings.bus)
    house = House(
        db=db,
        exchange=exchange,
        clock=clock,
        durations=Durations(settings.time_scale),
        channels=known,
        accounts={},
        hook_url=lambda hook: f"{installation.public_url}/hooks/{hook}",
        journal=journal.begins,
        begun=journal.has,
        new_token=journal.new_token,
        wake=bus.wake,
        boottime=boottime,
        metrics=metrics,
    )
    gateway = Gateway(
        lookup=lambda hook: _hook_account(house, hook),
        public_url=lambda: installation.public_url,
        store=keep if settings.bus == LOCAL else keeper(bus),
        clock=clock,
        wake=lambda: bus.wake("inbox"),
        metrics=metrics,
        hear=partial(hear, house),
    )
    worker = Worker(house, bus, roles, takes_from_bus=settings.bus != LOCAL)
    health = Health(
        role=role_name(roles),
        metrics=metrics,
        read=db.read,
        clock=clock,
        bus=bus,
        stopping=lambda: installation.stop.is_set() or worker.stopping.is_set(),
        dead=worker.dead,
        token=settings.metrics_token.get_secret_value() if settings.metrics_token else None,
    )
    estimates = Estimates(house)
    readings = Readings(house, settings.data / "readings", Limits(file_bytes=settings.upload_mb << 20))
    app = web_app.create_app(
        replace(
            _console(
                house,
                settings.database,
                bus,
                gateway,
                workspace_id,
                _doors(settings, vault, exchange, clock),
                lambda: installation.public_url,
            ),
            readings=readings,
            estimates=estimates,
        ),
        guard=partial(named, names_of(settings.host, settings.public_url)),
        health=health,
    )
    installation = Installation(settings, house, workspace_id, bus, worker, app, gateway, health, readings, estimates, roles)
    return installation


def _doors(settings: Settings, vault: Vault, exchange: Exchange, clock: Clock) -> Doors:
    """What the sign-in stands on. Raises BadMailSettings."""
    provider = None
    if settings.oidc_issuer and settings.oidc_client_id:
        secret = settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else ""
        facts = (settings.oidc_name, settings.oidc_issuer, settings.oidc_client_id, secret)
        provider = Provider(*facts, exchange, clock)
    proxies = networks(settings.trusted_proxies or "")
    return Doors(vault, _mailer(settings), provider, proxies)


def _mailer(settings: Settings) -> Mailer | None:
    """What sends mails, when a server is set. Raises BadMailSettings."""
    url = settings.smtp_url.get_secret_value() if settings.smtp_url else ""
    return mailer(url, settings.mail_from) if url else None


def faces(known: Mapping[str, Channel]) -> dict[str, Face]:
    """How each channel is shown."""
    return {kind: Face.of(channel) for kind, channel in known.items()}


def _console(
    house: House, database: str, bus: Bus, gateway: Gateway, workspace_id: Id, doors: Doors, public_url: Callable[[], str]
) -> Console:
    return Console(
        read=house.db.read,
        write=house.db.run,
        changed=lambda seconds: bus.woken("live", seconds),
        actions=_actions(house),
        audience=Exports(house.db, database).audience,
        clock=house.clock,
        workspace_id=workspace_id,
        channels=faces(house.channels),
        gateway=gateway,
        house=house,
        doors=doors,
        public_url=public_url,
        secret=doors.vault.secret("forms"),
    )


def _hook_account(house: House, hook: str) -> tuple[Channel, Any] | None:
    account = house.by_hook(hook)
    return (account.channel, account.settings) if account else None


def _actions(house: House) -> Actions:
    async def act(what: Change, campaign_id: Id, note: Noting, sentence: str) -> None:
        run = await house.db.read(campaigns.latest_run, campaign_id)

        def change(c: Connection) -> bool:
            done = run is not None and what(c, run.id, house.clock.now())
            if done:
                note(c)
            return done

        if not await house.db.run(change):
            raise Refused(sentence)
        house.wake("pump")
        house.wake("live")

    def action(what: Change, sentence: str) -> Callable[[Id, Noting], Awaitable[object]]:
        return lambda campaign_id, note: act(what, campaign_id, note, sentence)

    return Actions(
        pause=action(launch.pause, "Only a campaign that is scheduled or sending can be paused."),
        resume=action(launch.resume, "Only a paused campaign can go on."),
        finish=action(launch.finish, "This campaign is over already."),
    )
