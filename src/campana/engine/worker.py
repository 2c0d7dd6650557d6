"""Turning the wheels: once, for a rehearsal or a test; or for as long as a process lives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from enum import StrEnum
from functools import partial

import structlog
from sqlalchemy import Connection

from campana.bus.contract import Bus
from campana.core.ids import Id
from campana.engine import careful, cut, receive, reconcile, recover, tidy, wake
from campana.engine.house import House
from campana.engine.ingest import Ingest
from campana.engine.relay import relay
from campana.engine.send import send_unit
from campana.store import campaigns, counters, flows, messages, recipients, units
from campana.store.database import Priority, StoreAway, StoreTrouble
from campana.store.dialect import alone
from campana.store.units import Unit

SENDERS = 8
SHORTEST_REST = 0.2
LONGEST_REST = 1.0
GATHER = 0.05  # seconds in which webhooks gather: a hundred in one transaction cost a third of a hundred alone


class Role(StrEnum):
    """What a process does for the installation; any number of processes may do each."""

    WEB = "web"  # the console, the API, and the webhooks of vendors
    PUMP = "pump"  # everything that time brings
    WORK = "work"  # sends, and understands what vendors tell


EVERYTHING = frozenset(Role)


def role_name(roles: Collection[Role]) -> str:
    """What metrics and logs call a process of these roles: as the command that starts it."""
    return "serve" if set(roles) == EVERYTHING else "+".join(sorted(roles))


Wheel = Callable[[], Awaitable[int]]
log = structlog.get_logger("campana.worker")


def _cut(c: Connection, house: House, now: int) -> int:
    return cut.cut(c, now)


async def pump(house: House) -> int:
    """Everything that time brings, each job by itself: one that stumbles does not stop the others. Returns how much it did."""
    jobs = (wake.start_runs, recover.recover, wake.deadlines, wake.sweep, _cut)
    now = house.clock.now()
    results = await asyncio.gather(*(house.db.run(job, house, now) for job in jobs), return_exceptions=True)
    done = 0
    for job, result in zip(jobs, results, strict=True):
        if isinstance(result, StoreTrouble | StoreAway):
            raise result
        if isinstance(result, BaseException):
            house.metrics.stumbled("pump")
            log.error("job_stumbled", job=job.__name__, exc_info=result)
        else:
            done += result
    return done


def house_keeping(c: Connection, house: House, now: int) -> int:
    """Folds figures, pauses runs that go wrong, says of runs that they are over, and removes what is old."""
    if not alone(c, "house keeping"):
        return 0
    folded = counters.fold(c)
    return folded + careful.watch_runs(c, now) + len(wake.finish_runs(c, now)) + tidy.tidy(c, now)


def claim(c: Connection, house: House, now: int) -> Unit | None:
    """The next ready unit for this worker."""
    return units.claim(c, house.new_token(), now, house.lease)


def next_moment(c: Connection, now: int) -> int | None:
    """When the next thing is due that is not due yet: a rehearsal jumps there."""
    sending = campaigns.runs_with_status(c, ["sending", "paused"])
    theirs: list[Id] = []
    for run in sending:
        theirs += flows.of_run(c, run.id)
    moments = (
        campaigns.next_start(c),
        flows.next_opening(c, now),
        units.next_ready(c),
        messages.next_ask(c),
        careful.next_pass(c),
        recipients.next_due(c, theirs, now),
    )
    return min((one for one in moments if one is not None), default=None)


async def turn(house: House) -> int:
    """Turns every wheel once. Returns how much there was to do; 0 means that only time can bring more."""
    db, now = house.db, house.clock.now
    done = await pump(house)
    done += await db.run(wake.enrol, house, now())
    done += await receive.receive_all(house)
    while unit := await db.run(claim, house, now()):
        done += 1 + await send_unit(house, unit)
    done += await reconcile.reconcile(house)
    return done + await db.run(house_keeping, house, now())


class Worker:
    """The wheels of one process, each turning in its own task until told to stop: those of its roles."""

    def __init__(self, house: House, bus: Bus, roles: Collection[Role] = EVERYTHING, takes_from_bus: bool = False) -> None:
        """With `takes_from_bus`, webhooks come over the bus and not straight into the store."""
        self.house = house
        self.woken = bus.woken
        self.stopping = asyncio.Event()
        self.trouble: Exception | None = None
        self.sending: set[asyncio.Task[None]] = set()
        self.unfinished = 0  # units that could not be given back: somebody must recover them
        self.hands = asyncio.Semaphore(SENDERS)
        self.turning: dict[str, asyncio.Task[None]] = {}
        wheels: dict[Role, dict[str, Wheel]] = {
            Role.WEB: {},
            Role.PUMP: {
                "pump": self._pump,
                "enrol": self._enrol,
                "figures": self._figures,
                "outbox": partial(relay, house, bus),
            },
            Role.WORK: {"inbox": self._receive, "ask": self._reconcile, "units": self._send},
        }
        if takes_from_bus:
            wheels[Role.WORK]["ingest"] = Ingest(house, bus).move
        self.wheels = {topic: wheel for role in Role if role in roles for topic, wheel in wheels[role].items()}

    async def run(self) -> None:
        """Turns the wheels until `stop`; then everything that was handed over is settled. Raises what stopped it."""
        self.turning = {topic: asyncio.create_task(self._keep_turning(topic, wheel)) for topic, wheel in self.wheels.items()}
        await asyncio.gather(self.stopping.wait(), *self.turning.values())
        await asyncio.gather(*self.sending, return_exceptions=True)
        if self.trouble:
            raise self.trouble

    def stop(self) -> None:
        """Lets every wheel finish what it has in hand."""
        self.stopping.set()
        for topic in self.wheels:
            self.house.wake(topic)

    def dead(self) -> list[str]:
        """Wheels that turn no more, though nobody has stopped them."""
        return [] if self.stopping.is_set() else [topic for topic, task in self.turning.items() if task.done()]

    async def _keep_turning(self, topic: str, wheel: Wheel) -> None:
        rest = SHORTEST_REST
        while not self.stopping.is_set():
            try:
                done = await wheel()
            except StoreTrouble as error:
                self.trouble = error
                self.stop()
                return
            except StoreAway as error:  # it comes back; nothing is lost meanwhile, and nothing is sent
                log.warning("store_away", wheel=topic, error=str(error))
                done, rest = 0, LONGEST_REST
            except Exception as error:  # one bad row must not stop the others; it is tried again, and said
                self.house.metrics.stumbled(topic)
                log.exception("wheel_stumbled", wheel=topic, error=str(error))
                done = 0
            if done:
                rest = SHORTEST_REST
                continue
            await self.woken(topic, rest)
            rest = min(LONGEST_REST, rest * 1.5)

    async def _pump(self) -> int:
        done = await pump(self.house)
        if done:
            self.house.wake("units")
        return done

    async def _enrol(self) -> int:
        done = await self.house.db.at(Priority.LOAD, wake.enrol, self.house, self.house.clock.now())
        if done:
            self.house.wake("pump")
        return done

    async def _receive(self) -> int:
        done = await receive.receive_all(self.house)
        if done:
            self.house.wake("pump")
            self.house.wake("live")
        if 0 < done < receive.BATCH:
            await asyncio.sleep(GATHER)
        return done

    async def _reconcile(self) -> int:
        return await reconcile.reconcile(self.house)

    async def _figures(self) -> int:
        done = await self.house.db.run(house_keeping, self.house, self.house.clock.now())
        if done:
            self.house.wake("live")
        await self.woken("figures", SHORTEST_REST)
        return 0

    async def _send(self) -> int:
        """Takes the next unit when a hand is free; several are sent side by side, but only one asks for more."""
        async with self.hands:
            if self.stopping.is_set():
                return 0
            unit = await self.house.db.at(Priority.SETTLE, claim, self.house, self.house.clock.now())
        if unit is None:
            return 0
        task = asyncio.create_task(self._send_unit(unit))
        self.sending.add(task)
        task.add_done_callback(self.sending.discard)
        await asyncio.sleep(0)  # lets it take its hand
        return 1

    async def _send_unit(self, unit: Unit) -> None:
        async with self.hands:
            self.unfinished += 1
            try:
                await send_unit(self.house, unit, self.stopping)
                self.unfinished -= 1
            except StoreTrouble as error:
                self.trouble = error
                self.stop()
            except StoreAway as error:  # the lease
                log.warning("store_away", wheel="units", error=str(error))
            except Exception as error:  # the lease ends, and the unit is recovered
                self.house.metrics.stumbled("units")
                log.exception("unit_stumbled", error=str(error))
        self.house.wake("pump")
        self.house.wake("units")
