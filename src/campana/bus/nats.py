"""The bus of many processes: NATS servers with JetStream, one or three. See docs/architecture.md, "The bus"."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError, Error, MaxPayloadError
from nats.js import JetStreamContext
from nats.js.api import Header, PubAck
from nats.js.errors import APIError

from campana.bus.contract import EVENTS, INGEST, LIVE, Away, Full, Parcel
from campana.bus.holdings import Holdings
from campana.bus.streams import STREAMS, TAKERS, configs, ensure, is_full, servers_of, subject_of
from campana.bus.tasks import end_all
from campana.bus.topics import Topics

WAKE = "campana.wake."
DONE = "campana.done"  # numbers of INGEST that are done, for those who put them
MOST_BYTES = 1 << 30  # of what INGEST holds
AGAIN = 10.0  # seconds until what was taken and not done is handed out again
PATIENCE = 5.0  # seconds that a put waits for new leaders, and that we wait before we say that the bus is away
TRY = 1.5  # seconds for one answer of a server
PAUSE = 0.1  # between two tries
LOOK = 1.0  # how often the streams are looked at
STUCK = 15.0  # a client that has not come back for so long gives way to a new one
GATHER = 0.002  # wakes of so many seconds are told together
HANDFUL = 32 << 20  # bytes that one taking brings at most
PING = 2  # seconds; a server that does not answer three of them is left

TROUBLE = (Error, OSError, TimeoutError)  # what a server that dies, or has no leader, shows itself as

log = structlog.get_logger("campana.bus")


class NatsBus:
    """See Bus. `put` returns when the servers have the parcel on disk, on most of them where there are three.

    `wiped` and `lost`: INGEST's numbers never repeat, and each process remembers the numbers it was given by acknowledgements,
    until it hears that they are done (from whoever did them, by a plain message; and from the stream's first number, each
    second). When INGEST is found to be another than before, what it remembered from before is lost. The sum over all processes
    is therefore never less than what was really lost, but for what a process had put that has died itself since; and it is
    more only by what was done in the last second when that message was lost too. Whoever counted what a stream was last seen
    to hold could be wrong by a second's traffic in both directions, and each process would count the same parcels.
    """

    def __init__(self, url: str, *, most_bytes: int = MOST_BYTES, again: float = AGAIN, patience: float = PATIENCE) -> None:
        self._servers = servers_of(url)
        self._configs = configs(most_bytes)
        self._again, self._patience = again, patience
        self._topics = Topics()
        self._untold: set[str] = set()
        self._news = asyncio.Event()
        self._home: tuple[int, asyncio.AbstractEventLoop] | None = None
        self._client: Client | None = None
        self._arrived: dict[str, asyncio.Queue[Msg]] = defaultdict(asyncio.Queue)
        self._inboxes: dict[str, str] = {}
        self._asked = 0  # how often we asked for parcels: each asking has an address of its own
        self._taking: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._ready = asyncio.Event()  # connected, and the streams are there
        self._stirred = asyncio.Event()  # something is wrong: the streams are looked at now
        self._since: float | None = None  # when the trouble began
        self._away: str | None = None  # and, when it lasts, what it is
        self._holdings = Holdings()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def lost(self) -> int:
        """How many parcels this process put into INGEST that were gone before they were done."""
        return self._holdings.lost

    @property
    def wiped(self) -> int:
        """How often this process saw that INGEST had lost everything."""
        return self._holdings.wiped

    @property
    def away(self) -> bool:
        """Whether the servers have been out of reach for longer than a moment."""
        return self._away is not None

    async def start(self) -> None:
        """Connects; returns when the streams are there, or goes on trying by itself."""
        loop = asyncio.get_running_loop()
        self._home = (threading.get_ident(), loop)
        self._tasks = [loop.create_task(self._keep_connected()), loop.create_task(self._tell())]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await self._ready.wait()

    async def close(self) -> None:
        """Lets go of the servers. What was taken and is not done is handed to others."""
        await end_all(self._tasks)
        self._tasks = []

    # --- streams ------------------------------------------------------------------------------------------------------------

    async def put(self, stream: str, key: str, body: bytes) -> None:
        """Keeps `body`: the servers have acknowledged it. Raises Full or Away when they do not, within some 5 seconds."""
        clock = asyncio.get_running_loop().time
        until = clock() + self._patience
        trouble: Exception = TimeoutError("no connection")
        while not self._away and (left := until - clock()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._ready.wait()
                    ack = await self._js().publish(subject_of(stream), body, timeout=min(TRY, left), headers={Header.MSG_ID: key})
            except MaxPayloadError as error:
                raise ValueError(
                    f"{len(body)} bytes are more than the NATS servers take at once. Raise max_payload in their configuration."
                ) from error
            except TROUBLE as error:
                if isinstance(error, APIError) and is_full(error):
                    raise Full(f"The stream {STREAMS[stream]} is full. Start more workers, or give it more room.") from error
                trouble = error
                self._stirred.set()
                await asyncio.sleep(PAUSE)
            else:
                self._was_put(stream, ack)
                return
        if not self._away:
            self._say_away(trouble)
        raise Away(self._away)

    def _was_put(self, stream: str, ack: PubAck) -> None:
        if stream == INGEST:
            self._holdings.put(ack.seq)
            self.wake(INGEST)  # of EVENTS every process has a copy already
        else:
            self._topics.wake(stream)
            self._topics.wake(LIVE)

    async def take(self, stream: str, n: int) -> Sequence[Parcel]:
        """Up to `n` parcels, oldest first; those that other takers hold are not among them."""
        async with self._taking[stream]:
            try:
                found = await self._pull(stream, n)
            except TROUBLE:
                self._stirred.set()
                return []
        return [Parcel((msg.headers or {}).get(Header.MSG_ID, ""), msg.data, msg) for msg in found]

    async def _pull(self, stream: str, n: int) -> list[Msg]:
        """What has arrived after all from an earlier asking, then what the servers have."""
        arrived = self._arrived[stream]
        found: list[Msg] = []
        while arrived.qsize() and len(found) < n:
            found += [msg for msg in [arrived.get_nowait()] if msg.reply]
        if len(found) == n or not self._ready.is_set():
            return found
        asked = n - len(found)
        self._asked += 1
        inbox = f"{self._inboxes[stream]}.{self._asked}"
        words = msgspec.json.encode({"batch": asked, "no_wait": True, "max_bytes": HANDFUL})
        await self._connected().publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAMS[stream]}.{TAKERS}", words, reply=inbox)
        wanted = n
        while len(found) < wanted:
            try:
                msg = await asyncio.wait_for(arrived.get(), TRY)
            except TimeoutError:
                self._stirred.set()
                break
            if msg.reply:
                found.append(msg)
                if msg.metadata.num_pending == 0:
                    break
            elif msg.subject == inbox:  # the word that ends an asking; with three servers it may overtake the parcels
                wanted = n - self._missing(msg, asked)
        return found

    def _missing(self, said: Msg, asked: int) -> int:
        """How many of those we asked for will not come."""
        headers = said.headers or {}
        if headers.get(Header.STATUS) not in ("404", "408", "409"):
            self._stirred.set()  # nobody to ask: the consumer may be gone
        return int(headers.get("Nats-Pending-Messages", asked))

    async def done(self, parcels: Sequence[Parcel]) -> None:
        """These are not handed out again. Returns when the servers know, or cannot be told."""
        if not parcels:
            return
        numbers = [msg.metadata.sequence.stream for msg in (p.mark for p in parcels) if msg.metadata.stream == STREAMS[INGEST]]
        self._holdings.done(numbers)
        *first, last = (parcel.mark.reply for parcel in parcels)
        with contextlib.suppress(*TROUBLE):
            client = self._connected()
            if numbers:
                await client.publish(DONE, msgspec.msgpack.encode(numbers))
            for reply in first:
                await client.publish(reply)
            await client.request(last, timeout=TRY)  # answered once all before it were heard

    async def held(self, stream: str) -> int:
        """How many parcels are not done; raises Away."""
        try:
            info = await self._js().consumer_info(STREAMS[stream], TAKERS)
        except TROUBLE as error:
            raise Away(self._sentence(error)) from error
        return int(info.num_pending or 0) + int(info.num_ack_pending or 0)

    # --- topics -------------------------------------------------------------------------------------------------------------

    def wake(self, topic: str) -> None:
        """Wakes who waits for `topic` in this process at once, and in the others soon. May be called from any thread."""
        self._topics.wake(topic)
        self._untold.add(topic)
        if self._home is None or self._home[0] == threading.get_ident():
            self._news.set()
        else:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                self._home[1].call_soon_threadsafe(self._news.set)

    async def woken(self, topic: str, timeout: float) -> bool:
        """True as soon as `topic` was woken by anybody since somebody here last waited for it; False after `timeout` seconds."""
        return await self._topics.woken(topic, timeout)

    async def _tell(self) -> None:
        """Passes wakes on to the other processes; those that cannot be told look by themselves."""
        while True:
            await self._news.wait()
            self._news.clear()
            topics = list(self._untold)
            self._untold.difference_update(topics)
            for topic in topics:
                with contextlib.suppress(*TROUBLE):
                    await self._connected().publish(WAKE + topic)
            await asyncio.sleep(GATHER)

    # --- the connection -----------------------------------------------------------------------------------------------------

    def _connected(self) -> Client:
        if self._client is None or not self._client.is_connected:
            raise ConnectionClosedError
        return self._client

    def _js(self) -> JetStreamContext:
        return self._connected().jetstream(timeout=TRY)

    async def _keep_connected(self) -> None:
        """One client after the other: a client reconnects by itself, but gives up for good when a server refuses it."""
        while True:
            self._client = client = Client()
            try:
                await self._connect(client)
                await self._listen(client)
                await self._watch(client)
            except Exception as error:  # whatever it is: without a client no webhook is taken
                self._troubled(error)
            finally:
                self._ready.clear()
                with contextlib.suppress(*TROUBLE, AttributeError, AssertionError):  # a client that was never connected
                    await client.close()
            await asyncio.sleep(PAUSE)

    async def _connect(self, client: Client) -> None:
        async def troubled(error: Exception) -> None:
            self._troubled(error)

        async def cut() -> None:
            self._ready.clear()
            if not client.is_closed:
                self._troubled(ConnectionError("the connection was cut"))

        async def back() -> None:
            self._stirred.set()

        await client.connect(
            list(self._servers.addresses),
            user=self._servers.user,
            password=self._servers.password,
            name="campana",
            error_cb=troubled,
            disconnected_cb=cut,
            reconnected_cb=back,
            closed_cb=back,
            connect_timeout=2,
            reconnect_time_wait=PAUSE,  # type: ignore[arg-type]  # it takes parts of a second as well
            max_reconnect_attempts=-1,
            ping_interval=PING,
            no_echo=True,
            pending_size=0,  # what cannot be sent now is not sent later, when nobody waits for it any more
        )

    async def _listen(self, client: Client) -> None:
        """What others tell reaches topics, holdings and takers, for as long as this client lives."""

        async def wake(msg: Msg) -> None:
            self._topics.wake(msg.subject.removeprefix(WAKE))

        async def event(msg: Msg) -> None:
            self._topics.wake(EVENTS)
            self._topics.wake(LIVE)

        async def done(msg: Msg) -> None:
            self._holdings.done(msgspec.msgpack.decode(msg.data, type=list[int]))

        await client.subscribe(WAKE + "*", cb=wake)
        await client.subscribe(subject_of(EVENTS), cb=event)
        await client.subscribe(DONE, cb=done)
        for stream in STREAMS:
            self._inboxes[stream] = client.new_inbox()
            arrived = self._arrived[stream]

            async def take(msg: Msg, arrived: asyncio.Queue[Msg] = arrived) -> None:
                arrived.put_nowait(msg)

            await client.subscribe(self._inboxes[stream] + ".*", cb=take)

    async def _watch(self, client: Client) -> None:
        """Looks at the streams until the client has given up."""
        clock = asyncio.get_running_loop().time
        seen = clock()
        while not client.is_closed and clock() - seen < STUCK:
            self._stirred.clear()
            try:
                await self._look()
                self._ready.set()
                seen, pause = clock(), LOOK
            except TROUBLE as error:
                self._troubled(error)
                pause = PAUSE
                seen = clock() if client.is_connected else seen
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stirred.wait()

    async def _look(self) -> None:
        """The streams are there, made anew where they were gone; what is lost with them is counted and said."""
        js, many = self._js(), len(self._servers.addresses) > 2
        for stream, config in self._configs.items():
            info = await ensure(js, config, self._again, many, self._holdings.last)
            if stream == INGEST:
                lost = self._holdings.look(info.created, int(info.config.first_seq or 0), info.state.first_seq)
                if lost is not None:
                    log.error("The stream INGEST is another than before: webhooks that it held are lost.", lost=lost)
        if self._away:
            log.info("the bus is back", servers=self._servers.hosts)
        self._since = self._away = None

    def _troubled(self, error: Exception) -> None:
        """Trouble that lasts is said once, and then a put does not wait for its end."""
        now = asyncio.get_running_loop().time()
        self._since = self._since or now
        if self._away is None and now - self._since >= self._patience:
            self._say_away(error)

    def _say_away(self, error: Exception) -> None:
        self._away = self._sentence(error)
        log.error(self._away)

    def _sentence(self, error: Exception) -> str:
        said: Any = str(error).removeprefix("nats: ") or type(error).__name__
        return (
            f"The NATS servers at {self._servers.hosts} do not answer as they should: {said}. Check that they run "
            "(of three: two) and that CAMPANA_BUS names them. It is tried again."
        )
