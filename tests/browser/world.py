"""A console over figures made by hand: what the pages show is set by the test, what people press is written down.

All else is real: the people who sign in, and whatever pages keep, live in a store of the world's own.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import aclosing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert

from campana.channels import twilio_sms, whatsapp
from campana.clock import VirtualClock
from campana.core.access import Role
from campana.core.forecast import Bound, Forecast
from campana.core.held import Held, Why
from campana.core.ids import Id, derived_id
from campana.store import campaign_list, progress, schema, sessions, users, workspaces
from campana.store.campaign_list import CampaignLine, Sending
from campana.store.database import Database, create_store_engine
from campana.store.migrate import migrate
from campana.store.progress import FailureLine, Progress, StepLine
from campana.web.access import COOKIE, hash_of
from campana.web.app import Actions, Application, Console, Face, Refused, create_app, serve
from campana.web.live import Live, Topic

MINUTE = 60_000_000
NINE = 1_796_117_400_000_000  # 2026-12-01 09:30 UTC
CHANNELS = {
    "whatsapp": Face("WhatsApp Cloud", "whatsapp", whatsapp.ERRORS),
    "twilio_sms": Face("Twilio SMS", "sms", twilio_sms.ERRORS),
    "smtp": Face("E-mail", "email"),
}
NOW = NINE + 45 * MINUTE
WORKSPACE, ELSEWHERE = derived_id("workspace"), derived_id("elsewhere")
STRANGER = "stranger"  # owns another workspace, and is nobody in ours
REMINDERS = derived_id("visit reminders")
POSSIBLE = {"sending": ("pause", "finish"), "scheduled": ("pause", "finish"), "paused": ("resume", "finish")}
LONG = "Lembretes de visita técnica de dezembro para clientes de fibra em São Paulo e região metropolitana"


def line(name: str, status: str = "sent", **changes: Any) -> CampaignLine:
    """One campaign of the list, sent to all of 1,000 people unless said otherwise."""
    plain = CampaignLine(
        campaign_id=derived_id(name.lower()),
        run_id=derived_id("run", name),
        name=name,
        tags=(),
        channels=("whatsapp", "twilio_sms"),
        status=status,
        starts_at=NINE,
        started_at=NINE,
        finished_at=NINE + 130 * MINUTE,
        people=1000,
        sent=1000,
        delivered=940,
        replied=212,
        failed=31,
    )
    return replace(plain, **changes)


def full_list() -> list[CampaignLine]:
    """A list with every status, a long name, and tags."""
    open_end: dict[str, Any] = {"finished_at": None}
    unsent: dict[str, Any] = {"sent": 0, "delivered": 0, "replied": 0, "failed": 0, **open_end}
    return [
        line("Visit reminders", "sending", tags=("visit-reminders", "december"), people=12480, sent=5210, delivered=4960,
             replied=803, failed=118, **open_end),
        line(LONG, "paused", tags=("lembretes-de-visita-tecnica-de-dezembro", "são-paulo"), people=98210, sent=40112,
             delivered=38001, replied=2210, failed=1902, **open_end),
        line("Renewal offer", "scheduled", tags=("renewal-offer",), started_at=None, **unsent),
        line("Spring survey", "draft", channels=("smtp",), starts_at=None, started_at=None, people=0, **unsent),
        line("Welcome", tags=("december",), failed=0),
        line("Recall of lot 17", "ended", tags=("recall",), channels=("twilio_sms",), sent=640, delivered=610, replied=12),
        line("Payment notice", "failed_to_start", started_at=None, **unsent),
    ]  # fmt: skip


def figures(of: CampaignLine, minutes: int = 90) -> Progress:
    """The progress of a campaign, consistent with its line."""
    waiting, read = of.people - of.sent, of.delivered * 6 // 10
    rest = of.sent - of.replied - of.failed - 40
    return Progress(
        line=of,
        outcomes={"waiting": waiting, "sending": 40, "replied": of.replied, "delivered": rest - 21, "unreached": of.failed,
                  "skipped": 9, "suppressed": 5, "opted_out": 4, "ended": 0, "unknown": 3},
        left_out={"duplicate": 14, "neither phone nor e-mail": 3},
        funnel={"audience": of.people, "sent": of.sent, "delivered": of.delivered, "read": read, "replied": of.replied},
        steps=(
            StepLine("primary", "whatsapp", of.people, waiting, of.sent, of.delivered - 300, read, 410, 9, {1: 401, 2: 4660}),
            StepLine("fallback", "twilio_sms", 401, 0, 401, 300, 0, 101, 0, {2: 300}),
            StepLine("follow_up", "whatsapp", 4960, 4157),
        ),
        minutes=[(NINE // MINUTE + at, 40 + (at * 7) % 31) for at in range(minutes) if at % 11],
        failures=(
            FailureLine("whatsapp", "131026", 302),
            FailureLine("whatsapp", "131049", 88),
            FailureLine("twilio_sms", "30005", 101),
        ),
        held=(Held(Why.HOURS, "reminders", "active hours", NINE + 22 * 60 * MINUTE, "whatsapp"),),
        forecast=Forecast(Bound.PACE, "+1 202 555 0101", "segments", 3.0, None, NINE + 400 * MINUTE),
    )  # fmt: skip


def token(who: str = Role.OWNER) -> str:
    """The session of a role's user, or of the stranger."""
    return f"session-of-{who}"


@lru_cache(1)
def _seeded() -> tuple[tempfile.TemporaryDirectory[str], Path]:
    """A store with its people: one of each role, named after it, and a stranger who owns another workspace."""
    folder = tempfile.TemporaryDirectory(prefix="campana-world-")
    path = Path(folder.name) / "seeded.db"
    engine = create_store_engine(f"sqlite:///{path}")
    migrate(engine)
    with engine.begin() as c:
        for workspace_id, name in ((WORKSPACE, "Clinic"), (ELSEWHERE, "Elsewhere")):
            c.execute(insert(schema.workspace).values(id=workspace_id, name=name, created_at=NINE))
        for role in Role:
            _person(c, WORKSPACE, role, role)
        _person(c, ELSEWHERE, STRANGER, Role.OWNER)
    engine.dispose()
    return folder, path


def _person(c: Connection, workspace_id: Id, who: str, role: Role) -> None:
    user_id = users.create(c, f"{who}@example.com", f"{who.capitalize()} Example", None, NINE)
    assert user_id is not None
    workspaces.join(c, workspace_id, user_id, role, NINE)
    sessions.begin(c, hash_of(token(who)), user_id, workspace_id, "Chromium", "127.0.0.1", NOW)


class Streams(Live):
    """Live pages with short ticks, that tell how many watch."""

    def __init__(self, changed: Callable[[float], Any]) -> None:
        super().__init__(changed, tick=0.05)
        self.left = asyncio.Event()

    async def watch(self, topic: Topic, view: Hashable, draw: Callable[[Any], bytes]) -> AsyncIterator[bytes]:
        """As always, and whoever counts the viewers is told when one goes."""
        async with aclosing(super().watch(topic, view, draw)) as events:
            try:
                async for event in events:
                    yield event
            finally:
                await events.aclose()
                self.left.set()

    async def has_viewers(self, count: int) -> None:
        """Returns when so many streams are open."""
        while self.viewers != count:
            self.left.clear()
            await self.left.wait()

    async def cut(self) -> None:
        """Ends all streams of now."""
        self.stop()
        await self.has_viewers(0)
        self._stopped = False


class World:
    """The console's store, bus and engine in one: figures that a test changes, actions that it reads."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.stop = asyncio.Event()
        self.pressed: list[tuple[str, Id]] = []
        self.answered: dict[str, Callable[[Id], None]] = {}
        self.reads = 0
        self.port: int | None = None
        self._something = asyncio.Event()
        self._folder = tempfile.TemporaryDirectory(prefix="campana-world-")
        self._number = 0
        self._db: Database | None = None
        self.reset()

    @property
    def db(self) -> Database:
        """The store, made when it is first asked for."""
        if self._db is None:
            self._number += 1
            path = Path(self._folder.name) / f"{self._number}.db"
            shutil.copy(_seeded()[1], path)
            self._db = Database(f"sqlite:///{path}")
        return self._db

    def close(self) -> None:
        """The store is gone; the next one is as it was at the start."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def reset(self) -> None:
        """Back to the full list and the store of the start, nothing pressed."""
        self.close()
        self.lines = full_list()
        self.progress = {each.campaign_id: figures(each) for each in self.lines}
        self.pressed.clear()
        self.refusal: Exception | None = None

    def change(self, minutes: int = 90, **changes: Any) -> None:
        """Moves the first campaign on, and wakes who watches."""
        moved = replace(self.lines[0], **changes)
        self.lines[0] = moved
        self.progress[moved.campaign_id] = figures(moved, minutes)
        self.wake()

    def add(self, name: str) -> None:
        """One more campaign, the newest."""
        self.lines.insert(0, line(name))
        self.wake()

    def waits_for_viewers(self, count: int) -> None:
        """Returns when so many streams are open."""
        asyncio.run_coroutine_threadsafe(self.live.has_viewers(count), self.loop).result(20)

    def cut_streams(self) -> None:
        """Ends all streams, as a server does that goes away; later ones are taken again."""
        asyncio.run_coroutine_threadsafe(self.live.cut(), self.loop).result(20)

    def wake(self) -> None:
        """Something changed."""
        self.loop.call_soon_threadsafe(self._something.set)

    async def read(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Answers questions about campaigns from the figures, all others from the store."""
        if function is campaign_list.campaigns:
            self.reads += 1
            return list(self.lines) if args[0] == WORKSPACE else []
        if function is campaign_list.sending:
            lines = [each for each in self.lines if each.status == "sending" and args[0] == WORKSPACE]
            only = lines[0].campaign_id if len(lines) == 1 else None
            return Sending(len(lines), sum(each.sent for each in lines), sum(each.people for each in lines), only)
        if function is progress.progress:
            self.reads += 1
            return self.progress.get(args[1]) if args[0] == WORKSPACE else None
        return await self.db.read(function, *args, **named)

    async def write(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Changes the figures of campaigns that are put away or brought back, all else in the store."""
        if function in (campaign_list.archive, campaign_list.restore):
            putting = function is campaign_list.archive
            for at, each in enumerate(self.lines):
                if each.campaign_id == args[1] and (each.archived_at is None) == putting and each.finished_at:
                    self.lines[at] = replace(each, archived_at=NOW if putting else None)
                    self.pressed.append((function.__name__, each.campaign_id))
                    self.wake()
                    return True
            return False
        return await self.db.run(function, *args, **named)

    async def changed(self, seconds: float) -> None:
        """As the bus does it."""
        try:
            async with asyncio.timeout(seconds):
                await self._something.wait()
        except TimeoutError:
            return
        self._something.clear()

    async def audience(self, campaign_id: Id, words: object, outcomes: object) -> AsyncIterator[bytes]:
        """A file in two pieces."""
        yield b"name,outcome\r\n"
        yield b"Ana,replied\r\n"

    def action(self, name: str, status: str) -> Callable[[Id, Callable[[Connection], None]], Any]:
        """An action that is written down and changes the status."""

        async def act(campaign_id: Id, note: Callable[[Connection], None]) -> None:
            if self.refusal:
                raise self.refusal
            at = next(at for at, each in enumerate(self.lines) if each.campaign_id == campaign_id)
            if name not in POSSIBLE.get(self.lines[at].status, ()):
                raise Refused("It cannot be done in this state.")
            await self.db.run(note)
            self.pressed.append((name, campaign_id))
            self.lines[at] = replace(self.lines[at], status=status)
            self.progress[campaign_id] = figures(self.lines[at])
            self.wake()

        return act

    def console(self) -> Console:
        """What the pages are given."""
        actions = Actions(self.action("pause", "paused"), self.action("resume", "sending"), self.action("finish", "ended"))
        return Console(
            read=self.read, write=self.write, changed=self.changed, actions=actions, audience=self.audience,
            clock=VirtualClock(NOW), workspace_id=WORKSPACE, channels=CHANNELS,
        )  # fmt: skip

    def app(self) -> Application:
        """The application, its ticks short."""
        self.live = Streams(self.changed)
        return create_app(self.console(), self.live)


class Served:
    """A world behind a real server, in a thread with its own event loop."""

    def __init__(self) -> None:
        self.world = World()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        world = self.world
        asyncio.set_event_loop(world.loop)
        world.loop.run_until_complete(serve(world.app(), "127.0.0.1", 0, world.stop, self._bound))

    def _bound(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._up.set()

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._up.wait(20), "the server did not come up"
        return self

    def __exit__(self, *_: object) -> None:
        self.world.loop.call_soon_threadsafe(self.world.stop.set)
        self._thread.join(20)
        self.world.close()
        assert not self._thread.is_alive(), "the server did not stop"


def cookie(url: str, who: str = Role.OWNER) -> dict[str, Any]:
    """The session cookie of a role's user, as a browser takes it."""
    return {"name": COOKIE, "value": token(who), "url": url, "httpOnly": True, "sameSite": "Lax"}
